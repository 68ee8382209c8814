//! A real Chroma for one test.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use nexus_contracts::OrgId;
use nexus_retrieval::{Chroma, ChromaConfig};
use nexus_testkit::ports::free_port;
use nexus_testkit::{Spawn, Spawned, installed, wait_for};
use serde_json::Value;
use tempfile::TempDir;

const READY: Duration = Duration::from_secs(30);

/// The server is part of the Python package, and needs nothing else of it.
const RUN: &str = "import sys
sys.path.insert(0, sys.argv[1])
import chromadb_rust_bindings
chromadb_rust_bindings.cli(['chroma', 'run', '--path', sys.argv[2], '--port', sys.argv[3]])";

/// Makes the clients of this process able to speak TLS, which they ask for even without it.
pub(crate) fn provider() {
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
}

/// A server of its own. Gone, with its data, when dropped.
pub(super) struct Server {
    port: u16,
    process: Option<Spawned>,
    folder: TempDir,
}

impl Server {
    pub(super) async fn new() -> Result<Self> {
        provider();
        let folder = TempDir::with_prefix("nexus-chroma-")?;
        let mut server = Self {
            port: free_port()?,
            process: None,
            folder,
        };
        server.start().await?;
        Ok(server)
    }

    pub(super) async fn start(&mut self) -> Result<()> {
        let package = installed("nexus/chroma-1.5.9")?;
        let mut process = Spawn::new("python3")
            .args(["-c", RUN])
            .arg(package)
            .arg(self.folder.path())
            .arg(self.port.to_string())
            .dir(self.folder.path())
            .start()?;
        let http = reqwest::Client::new();
        let url = format!("{}/api/v2/heartbeat", self.url());
        wait_for(READY, "Chroma", async || {
            if let Some(status) = process.try_status()? {
                return Ok(Some(Err(status)));
            }
            let answer = http.get(&url).send().await?;
            Ok(answer.status().is_success().then_some(Ok(())))
        })
        .await
        .with_context(|| format!("Chroma wrote:\n{}", process.output()))?
        .map_err(|status| anyhow::anyhow!("Chroma ended at once ({status})"))?;
        self.process = Some(process);
        Ok(())
    }

    pub(super) async fn kill(&mut self) -> Result<()> {
        let mut process = self.process.take().context("a running server")?;
        process.kill().await?;
        Ok(())
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(super) fn client(&self) -> Result<Arc<Chroma>> {
        Ok(Arc::new(Chroma::new(ChromaConfig {
            url: self.url(),
            tenant: "default_tenant".to_owned(),
            database: "default_database".to_owned(),
            prefix: "nexus".to_owned(),
            token: None,
            timeout: Duration::from_secs(10),
        })?))
    }

    /// How many vectors the collection of an organisation has.
    pub(super) async fn count(&self, org: OrgId) -> Result<u64> {
        let (prefix, all) = (format!("nexus-{org}-"), self.collections().await?);
        let mut named = all.iter().filter(|(name, _)| name.starts_with(&prefix));
        let (_, count) = named.next().context("it has no collection")?;
        Ok(*count)
    }

    /// Names of collections, and how many vectors each has.
    pub(super) async fn collections(&self) -> Result<Vec<(String, u64)>> {
        let base = "/api/v2/tenants/default_tenant/databases/default_database/collections";
        let base = format!("{}{base}", self.url());
        let http = reqwest::Client::new();
        let all: Vec<Value> = http.get(&base).send().await?.json().await?;
        let mut collections = Vec::new();
        for one in all {
            let id = one.get("id").and_then(Value::as_str).context("an id")?;
            let name = one.get("name").and_then(Value::as_str).context("a name")?;
            let count = http
                .get(format!("{base}/{id}/count"))
                .send()
                .await?
                .json()
                .await?;
            collections.push((name.to_owned(), count));
        }
        Ok(collections)
    }
}
