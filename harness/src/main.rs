//! The program `tokenlab`.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
