//! Erasing what effects are about.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use nexus_contracts::{MessageId, OrgId};
use nexus_store::{Claim, Claimed, Completion, EffectClass, Ledger, Store, Value};
use nexus_testkit::wait_until;
use tokio::task::JoinSet;

use crate::fixture::{Fixture, SERVICE, org};
use crate::ledger::{CLASSES, at, claim, id, open};

const SOON: Duration = Duration::from_secs(20);
const ABOUT: &str = "conversation-1";
/// What somebody said, and must not be found again.
const SECRET: &[u8] = b"the colour of the umbrella";

fn about(org: OrgId, id: MessageId, class: EffectClass, seconds: i64) -> Claim {
    Claim {
        about: Some(ABOUT.to_owned()),
        ..claim(org, id, class, at(seconds))
    }
}

async fn run(ledger: &Ledger, claim: Claim) -> Result<u64> {
    match ledger.claim(claim).await? {
        Claimed::Run { epoch, .. } => Ok(epoch),
        other => anyhow::bail!("{other:?}"),
    }
}

fn secret() -> Bytes {
    Bytes::from_static(SECRET)
}

pub(crate) async fn results_are_gone_and_stay_gone(fixture: &Fixture) -> Result<()> {
    let (ledger, ours, theirs) = (open(fixture).await?, org(), org());
    for class in CLASSES {
        let id = id(&format!("{class:?}"))?;
        for org in [ours, theirs] {
            let epoch = run(&ledger, about(org, id.clone(), class, 0)).await?;
            ledger.complete(org, &id, epoch, secret(), at(1)).await?;
        }
    }
    ensure!(ledger.erase(ours, ABOUT).await? == 4);
    ensure!(ledger.erase(ours, ABOUT).await? == 0, "erased twice");
    ensure!(ledger.erase(ours, "conversation-2").await? == 0);
    for class in CLASSES {
        let id = id(&format!("{class:?}"))?;
        let claimed = ledger.claim(about(ours, id.clone(), class, 900)).await?;
        ensure!(claimed == Claimed::Erased, "{claimed:?}");
        let late = ledger.complete(ours, &id, 1, secret(), at(901)).await?;
        ensure!(late == Completion::Superseded { result: None });
        let kept = ledger.claim(about(theirs, id, class, 2)).await?;
        ensure!(kept == Claimed::Done { result: secret() }, "{kept:?}");
    }
    Ok(())
}

pub(crate) async fn who_is_at_it_loses_its_claim(fixture: &Fixture) -> Result<()> {
    let (ledger, org, id) = (open(fixture).await?, org(), id("running")?);
    let epoch = run(&ledger, about(org, id.clone(), EffectClass::Inference, 0)).await?;
    ensure!(ledger.erase(org, ABOUT).await? == 1);
    let beat = ledger.heartbeat(org, &id, epoch, at(1), crate::ledger::LEASE);
    ensure!(!beat.await?, "told that it holds");
    let late = ledger.complete(org, &id, epoch, secret(), at(2)).await?;
    ensure!(late == Completion::Superseded { result: None });
    ensure!(!ledger.release(org, &id, epoch).await?);
    let next = ledger
        .claim(about(org, id, EffectClass::Inference, 60))
        .await?;
    ensure!(next == Claimed::Erased, "{next:?}");
    Ok(())
}

pub(crate) async fn a_command_that_comes_later_finds_it_gone(fixture: &Fixture) -> Result<()> {
    let (ledger, ours, theirs) = (open(fixture).await?, org(), org());
    ledger.erase(ours, ABOUT).await?;
    let late = |org| anyhow::Ok(about(org, id("late")?, EffectClass::ReadOnly, 5));
    ensure!(ledger.claim(late(ours)?).await? == Claimed::Erased);
    run(&ledger, late(theirs)?).await?;
    // Pruning forgets effects, not that something is gone.
    ledger.prune(at(100_000)).await?;
    ensure!(ledger.claim(late(ours)?).await? == Claimed::Erased);
    Ok(())
}

/// Whichever comes first: nothing about it is left with a result, and nobody holds a claim.
pub(crate) async fn an_erasure_and_claims_at_once_leave_nothing(fixture: &Fixture) -> Result<()> {
    let (one, two, org) = (open(fixture).await?, open(fixture).await?, org());
    for round in 0..10 {
        let topic = format!("conversation-{round}");
        let mut claims = JoinSet::new();
        for number in 0..20 {
            let (ledger, id) = (one.clone(), id(&format!("{round}-{number}"))?);
            let claim = Claim {
                about: Some(topic.clone()),
                ..claim(org, id.clone(), EffectClass::Inference, at(0))
            };
            claims.spawn(async move {
                if let Claimed::Run { epoch, .. } = ledger.claim(claim).await? {
                    ledger.complete(org, &id, epoch, secret(), at(1)).await?;
                }
                anyhow::Ok(())
            });
        }
        two.erase(org, &topic).await?;
        while let Some(claimed) = claims.join_next().await {
            claimed??;
        }
        let left = rows(fixture, org, &topic).await?;
        ensure!(left == 0, "{left} rows of {topic} hold a result or a claim");
    }
    Ok(())
}

async fn rows(fixture: &Fixture, org: OrgId, about: &str) -> Result<i64> {
    let store = Store::open(&fixture.config()?, SERVICE, Ledger::MIGRATIONS).await?;
    let tx = store.read(org).await?;
    let sql = "SELECT count(*) AS n FROM effect WHERE org_id = $1 AND about = $2 \
               AND (result IS NOT NULL OR lease_until IS NOT NULL)";
    let found = tx
        .query(sql, vec![Value::from(org.to_string()), Value::from(about)])
        .await?;
    let left = found.first().context("a count")?.get("n")?;
    drop(tx);
    store.close().await;
    Ok(left)
}

pub(crate) async fn no_byte_of_a_result_is_left(fixture: &Fixture) -> Result<()> {
    let (ledger, org, id) = (open(fixture).await?, org(), id("large")?);
    // Longer than a page, so that whole pages become free.
    let result = Bytes::from(SECRET.repeat(4000));
    let claim = about(org, id.clone(), EffectClass::Inference, 0);
    let epoch = run(&ledger, claim).await?;
    ledger.complete(org, &id, epoch, result, at(1)).await?;
    ensure!(in_files(fixture)? != Some(0), "it was never there");
    ledger.erase(org, ABOUT).await?;
    ensure!(rows(fixture, org, ABOUT).await? == 0);
    // While the store stays open: written back without being closed.
    wait_until(SOON, "the files to be free of it", async || {
        Ok(in_files(fixture)?.unwrap_or_default() == 0)
    })
    .await
}

/// How often the secret stands in the files of `SQLite`.
fn in_files(fixture: &Fixture) -> Result<Option<usize>> {
    let Some(folder) = fixture.address.strip_prefix("sqlite:") else {
        return Ok(None);
    };
    let mut count = 0;
    for entry in std::fs::read_dir(folder)? {
        let bytes = std::fs::read(entry?.path())?;
        count += bytes
            .windows(SECRET.len())
            .filter(|part| *part == SECRET)
            .count();
    }
    Ok(Some(count))
}
