//! As an operator has it: `nexus up` and `nexus run inference-worker`, each a process, over Redis.
//!
//! Needs the program `nexus`, at the path in `NEXUS_PROGRAM`; `ci.sh` builds it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::StreamExt;
use nexus_bus::{Bus, BusConfig, LiveItem, ReadFrom};
use nexus_contracts::channels::INFERENCE_LOCAL;
use nexus_contracts::live::LiveEvent;
use nexus_service_kit::envelope_of;
use nexus_testkit::ports::free_port;
use nexus_testkit::redis::{RedisServer, redis};
use nexus_testkit::{Spawn, Spawned, wait_for, wait_until};
use serde_json::Value;
use tempfile::TempDir;

use crate::desk::call;
use crate::world::{PATIENCE, Shelf};

const WORKER: &str = env!("CARGO_BIN_EXE_nexus-inference-worker");

struct Nexus {
    program: PathBuf,
    folder: TempDir,
    redis: RedisServer,
    _shelf: Shelf,
    up: Spawned,
    worker: Spawned,
}

fn configuration(folder: &Path, bus: &str, http: u16, model: &Path) -> String {
    let (folder, model) = (folder.display(), model.display());
    format!(
        "bus: {{url: \"{bus}\", blobs: \"{folder}/blobs\"}}
store: {{url: \"sqlite:{folder}/data\"}}
http: {{listen: \"127.0.0.1:{http}\"}}
admin: {{listen: \"127.0.0.1:0\"}}
orchestrator: {{settings: {{global: {{tools: []}}}}}}
provider-router: {{providers_file: \"{folder}/providers.yaml\", retries: {{tries: 1}}}}
inference-worker: {{models: {{small: {{path: \"{model}\", max_tokens: 4000}}}}}}
"
    )
}

const PROVIDERS: &str = "default: local
providers:
  local: {type: local, timeouts: {first_byte: 5s, idle: 2s}}
  demo: {type: demo}
routes:
  chain: {targets: [{provider: local}, {provider: demo}]}
";

impl Nexus {
    async fn start() -> Result<Self> {
        let program = std::env::var_os("NEXUS_PROGRAM");
        let program = program.context("NEXUS_PROGRAM is not set; run ./ci.sh, which builds it")?;
        let (folder, redis, shelf) = (tempfile::tempdir()?, redis().await?, Shelf::new()?);
        shelf.scripted()?;
        let path = folder.path();
        let http = free_port()?;
        let text = configuration(path, &redis.url(), http, &shelf.path("scripted"));
        std::fs::write(path.join("nexus.yaml"), text)?;
        std::fs::write(path.join("providers.yaml"), PROVIDERS)?;
        let program = PathBuf::from(program);
        let up = command(&program, path, &["up"]).start()?;
        let worker = [
            "run",
            "inference-worker",
            "--set",
            "http.listen=127.0.0.1:0",
        ];
        let worker = command(&program, path, &worker).start()?;
        let mut nexus = Self {
            program,
            folder,
            redis,
            _shelf: shelf,
            up,
            worker,
        };
        nexus.ready().await?;
        Ok(nexus)
    }

    /// Waits until both processes say that they are ready.
    async fn ready(&mut self) -> Result<()> {
        wait_until(PATIENCE, "both processes", async || {
            let printed = self.command(&["workers", "--json"]).start()?.finish().await;
            let printed = printed.unwrap_or_default();
            let printed: Value = serde_json::from_str(&printed).unwrap_or_default();
            let workers = printed["workers"].as_array().cloned().unwrap_or_default();
            let ready = workers.iter().filter(|one| one["worker"]["ready"] == true);
            Ok(ready.count() == 2)
        })
        .await
        .with_context(|| format!("{}\n{}", self.up.output(), self.worker.output()))
    }

    fn command(&self, words: &[&str]) -> Spawn {
        command(&self.program, self.folder.path(), words)
    }

    /// Asks on the command line; what `--json` prints, and the exit code.
    async fn ask(&self, provider: &str, text: &str) -> Result<(Value, Option<i32>)> {
        let words = ["ask", "--json", "--provider", provider, text];
        let mut asking = self.command(&words).start()?;
        let status = asking.wait_exit(PATIENCE).await?;
        let printed = asking.stdout().join("\n");
        let value = serde_json::from_str(&printed).with_context(|| asking.output())?;
        Ok((value, status.code()))
    }

    /// Waits until a worker says the `place`-th answer, from 0, and kills it with SIGKILL.
    async fn kill_while_it_speaks(&mut self, place: usize) -> Result<()> {
        let blobs = self.folder.path().join("blobs");
        let bus = Bus::connect(&BusConfig::new(self.redis.url().parse()?, blobs)).await?;
        let asked = async || {
            let entries = bus.read(INFERENCE_LOCAL, ReadFrom::Start, 100).await?;
            Ok(entries.into_iter().nth(place))
        };
        let command = wait_for(PATIENCE, "the command", asked).await?;
        let command = envelope_of(&command, INFERENCE_LOCAL)?;
        let topic = call(&command)?.live_topic();
        let mut heard = bus.live_subscribe(&topic, 0).await?;
        let speaks = async {
            while let Some(item) = heard.next().await {
                if let LiveItem::Entry { data, .. } = item
                    && let LiveEvent::Delta { text, .. } = serde_json::from_slice(&data)?
                    && text.contains("tick")
                {
                    return anyhow::Ok(());
                }
            }
            anyhow::bail!("the live stream ended")
        };
        tokio::time::timeout(PATIENCE, speaks)
            .await
            .context("waited to hear it")??;
        self.worker.kill().await?;
        Ok(())
    }
}

fn command(program: &Path, folder: &Path, words: &[&str]) -> Spawn {
    // The worker's program is found as the shell would find it.
    let mut path = std::ffi::OsString::from(Path::new(WORKER).with_file_name(""));
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    Spawn::new(program)
        .args(words)
        .dir(folder)
        .env("NEXUS_CONFIG", folder.join("nexus.yaml"))
        .env("PATH", path)
        .env("RUST_LOG", "info")
}

trait Finish {
    async fn finish(self) -> Result<String>;
}

impl Finish for Spawned {
    /// Its standard output once it has ended well.
    async fn finish(mut self) -> Result<String> {
        let status = self.wait_exit(Duration::from_secs(20)).await?;
        ensure!(status.success(), "{}", self.output());
        Ok(self.stdout().join("\n"))
    }
}

#[tokio::test]
async fn it_answers_over_redis_and_killing_it_in_mid_answer_is_told_or_made_good() -> Result<()> {
    let mut nexus = Nexus::start().await?;
    let (answer, code) = nexus.ask("local", "Hello").await?;
    ensure!(code == Some(0), "{answer}");
    ensure!(
        answer["text"] == "Hello from the scripted model.",
        "{answer}"
    );
    ensure!(
        answer["provider"] == "local" && answer["model"] == "small",
        "{answer}"
    );

    // An answer without an end; the next of the chain goes on.
    let words = ["ask", "--json", "--provider", "chain", "LOOP"];
    let mut asking = nexus.command(&words).start()?;
    nexus.kill_while_it_speaks(1).await?;
    let status = asking.wait_exit(PATIENCE).await?;
    ensure!(status.success(), "{}", asking.output());
    let answer: Value = serde_json::from_str(&asking.stdout().join("\n"))?;
    let text = answer["text"].as_str().unwrap_or_default();
    ensure!(text.starts_with("tick "), "what was heard stays: {answer}");
    let seam = &answer["metadata"]["seams"][0];
    ensure!(seam["from"]["provider"] == "local", "{answer}");
    ensure!(seam["to"]["provider"] == "demo", "{answer}");

    // Alone, and nobody is there: an honest failure.
    let (failed, code) = nexus.ask("local", "Hello").await?;
    ensure!(code == Some(1), "{failed}");
    let told = failed.to_string();
    ensure!(told.contains("local"), "who failed: {told}");
    Ok(())
}
