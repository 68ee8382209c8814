//! The inference worker: a process of its own, since the engine brings five hundred crates.

use std::process::ExitCode;

use nexus_inference_worker::{DEFAULT_CONFIG, NAME, service};

fn main() -> ExitCode {
    nexus_service_kit::main_of(NAME, |source| {
        Ok(service(source.section(NAME, DEFAULT_CONFIG)?))
    })
}
