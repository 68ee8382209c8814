//! Every worker a turn passes, in this process, with a bus and a database of its own.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use nexus_bus::Bus;
use nexus_service_kit::{ConfigSource, Node, NodeConfig, RunningNode};
use nexus_testkit::PgServer;
use tempfile::TempDir;

use crate::client::Client;
use crate::database::{Database, Storage, servers_cpu};
use crate::server::{Backend, Server};

/// What to start.
pub(crate) struct Wanted<'a> {
    /// The bus.
    pub(crate) bus: Backend,
    /// The database.
    pub(crate) storage: Storage,
    /// Where that is, if it is a server.
    pub(crate) postgres: Option<&'a Arc<PgServer>>,
    /// Whether its statements are counted.
    pub(crate) counted: bool,
    /// Whether the recorder runs too.
    pub(crate) recorder: bool,
    /// `section.key=value` over the defaults.
    pub(crate) set: &'a [String],
}

/// What was started.
pub(crate) struct Deployment {
    node: RunningNode,
    /// The bus.
    pub(crate) server: Server,
    /// The database.
    pub(crate) database: Database,
    // Last: fields drop in order.
    _folder: TempDir,
}

impl Deployment {
    /// Starts it.
    pub(crate) async fn start(wanted: &Wanted<'_>) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let server = Server::start(wanted.bus, folder.path()).await?;
        let database = Database::start(wanted.storage, folder.path(), wanted.postgres).await?;
        let database = if wanted.counted {
            database.counted().await?
        } else {
            database
        };
        let node = node(wanted, &server, &database, folder.path()).await?;
        Ok(Self {
            node,
            server,
            database,
            _folder: folder,
        })
    }

    /// Its bus.
    pub(crate) const fn bus(&self) -> &Bus {
        self.node.bus()
    }

    /// A client of its bus.
    pub(crate) async fn client(&self) -> Result<Client> {
        Client::new(self.node.bus()).await
    }

    /// Messages written so far, on one channel or on all of them.
    pub(crate) async fn messages(&self, channel: Option<&str>) -> Result<f64> {
        let channels = self.node.bus().channels().await?;
        let counted = channels
            .iter()
            .filter(|one| channel.is_none_or(|name| one.name == name));
        Ok(counted.map(|channel| channel.entries).sum::<u64>() as f64)
    }

    /// Processor seconds of the servers beside this process.
    pub(crate) fn servers_cpu(&self) -> Result<f64> {
        servers_cpu(&self.server, &self.database)
    }

    /// Stops the workers; the servers go on.
    pub(crate) async fn stop(self) -> Result<(Server, TempDir)> {
        self.node.shutdown();
        self.node.stopped().await?;
        Ok((self.server, self._folder))
    }
}

async fn node(
    wanted: &Wanted<'_>,
    server: &Server,
    database: &Database,
    folder: &Path,
) -> Result<RunningNode> {
    let providers = folder.join("providers.yaml");
    std::fs::write(
        &providers,
        "default: demo\nproviders:\n  demo: {type: demo}\n",
    )?;
    let mut services = vec!["tool-executor", "provider-router", "orchestrator"];
    if wanted.recorder {
        services.push("recorder");
    }
    let keeps = |name: &&&str| **name != "orchestrator";
    let keepers: Vec<&str> = services.iter().filter(keeps).copied().collect();
    let mut settings = vec![
        ("bus.url", server.url()),
        ("bus.blobs", folder.join("blobs").display().to_string()),
        ("http.listen", "127.0.0.1:0".to_owned()),
        ("admin.listen", "127.0.0.1:0".to_owned()),
        (
            "provider-router.providers_file",
            providers.display().to_string(),
        ),
        // Who does not run confirms nothing.
        ("orchestrator.keepers", format!("[{}]", keepers.join(", "))),
    ];
    settings.extend(database.settings());
    let chosen = wanted.set.iter().filter_map(|one| one.split_once('='));
    let settings: Vec<(String, String)> = settings
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .chain(chosen.map(|(key, value)| (key.to_owned(), value.to_owned())))
        .collect();
    let source = ConfigSource::load(None, &settings)?;
    let services: Vec<String> = services.into_iter().map(str::to_owned).collect();
    let services = nexus::compose::chosen(&source, &services)
        .map_err(|failure| anyhow::anyhow!("{failure}"))?;
    Ok(Node::start(NodeConfig::from_source(&source)?, services).await?)
}
