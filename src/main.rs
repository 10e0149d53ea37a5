//! The `dropslip` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    dropslip::cli::main()
}
