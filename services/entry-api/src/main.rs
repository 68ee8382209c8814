//! `nexus-entry-api`: a node with the REST and SSE adapter alone.

use std::process::ExitCode;

use nexus_entry_api::{DEFAULT_CONFIG, NAME, service};

fn main() -> ExitCode {
    nexus_service_kit::main_of(NAME, |source| {
        Ok(service(source.section(NAME, DEFAULT_CONFIG)?))
    })
}
