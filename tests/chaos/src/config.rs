//! The configuration of the workers: as an operator would write it, with shorter patience, so that
//! takeovers and repetitions happen within a run.

use std::path::Path;
use std::time::Duration;

use clap::ValueEnum;

use crate::client::{CLIENTS, Client};

/// Which bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BusKind {
    /// A redis-server with AOF, fsync every second.
    Redis,
    /// A nats-server with `JetStream` on disk.
    Nats,
    /// A file, owned by the one process there is.
    Embedded,
}

/// Which database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DbKind {
    /// Files; one replica of each service.
    Sqlite,
    /// A server; two replicas of those that work.
    Postgres,
}

/// What a run may change about the services.
#[derive(Clone, Debug)]
pub struct Tuning {
    /// How long a run may take.
    pub run_timeout: Duration,
    /// How the orchestrator is broken on purpose.
    pub mutant: Option<String>,
    /// How long after its last sign of life a worker is taken for dead.
    pub lease: Duration,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            run_timeout: Duration::from_secs(300),
            mutant: None,
            lease: Duration::from_secs(3),
        }
    }
}

/// `nexus.yaml`. Addresses differ by worker and are given to each.
#[must_use]
pub fn nexus_yaml(folder: &Path, tuning: &Tuning) -> String {
    let lease = tuning.lease.as_millis();
    let seconds = tuning.run_timeout.as_secs();
    let names: Vec<&str> = CLIENTS.iter().map(Client::configured).collect();
    let names = names.join(", ");
    let mutant = tuning
        .mutant
        .as_ref()
        .map_or_else(String::new, |mutant| format!(", mutant: {mutant}"));
    let principals: String = CLIENTS
        .iter()
        .map(|client| {
            let (name, org, user) = (client.configured(), client.org, client.user);
            format!("  \"client:{name}\": {{ org_id: {org}, user_id: {user}, roles: [member] }}\n")
        })
        .collect();
    let folder = folder.display();
    format!(
        "log: {{ level: warn }}
principals:
{principals}orchestrator:
  {{ clients: [{names}], lease: {lease}ms, resend_after: 2s, sweep_interval: 250ms,
    settings: {{ global: {{ summary_after: 0, limits: {{ steps: 8, seconds: {seconds} }} }} }}{mutant} }}
provider-router: {{ lease: {lease}ms, permits: 1024, providers_file: \"{folder}/providers.yaml\" }}
tool-executor: {{ lease: {lease}ms, permits: 1024 }}
recorder: {{ clients: [{names}], lease: {lease}ms }}
entry-api:
  {{ principal: \"client:local\", lease: {lease}ms, republish_after: 1s, incarnation_poll: 300ms }}
"
    )
}

/// `providers.yaml`: the model of the run and no other.
#[must_use]
pub fn providers_yaml(model: &str) -> String {
    format!(
        "default: chaos
providers:
  chaos: {{ type: openai, base_url: \"{model}\", model: chaos-1,
    timeouts: {{ connect: 5s, first_byte: 10m, idle: 10m, total: 10m }} }}
"
    )
}
