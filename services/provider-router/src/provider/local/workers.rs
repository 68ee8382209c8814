//! Whether anybody is there who could answer: asked first, so that a chain falls over at once instead of
//! waiting for a worker that does not run.

use nexus_contracts::{Timestamp, channels, tables};
use nexus_service_kit::WorkerInfo;

use crate::provider::{FailureClass, Reach};

/// A worker says every 5 s that it is there; silent for three times as long, it is not.
const SILENT_AFTER_MS: i64 = 15_000;

/// How many workers are ready, in words.
///
/// # Errors
/// When there is none, with what to do. A table that cannot be read is none: the call itself shows
/// whether the bus is there.
pub(super) async fn find(reach: &Reach) -> Result<String, (FailureClass, String)> {
    let Ok(entries) = reach.bus.table_list(tables::WORKERS).await else {
        return Ok("who is there cannot be read".to_owned());
    };
    let entries = entries.iter().map(|entry| &entry.value);
    let workers = entries.filter_map(|value| serde_json::from_slice(value).ok());
    judge(workers, reach.clock.now())
}

fn judge(
    workers: impl Iterator<Item = WorkerInfo>,
    now: Timestamp,
) -> Result<String, (FailureClass, String)> {
    let here = |one: &WorkerInfo| {
        let reads = one.consumes.iter().any(|c| c == channels::INFERENCE_LOCAL);
        reads && now.as_millis() - one.seen_at.as_millis() < SILENT_AFTER_MS
    };
    let (ready, coming): (Vec<WorkerInfo>, Vec<WorkerInfo>) =
        workers.filter(here).partition(|one| one.ready);
    if !ready.is_empty() {
        let hosts: Vec<&str> = ready.iter().map(|one| one.host.as_str()).collect();
        let (count, hosts) = (ready.len(), hosts.join(", "));
        return Ok(format!(
            "inference workers that are ready: {count} ({hosts})"
        ));
    }
    let Some(one) = coming.first() else {
        let what = "no inference worker runs; start one with `nexus run inference-worker`";
        return Err((FailureClass::Unreachable, what.to_owned()));
    };
    let why = one.health.iter().find_map(|part| part.detail.as_deref());
    let why = why.unwrap_or("it does not say why");
    let what = format!("the inference worker on {} is not ready: {why}", one.host);
    Err((FailureClass::Unavailable, what))
}
