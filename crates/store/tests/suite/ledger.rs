//! The effect ledger.

use std::time::Duration;

use anyhow::{Result, ensure};
use bytes::Bytes;
use nexus_contracts::{MessageId, OrgId, Timestamp};
use nexus_store::ledger::MAX_RESULT_BYTES;
use nexus_store::{Claim, Claimed, Completion, EffectClass, Ledger, Store, StoreError};
use tokio::task::JoinSet;

use crate::fixture::{Fixture, SERVICE, org};

pub(crate) const LEASE: Duration = Duration::from_secs(30);
pub(crate) const CLASSES: [EffectClass; 4] = [
    EffectClass::Inference,
    EffectClass::ReadOnly,
    EffectClass::Idempotent,
    EffectClass::AtMostOnce,
];

/// A moment, in seconds after the start of the test's time.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000 + seconds * 1000)
}

pub(crate) fn id(text: &str) -> Result<MessageId> {
    Ok(MessageId::new(text)?)
}

pub(crate) fn claim(org: OrgId, id: MessageId, class: EffectClass, now: Timestamp) -> Claim {
    Claim {
        org,
        id,
        about: None,
        class,
        now,
        lease: LEASE,
        expires_at: at(1000),
    }
}

pub(crate) async fn open(fixture: &Fixture) -> Result<Ledger> {
    Ok(Ledger::new(
        Store::open(&fixture.config()?, SERVICE, Ledger::MIGRATIONS).await?,
    ))
}

const FIRST: Claimed = Claimed::Run {
    epoch: 1,
    attempt: 1,
};
const SECOND: Claimed = Claimed::Run {
    epoch: 2,
    attempt: 2,
};

fn done(result: &'static [u8]) -> Claimed {
    Claimed::Done {
        result: Bytes::from_static(result),
    }
}

pub(crate) async fn the_first_claim_runs_and_the_result_is_repeated(
    fixture: &Fixture,
) -> Result<()> {
    let (ledger, org) = (open(fixture).await?, org());
    for (number, class) in CLASSES.into_iter().enumerate() {
        let id = id(&format!("effect-{number}"))?;
        let claim = |now| claim(org, id.clone(), class, now);
        ensure!(ledger.claim(claim(at(0))).await? == FIRST);
        let stored = ledger
            .complete(org, &id, 1, Bytes::from_static(b"42"), at(1))
            .await?;
        ensure!(stored == Completion::Stored);
        ensure!(ledger.claim(claim(at(2))).await? == done(b"42"));
        ensure!(
            ledger.claim(claim(at(900))).await? == done(b"42"),
            "also long after the lease"
        );
        let again = ledger
            .complete(org, &id, 1, Bytes::from_static(b"43"), at(3))
            .await?;
        let first = Some(Bytes::from_static(b"42"));
        ensure!(
            again == Completion::Superseded { result: first },
            "the first result counts"
        );
    }
    Ok(())
}

pub(crate) async fn while_somebody_is_at_it_others_hear_busy(fixture: &Fixture) -> Result<()> {
    let (ledger, org) = (open(fixture).await?, org());
    for (number, class) in CLASSES.into_iter().enumerate() {
        let id = id(&format!("effect-{number}"))?;
        ensure!(ledger.claim(claim(org, id.clone(), class, at(0))).await? == FIRST);
        let busy = ledger.claim(claim(org, id.clone(), class, at(29))).await?;
        ensure!(busy == Claimed::Busy { until: at(30) }, "{busy:?}");
    }
    Ok(())
}

pub(crate) async fn a_lease_that_ends_runs_again_unless_at_most_once(
    fixture: &Fixture,
) -> Result<()> {
    let (ledger, org) = (open(fixture).await?, org());
    for (number, class) in CLASSES.into_iter().enumerate() {
        let id = id(&format!("effect-{number}"))?;
        ensure!(ledger.claim(claim(org, id.clone(), class, at(0))).await? == FIRST);
        let second = ledger.claim(claim(org, id.clone(), class, at(30))).await?;
        let third = ledger
            .claim(claim(org, id.clone(), EffectClass::ReadOnly, at(90)))
            .await?;
        if class == EffectClass::AtMostOnce {
            ensure!(second == Claimed::Unknown, "{second:?}");
            ensure!(
                third == Claimed::Unknown,
                "the class of the first claim counts"
            );
        } else {
            ensure!(second == SECOND, "{second:?}");
            ensure!(
                third
                    == Claimed::Run {
                        epoch: 3,
                        attempt: 3
                    },
                "{third:?}"
            );
        }
    }
    Ok(())
}

