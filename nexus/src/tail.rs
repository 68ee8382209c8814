//! `nexus tail`: shows messages as they pass.

pub mod line;

use std::io::Write;
use std::time::Duration;

use nexus_bus::{Bus, ReadFrom};
use nexus_contracts::Timestamp;
use nexus_service_kit::Clock;

use crate::channels::{AllChannels, Page, Seen};
use crate::cli::TailArgs;
use crate::exit::Failure;
use crate::reading::open_to_read;
use crate::settings::Settings;
use line::{Lines, json};

/// How long to wait before looking again.
const PAUSE: Duration = Duration::from_millis(100);

/// How many looks pass until new channels are looked for.
const LOOKS: u32 = 10;

/// Follows until interrupted, or until everything was shown with `--no-follow`.
///
/// # Errors
/// When the bus cannot be opened. One that goes away is waited for.
pub async fn tail(
    args: &TailArgs,
    settings: &Settings,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let bus = open_to_read(settings).await?;
    let begin = beginning(args, Clock::system().now());
    let result = tokio::select! {
        result = follow(args, bus.clone(), begin, out) => result,
        _ = tokio::signal::ctrl_c() => Ok(()),
    };
    bus.close().await;
    result
}

fn beginning(args: &TailArgs, now: Timestamp) -> ReadFrom {
    let back = args.since.unwrap_or_default().as_millis();
    match (args.since, args.no_follow) {
        (None, true) => ReadFrom::Start,
        _ => ReadFrom::Time(
            now.as_millis()
                .saturating_sub_unsigned(u64::try_from(back).unwrap_or(u64::MAX)),
        ),
    }
}

async fn follow(
    args: &TailArgs,
    bus: Bus,
    begin: ReadFrom,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let mut channels = AllChannels::new(bus, begin);
    let mut lines = Lines::default();
    let mut away = false;
    for look in 0_u32.. {
        let page = match look % LOOKS {
            0 => channels.look_and_next().await,
            _ => channels.next(|_| true).await,
        };
        match page {
            Ok(Page { seen, .. }) => {
                away = false;
                let is_last = seen.is_empty() && args.no_follow;
                for seen in seen.iter().filter(|seen| is_wanted(args, seen)) {
                    let line = if args.json {
                        json(seen)
                    } else {
                        lines.line(seen)
                    };
                    writeln!(out, "{line}")?;
                }
                out.flush()?;
                if is_last {
                    return Ok(());
                }
                if !seen.is_empty() {
                    continue;
                }
            }
            Err(error) if error.is_transient() => {
                if !away {
                    anstream::eprintln!("{error}; waiting for it");
                }
                away = true;
            }
            Err(error) => return Err(Failure::unreachable(error)),
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

fn is_wanted(args: &TailArgs, seen: &Seen) -> bool {
    let corr = args.corr.as_deref().is_none_or(|wanted| {
        seen.corr()
            .is_some_and(|corr| corr.starts_with(wanted.trim_end_matches('…')))
    });
    corr && args
        .event_type
        .as_deref()
        .is_none_or(|wanted| seen.event_type().starts_with(wanted))
}
