//! Reading the clock, the processor and the memory.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;

/// Kernel ticks a second: `USER_HZ`, 100 on every Linux architecture Rust supports.
const TICKS: f64 = 100.0;

/// Latencies of one run, in milliseconds.
#[derive(Serialize)]
pub(crate) struct Latency {
    /// Half of the turns were faster.
    pub p50_ms: f64,
    /// One in a hundred was slower.
    pub p99_ms: f64,
    /// One in a thousand was slower.
    pub p999_ms: f64,
}

impl Latency {
    /// Of these times; sorts them.
    pub(crate) fn of(times: &mut [Duration]) -> Self {
        times.sort_unstable();
        let at = |permille: usize| {
            let rank = (times.len() * permille).div_ceil(1000).saturating_sub(1);
            times
                .get(rank)
                .map_or(0.0, |time| round(time.as_secs_f64() * 1000.0))
        };
        Self {
            p50_ms: at(500),
            p99_ms: at(990),
            p999_ms: at(999),
        }
    }
}

/// To three decimals.
pub(crate) fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// Processor seconds a process has used.
pub(crate) fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat"))?;
    // Fields after the command, which stands in brackets and may contain anything.
    let rest = stat.rsplit_once(')').context("no command in stat")?.1;
    let mut fields = rest.split_whitespace().skip(11);
    let mut ticks = || -> Result<f64> { Ok(fields.next().context("short stat")?.parse()?) };
    Ok((ticks()? + ticks()?) / TICKS)
}

/// Resident memory of this process, in MiB.
pub(crate) fn resident_mib() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .context("no VmRSS")?;
    let kib: f64 = line
        .split_whitespace()
        .nth(1)
        .context("no number")?
        .parse()?;
    Ok(round(kib / 1024.0))
}
