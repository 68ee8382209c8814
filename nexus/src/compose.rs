//! Which services there are, and a node made of some of them.

use nexus_service_kit::{ConfigError, ConfigSource, Service};
use nexus_store::{Ledger, Schema};

use crate::apart::APART;
use crate::exit::Failure;
use crate::near::nearest;

/// Section `principals`, where the configuration says nothing: one local organisation.
pub const PRINCIPALS: &str = include_str!("../principals.default.yaml");

/// A service as this binary knows it.
pub struct Entry {
    /// Its name: of its section, its consumer group, and for `nexus run`.
    pub name: &'static str,
    /// What it does, in one line.
    pub about: &'static str,
    /// Its tables.
    pub schema: Schema,
    make: fn(&ConfigSource) -> Result<Box<dyn Service>, ConfigError>,
}

impl Entry {
    /// The service, with its section of the configuration.
    ///
    /// # Errors
    /// What is wrong with that section, and where.
    pub fn make(&self, source: &ConfigSource) -> Result<Box<dyn Service>, ConfigError> {
        (self.make)(source)
    }
}

/// The registry, in the order of start. A new service is one entry here.
pub const SERVICES: &[Entry] = &[
    Entry {
        name: nexus_orchestrator::NAME,
        about: "owns conversations and decides",
        schema: nexus_orchestrator::db::schema::SCHEMA,
        make: orchestrator,
    },
    Entry {
        name: nexus_provider_router::NAME,
        about: "owns every call to a model",
        schema: Schema::new(Ledger::MIGRATIONS),
        make: router,
    },
    Entry {
        name: nexus_tool_executor::NAME,
        about: "owns every effect",
        schema: Schema::new(Ledger::MIGRATIONS),
        make: tools,
    },
    Entry {
        name: nexus_recorder::NAME,
        about: "keeps everything that passed, to be read",
        schema: Schema::new(nexus_recorder::migrations::MIGRATIONS),
        make: recorder,
    },
    Entry {
        name: nexus_entry_api::NAME,
        about: "REST and SSE for people and programs",
        schema: nexus_entry_api::migrations::SCHEMA,
        make: entry_api,
    },
];

/// The names there are.
pub fn names() -> impl Iterator<Item = &'static str> {
    SERVICES.iter().map(|entry| entry.name)
}

/// Every service.
///
/// # Errors
/// What is wrong with the configuration, and where.
pub fn all(source: &ConfigSource) -> Result<Vec<Box<dyn Service>>, ConfigError> {
    SERVICES.iter().map(|entry| entry.make(source)).collect()
}

/// The services of these names, each once.
///
/// # Errors
/// An unknown name with the nearest known one, or what is wrong with the configuration.
pub fn chosen(source: &ConfigSource, wanted: &[String]) -> Result<Vec<Box<dyn Service>>, Failure> {
    for name in wanted {
        if !names().any(|known| known == name) {
            let apart = APART.iter().map(|apart| apart.name);
            return Err(Failure::usage(format!("no service is called `{name}`"))
                .todo(nearest(name, names().chain(apart))));
        }
    }
    SERVICES
        .iter()
        .filter(|entry| wanted.iter().any(|name| name == entry.name))
        .map(|entry| entry.make(source).map_err(Failure::usage))
        .collect()
}

fn orchestrator(source: &ConfigSource) -> Result<Box<dyn Service>, ConfigError> {
    use nexus_orchestrator::{DEFAULT_CONFIG, NAME, service};
    Ok(service(
        source.section(NAME, DEFAULT_CONFIG)?,
        source.section("principals", PRINCIPALS)?,
    ))
}

fn router(source: &ConfigSource) -> Result<Box<dyn Service>, ConfigError> {
    use nexus_provider_router::{DEFAULT_CONFIG, NAME, service};
    Ok(service(source.section(NAME, DEFAULT_CONFIG)?))
}

fn tools(source: &ConfigSource) -> Result<Box<dyn Service>, ConfigError> {
    use nexus_tool_executor::{DEFAULT_CONFIG, NAME, service};
    Ok(service(source.section(NAME, DEFAULT_CONFIG)?))
}

fn recorder(source: &ConfigSource) -> Result<Box<dyn Service>, ConfigError> {
    use nexus_recorder::{DEFAULT_CONFIG, NAME, service};
    Ok(service(source.section(NAME, DEFAULT_CONFIG)?))
}

fn entry_api(source: &ConfigSource) -> Result<Box<dyn Service>, ConfigError> {
    use nexus_entry_api::{DEFAULT_CONFIG, EntryApi, NAME};
    let service = EntryApi::new(source.section(NAME, DEFAULT_CONFIG)?)
        .describing(nexus_recorder::openapi())
        .describing(nexus_provider_router::openapi())
        .describing(nexus_tool_executor::openapi());
    Ok(Box::new(service))
}