pub(crate) async fn a_heartbeat_keeps_a_claim(fixture: &Fixture) -> Result<()> {
    let (ledger, org, id) = (open(fixture).await?, org(), id("long")?);
    let claim = |now| claim(org, id.clone(), EffectClass::Inference, now);
    ensure!(ledger.claim(claim(at(0))).await? == FIRST);
    ensure!(ledger.heartbeat(org, &id, 1, at(20), LEASE).await?);
    ensure!(ledger.claim(claim(at(40))).await? == Claimed::Busy { until: at(50) });
    ensure!(ledger.claim(claim(at(50))).await? == SECOND);
    ensure!(
        !ledger.heartbeat(org, &id, 1, at(51), LEASE).await?,
        "lost, and told it holds"
    );
    ensure!(ledger.heartbeat(org, &id, 2, at(51), LEASE).await?);
    ledger.complete(org, &id, 2, Bytes::new(), at(52)).await?;
    ensure!(
        !ledger.heartbeat(org, &id, 2, at(53), LEASE).await?,
        "done, and told it holds"
    );
    Ok(())
}

pub(crate) async fn a_stale_worker_cannot_store(fixture: &Fixture) -> Result<()> {
    let (ledger, org, id) = (open(fixture).await?, org(), id("fenced")?);
    let claim = |now| claim(org, id.clone(), EffectClass::Idempotent, now);
    ensure!(ledger.claim(claim(at(0))).await? == FIRST);
    ensure!(ledger.claim(claim(at(31))).await? == SECOND);
    let stale = ledger
        .complete(org, &id, 1, Bytes::from_static(b"old"), at(32))
        .await?;
    ensure!(stale == Completion::Superseded { result: None });
    ensure!(
        !ledger.release(org, &id, 1).await?,
        "gave back what is another's"
    );
    let stored = ledger
        .complete(org, &id, 2, Bytes::from_static(b"new"), at(33))
        .await?;
    ensure!(stored == Completion::Stored);
    let stale = ledger
        .complete(org, &id, 1, Bytes::from_static(b"old"), at(34))
        .await?;
    let new = Some(Bytes::from_static(b"new"));
    ensure!(stale == Completion::Superseded { result: new });
    ensure!(ledger.claim(claim(at(35))).await? == done(b"new"));

    // Only slow, with no successor: its result counts, though its lease is over.
    let slow = super::ledger::id("slow")?;
    let claim = |now| super::ledger::claim(org, slow.clone(), EffectClass::AtMostOnce, now);
    ensure!(ledger.claim(claim(at(0))).await? == FIRST);
    ensure!(ledger.claim(claim(at(31))).await? == Claimed::Unknown);
    let late = ledger
        .complete(org, &slow, 1, Bytes::from_static(b"late"), at(40))
        .await?;
    ensure!(late == Completion::Stored);
    ensure!(ledger.claim(claim(at(41))).await? == done(b"late"));
    Ok(())
}

pub(crate) async fn a_released_claim_runs_again_at_once(fixture: &Fixture) -> Result<()> {
    let (ledger, org) = (open(fixture).await?, org());
    for (number, class) in CLASSES.into_iter().enumerate() {
        let id = id(&format!("effect-{number}"))?;
        ensure!(ledger.claim(claim(org, id.clone(), class, at(0))).await? == FIRST);
        ensure!(ledger.release(org, &id, 1).await?);
        let late = ledger.complete(org, &id, 1, Bytes::new(), at(1)).await?;
        ensure!(
            late == Completion::Superseded { result: None },
            "stored after it gave up"
        );
        let next = ledger.claim(claim(org, id.clone(), class, at(1))).await?;
        ensure!(next == SECOND, "{class:?} {next:?}");
    }
    Ok(())
}

pub(crate) async fn organisations_do_not_share_effects(fixture: &Fixture) -> Result<()> {
    let (ledger, ours, theirs, id) = (open(fixture).await?, org(), org(), id("same")?);
    for org in [ours, theirs] {
        let claim = claim(org, id.clone(), EffectClass::AtMostOnce, at(0));
        ensure!(ledger.claim(claim).await? == FIRST);
    }
    ledger
        .complete(ours, &id, 1, Bytes::from_static(b"ours"), at(1))
        .await?;
    let claim = claim(theirs, id.clone(), EffectClass::AtMostOnce, at(1));
    ensure!(matches!(ledger.claim(claim).await?, Claimed::Busy { .. }));
    Ok(())
}

