//! What is kept for a while beside effects.

use anyhow::{Result, ensure};
use bytes::Bytes;
use nexus_contracts::{MessageId, OrgId};
use nexus_store::ledger::{MAX_RESULT_BYTES, Memory, Recalled};
use nexus_store::{Claimed, Completion, EffectClass, StoreError};
use tokio::task::JoinSet;

use crate::fixture::{Fixture, org};
use crate::ledger::{at, claim, id, open};

/// Something to keep from this second on, for 100.
fn memory(org: OrgId, id: &MessageId, what: &'static str, since: i64) -> Memory {
    Memory {
        org,
        id: id.clone(),
        about: None,
        bytes: Bytes::from_static(what.as_bytes()),
        now: at(since),
        expires_at: at(since + 100),
    }
}

fn about(what: &str, memory: Memory) -> Memory {
    Memory {
        about: Some(what.to_owned()),
        ..memory
    }
}

fn kept(what: &'static str, since: i64) -> Recalled {
    Recalled {
        since: at(since),
        bytes: Bytes::from_static(what.as_bytes()),
    }
}

pub(crate) async fn what_is_kept_is_found_until_its_time_is_over(fixture: &Fixture) -> Result<()> {
    let (org, id) = (org(), id("kept")?);
    let ledger = open(fixture).await?;
    ensure!(
        ledger.recall(org, &id, at(0)).await?.is_none(),
        "nothing is"
    );
    ensure!(ledger.remember(memory(org, &id, "42", 1)).await?);
    ensure!(ledger.recall(org, &id, at(100)).await? == Some(kept("42", 1)));
    ensure!(
        ledger.recall(org, &id, at(101)).await?.is_none(),
        "it is over"
    );
    // Also for whoever opens it later.
    let again = open(fixture).await?;
    ensure!(again.recall(org, &id, at(2)).await? == Some(kept("42", 1)));
    again.prune(at(101)).await?;
    ensure!(
        again.recall(org, &id, at(2)).await?.is_none(),
        "it is forgotten"
    );
    Ok(())
}

pub(crate) async fn what_is_over_makes_room_and_nothing_else_does(fixture: &Fixture) -> Result<()> {
    let (ledger, org, id) = (open(fixture).await?, org(), id("kept")?);
    ensure!(ledger.remember(memory(org, &id, "first", 0)).await?);
    ensure!(!ledger.remember(memory(org, &id, "second", 99)).await?);
    ensure!(ledger.recall(org, &id, at(99)).await? == Some(kept("first", 0)));
    for (what, since) in [("third", 100), ("fourth", 200), ("fifth", 1000)] {
        ensure!(ledger.remember(memory(org, &id, what, since)).await?);
        ensure!(ledger.recall(org, &id, at(since + 50)).await? == Some(kept(what, since)));
    }
    Ok(())
}

pub(crate) async fn an_effect_is_nobodys_memory(fixture: &Fixture) -> Result<()> {
    let (ledger, org, id) = (open(fixture).await?, org(), id("effect")?);
    let claimed = ledger.claim(claim(org, id.clone(), EffectClass::AtMostOnce, at(0)));
    ensure!(matches!(claimed.await?, Claimed::Run { epoch: 1, .. }));
    // Also when its time is over: whoever carries it out may still store its result.
    for since in [1, 5000] {
        ensure!(!ledger.remember(memory(org, &id, "no", since)).await?);
        ensure!(ledger.recall(org, &id, at(since)).await?.is_none());
    }
    let result = Bytes::from_static(b"42");
    let stored = ledger.complete(org, &id, 1, result.clone(), at(2)).await?;
    ensure!(stored == Completion::Stored);
    ensure!(!ledger.remember(memory(org, &id, "no", 3)).await?);
    let again = ledger.claim(claim(org, id, EffectClass::AtMostOnce, at(4)));
    ensure!(again.await? == Claimed::Done { result });
    Ok(())
}

pub(crate) async fn organisations_do_not_share_memories(fixture: &Fixture) -> Result<()> {
    let (ledger, ours, theirs, id) = (open(fixture).await?, org(), org(), id("same")?);
    ensure!(ledger.remember(memory(ours, &id, "ours", 0)).await?);
    ensure!(ledger.recall(theirs, &id, at(1)).await?.is_none());
    ensure!(ledger.remember(memory(theirs, &id, "theirs", 0)).await?);
    ensure!(ledger.recall(ours, &id, at(1)).await? == Some(kept("ours", 0)));
    ensure!(ledger.recall(theirs, &id, at(1)).await? == Some(kept("theirs", 0)));
    Ok(())
}

pub(crate) async fn it_goes_with_what_it_is_about(fixture: &Fixture) -> Result<()> {
    let (ledger, ours, theirs, id) = (open(fixture).await?, org(), org(), id("kept")?);
    for org in [ours, theirs] {
        let memory = about("conversation-1", memory(org, &id, "a secret", 0));
        ensure!(ledger.remember(memory).await?);
    }
    ensure!(ledger.erase(ours, "conversation-1").await? == 1);
    ensure!(
        ledger.recall(ours, &id, at(1)).await?.is_none(),
        "it is gone"
    );
    ensure!(ledger.recall(theirs, &id, at(1)).await? == Some(kept("a secret", 0)));
    let late = about("conversation-1", memory(ours, &id, "a secret", 2));
    ensure!(!ledger.remember(late).await?, "what it is about is gone");
    ensure!(ledger.recall(ours, &id, at(3)).await?.is_none());
    // Somebody else may say the same.
    let other = about("conversation-2", memory(ours, &id, "no secret", 4));
    ensure!(ledger.remember(other).await?);
    ensure!(ledger.recall(ours, &id, at(5)).await? == Some(kept("no secret", 4)));
    ensure!(
        ledger.erase(ours, "conversation-2").await? == 1,
        "it is found again"
    );
    ensure!(ledger.recall(ours, &id, at(6)).await?.is_none());
    Ok(())
}

pub(crate) async fn of_many_at_once_one_is_kept(fixture: &Fixture) -> Result<()> {
    let (org, id) = (org(), id("many")?);
    let replicas = [open(fixture).await?, open(fixture).await?];
    ensure!(replicas[0].remember(memory(org, &id, "old", 0)).await?);
    let mut all = JoinSet::new();
    for number in 0..50 {
        for ledger in &replicas {
            let (ledger, memory) = (ledger.clone(), memory(org, &id, "new", 200 + number));
            all.spawn(async move { Ok::<_, StoreError>((number, ledger.remember(memory).await?)) });
        }
    }
    let mut numbers = Vec::new();
    while let Some(remembered) = all.join_next().await {
        let (number, remembered) = remembered??;
        numbers.extend(remembered.then_some(number));
    }
    let [number] = numbers.as_slice() else {
        anyhow::bail!("kept {numbers:?}");
    };
    ensure!(replicas[1].recall(org, &id, at(250)).await? == Some(kept("new", 200 + number)));
    Ok(())
}

pub(crate) async fn what_is_too_large_is_refused(fixture: &Fixture) -> Result<()> {
    let (ledger, org, id) = (open(fixture).await?, org(), id("large")?);
    let large = |bytes: usize| Memory {
        bytes: Bytes::from(vec![7; bytes]),
        ..memory(org, &id, "", 0)
    };
    let refused = ledger.remember(large(MAX_RESULT_BYTES + 1)).await;
    ensure!(matches!(refused, Err(StoreError::TooLarge { .. })));
    ensure!(ledger.remember(large(MAX_RESULT_BYTES)).await?);
    Ok(())
}
