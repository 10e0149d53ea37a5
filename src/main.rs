//! The `dropslip` program.

use std::process::ExitCode;

/// Every slip makes and drops dozens of small texts.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    dropslip::cli::main()
}
