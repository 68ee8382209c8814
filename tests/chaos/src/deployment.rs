//! Servers and workers together.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nexus_bus::{Bus, BusConfig};
use nexus_testkit::ports::free_port;
use nexus_testkit::proxy::{Mode, Proxy};
use nexus_testkit::{Spawn, wait_until};
use tempfile::TempDir;
use tokio::sync::Mutex;

use crate::config::{BusKind, DbKind, Tuning, nexus_yaml, providers_yaml};
use crate::servers::{BusServer, Database};
use crate::worker::Worker;

/// Longest start of all workers on a busy machine.
const START: Duration = Duration::from_secs(60);

/// Every service, and whether it has two replicas where the database allows it.
const SERVICES: [(&str, bool); 5] = [
    ("orchestrator", true),
    ("provider-router", true),
    ("tool-executor", true),
    ("recorder", false),
    ("entry-api", false),
];

/// What a deployment is made of.
#[derive(Clone, Debug)]
pub struct Shape {
    /// The bus.
    pub bus: BusKind,
    /// The database.
    pub db: DbKind,
    /// What the services are told.
    pub tuning: Tuning,
}

/// A bus, a database, and the workers over them.
pub struct Deployment {
    /// The bus.
    pub bus: Mutex<BusServer>,
    /// The database.
    pub database: Mutex<Database>,
    /// The workers.
    pub workers: Vec<Arc<Worker>>,
    http: u16,
    folder: Arc<TempDir>,
    to_read: String,
}

impl Deployment {
    /// Starts the servers and prepares the workers. `program` is a binary that is `nexus` when it
    /// is called so; `model` is where the model is.
    ///
    /// # Errors
    /// When a server does not start or a file cannot be written.
    pub async fn prepare(
        shape: &Shape,
        program: &Path,
        folder: Arc<TempDir>,
        model: &str,
    ) -> Result<Self> {
        let path = folder.path();
        let bus = BusServer::start(shape.bus, path).await?;
        let database = Database::start(shape.db, path).await?;
        std::fs::write(path.join("nexus.yaml"), nexus_yaml(path, &shape.tuning))?;
        std::fs::write(path.join("providers.yaml"), providers_yaml(model))?;
        let nexus = path.join("nexus");
        std::os::unix::fs::symlink(program, &nexus).context("name the program `nexus`")?;
        let (http, to_read) = (free_port()?, bus.url_to_read());
        let mut deployment = Self {
            bus: Mutex::new(bus),
            database: Mutex::new(database),
            workers: Vec::new(),
            http,
            folder,
            to_read,
        };
        let services: Vec<(String, &'static str)> = if shape.bus == BusKind::Embedded {
            vec![("up".to_owned(), "up")]
        } else {
            replicas(shape.db)
        };
        for (name, service) in services {
            let worker = deployment.worker(&nexus, name, service).await?;
            deployment.workers.push(Arc::new(worker));
        }
        Ok(deployment)
    }

    async fn worker(&self, nexus: &Path, name: String, service: &'static str) -> Result<Worker> {
        let (bus, database) = (self.bus.lock().await, self.database.lock().await);
        let to_bus = before(bus.port()).await?;
        let to_store = before(database.port()).await?;
        let port = |proxy: &Option<Proxy>| proxy.as_ref().map(Proxy::port);
        let admin = free_port()?;
        let http = if service == "up" || service == "entry-api" {
            self.http
        } else {
            0
        };
        let path = self.folder.path();
        let mut command = Spawn::new(nexus)
            .dir(path)
            .env("NEXUS_CONFIG", path.join("nexus.yaml"))
            .env("RUST_BACKTRACE", "0");
        for setting in [
            format!("bus.url={}", bus.url_at(port(&to_bus))),
            format!("bus.blobs={}", path.join("blobs").display()),
            format!("store.url={}", database.url_at(port(&to_store))),
            format!("http.listen=127.0.0.1:{http}"),
            format!("admin.listen=127.0.0.1:{admin}"),
        ] {
            command = command.args(["--set", &setting]);
        }
        let worker = Worker::new(name, service, command, admin, (to_bus, to_store));
        worker.becomes(words_of(service)).await;
        Ok(worker)
    }

