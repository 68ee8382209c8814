//! The program that confines, where the tests of this package find it: cargo builds examples with them.

use std::process::ExitCode;

fn main() -> ExitCode {
    nexus_sandbox_worker::main(std::env::args_os().skip(1), &nexus_sandbox_worker::Full)
}
