//! The program: parses the command line, runs the command, prints its error, sets the exit code.

mod stdout;

use std::process::ExitCode;

use coinhound::{Cli, no_stdout, print_error, run};

fn main() -> ExitCode {
    let cli = Cli::read();
    let format = cli.global.format.plain();
    let result = if stdout::was_closed() { Err(no_stdout()) } else { run(cli) };
    let exit = result.unwrap_or_else(|error| {
        if !error.is_silent() {
            print_error(format, &error);
        }
        error.exit()
    });
    ExitCode::from(exit.code())
}
