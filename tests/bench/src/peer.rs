//! Other systems, measured in the same run: their own program does the same turn.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use serde::Deserialize;
use tokio::process::Command;

use crate::database::Storage;
use crate::turns::Plan;

/// Which system.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Peer {
    /// `LangGraph` with its own checkpointers.
    Langgraph,
}

impl Peer {
    /// Its name in reports, and of its folder.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Langgraph => "langgraph",
        }
    }
}

/// What a peer may be told.
#[derive(Args)]
pub(crate) struct PeerOptions {
    /// Seconds each measurement of a peer takes.
    #[arg(long, default_value_t = 5.0)]
    peer_seconds: f64,
    /// When `LangGraph` stores: after every step (`sync`), beside the next one (`async`, its default)
    /// or only at the end (`exit`, which loses what a turn had done when the process ends).
    #[arg(long, default_value = "async")]
    peer_durability: String,
    /// Its Python [default: what `make-venv` of its folder made].
    #[arg(long)]
    peer_python: Option<PathBuf>,
}

/// How the load is spread.
#[derive(Clone, Copy)]
pub(crate) struct Way {
    /// Questions asked at a time.
    pub(crate) in_flight: usize,
    /// Processes that share them.
    processes: usize,
    /// Checkpointers in each of them.
    savers: usize,
}

impl Way {
    /// In words.
    pub(crate) fn text(self) -> String {
        let Self {
            in_flight,
            processes,
            savers,
        } = self;
        format!("{in_flight} in flight, {processes} × {savers} savers")
    }
}

/// What a peer reached.
#[derive(Clone, Deserialize)]
pub(crate) struct Measured {
    /// Turns a second.
    pub(crate) turns_per_second: f64,
    /// Half of the turns were faster.
    pub(crate) p50_ms: f64,
}

/// The ways of a peer to work on many questions at once; the best one counts.
pub(crate) fn ways(plan: Plan) -> Vec<Way> {
    let way = |in_flight, processes, savers| Way {
        in_flight,
        processes,
        savers,
    };
    if plan.in_flight == 1 {
        return vec![way(1, 1, 1)];
    }
    // A checkpointer of its lets one statement through at a time; several share a pool. One process
    // is as it is documented, two use both cores. Its SQLite has one connection.
    let few = plan.in_flight.min(16);
    match plan.storage {
        Storage::Sqlite | Storage::Memory => vec![way(few, 1, 1), way(plan.in_flight, 1, 1)],
        Storage::Postgres => vec![
            way(few, 1, 8),
            way(few, 2, 8),
            way(plan.in_flight, 1, 1),
            way(plan.in_flight, 2, 8),
        ],
    }
}

/// Measures it once.
pub(crate) async fn measure(
    peer: Peer,
    (plan, way): (Plan, Way),
    url: &str,
    options: &PeerOptions,
) -> Result<Measured> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = root.join("peers").join(peer.name());
    let python = options.peer_python.clone().unwrap_or_else(|| {
        let made = Path::new("../../target/peers");
        root.join(made).join(peer.name()).join("bin/python")
    });
    ensure!(
        python.exists(),
        "{} has no Python of its own yet: run tests/bench/peers/{0}/make-venv",
        peer.name()
    );
    let mut command = Command::new(&python);
    command
        .arg(folder.join("turns.py"))
        .args(["--store", plan.storage.name(), "--url", url])
        .args(["--in-flight", &way.in_flight.to_string()])
        .args(["--processes", &way.processes.to_string()])
        .args(["--savers", &way.savers.to_string()])
        .args(["--seconds", &options.peer_seconds.to_string()])
        .args(["--durability", &options.peer_durability])
        .args(plan.tools.then_some("--tool"))
        .stderr(Stdio::inherit())
        .kill_on_drop(true);
    let output = command.output().await.context("start the peer's Python")?;
    ensure!(
        output.status.success(),
        "the peer failed: {}",
        output.status
    );
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().last().context("the peer printed nothing")?;
    serde_json::from_str(line).with_context(|| format!("the peer printed {line}"))
}
