//! `turns`: whole turns through every worker, beside the floor of the same server or a peer.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Result, ensure};
use clap::Args;
use nexus_testkit::PgServer;
use serde::Serialize;

use crate::client::Ran;
use crate::comparison;
use crate::database::{self, Storage};
use crate::deployment::{Deployment, Wanted};
use crate::floor;
use crate::measure::{Latency, cpu_seconds, load, resident_mib, round};
use crate::peer::{Peer, PeerOptions};
use crate::server::{Backend, Server};
use crate::statements::{Counter, Counts};
use crate::table::{Table, say};

/// How to measure.
#[derive(Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of its own on the command line"
)]
pub(crate) struct Options {
    /// The bus.
    #[arg(long, value_enum, default_value = "embedded")]
    pub(crate) bus: Backend,
    /// Questions asked at a time [default: 1; with --peer 1 and 256].
    #[arg(long)]
    pub(crate) in_flight: Option<usize>,
    /// Questions measured, after a tenth as many to warm up.
    #[arg(long)]
    pub(crate) turns: Option<usize>,
    /// Where state is kept; `memory` shows the bus path alone [default: sqlite; with --peer sqlite
    /// and postgres].
    #[arg(long, value_enum)]
    pub(crate) store: Option<Storage>,
    /// Questions that need a tool. With --peer there are both kinds.
    #[arg(long)]
    tools: bool,
    /// Run the recorder too, which reads every message.
    #[arg(long)]
    pub(crate) recorder: bool,
    /// Count the statements of a turn; needs `--store postgres` and costs time.
    #[arg(long)]
    statements: bool,
    /// Measure another system too, in the same run, with the same kind of store.
    #[arg(long, value_enum)]
    peer: Option<Peer>,
    /// Settings of the PostgreSQL server, as in `--postgres fsync=off`; repeatable.
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) postgres: Vec<String>,
    /// Overrides one key of the configuration, as in `--set orchestrator.batch=64`; repeatable.
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// What a peer may be told.
    #[command(flatten)]
    pub(crate) peers: PeerOptions,
}

/// One measurement.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    /// The database.
    pub(crate) storage: Storage,
    /// Questions asked at a time.
    pub(crate) in_flight: usize,
    /// Whether they need a tool.
    pub(crate) tools: bool,
}

#[derive(Serialize)]
pub(crate) struct Report {
    bus: &'static str,
    store: &'static str,
    in_flight: usize,
    turns: usize,
    tools: bool,
    recorder: bool,
    load: String,
    pub(crate) turns_per_second: f64,
    #[serde(flatten)]
    pub(crate) latency: Latency,
    /// Processor seconds per 1,000 turns: this process, and the servers beside it.
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

/// Measures, and prints one JSON line; with a peer a table.
pub(crate) async fn run(options: Options) -> Result<()> {
    if let Some(peer) = options.peer {
        ensure!(!options.statements, "--statements is for Nexus alone");
        return comparison::run(peer, &options).await;
    }
    let plan = Plan {
        storage: options.store.unwrap_or(Storage::Sqlite),
        in_flight: options.in_flight.unwrap_or(1),
        tools: options.tools,
    };
    let postgres = match plan.storage {
        Storage::Postgres => Some(database::postgres(&options.postgres).await?),
        Storage::Sqlite | Storage::Memory => None,
    };
    let report = measure(&options, plan, postgres.as_ref()).await?;
    say(&serde_json::to_string(&report)?)
}

/// Measures Nexus once.
pub(crate) async fn measure(
    options: &Options,
    plan: Plan,
    postgres: Option<&Arc<PgServer>>,
) -> Result<Report> {
    let wanted = Wanted {
        bus: options.bus,
        storage: plan.storage,
        postgres,
        counted: options.statements,
        recorder: options.recorder,
        set: &options.set,
    };
    let deployment = Deployment::start(&wanted).await?;
    let mut client = deployment.client().await?;
    let text = if plan.tools {
        "What is 37 * 43?"
    } else {
        "hello"
    };
    let usual = if plan.in_flight == 1 { 2_000 } else { 30_000 };
    let turns = options.turns.unwrap_or(usual);
    client.ask(text, turns / 10 + 1, plan.in_flight).await?;

    let messages = deployment.messages(None).await?;
    let counts = deployment.database.counter().map(Counter::counts);
    let cpu = (cpu_seconds(std::process::id())?, deployment.servers_cpu()?);
    let mut ran = client.ask(text, turns, plan.in_flight).await?;
    let used = (
        cpu_seconds(std::process::id())? - cpu.0,
        deployment.servers_cpu()? - cpu.1,
    );
    if let (Some(before), Some(counter)) = (counts, deployment.database.counter()) {
        print_statements(&before, &counter.counts(), turns)?;
    }
    let messages_per_turn = (deployment.messages(None).await? - messages) / turns as f64;
    let (resident_mib, load) = (resident_mib()?, load()?);
    let (server, _folder) = deployment.stop().await?;

    let per_second = per_second(&ran);
    let latency = Latency::of(&mut ran.times);
    let measured = (messages_per_turn, turns, plan.in_flight);
    let floor = floor_of(&server, measured, (per_second, &latency)).await?;
    let of_1000 = |seconds: f64| round(seconds / turns as f64 * 1000.0);
    Ok(Report {
        bus: options.bus.name(),
        store: plan.storage.name(),
        in_flight: plan.in_flight,
        turns,
        tools: plan.tools,
        recorder: options.recorder,
        load,
        turns_per_second: per_second,
        cpu_seconds_per_1000: of_1000(used.0),
        server_cpu_seconds_per_1000: of_1000(used.1),
        resident_mib,
        messages_per_turn: round(messages_per_turn),
        floor,
        latency,
    })
}

fn per_second(ran: &Ran) -> f64 {
    round(ran.times.len() as f64 / ran.elapsed.as_secs_f64())
}

async fn floor_of(
    server: &Server,
    (messages, turns, in_flight): (f64, usize, usize),
    (nexus, latency): (f64, &Latency),
) -> Result<Option<FloorReport>> {
    let Server::Redis(redis) = server else {
        return Ok(None);
    };
    let hops = messages.round().max(1.0) as usize;
    floor::run(&redis.url(), hops, turns / 10 + 1, in_flight).await?;
    let mut ran = floor::run(&redis.url(), hops, turns, in_flight).await?;
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

/// Statements of a turn, by who asked and what they say.
fn print_statements(before: &Counts, after: &Counts, turns: usize) -> Result<()> {
    let mut table = Table::new(["service", "statement", "per turn"]);
    let mut sums: BTreeMap<&str, f64> = BTreeMap::new();
    for ((who, what), count) in after {
        let earlier = before.get(&(who.clone(), what.clone())).copied();
        let each = (count - earlier.unwrap_or(0)) as f64 / turns as f64;
        if each >= 0.001 {
            table.row(&[who.clone(), what.clone(), format!("{each:.3}")]);
        }
        *sums.entry(who).or_default() += each;
    }
    for (who, sum) in sums {
        table.row(&[who.to_owned(), "all".to_owned(), format!("{sum:.3}")]);
    }
    table.print()
}
