//! Thousands of streams at once, in a process of its own, so that the memory it reports is theirs.

use std::sync::Arc;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::asker::{Asker, Prompt};
use super::bus::Behind;
use super::core::Core;
use super::figures::Spread;
use super::upstream::{Seen, Upstream};
use super::wanted::Wanted;
use crate::measure::{load, peak_mib, resident_mib, round};
use crate::server::Backend;
use crate::table::say;

/// Which way the streams take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Through {
    /// The dispatch core alone.
    Core,
    /// The whole router on the embedded bus.
    Embedded,
    /// The whole router on Redis.
    Redis,
    /// The whole router on NATS.
    Nats,
}

impl Through {
    /// Behind this bus.
    pub(super) const fn bus(backend: Backend) -> Self {
        match backend {
            Backend::Embedded => Self::Embedded,
            Backend::Redis => Self::Redis,
            Backend::Nats => Self::Nats,
        }
    }

    const fn backend(self) -> Option<Backend> {
        match self {
            Self::Core => None,
            Self::Embedded => Some(Backend::Embedded),
            Self::Redis => Some(Backend::Redis),
            Self::Nats => Some(Backend::Nats),
        }
    }

    /// In words.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Core => "dispatch core",
            Self::Embedded => "router, embedded bus",
            Self::Redis => "router, Redis",
            Self::Nats => "router, NATS",
        }
    }
}

/// One measurement.
#[derive(Args)]
pub(crate) struct Options {
    /// Which way.
    #[arg(long, value_enum)]
    through: Through,
    /// The address of the upstream's API.
    #[arg(long)]
    base_url: String,
    /// Streams at once.
    #[arg(long)]
    streams: usize,
    /// Words of each.
    #[arg(long)]
    words: usize,
    /// The pause between two words.
    #[arg(long)]
    pause_ms: u64,
    /// Bytes of each prompt.
    #[arg(long)]
    prompt: usize,
}

/// What came of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Streamed {
    /// Which way.
    pub(super) through: Through,
    /// Streams that were begun.
    pub(super) streams: usize,
    /// Words of each.
    pub(super) words: usize,
    /// The pause between two words.
    pub(super) pause_ms: u64,
    /// Streams of which every word came, in order, once.
    pub(super) whole: usize,
    /// What was wrong with the first of the others.
    pub(super) wrong: Option<String>,
    /// Until the first word, where it is heard.
    pub(super) first: Option<Spread>,
    /// Until the end.
    pub(super) took: Option<Spread>,
    /// From the first question to the last answer.
    pub(super) seconds: f64,
    /// Before the first question, with everything started.
    pub(super) resident_mib: f64,
    /// The most there was.
    pub(super) peak_mib: f64,
    /// Runnable processes over the last minute.
    pub(super) load: String,
    /// As the upstream saw it.
    #[serde(default)]
    pub(super) seen: Seen,
}

/// Measures, and prints one JSON line: the child's side.
pub(crate) async fn run(options: Options) -> Result<()> {
    let prompt = Prompt::of(options.prompt);
    let streamed = match options.through.backend() {
        None => {
            let core = Core::new(&options.base_url, &prompt).await?;
            all(&options, Arc::new(core)).await?
        }
        Some(backend) => {
            let behind = Behind::start(backend, &options.base_url, &prompt).await?;
            let streamed = all(&options, behind.asker()).await?;
            behind.stop().await?;
            streamed
        }
    };
    say(&serde_json::to_string(&streamed)?)
}

async fn all(options: &Options, asker: Arc<dyn Asker>) -> Result<Streamed> {
    // Connections to bus and upstream, tables, caches: once before.
    let short = Wanted {
        words: 1,
        pause_ms: 0,
    };
    asker.ask(short).await?;
    let wanted = Wanted {
        words: options.words,
        pause_ms: options.pause_ms,
    };
    let resident_mib = resident_mib()?;
    let began = Instant::now();
    let mut streams = JoinSet::new();
    for _ in 0..options.streams {
        let asker = Arc::clone(&asker);
        streams.spawn(async move { asker.ask(wanted).await });
    }
    let (mut samples, mut wrong) = (Vec::with_capacity(options.streams), None);
    while let Some(ended) = streams.join_next().await {
        match ended.context("a stream broke").and_then(|sample| sample) {
            Ok(sample) => samples.push(sample),
            Err(error) => {
                wrong.get_or_insert_with(|| format!("{error:#}"));
            }
        }
    }
    let ms = |time: std::time::Duration| time.as_secs_f64() * 1000.0;
    let firsts = samples.iter().filter_map(|sample| sample.first);
    Ok(Streamed {
        through: options.through,
        streams: options.streams,
        words: options.words,
        pause_ms: options.pause_ms,
        whole: samples.len(),
        wrong,
        first: Spread::of(firsts.map(ms)),
        took: Spread::of(samples.iter().map(|sample| ms(sample.whole))),
        seconds: round(began.elapsed().as_secs_f64()),
        resident_mib,
        peak_mib: peak_mib()?,
        load: load()?,
        seen: Seen::default(),
    })
}

/// So many streams this way, in a process and with an upstream of their own: the parent's side.
pub(super) async fn measure(
    through: Through,
    (streams, words, pause_ms): (usize, usize, u64),
    prompt: usize,
) -> Result<Streamed> {
    let upstream = Upstream::start(0).await?;
    let way = through.to_possible_value().context("no such way")?;
    let numbers = [streams, words, prompt].map(|number| number.to_string());
    let [streams, words, prompt] = numbers.each_ref();
    let (base_url, pause_ms) = (upstream.base_url(), pause_ms.to_string());
    let mut process = super::child(&[
        "router-streams",
        "--through",
        way.get_name(),
        "--base-url",
        &base_url,
        "--streams",
        streams,
        "--words",
        words,
        "--pause-ms",
        &pause_ms,
        "--prompt",
        prompt,
    ])?
    .start()?;
    let longest = std::time::Duration::from_secs(600);
    let mut streamed: Streamed = process
        .wait_in_lines(longest, "its figures", |line| {
            serde_json::from_str(line).ok()
        })
        .await?;
    streamed.seen = upstream.seen().await?;
    Ok(streamed)
}
