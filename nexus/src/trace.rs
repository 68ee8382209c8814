//! `nexus trace`: everything one message caused.

pub mod waterfall;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use indicatif::ProgressBar;
use nexus_bus::{Bus, BusError, Entry, ReadFrom};
use nexus_contracts::channels::REQUESTS_INCOMING;

use crate::channels::{AllChannels, Seen};
use crate::cli::TraceArgs;
use crate::exit::Failure;
use crate::progress;
use crate::reading::open_to_read;
use crate::settings::Settings;
use waterfall::Trace;

/// Reads the bus for everything that carries this correlation id, and shows it hop by hop.
///
/// # Errors
/// When the bus cannot be read, or keeps nothing of that id.
pub async fn trace(
    args: &TraceArgs,
    settings: &Settings,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let bus = open_to_read(settings).await?;
    let bar = progress::spinner("reading the bus");
    let found = collect(bus.clone(), &args.corr, &bar).await;
    bar.finish_and_clear();
    bus.close().await;
    let trace = Trace::of(&args.corr, found.map_err(Failure::unreachable)?);
    if trace.hops.is_empty() {
        return Err(Failure::failed(format!(
            "the bus keeps no message with correlation id `{}`",
            args.corr
        ))
        .todo(
            "Check the id, or ask the recorder: GET /v1/runs/{correlation_id} keeps them longer",
        ));
    }
    if args.json {
        let text = serde_json::to_string_pretty(&trace).map_err(Failure::failed)?;
        writeln!(out, "{text}")?;
    } else {
        for line in trace.lines() {
            writeln!(out, "{line}")?;
        }
    }
    Ok(())
}

/// Every message of the correlation id, and what a raw client wrote without one to begin it.
async fn collect(bus: Bus, corr: &str, bar: &ProgressBar) -> Result<Vec<Seen>, BusError> {
    let mut channels = AllChannels::new(bus, ReadFrom::Start);
    channels.look().await?;
    let mut found = Vec::new();
    let mut without: BTreeMap<String, Seen> = BTreeMap::new();
    let wanted = |entry: &Entry| {
        entry
            .record
            .text("correlation_id")
            .is_none_or(|id| id.is_empty() || id == corr)
    };
    loop {
        let page = channels.next(wanted).await?;
        if page.read == 0 {
            break;
        }
        bar.inc(page.read as u64);
        for seen in page.seen {
            match (seen.corr(), &seen.envelope) {
                (Some(_), _) => found.push(seen),
                (None, Ok(envelope)) if seen.channel.starts_with(REQUESTS_INCOMING) => {
                    without.insert(envelope.id.as_str().to_owned(), seen);
                }
                (None, _) => {}
            }
        }
    }
    let causes: BTreeSet<String> = found
        .iter()
        .filter_map(|seen| seen.envelope.as_ref().ok()?.metadata.causation_id.as_ref())
        .map(|id| id.as_str().to_owned())
        .collect();
    let firsts = without.into_iter().filter(|(id, _)| causes.contains(id));
    found.extend(firsts.map(|(_, seen)| seen));
    Ok(found)
}
