//! Counters of the workers, added up over all their processes: a killed one takes its own along.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use reqwest::Client;
use tokio_util::sync::CancellationToken;

use crate::history::Refused;
use crate::worker::Worker;

/// Between two looks: what a process counts in its last moment is missed.
const EVERY: Duration = Duration::from_millis(500);

/// Counters of writes that were refused because somebody else had written first.
const REFUSALS: [(&str, &str); 3] = [
    ("nexus_orchestrator_conflicts_total", "conversations"),
    ("nexus_ledger_superseded_total", "effect results"),
    ("nexus_ledger_lost_total", "effect leases"),
];

/// The highest value of each counter, by worker and process.
#[derive(Debug, Default)]
pub struct Counters(BTreeMap<(String, u64, &'static str), u64>);

/// Looks at every worker until `stop`.
///
/// # Errors
/// When no HTTP client can be made.
pub async fn watch(
    counters: &Mutex<Counters>,
    workers: &[Arc<Worker>],
    stop: &CancellationToken,
) -> Result<()> {
    let client = crate::http::client(Duration::from_secs(1))?;
    loop {
        let looks = workers.iter().map(|worker| look(&client, worker));
        for (key, text) in futures::future::join_all(looks).await.into_iter().flatten() {
            let mut counters = counters.lock().unwrap_or_else(PoisonError::into_inner);
            counters.note(&key.0, key.1, &text);
        }
        let pause = tokio::time::sleep(EVERY);
        if stop.run_until_cancelled(pause).await.is_none() {
            return Ok(());
        }
    }
}

impl Counters {
    /// Takes one process's metrics.
    pub fn note(&mut self, worker: &str, life: u64, text: &str) {
        for (counter, meaning) in REFUSALS {
            let lines = text.lines().filter(|line| line.starts_with(counter));
            let values = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
            let values: Vec<u64> = values.collect();
            // A program that does not count this says nothing about it, which is not nought.
            if values.is_empty() {
                continue;
            }
            let value: u64 = values.into_iter().sum();
            let highest = self
                .0
                .entry((worker.to_owned(), life, meaning))
                .or_default();
            *highest = value.max(*highest);
        }
    }

    /// What was refused, in all.
    #[must_use]
    pub fn refused(&self) -> Refused {
        let mut refused = Refused::new();
        for ((_, _, meaning), value) in &self.0 {
            *refused.entry((*meaning).to_owned()).or_default() += value;
        }
        refused
    }
}

async fn look(client: &Client, worker: &Worker) -> Option<((String, u64), String)> {
    let life = worker.lives().await.started;
    let url = format!("http://127.0.0.1:{}/metrics", worker.admin);
    // A process that does not answer has nothing new to say.
    let text = client.get(url).send().await.ok()?.text().await.ok()?;
    Some(((worker.name.clone(), life), text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_of_killed_processes_are_not_lost() {
        let mut counters = Counters::default();
        let text =
            |count| format!("# TYPE x counter\nnexus_orchestrator_conflicts_total {count}\n");
        counters.note("orchestrator-1", 1, &text(3));
        counters.note("orchestrator-1", 1, &text(5));
        counters.note("orchestrator-1", 2, &text(2));
        assert_eq!(counters.refused(), [("conversations".to_owned(), 7)].into());
    }
}
