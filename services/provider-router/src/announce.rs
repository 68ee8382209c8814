//! Telling others which providers there are: the table `control.providers`, and the log at start.

use std::time::Duration;

use nexus_bus::{BusError, Expect};
use nexus_contracts::tables;
use nexus_service_kit::backoff::Backoff;
use nexus_service_kit::{Deps, put_table};

use crate::registry::{ProviderStatus, Registry};
use crate::reload::Current;

/// How often the table is looked over: a bus that lost its data gets it again.
const LOOK_OVER: Duration = Duration::from_secs(15);

/// Says at start what cannot be used and why, and when answers are made up.
pub fn log(registry: &Registry) {
    for status in registry.statuses() {
        if let Some(notice) = notice(&status) {
            tracing::warn!(provider = status.name, "{notice}");
        }
    }
}

/// What a person should know before they wonder.
fn notice(status: &ProviderStatus) -> Option<String> {
    match &status.reason {
        Some(reason) => Some(format!("cannot be used: {reason}")),
        None if status.demo && status.default => Some(
            "answers come from the demo model; name a real provider in config/providers.yaml"
                .to_owned(),
        ),
        None => None,
    }
}

/// Which pass over the table it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pass {
    /// Everything is written, and what is no longer configured is dropped.
    First,
    /// Only what is missing is written, so that two replicas with different files do not overwrite
    /// each other for ever.
    Later,
}

/// Writes the table, drops what is no longer configured, and keeps what it wrote there.
pub async fn keep(deps: Deps, mut providers: Current) {
    let mut backoff = Backoff::of_loop(&deps.clock);
    let mut pass = Pass::First;
    loop {
        let written = write(&deps, &providers.get().statuses(), pass).await;
        let pause = match written {
            Ok(()) => {
                backoff.reset();
                pass = Pass::Later;
                LOOK_OVER
            }
            Err(error) => {
                complain(&backoff, &error);
                backoff.next_delay()
            }
        };
        tokio::select! {
            () = deps.shutdown.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
            () = providers.changed() => pass = Pass::First,
        }
    }
}

/// Once per outage.
fn complain(backoff: &Backoff, error: &BusError) {
    if !backoff.is_failing() {
        tracing::warn!(%error, "the list of providers could not be published; trying on");
    }
}

async fn write(deps: &Deps, statuses: &[ProviderStatus], pass: Pass) -> Result<(), BusError> {
    let there = deps.bus.table_list(tables::PROVIDERS).await?;
    for status in statuses {
        if pass == Pass::First || !there.iter().any(|value| value.key == status.name) {
            put_table(&deps.bus, tables::PROVIDERS, &status.name, status).await?;
        }
    }
    let stale = there
        .iter()
        .filter(|value| !statuses.iter().any(|s| s.name == value.key));
    for value in stale.filter(|_| pass == Pass::First) {
        let expect = Expect::Version(value.version.clone());
        deps.bus
            .table_delete(tables::PROVIDERS, &value.key, expect)
            .await?;
    }
    Ok(())
}
