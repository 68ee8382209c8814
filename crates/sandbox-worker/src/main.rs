//! The program that runs the code of models, and the launcher that confines other programs.

use std::process::ExitCode;

fn main() -> ExitCode {
    nexus_sandbox_worker::main(std::env::args_os().skip(1), &nexus_sandbox_worker::Full)
}
