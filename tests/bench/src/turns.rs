//! `turns`: whole turns through every worker, beside the floor of the same server.

use std::path::Path;

use anyhow::Result;
use clap::{Args, ValueEnum};
use nexus_service_kit::{ConfigSource, Node, NodeConfig, RunningNode};
use serde::Serialize;

use crate::client::{Client, Ran};
use crate::floor;
use crate::measure::{Latency, cpu_seconds, resident_mib, round};
use crate::server::{Backend, Server};

/// How to measure.
#[derive(Args)]
pub(crate) struct Options {
    /// The bus.
    #[arg(long, value_enum, default_value = "embedded")]
    bus: Backend,
    /// Questions asked at a time.
    #[arg(long, default_value_t = 1)]
    in_flight: usize,
    /// Questions measured, after a tenth as many to warm up.
    #[arg(long)]
    turns: Option<usize>,
    /// Where state is kept; `memory` shows the bus path alone.
    #[arg(long, value_enum, default_value = "sqlite")]
    store: Storage,
    /// Questions that need a tool.
    #[arg(long)]
    tools: bool,
    /// Run the recorder too, which reads every message.
    #[arg(long)]
    recorder: bool,
    /// Overrides one key of the configuration, as in `--set orchestrator.batch=64`; repeatable.
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    set: Vec<String>,
}

/// Where state is kept.
#[derive(Clone, Copy, ValueEnum)]
enum Storage {
    /// `SQLite` files that survive `kill -9`.
    Sqlite,
    /// `SQLite` in memory.
    Memory,
}

#[derive(Serialize)]
struct Report {
    bus: &'static str,
    store: &'static str,
    in_flight: usize,
    turns: usize,
    tools: bool,
    recorder: bool,
    turns_per_second: f64,
    #[serde(flatten)]
    latency: Latency,
    /// Processor seconds per 1,000 turns: this process, and the server beside it.
    cpu_seconds_per_1000: f64,
    server_cpu_seconds_per_1000: f64,
    resident_mib: f64,
    messages_per_turn: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    floor: Option<FloorReport>,
}

#[derive(Serialize)]
struct FloorReport {
    hops: usize,
    turns_per_second: f64,
    #[serde(flatten)]
    latency: Latency,
    /// Turns a second of Nexus over those of the floor: 1 would be free of cost.
    ratio_to_floor: f64,
    /// p50 of Nexus over that of the floor.
    p50_ratio_to_floor: f64,
}

/// Measures and prints one JSON line.
pub(crate) async fn run(options: Options) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = Server::start(options.bus, folder.path()).await?;
    let node = node(&options, &server, folder.path()).await?;
    let text = if options.tools {
        "What is 37 * 43?"
    } else {
        "hello"
    };
    let mut client = Client::new(node.bus(), text).await?;
    let turns = options.turns.unwrap_or(if options.in_flight == 1 {
        2_000
    } else {
        30_000
    });
    client.ask(turns / 10 + 1, options.in_flight).await?;

    let messages = messages(&node).await?;
    let (cpu, server_cpu) = (cpu_seconds(std::process::id())?, server.cpu_seconds()?);
    let mut ran = client.ask(turns, options.in_flight).await?;
    let cpu = cpu_seconds(std::process::id())? - cpu;
    let server_cpu = server.cpu_seconds()? - server_cpu;
    let messages_per_turn = (self::messages(&node).await? - messages) / turns as f64;
    let resident_mib = resident_mib()?;
    node.shutdown();
    node.stopped().await?;

    let per_second = per_second(&ran);
    let latency = Latency::of(&mut ran.times);
    let floor = floor_of(
        &server,
        (messages_per_turn, turns),
        &options,
        (per_second, &latency),
    );
    let report = Report {
        bus: options.bus.name(),
        store: match options.store {
            Storage::Sqlite => "sqlite",
            Storage::Memory => "memory",
        },
        in_flight: options.in_flight,
        turns,
        tools: options.tools,
        recorder: options.recorder,
        turns_per_second: per_second,
        cpu_seconds_per_1000: round(cpu / turns as f64 * 1000.0),
        server_cpu_seconds_per_1000: round(server_cpu / turns as f64 * 1000.0),
        resident_mib,
        messages_per_turn: round(messages_per_turn),
        floor: floor.await?,
        latency,
    };
    writeln(&serde_json::to_string(&report)?)
}

fn writeln(line: &str) -> Result<()> {
    use std::io::Write;
    Ok(writeln!(std::io::stdout().lock(), "{line}")?)
}

fn per_second(ran: &Ran) -> f64 {
    round(ran.times.len() as f64 / ran.elapsed.as_secs_f64())
}

async fn floor_of(
    server: &Server,
    (messages, turns): (f64, usize),
    options: &Options,
    (nexus, latency): (f64, &Latency),
) -> Result<Option<FloorReport>> {
    let Server::Redis(redis) = server else {
        return Ok(None);
    };
    let hops = messages.round().max(1.0) as usize;
    floor::run(&redis.url(), hops, turns / 10 + 1, options.in_flight).await?;
    let mut ran = floor::run(&redis.url(), hops, turns, options.in_flight).await?;
    let turns_per_second = per_second(&ran);
    let floor = Latency::of(&mut ran.times);
    Ok(Some(FloorReport {
        hops,
        turns_per_second,
        ratio_to_floor: round(nexus / turns_per_second),
        p50_ratio_to_floor: round(latency.p50_ms / floor.p50_ms),
        latency: floor,
    }))
}

/// Messages written so far, on all channels.
async fn messages(node: &RunningNode) -> Result<f64> {
    let channels = node.bus().channels().await?;
    Ok(channels.iter().map(|channel| channel.entries).sum::<u64>() as f64)
}

/// Every worker a turn passes, in this process.
async fn node(options: &Options, server: &Server, folder: &Path) -> Result<RunningNode> {
    let store = match options.store {
        Storage::Sqlite => format!("sqlite:{}", folder.join("data").display()),
        Storage::Memory => "sqlite::memory:".to_owned(),
    };
    let providers = folder.join("providers.yaml");
    std::fs::write(
        &providers,
        "default: demo\nproviders:\n  demo: {type: demo}\n",
    )?;
    let settings = [
        ("bus.url", server.url()),
        ("bus.blobs", folder.join("blobs").display().to_string()),
        ("store.url", store),
        ("http.listen", "127.0.0.1:0".to_owned()),
        ("admin.listen", "127.0.0.1:0".to_owned()),
        (
            "provider-router.providers_file",
            providers.display().to_string(),
        ),
    ];
    let chosen = options.set.iter().filter_map(|one| one.split_once('='));
    let settings: Vec<(String, String)> = settings
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .chain(chosen.map(|(key, value)| (key.to_owned(), value.to_owned())))
        .collect();
    let source = ConfigSource::load(None, &settings)?;
    let mut services = vec!["tool-executor", "provider-router", "orchestrator"];
    if options.recorder {
        services.push("recorder");
    }
    let services: Vec<String> = services.into_iter().map(str::to_owned).collect();
    let services = nexus::compose::chosen(&source, &services)
        .map_err(|failure| anyhow::anyhow!("{failure}"))?;
    Ok(Node::start(NodeConfig::from_source(&source)?, services).await?)
}
