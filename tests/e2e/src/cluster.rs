//! Processes of Nexus in a folder of their own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nexus_testkit::ports::free_port;
use nexus_testkit::{Spawn, Spawned};
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::Instant;

/// Longest start of a process on a busy machine.
const START: Duration = Duration::from_secs(60);

/// Every service, as `nexus run` knows them.
pub const SERVICES: [&str; 5] = [
    "orchestrator",
    "provider-router",
    "tool-executor",
    "recorder",
    "entry-api",
];

/// Some processes over one bus and one folder.
pub struct Cluster {
    program: PathBuf,
    folder: TempDir,
    http: u16,
    settings: Vec<String>,
    processes: BTreeMap<String, Spawned>,
}

impl Cluster {
    /// Nothing started yet. `program` is the binary, `bus` its bus.
    ///
    /// # Errors
    /// When the folder or its configuration cannot be written.
    pub fn new(program: &str, bus: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let http = free_port()?;
        let cluster = Self {
            program: program.into(),
            folder,
            http,
            settings: Vec::new(),
            processes: BTreeMap::new(),
        };
        cluster.write("nexus.yaml", &configuration(cluster.path(), bus, http))?;
        cluster.write(
            "providers.yaml",
            "default: demo\nproviders:\n  demo: { type: demo }\n",
        )?;
        Ok(cluster)
    }

    /// Starts every process from now on with this setting, as `section.key=value`.
    pub fn set(&mut self, setting: &str) {
        self.settings.push(setting.to_owned());
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file into the folder.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, name: &str, text: &str) -> Result<()> {
        std::fs::write(self.path().join(name), text).with_context(|| format!("writing {name}"))
    }

    /// Where the HTTP interface is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.http)
    }

    /// A command of the binary, in the folder.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Spawn {
        Spawn::new(&self.program)
            .args(arguments)
            .dir(self.path())
            .env("NEXUS_CONFIG", self.path().join("nexus.yaml"))
            .env("RUST_LOG", "info")
    }

    /// Runs a command to its end; its standard output.
    ///
    /// # Errors
    /// When it does not end in time or ends with an error.
    pub async fn run(&self, arguments: &[&str]) -> Result<String> {
        let mut process = self.command(arguments).start()?;
        let status = process.wait_exit(START).await?;
        ensure!(
            status.success(),
            "nexus {arguments:?} ended with {status}\n{}",
            process.output()
        );
        Ok(process.stdout().join("\n"))
    }

    /// Starts `nexus up` and waits until it is ready.
    ///
    /// # Errors
    /// When it is not ready in time.
    pub async fn up(&mut self) -> Result<()> {
        self.spawn_up()?;
        self.ready().await
    }

    /// Starts `nexus up`.
    ///
    /// # Errors
    /// When the process cannot be started.
    pub fn spawn_up(&mut self) -> Result<()> {
        self.spawn("up", &["up"])
    }

    /// Starts each service as a process of its own and waits until the interface is ready.
    ///
    /// # Errors
    /// When it is not ready in time.
    pub async fn separate(&mut self) -> Result<()> {
        for service in SERVICES {
            self.start(service)?;
        }
        self.ready().await
    }

    /// Starts one service.
    ///
    /// # Errors
    /// When the process cannot be started.
    pub fn start(&mut self, service: &str) -> Result<()> {
        self.spawn(service, &["run", service])
    }

    fn spawn(&mut self, name: &str, arguments: &[&str]) -> Result<()> {
        // Only the HTTP interface needs a port that stays the same across restarts.
        let listens = name == "up" || name == "entry-api";
        let port = if listens { self.http } else { 0 };
        let listen = format!("http.listen=127.0.0.1:{port}");
        let mut words = arguments.to_vec();
        words.extend(["--set", &listen]);
        words.extend(
            self.settings
                .iter()
                .flat_map(|setting| ["--set", setting.as_str()]),
        );
        let process = self.command(&words).start()?;
        self.processes.insert(name.to_owned(), process);
        Ok(())
    }

    /// Kills a process with SIGKILL.
    ///
    /// # Errors
    /// When there is none of this name.
    pub async fn kill(&mut self, name: &str) -> Result<()> {
        let mut process = self
            .processes
            .remove(name)
            .with_context(|| format!("no {name} runs"))?;
        process.kill().await?;
        Ok(())
    }

    /// Ends a process with SIGTERM, as Kubernetes does, and waits for it.
    ///
    /// # Errors
    /// When it does not end by itself.
    pub async fn terminate(&mut self, name: &str) -> Result<()> {
        let mut process = self
            .processes
            .remove(name)
            .with_context(|| format!("no {name} runs"))?;
        let status = process.terminate(Duration::from_secs(30)).await?;
        ensure!(
            status.success(),
            "{name} ended with {status}\n{}",
            process.output()
        );
        Ok(())
    }

    /// Waits until a process has ended by itself.
    ///
    /// # Errors
    /// When there is none of this name, or it goes on.
    pub async fn wait_end(&mut self, name: &str, timeout: Duration) -> Result<()> {
        let process = self.processes.get_mut(name);
        let process = process.with_context(|| format!("no {name} runs"))?;
        process.wait_exit(timeout).await?;
        Ok(())
    }

    /// What a process has written.
    #[must_use]
    pub fn output_of(&self, name: &str) -> Option<String> {
        self.processes.get(name).map(Spawned::output)
    }

    /// What every process has written, for the message of a failed test.
    #[must_use]
    pub fn output(&self) -> String {
        let part =
            |(name, process): (&String, &Spawned)| format!("== {name}\n{}", process.output());
        self.processes.iter().map(part).collect()
    }

    /// Waits until a first question gets its answer.
    ///
    /// # Errors
    /// When it gets none in time.
    pub async fn ready(&mut self) -> Result<()> {
        let url = self.url();
        let until = Instant::now() + START;
        loop {
            if let Ok(text) = crate::http::ask(&url, "hello", Duration::from_secs(20)).await {
                ensure!(!text.is_empty(), "an empty answer");
                return Ok(());
            }
            // A process that ended will never answer: say what it said.
            for (name, process) in &mut self.processes {
                let ended = process.try_status()?;
                ensure!(ended.is_none(), "{name} ended\n{}", process.output());
            }
            ensure!(Instant::now() < until, "no first answer\n{}", self.output());
            tokio::task::yield_now().await;
        }
    }

    /// Asks on the command line and reads the object `--json` prints.
    ///
    /// # Errors
    /// When the command fails or prints something else.
    pub async fn ask(&self, text: &str) -> Result<Value> {
        let printed = self.run(&["ask", "--json", text]).await?;
        serde_json::from_str(&printed).with_context(|| printed)
    }
}

/// Short leases, so that what a killed worker held is taken over within the test.
fn configuration(folder: &Path, bus: &str, http: u16) -> String {
    let folder = folder.display();
    format!(
        "bus: {{ url: \"{bus}\", blobs: \"{folder}/blobs\" }}
store: {{ url: \"sqlite:{folder}/data\" }}
http: {{ listen: \"127.0.0.1:{http}\" }}
admin: {{ listen: \"127.0.0.1:0\" }}
orchestrator: {{ lease: 2s, resend_after: 3s }}
provider-router: {{ lease: 2s, providers_file: \"{folder}/providers.yaml\" }}
tool-executor: {{ lease: 2s }}
recorder: {{ lease: 2s }}
entry-api: {{ lease: 2s }}
"
    )
}
