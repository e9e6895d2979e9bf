//! The program; everything that it does is in the library or in `cli`.

use std::process::ExitCode;

mod cli;

fn main() -> ExitCode {
    cli::run()
}
