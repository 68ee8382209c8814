//! `router`: what the provider router adds to a call, beside a bare client, a bus and other gateways, on
//! one upstream in one run; with `--streams`, thousands of answers at once.

mod asker;
mod bare;
mod bus;
mod core;
mod figures;
mod peers;
mod report;
mod rounds;
pub(crate) mod streams;
pub(crate) mod upstream;
mod wanted;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use nexus_testkit::Spawn;

use crate::measure::load;
use crate::server::Backend;
use crate::table::say;
use asker::{Asker, Prompt};
use bare::{Address, Bare};
use bus::Behind;
use core::Core;
use figures::Figures;
use peers::PeerOptions;
use report::{CORE, Measured, Report, Streams, Throughput};
use rounds::{Scene, Trio, calls};
use streams::Through;
use upstream::Upstream;

/// How long calls a second are counted at a time, of each in turn, so many times.
const BLOCK: Duration = Duration::from_secs(3);
const BLOCKS: usize = 2;

/// What to measure.
#[derive(Args)]
pub(crate) struct Options {
    /// Rounds of each path, one at a time and many at a time, after a tenth as many to warm up.
    #[arg(long, default_value_t = 2_000)]
    rounds: usize,
    /// Calls at a time, where there are many.
    #[arg(long, default_value_t = 64)]
    in_flight: usize,
    /// Tokens of each answer [default: 20; with --streams 200].
    #[arg(long)]
    tokens: Option<usize>,
    /// Milliseconds between two tokens where there are many calls [default: 5; with --streams 50].
    #[arg(long)]
    pause_ms: Option<u64>,
    /// Bytes of each prompt.
    #[arg(long, default_value_t = 1_000)]
    prompt: usize,
    /// Buses of the full path [default: embedded and redis]; repeatable.
    #[arg(long, value_enum)]
    bus: Vec<Backend>,
    /// Instead, so many answers at once through the dispatch core and through the whole router.
    #[arg(long, conflicts_with = "peer")]
    streams: Option<usize>,
    /// Where the upstream listens, for gateways that are told beforehand; 0 is anywhere.
    #[arg(long, default_value_t = 0)]
    upstream_port: u16,
    /// Print one JSON line instead of tables.
    #[arg(long)]
    json: bool,
    /// Gateways beside us.
    #[command(flatten)]
    peers: PeerOptions,
}

/// Measures, and prints tables or one JSON line.
pub(crate) async fn run(options: Options) -> Result<()> {
    let buses = if options.bus.is_empty() {
        vec![Backend::Embedded, Backend::Redis]
    } else {
        options.bus.clone()
    };
    match options.streams {
        Some(streams) => many_streams(&options, streams, &buses).await,
        None => every_path(&options, &buses).await,
    }
}

/// This program once more, as another process, with as many open files as the system lets it have.
fn child(arguments: &[&str]) -> Result<Spawn> {
    const SCRIPT: &str = r#"ulimit -n "$(ulimit -Hn)"; exec "$0" "$@""#;
    let program = std::env::current_exe().context("find this program")?;
    let shell = Spawn::new("sh").args(["-c", SCRIPT]);
    Ok(shell.arg(program).args(arguments))
}

async fn many_streams(options: &Options, streams: usize, buses: &[Backend]) -> Result<()> {
    let words = options.tokens.unwrap_or(200);
    let pause_ms = options.pause_ms.unwrap_or(50);
    let ways = buses.iter().copied().map(Through::bus);
    let mut all = Streams::default();
    for through in std::iter::once(Through::Core).chain(ways) {
        let wanted = (streams, words, pause_ms);
        let streamed = streams::measure(through, wanted, options.prompt).await?;
        options.tell(&format!("{}: measured", through.name()))?;
        all.streams.push(streamed);
    }
    if options.json {
        return say(&all.json()?);
    }
    all.print()
}

