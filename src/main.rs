//! The `dropslip` program.

use std::process::ExitCode;

/// Every slip makes and drops dozens of small texts.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    dropslip::cli::main()
}
