//! The program: parses the command line, runs the command, prints its error, sets the exit code.

use std::process::ExitCode;

use coinhound::{Cli, print_error, run};

fn main() -> ExitCode {
    let cli = Cli::read();
    let format = cli.global.format.plain();
    let exit = run(cli).unwrap_or_else(|error| {
        if !error.is_silent() {
            print_error(format, &error);
        }
        error.exit()
    });
    ExitCode::from(exit.code())
}
