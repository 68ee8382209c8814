//! Reading the clock, the processor and the memory.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;

/// Kernel ticks a second: `USER_HZ`, 100 on every Linux architecture Rust supports.
const TICKS: f64 = 100.0;

/// Latencies of one run, in milliseconds.
#[derive(Clone, Serialize)]
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

/// With as many decimals, and never more than it is.
pub(crate) fn at_least(value: f64, decimals: u32) -> String {
    let scale = f64::from(10_u32.saturating_pow(decimals));
    let decimals = decimals as usize;
    format!("{:.decimals$}", (value * scale).floor() / scale)
}

/// With as many decimals, and never less than it is.
pub(crate) fn at_most(value: f64, decimals: u32) -> String {
    let scale = f64::from(10_u32.saturating_pow(decimals));
    let decimals = decimals as usize;
    format!("{:.decimals$}", (value * scale).ceil() / scale)
}

/// To three decimals.
pub(crate) fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// Processor seconds a process has used.
pub(crate) fn cpu_seconds(pid: u32) -> Result<f64> {
    Ok(stat(pid)?.1)
}

/// The parent of a process, and the processor seconds it has used.
fn stat(pid: u32) -> Result<(u32, f64)> {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat"))?;
    // Fields after the command, which stands in brackets and may contain anything.
    let rest = stat.rsplit_once(')').context("no command in stat")?.1;
    let field = |at: usize| rest.split_whitespace().nth(at).context("short stat");
    let ticks: f64 = field(11)?.parse::<f64>()? + field(12)?.parse::<f64>()?;
    Ok((field(1)?.parse()?, ticks / TICKS))
}

/// Processor seconds a process and its children have used.
pub(crate) fn cpu_seconds_of_all(parent: u32) -> Result<f64> {
    let mut seconds = cpu_seconds(parent)?;
    for process in std::fs::read_dir("/proc")?.flatten() {
        let name = process.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // A process that ends meanwhile is none of those that work.
        if let Ok((its_parent, used)) = stat(pid)
            && its_parent == parent
        {
            seconds += used;
        }
    }
    Ok(seconds)
}

/// Processor time all threads of this process have used that still run: to the nanosecond, where
/// [`cpu_seconds`] counts ticks.
pub(crate) fn own_cpu() -> Result<Duration> {
    let mut nanoseconds = 0;
    for thread in std::fs::read_dir("/proc/self/task")?.flatten() {
        let Ok(text) = std::fs::read_to_string(thread.path().join("schedstat")) else {
            continue;
        };
        let first = text.split_whitespace().next();
        nanoseconds += first.context("short schedstat")?.parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// How busy the machine was: runnable processes over the last minute.
pub(crate) fn load() -> Result<String> {
    let text = std::fs::read_to_string("/proc/loadavg")?;
    Ok(text.split_whitespace().next().unwrap_or("?").to_owned())
}

/// Resident memory of this process, in MiB.
pub(crate) fn resident_mib() -> Result<f64> {
    memory("VmRSS:")
}

/// The most memory this process has had resident, in MiB.
pub(crate) fn peak_mib() -> Result<f64> {
    memory("VmHWM:")
}

fn memory(field: &str) -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find(|line| line.starts_with(field))
        .with_context(|| format!("no {field}"))?;
    let kib: f64 = line
        .split_whitespace()
        .nth(1)
        .context("no number")?
        .parse()?;
    Ok(round(kib / 1024.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_never_better_than_they_are() {
        assert_eq!([at_least(9.99, 1), at_least(10.0, 1)], ["9.9", "10.0"]);
        assert_eq!([at_most(1.201, 2), at_most(1.2, 1)], ["1.21", "1.2"]);
    }
}
