//! `turns --peer`: Nexus and another system side by side, with the same kind of store.

use std::sync::Arc;

use anyhow::{Result, ensure};
use nexus_testkit::PgServer;

use crate::database::{self, Storage};
use crate::measure::{at_least, load};
use crate::peer::{self, Measured, Peer, Way};
use crate::table::{Table, say};
use crate::turns::{self, Options, Plan};

/// Measures both, and prints a table.
pub(crate) async fn run(peer: Peer, options: &Options) -> Result<()> {
    let storages = options.store.map_or_else(
        || vec![Storage::Sqlite, Storage::Postgres],
        |storage| vec![storage],
    );
    ensure!(
        !storages.contains(&Storage::Memory),
        "a peer is compared on a store that lasts: --store sqlite or postgres"
    );
    let postgres = if storages.contains(&Storage::Postgres) {
        Some(database::postgres(&options.postgres).await?)
    } else {
        None
    };
    let in_flight = options
        .in_flight
        .map_or_else(|| vec![1, 256], |in_flight| vec![in_flight]);
    let mut table = Table::new([
        "store",
        "turn",
        "in flight",
        "Nexus turns/s",
        "p50 ms",
        "peer turns/s",
        "p50 ms",
        "peer's best way",
        "turns/s ratio",
        "p50 ratio",
        "load",
    ]);
    for storage in storages {
        for tools in [false, true] {
            for in_flight in in_flight.iter().copied() {
                let plan = Plan {
                    storage,
                    in_flight,
                    tools,
                };
                compare(peer, (options, plan), postgres.as_ref(), &mut table).await?;
            }
        }
    }
    say(&format!("\nPeer: {}", peer.name()))?;
    table.print()
}

async fn compare(
    peer: Peer,
    (options, plan): (&Options, Plan),
    postgres: Option<&Arc<PgServer>>,
    table: &mut Table,
) -> Result<()> {
    let before = load()?;
    let ours = turns::measure(options, plan, postgres).await?;
    let (way, theirs) = best(peer, (options, plan), postgres).await?;
    // With another number in flight it would compare two different things.
    let p50_ratio = if way.in_flight == plan.in_flight {
        at_least(theirs.p50_ms / ours.latency.p50_ms, 1)
    } else {
        "–".to_owned()
    };
    let kind = if plan.tools {
        "one tool call"
    } else {
        "no tool"
    };
    say(&format!(
        "{} {kind} {} in flight: measured",
        plan.storage.name(),
        plan.in_flight
    ))?;
    table.row(&[
        plan.storage.name().to_owned(),
        kind.to_owned(),
        plan.in_flight.to_string(),
        at_least(ours.turns_per_second, 0),
        format!("{:.2}", ours.latency.p50_ms),
        at_least(theirs.turns_per_second, 0),
        format!("{:.2}", theirs.p50_ms),
        way.text(),
        at_least(ours.turns_per_second / theirs.turns_per_second, 1),
        p50_ratio,
        format!("{before}–{}", load()?),
    ]);
    Ok(())
}

/// The best of all ways the peer has.
async fn best(
    peer: Peer,
    (options, plan): (&Options, Plan),
    postgres: Option<&Arc<PgServer>>,
) -> Result<(Way, Measured)> {
    let mut best: Option<(Way, Measured)> = None;
    for way in peer::ways(plan) {
        let folder = tempfile::tempdir()?;
        let url = match postgres.filter(|_| plan.storage == Storage::Postgres) {
            Some(server) => server.fresh_database().await?,
            None => folder.path().join("peer.db").display().to_string(),
        };
        let measured = peer::measure(peer, (plan, way), &url, &options.peers).await?;
        let better = best
            .as_ref()
            .is_none_or(|(_, best)| measured.turns_per_second > best.turns_per_second);
        if better {
            best = Some((way, measured));
        }
    }
    best.ok_or_else(|| anyhow::anyhow!("the peer has no way to work"))
}
