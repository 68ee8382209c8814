//! The points of a running process: what is to happen there, and what has happened.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nexus_e2e::cluster::Cluster;
use nexus_testkit::{wait_for, wait_until};
use reqwest::Client;
use serde_json::Value;

use crate::points::Fault;

/// What stands before the address where a process is told.
pub const ADMIN: &str = "admin: ";

/// Longest wait for a process to say something.
const PATIENCE: Duration = Duration::from_secs(20);

/// The points of one process.
#[derive(Clone, Debug)]
pub struct Switches {
    client: Client,
    url: String,
}

impl Switches {
    /// Those of a process of the cluster, as soon as it says where they are.
    ///
    /// # Errors
    /// When it does not.
    pub async fn of(cluster: &Cluster, process: &str, client: &Client) -> Result<Self> {
        let address = wait_for(PATIENCE, "the admin address", async || {
            let output = cluster.output_of(process).context("it does not run")?;
            let address = output.lines().find_map(|line| line.strip_prefix(ADMIN));
            Ok(address.map(str::to_owned))
        });
        Ok(Self {
            client: client.clone(),
            url: format!("http://{}", address.await?),
        })
    }

    /// Says what is to happen at a point, in the words of the crate `fail`.
    ///
    /// # Errors
    /// When the process does not understand it.
    pub async fn set(&self, point: &str, actions: &str) -> Result<()> {
        let url = format!("{}/failpoints/{point}", self.url);
        let told = self.client.put(url).body(actions.to_owned()).send().await?;
        ensure!(
            told.status().is_success(),
            "{point}: {}",
            told.text().await?
        );
        Ok(())
    }

    /// How often a fault has happened at a point.
    ///
    /// # Errors
    /// When the process does not answer.
    pub async fn happened(&self, point: &str, fault: Fault) -> Result<u64> {
        let url = format!("{}/failpoints", self.url);
        let all: BTreeMap<String, u64> = self.client.get(url).send().await?.json().await?;
        let name = format!("{point} {}", fault.name());
        Ok(all.get(&name).copied().unwrap_or_default())
    }

    /// Waits until a fault has happened more often than this.
    ///
    /// # Errors
    /// When it does not.
    pub async fn wait(&self, point: &str, fault: Fault, before: u64) -> Result<()> {
        let what = format!("{} at {point}", fault.name());
        wait_until(PATIENCE, &what, async || {
            Ok(self.happened(point, fault).await? > before)
        })
        .await
    }

    /// The consume loops of the process, as `<group>:<channel>`.
    ///
    /// # Errors
    /// When the process does not answer.
    pub async fn consumers(&self) -> Result<Vec<String>> {
        let url = format!("{}/readyz", self.url);
        let ready: Value = self.client.get(url).send().await?.json().await?;
        let components = ready.get("components").and_then(Value::as_array);
        let components = components.context("no components")?;
        let names = components
            .iter()
            .filter_map(|one| one.get("name")?.as_str());
        let loops = names.filter_map(|name| name.strip_prefix("consume:"));
        Ok(loops.map(str::to_owned).collect())
    }
}