async fn every_path(options: &Options, buses: &[Backend]) -> Result<()> {
    ensure!(options.in_flight > 0 && options.rounds > 0, "nothing to do");
    let peers = options.peers.addresses()?;
    let mut bench = Bench::new(options).await?;
    let base_url = bench.upstream.base_url();
    let core = Core::new(&base_url, &bench.prompt).await?;
    bench.path(CORE, Arc::new(core)).await?;
    for backend in buses.iter().copied() {
        let behind = Behind::start(backend, &base_url, &bench.prompt).await?;
        let path = Through::bus(backend).name();
        bench.path(path, behind.asker()).await?;
        behind.stop().await?;
    }
    for (name, address) in peers {
        let peer = Bare::new(&address, &bench.prompt)?;
        // What a gateway cannot carry is said, and the others are measured all the same.
        if let Err(error) = bench.path(&name, Arc::new(peer)).await {
            bench.report.failed.push(format!("{name}: {error:#}"));
        }
    }
    if options.json {
        return say(&bench.report.json()?);
    }
    bench.report.print()
}

impl Options {
    fn tell(&self, line: &str) -> Result<()> {
        if self.json {
            return Ok(());
        }
        say(line)
    }

    /// One at a time, then many; one at a time there is no pause, since nobody else would use it.
    fn scenes(&self) -> [Scene; 2] {
        let scene = |in_flight, pause_ms| Scene {
            in_flight,
            words: self.words(),
            pause_ms,
            rounds: self.rounds,
        };
        [
            scene(1, 0),
            scene(self.in_flight, self.pause_ms.unwrap_or(5)),
        ]
    }

    fn words(&self) -> usize {
        self.tokens.unwrap_or(20)
    }
}

/// What all paths are measured with.
struct Bench<'a> {
    options: &'a Options,
    upstream: Upstream,
    prompt: Prompt,
    floor: Arc<dyn Asker>,
    again: Arc<dyn Asker>,
    report: Report,
}

impl<'a> Bench<'a> {
    async fn new(options: &'a Options) -> Result<Self> {
        let upstream = Upstream::start(options.upstream_port).await?;
        let prompt = Prompt::of(options.prompt);
        let address = Address::upstream(&upstream.base_url());
        Ok(Self {
            options,
            floor: Arc::new(Bare::new(&address, &prompt)?),
            again: Arc::new(Bare::new(&address, &prompt)?),
            report: Report::new(options.prompt),
            upstream,
            prompt,
        })
    }

    /// Measures one path in every way.
    async fn path(&mut self, path: &str, other: Arc<dyn Asker>) -> Result<()> {
        for scene in self.options.scenes() {
            let before = self.upstream.seen().await?;
            let trio = Trio {
                floor: Arc::clone(&self.floor),
                again: Arc::clone(&self.again),
                other: Arc::clone(&other),
            };
            let rounds = trio.measure(scene).await?;
            let after = self.upstream.seen().await?;
            self.report.measured.push(Measured {
                path: path.to_owned(),
                scene,
                figures: Figures::of(&rounds).context("no rounds")?,
                connections: after.connections - before.connections,
                load: load()?,
            });
            let in_flight = scene.in_flight;
            let line = format!("{path}, {in_flight} in flight: measured");
            self.options.tell(&line)?;
        }
        let throughput = self.throughput(path, &other).await?;
        self.report.throughput.push(throughput);
        Ok(())
    }

    /// Calls a second without pauses: the bare client and this path in turn.
    async fn throughput(&self, path: &str, other: &Arc<dyn Asker>) -> Result<Throughput> {
        let load = (self.options.in_flight, self.options.words());
        let (mut floor, mut reached) = (0.0, 0.0);
        for _ in 0..BLOCKS {
            floor += calls(&self.floor, load, BLOCK).await? / BLOCKS as f64;
            reached += calls(other, load, BLOCK).await? / BLOCKS as f64;
        }
        Ok(Throughput {
            path: path.to_owned(),
            in_flight: load.0,
            words: load.1,
            floor_per_second: floor,
            per_second: reached,
            ratio_to_floor: reached / floor,
        })
    }
}
