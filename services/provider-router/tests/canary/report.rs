//! Collects what can be seen of a node, one file for each place.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::StreamExt;
use nexus_bus::{Bus, LiveEntry, LiveItem, ReadFrom};
use nexus_contracts::{RunId, tables};
use nexus_provider_router::registry::Registry;
use nexus_provider_router::registry::file::ProvidersFile;
use nexus_provider_router::{Config, Depth, check};
use nexus_service_kit::{ConfigSource, RunningNode};
use nexus_testkit::wait_until;

/// Every table there is.
const TABLES: &[&str] = &[
    tables::PRINCIPALS,
    tables::SETTINGS,
    tables::RUNS_CANCELLED,
    tables::WORKERS,
    tables::PROVIDERS,
    tables::PROVIDERS_HEALTH,
    tables::PROVIDERS_LIMITS,
    tables::TOOLS,
    tables::INBOX,
];

/// How often a node tells how providers fare, and time to spare.
const TOLD: Duration = Duration::from_secs(20);

/// Published behind everything else on a live topic, so that a reader knows where to end.
const END: &[u8] = b"{}";

/// Writes what it sees into a folder.
pub(crate) struct Report {
    folder: PathBuf,
}

/// What the node answers at its admin address.
pub(crate) async fn get(node: &RunningNode, path: &str) -> Result<String> {
    let url = format!("http://{}/{path}", node.admin_address());
    Ok(reqwest::get(url).await?.text().await?)
}

impl Report {
    pub(crate) const fn into(folder: PathBuf) -> Self {
        Self { folder }
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        Ok(std::fs::write(self.folder.join(name), text)?)
    }

    /// Channels, tables and the live streams of these runs.
    pub(crate) async fn bus(&self, bus: &Bus, runs: &BTreeMap<&str, RunId>) -> Result<()> {
        for channel in bus.channels().await? {
            let mut text = String::new();
            for entry in bus.read(&channel.name, ReadFrom::Start, 10_000).await? {
                for (name, value) in entry.record.fields() {
                    writeln!(text, "{name}: {}", String::from_utf8_lossy(value))?;
                }
            }
            self.write(&format!("channel-{}", channel.name), &text)?;
        }
        let told = async || {
            let all = bus.table_list(tables::PROVIDERS_HEALTH).await?;
            Ok(all.iter().any(|one| one.key.ends_with(".failing")))
        };
        wait_until(TOLD, "how providers fare", told).await?;
        for table in TABLES {
            let mut text = String::new();
            for one in bus.table_list(table).await? {
                writeln!(text, "{}: {}", one.key, String::from_utf8_lossy(&one.value))?;
            }
            self.write(&format!("table-{table}"), &text)?;
        }
        for (name, run) in runs {
            let text = heard(bus, &run.live_topic()).await?;
            self.write(&format!("live-{name}"), &text)?;
        }
        Ok(())
    }

    /// What probes and scrapers get.
    pub(crate) async fn admin(&self, node: &RunningNode) -> Result<()> {
        self.write("metrics", &get(node, "metrics").await?)?;
        self.write("ready", &get(node, "readyz").await?)?;
        self.write("healthy", &get(node, "healthz").await?)
    }

    /// What `nexus doctor`, `nexus providers` and a debugger show.
    pub(crate) async fn checks(&self, config: &Config) -> Result<()> {
        let mut text = String::new();
        for depth in [Depth::Reach, Depth::Ask] {
            writeln!(text, "{:#?}", check(config, depth).await?)?;
        }
        let file = ProvidersFile::load(config.providers_file.as_deref())?;
        writeln!(text, "{file:#?}")?;
        let registry = Registry::build(&file, &ConfigSource::env_secret)?;
        writeln!(text, "{:#?}", registry.statuses())?;
        for configured in registry.all() {
            writeln!(text, "{:#?}", configured.provider.as_ref().err())?;
        }
        self.write("checks", &text)
    }

    /// What is said of files that cannot be used.
    pub(crate) async fn broken(
        &self,
        config: &Config,
        beside: &Path,
        all: &[String],
    ) -> Result<()> {
        let mut text = String::new();
        for (number, broken) in all.iter().enumerate() {
            let path = beside.join(format!("broken-{number}.yaml"));
            std::fs::write(&path, broken)?;
            let config = Config {
                providers_file: Some(path),
                ..config.clone()
            };
            // A whole file is refused, or the provider in it.
            match check(&config, Depth::Reach).await {
                Err(error) => writeln!(text, "{error}\n{error:?}")?,
                Ok(checks) => {
                    let usable = checks.iter().any(|check| check.ok);
                    ensure!(!usable, "number {number} can be used: {checks:?}");
                    writeln!(text, "{checks:#?}")?;
                }
            }
        }
        self.write("broken", &text)
    }
}

/// All that was ever said on a topic.
async fn heard(bus: &Bus, topic: &str) -> Result<String> {
    let end = LiveEntry {
        snapshot: false,
        data: END.into(),
    };
    bus.live_publish(topic, &[end]).await?;
    let mut items = bus.live_subscribe(topic, 0).await?;
    let mut text = String::new();
    while let LiveItem::Entry { data, .. } = items.next().await.context("live ended")? {
        if &*data == END {
            break;
        }
        writeln!(text, "{}", String::from_utf8_lossy(&data))?;
    }
    Ok(text)
}
