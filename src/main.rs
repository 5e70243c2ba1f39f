//! The `triaged` command.
#![forbid(unsafe_code)]

use std::process::ExitCode;

/// A ticket makes a few dozen short-lived buffers; this allocator keeps them in each thread.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    triaged::cli::main()
}
