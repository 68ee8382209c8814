//! The orchestrator as a process of its own.

use std::process::ExitCode;

use nexus_orchestrator::{DEFAULT_CONFIG, NAME, service};

fn main() -> ExitCode {
    nexus_service_kit::main_of(NAME, |source| {
        Ok(service(
            source.section(NAME, DEFAULT_CONFIG)?,
            source.section("principals", "{}")?,
        ))
    })
}
