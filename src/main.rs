//! Parse, run, print the error, exit code. Nothing else.

use std::process::ExitCode;

use clap::Parser;

/// A daemon is at rest nearly always: what a sync or large answers needed goes back to the system after a few seconds.
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    lineaged::cli::Cli::parse().run().into()
}
