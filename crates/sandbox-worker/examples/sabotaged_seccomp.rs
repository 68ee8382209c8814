//! The worker without one guard, so that the abuse suite can be seen to fail. An example: never installed.

use std::process::ExitCode;

use nexus_sandbox_worker::{Guard, Guards};

struct Without;

impl Guards for Without {
    fn on(&self, guard: Guard) -> bool {
        guard != Guard::Seccomp
    }
}

fn main() -> ExitCode {
    nexus_sandbox_worker::main(std::env::args_os().skip(1), &Without)
}
