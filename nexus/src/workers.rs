//! `nexus workers`: who is alive on the bus.

use std::io::Write;

use nexus_bus::Bus;
use nexus_contracts::{Timestamp, tables};
use nexus_service_kit::{Clock, WorkerInfo};
use serde_json::json;

use crate::cli::JsonArgs;
use crate::exit::Failure;
use crate::reading::open_to_read;
use crate::settings::Settings;
use crate::style::{Tone, column, millis, toned};

/// A worker silent for longer than this is not alive: three announcements missed.
const SILENT_MS: i64 = 15_000;

/// Lists the workers.
///
/// # Errors
/// When the bus cannot be read.
pub async fn workers(
    args: &JsonArgs,
    settings: &Settings,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let bus = open_to_read(settings).await?;
    let found = all(&bus).await;
    bus.close().await;
    let (found, now) = (found?, Clock::system().now());
    if args.json {
        let rows: Vec<_> = found
            .iter()
            .map(|worker| json!({ "alive": is_alive(worker, now), "worker": worker }))
            .collect();
        writeln!(out, "{}", json!({ "workers": rows }))?;
        return Ok(());
    }
    if found.is_empty() {
        writeln!(
            out,
            "no worker has announced itself; start one with `nexus up`"
        )?;
    }
    for worker in &found {
        for line in lines(worker, now) {
            writeln!(out, "{line}")?;
        }
    }
    Ok(())
}

/// Every worker that announced itself.
///
/// # Errors
/// When the bus cannot be read.
pub async fn all(bus: &Bus) -> Result<Vec<WorkerInfo>, Failure> {
    let entries = bus
        .table_list(tables::WORKERS)
        .await
        .map_err(Failure::unreachable)?;
    // A newer worker may announce itself in words this program does not know.
    Ok(entries
        .iter()
        .filter_map(|entry| serde_json::from_slice(&entry.value).ok())
        .collect())
}

/// Whether a worker still announces itself.
#[must_use]
pub fn is_alive(worker: &WorkerInfo, now: Timestamp) -> bool {
    now.as_millis().saturating_sub(worker.seen_at.as_millis()) <= SILENT_MS
}

/// One line for the worker and one for each component that does not work.
#[must_use]
pub fn lines(worker: &WorkerInfo, now: Timestamp) -> Vec<String> {
    let ago = |at: Timestamp| millis(now.as_millis().saturating_sub(at.as_millis()).max(0));
    let (tone, word) = match (is_alive(worker, now), worker.ready) {
        (false, _) => (Tone::Bad, format!("silent {}", ago(worker.seen_at))),
        (true, false) => (Tone::Bad, "not ready".to_owned()),
        (true, true) => (Tone::Good, "ready".to_owned()),
    };
    let mut lines = vec![
        [
            column(tone, &word, 14),
            column(Tone::Name, &worker.worker, 32),
            column(Tone::Faint, &format!("v{}", worker.version), 8),
            column(Tone::Faint, &format!("up {}", ago(worker.started_at)), 12),
            column(Tone::Faint, &format!("{} permits", worker.permits), 14),
            worker.services.join(", "),
        ]
        .join("  "),
    ];
    let failing = worker.health.iter().filter(|component| !component.ok);
    lines.extend(failing.map(|component| {
        let detail = component.detail.as_deref().unwrap_or_default();
        format!("  {} {}: {detail}", toned(Tone::Bad, "✗"), component.name)
    }));
    lines
}