    /// Where people ask.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.http)
    }

    /// The folder of everything.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The bus as somebody sees it who is no worker; a file can only be read.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub async fn open_bus(&self) -> Result<Bus> {
        let config = BusConfig::new(self.to_read.parse()?, self.path().join("blobs"));
        Ok(Bus::connect(&config).await?)
    }

    /// Starts every worker and waits until each is ready.
    ///
    /// # Errors
    /// When one is not ready in time.
    pub async fn start(&self) -> Result<()> {
        for worker in &self.workers {
            worker.start().await?;
        }
        self.ready(&self.workers).await
    }

    /// Waits until these workers are ready.
    ///
    /// # Errors
    /// When one is not ready in time; with what it wrote.
    pub async fn ready(&self, workers: &[Arc<Worker>]) -> Result<()> {
        let client = crate::http::client(Duration::from_secs(2))?;
        for worker in workers {
            let url = format!("http://127.0.0.1:{}/readyz", worker.admin);
            let ready = wait_until(START, "a worker to be ready", async || {
                let answer = client.get(&url).send().await?;
                ensure!(answer.status().is_success(), "{}", answer.text().await?);
                Ok(true)
            });
            if let Err(error) = ready.await {
                let output = worker.output().await;
                anyhow::bail!("{error:#}\n{output}");
            }
        }
        Ok(())
    }

    /// Kills the one process of an embedded bus, and starts one of these services alone.
    ///
    /// # Errors
    /// When a process cannot be ended or started.
    pub async fn run_part(&self, services: &[&str]) -> Result<()> {
        let recorder = std::iter::once("recorder");
        for worker in &self.workers {
            worker.kill().await?;
            let words = std::iter::once("run").chain(recorder.clone());
            let words = words.chain(services.iter().copied()).map(str::to_owned);
            worker.becomes(words.collect()).await;
            worker.start().await?;
        }
        Ok(())
    }

    /// Kills that process; the next one to be started has every service.
    ///
    /// # Errors
    /// When it cannot be ended.
    pub async fn run_whole(&self) -> Result<()> {
        for worker in &self.workers {
            worker.kill().await?;
            worker.becomes(words_of(worker.service)).await;
        }
        Ok(())
    }

    /// Undoes whatever was done to workers and networks. Servers are revived by whoever stopped
    /// them.
    ///
    /// # Errors
    /// When a worker cannot be started.
    pub async fn heal(&self) -> Result<()> {
        for worker in &self.workers {
            let proxies = worker.to_bus.iter().chain(&worker.to_store);
            proxies.for_each(|proxy| proxy.set(Mode::Pass));
            worker.resume().await?;
            worker.start().await?;
        }
        Ok(())
    }

    /// Ends every worker in good order.
    ///
    /// # Errors
    /// When one does not end.
    pub async fn stop(&self) -> Result<()> {
        let ends = self.workers.iter().map(|worker| worker.terminate());
        for ended in futures::future::join_all(ends).await {
            ended?;
        }
        Ok(())
    }

    /// An error with what the workers wrote last behind it.
    pub async fn with_output(&self, error: anyhow::Error) -> anyhow::Error {
        let output = self.output().await;
        anyhow::anyhow!("{error:#}\n{output}")
    }

    /// What the workers wrote last.
    pub async fn output(&self) -> String {
        let outputs = self.workers.iter().map(|worker| worker.output());
        futures::future::join_all(outputs).await.concat()
    }
}

/// What the program is told so that it runs this.
fn words_of(service: &str) -> Vec<String> {
    match service {
        "up" => vec!["up".to_owned()],
        service => vec!["run".to_owned(), service.to_owned()],
    }
}

async fn before(port: Option<u16>) -> Result<Option<Proxy>> {
    match port {
        Some(port) => Ok(Some(Proxy::start(port).await?)),
        None => Ok(None),
    }
}

fn replicas(db: DbKind) -> Vec<(String, &'static str)> {
    let mut all = Vec::new();
    for (service, competes) in SERVICES {
        if competes && db == DbKind::Postgres {
            all.extend((1..=2).map(|number| (format!("{service}-{number}"), service)));
        } else {
            all.push((service.to_owned(), service));
        }
    }
    all
}
