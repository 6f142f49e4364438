//! Parse, run, print the error, exit code. Nothing else.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    lineaged::cli::Cli::parse().run().into()
}
