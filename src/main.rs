//! The program: parses what was typed, runs it, prints what went wrong, sets the exit code.

use std::process::ExitCode;

use coinhound::cli::Cli;
use coinhound::error::Exit;
use coinhound::{command, output};

fn main() -> ExitCode {
    let cli = Cli::read();
    let format = cli.global.format.plain();
    let exit = command::run(cli).unwrap_or_else(|error| {
        if !error.is_silent() {
            output::error(format, &error);
        }
        error.exit()
    });
    match exit {
        Exit::Answered => ExitCode::SUCCESS,
        other => ExitCode::from(other.code()),
    }
}
