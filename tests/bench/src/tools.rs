//! `tools`: calls of tools over the bus, as the orchestrator makes them, beside a bare Python process.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use futures::stream::{self, StreamExt, TryStreamExt};
use nexus_contracts::events::{Event, ToolCompleted, ToolRequested};
use nexus_contracts::tool::Taint;
use nexus_contracts::{Envelope, Extra, MessageId, Metadata, OrgId, channels};
use nexus_service_kit::{Clock, RequestTiming, request};
use nexus_testkit::wait_until;
use tokio::process::Command;
use tokio::time::Instant;

use crate::database::Storage;
use crate::deployment::{Deployment, Wanted};
use crate::measure::{Latency, at_most, load};
use crate::server::Backend;
use crate::table::{Table, say};

/// Longest start.
const READY: Duration = Duration::from_secs(30);

/// How to measure.
#[derive(Args)]
pub(crate) struct Options {
    /// The bus.
    #[arg(long, value_enum, default_value = "embedded")]
    bus: Backend,
    /// Calls measured of each kind, after a tenth as many to warm up.
    #[arg(long, default_value_t = 400)]
    calls: usize,
    /// Overrides one key of the configuration; repeatable.
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    set: Vec<String>,
}

/// What is measured.
#[derive(Clone, Copy)]
struct Way {
    name: &'static str,
    /// The tool and its arguments; a bare process where there is none.
    call: Option<(&'static str, &'static str)>,
}

const WAYS: [Way; 3] = [
    Way {
        name: "current_time, over the bus",
        call: Some(("current_time", "{}")),
    },
    Way {
        name: "execute_code 1 + 1, over the bus",
        call: Some(("execute_code", r#"{"code":"1 + 1"}"#)),
    },
    Way {
        name: "python3 -I -c 'print(1 + 1)'",
        call: None,
    },
];

/// Measures, and prints a table.
pub(crate) async fn run(options: Options) -> Result<()> {
    let wanted = Wanted {
        bus: options.bus,
        storage: Storage::Sqlite,
        postgres: None,
        counted: false,
        recorder: false,
        set: &options.set,
    };
    let deployment = Deployment::start(&wanted).await?;
    // The sandbox looks first whether it holds.
    wait_until(READY, "every tool to work", async || {
        for way in WAYS {
            times(&deployment, way, (1, 1)).await?;
        }
        Ok(true)
    })
    .await?;
    let mut table = Table::new([
        "what",
        "at once",
        "p50 ms",
        "p99 ms",
        "p50 to python3",
        "load",
    ]);
    for at_once in [1, 8] {
        let mut measured = Vec::new();
        // In turns, so that what else the machine does meets all of them.
        let rounds = 4;
        for round in 0..=rounds {
            for (number, way) in WAYS.iter().enumerate() {
                let calls = if round == 0 {
                    options.calls / 10
                } else {
                    options.calls / rounds
                };
                let times = times(&deployment, *way, (calls.max(at_once), at_once)).await?;
                match measured.get_mut(number) {
                    None => measured.push(Vec::new()),
                    Some(all) => all.extend(times),
                }
            }
        }
        let measured: Vec<Latency> = measured.iter_mut().map(|all| Latency::of(all)).collect();
        let python = measured.last().context("it was measured")?.p50_ms;
        for (way, latency) in WAYS.iter().zip(&measured) {
            table.row(&[
                way.name.to_owned(),
                at_once.to_string(),
                at_most(latency.p50_ms, 2),
                at_most(latency.p99_ms, 2),
                at_most(latency.p50_ms / python, 2),
                load()?,
            ]);
        }
    }
    deployment.stop().await?;
    say(&format!("bus: {}", options.bus.name()))?;
    table.print()
}

/// How long each of so many calls took, so many at once.
async fn times(
    deployment: &Deployment,
    way: Way,
    (calls, at_once): (usize, usize),
) -> Result<Vec<Duration>> {
    let timed = async |()| {
        let began = Instant::now();
        match way.call {
            Some(call) => over_the_bus(deployment, call).await?,
            None => bare().await?,
        }
        Ok(began.elapsed())
    };
    let calls = stream::iter(std::iter::repeat_n((), calls));
    calls
        .map(timed)
        .buffer_unordered(at_once)
        .try_collect()
        .await
}

async fn over_the_bus(deployment: &Deployment, (name, arguments): (&str, &str)) -> Result<()> {
    let (bus, clock) = (deployment.bus(), Clock::system());
    let id = MessageId::from(clock.new_id());
    let asked = ToolRequested {
        call_id: id.to_string(),
        name: name.to_owned(),
        arguments: arguments.to_owned(),
        taint: Taint::default(),
        privacy: nexus_contracts::settings::Privacy::Open,
        extra: Extra::new(),
    };
    let metadata = Metadata {
        org_id: Some(OrgId(uuid::Uuid::nil())),
        ..Metadata::default()
    };
    let envelope = Envelope::new(id, clock.now(), &asked)?.with_metadata(metadata);
    let timing = RequestTiming::default();
    let answer = request(bus, &clock, channels::TOOLS_EXECUTE, envelope, timing).await?;
    ensure!(answer.event_type == ToolCompleted::TYPE, "{answer:?}");
    Ok(())
}

async fn bare() -> Result<()> {
    let ended = Command::new("/usr/bin/python3")
        .args(["-I", "-c", "print(1 + 1)"])
        .stdout(Stdio::null())
        .status()
        .await?;
    ensure!(ended.success(), "python3 ended with {ended}");
    Ok(())
}
