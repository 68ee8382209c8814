//! The worker with a secret in its environment, as if it had inherited one, so that the abuse suite can be
//! seen to fail. An example: never installed.

use std::{
    os::unix::process::CommandExt as _,
    process::{Command, ExitCode},
};

use nexus_sandbox_worker::{Guard, Guards};

const CANARY: &str = "NEXUS_CANARY";

struct Without;

impl Guards for Without {
    fn on(&self, guard: Guard) -> bool {
        guard != Guard::EmptyEnvironment
    }
}

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    if std::env::vars_os().any(|(name, _)| name == CANARY) {
        return nexus_sandbox_worker::main(arguments.into_iter(), &Without);
    }
    let error = Command::new("/proc/self/exe")
        .args(arguments)
        .env(CANARY, "canary-3f9c")
        .exec();
    drop(error);
    ExitCode::FAILURE
}