pub(crate) async fn pruning_forgets_what_is_over(fixture: &Fixture) -> Result<()> {
    let (ledger, org) = (open(fixture).await?, org());
    // More than one transaction's worth, with moments of their own.
    let mut claims = JoinSet::new();
    for number in 0..2500 {
        let (ledger, id) = (ledger.clone(), id(&format!("effect-{number}"))?);
        let expires_at = at(100).plus_millis(number);
        claims.spawn(async move {
            let claim = Claim {
                expires_at,
                ..claim(org, id, EffectClass::ReadOnly, at(0))
            };
            ledger.claim(claim).await
        });
    }
    while let Some(claimed) = claims.join_next().await {
        ensure!(claimed?? == FIRST);
    }
    let live = id("effect-0")?;
    ensure!(ledger.heartbeat(org, &live, 1, at(95), LEASE).await?);
    ensure!(ledger.prune(at(99)).await? == 0);
    ensure!(
        ledger.prune(at(110)).await? == 2499,
        "all but the one somebody works on"
    );
    ensure!(ledger.prune(at(130)).await? == 1);
    ensure!(
        ledger
            .claim(claim(org, live, EffectClass::ReadOnly, at(131)))
            .await?
            == FIRST
    );
    Ok(())
}

/// One of them gets the claim, on one ledger and on two that know nothing of each other.
async fn runs_of_one_effect(ledgers: &[Ledger], org: OrgId, id: &MessageId) -> Result<usize> {
    let mut claims = JoinSet::new();
    for ledger in ledgers.iter().cycle().take(100) {
        let ledger = ledger.clone();
        let claim = claim(org, id.clone(), EffectClass::Inference, at(0));
        claims.spawn(async move { ledger.claim(claim).await });
    }
    let mut runs = 0;
    while let Some(claimed) = claims.join_next().await {
        match claimed?? {
            Claimed::Run {
                epoch: 1,
                attempt: 1,
            } => runs += 1,
            Claimed::Busy { until } => ensure!(until == at(30)),
            other => anyhow::bail!("{other:?}"),
        }
    }
    Ok(runs)
}

pub(crate) async fn a_hundred_claims_of_one_effect_run_once(fixture: &Fixture) -> Result<()> {
    let (ledger, org) = (open(fixture).await?, org());
    ensure!(runs_of_one_effect(&[ledger], org, &id("one")?).await? == 1);
    Ok(())
}

pub(crate) async fn two_replicas_never_both_run(fixture: &Fixture) -> Result<()> {
    let (one, two, org) = (open(fixture).await?, open(fixture).await?, org());
    for number in 0..20 {
        let id = id(&format!("effect-{number}"))?;
        ensure!(runs_of_one_effect(&[one.clone(), two.clone()], org, &id).await? == 1);
        // And of two who find the lease over, one succeeds.
        let late = || claim(org, id.clone(), EffectClass::Inference, at(60));
        let (a, b) = tokio::join!(one.claim(late()), two.claim(late()));
        let runs = [a?, b?]
            .iter()
            .filter(|claimed| **claimed == SECOND)
            .count();
        ensure!(runs == 1, "{runs} ran");
    }
    Ok(())
}

pub(crate) async fn a_caller_that_went_away_leaves_no_claim(fixture: &Fixture) -> Result<()> {
    let (ledger, org) = (open(fixture).await?, org());
    for number in 0..50 {
        let id = id(&format!("effect-{number}"))?;
        let claim = || claim(org, id.clone(), EffectClass::AtMostOnce, at(0));
        let patience = Duration::from_micros(20 * number);
        let heard = tokio::time::timeout(patience, ledger.claim(claim())).await;
        let Err(_gone) = heard else { continue };
        nexus_testkit::wait_until(
            Duration::from_secs(20),
            "the claim to be free",
            async || Ok(matches!(ledger.claim(claim()).await?, Claimed::Run { .. })),
        )
        .await?;
    }
    Ok(())
}

pub(crate) async fn a_result_too_large_is_refused_alone(fixture: &Fixture) -> Result<()> {
    let (ledger, org) = (open(fixture).await?, org());
    let (large, larger) = (id("large")?, id("larger")?);
    for id in [&large, &larger] {
        ensure!(
            ledger
                .claim(claim(org, id.clone(), EffectClass::ReadOnly, at(0)))
                .await?
                == FIRST
        );
    }
    let bytes = |more: usize| Bytes::from(vec![7; MAX_RESULT_BYTES + more]);
    let (refused, stored) = tokio::join!(
        ledger.complete(org, &larger, 1, bytes(1), at(1)),
        ledger.complete(org, &large, 1, bytes(0), at(1)),
    );
    ensure!(matches!(refused, Err(StoreError::TooLarge { .. })) && stored? == Completion::Stored);
    let done = ledger
        .claim(claim(org, large, EffectClass::ReadOnly, at(2)))
        .await?;
    ensure!(done == Claimed::Done { result: bytes(0) });
    Ok(())
}
