//! A worker that is killed between its claim and its result.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use nexus_contracts::{MessageId, OrgId};
use nexus_store::{Claimed, Completion, EffectClass, Ledger, Store};
use nexus_testkit::Spawn;

use crate::fixture::{Fixture, SERVICE, config};
use crate::ledger::{CLASSES, at, claim, id, open};

const SOON: Duration = Duration::from_secs(30);
const ADDRESS: &str = "NEXUS_STORE_CRASH_ADDRESS";
const OWNER: &str = "NEXUS_STORE_CRASH_OWNER";
const ORG: &str = "NEXUS_STORE_CRASH_ORG";

fn effect(class: EffectClass, point: &str) -> Result<MessageId> {
    id(&format!("{class:?}-{point}"))
}

/// The worker's side. Not a test of its own: the test below runs this program again, with
/// variables set, to have a process that it can kill.
#[tokio::test]
async fn works_until_killed_when_asked() -> Result<()> {
    let Some(address) = std::env::var_os(ADDRESS) else {
        return Ok(());
    };
    let org: OrgId = std::env::var_os(ORG)
        .and_then(|org| org.into_string().ok())
        .context("an organisation")?
        .parse()?;
    let owner = std::env::var_os(OWNER);
    let owner = owner.as_ref().and_then(|owner| owner.to_str());
    let config = config(address.to_str().context("an address that is text")?, owner)?;
    let store = Store::open(&config, SERVICE, Ledger::MIGRATIONS).await?;
    let ledger = Ledger::new(store.clone());
    for class in CLASSES {
        for point in ["claimed", "completed"] {
            ledger
                .claim(claim(org, effect(class, point)?, class, at(0)))
                .await?;
        }
        let completed = effect(class, "completed")?;
        ledger
            .complete(org, &completed, 1, Bytes::from_static(b"42"), at(1))
            .await?;
    }
    // And one claim that was written but not committed when the end came.
    let uncommitted = store.begin(org).await?;
    let sql = "INSERT INTO effect (org_id, id, class, epoch, attempt, lease_until, expires_at) \
               VALUES ($1, 'uncommitted', 'at_most_once', 1, 1, 9000000000000, 9000000000000)";
    uncommitted
        .execute(sql, vec![org.to_string().into()])
        .await?;
    println!("everything is claimed");
    std::future::pending().await
}

pub(crate) async fn a_killed_worker_leaves_what_its_classes_promise(
    fixture: &Fixture,
) -> Result<()> {
    let org = crate::fixture::org();
    let mut worker = Spawn::new(std::env::current_exe()?)
        .args([
            "--exact",
            "crash::works_until_killed_when_asked",
            "--nocapture",
        ])
        .env(ADDRESS, &fixture.address)
        .env(ORG, org.to_string());
    if let Some(owner) = &fixture.owner {
        worker = worker.env(OWNER, owner);
    }
    let mut worker = worker.start()?;
    worker.wait_line(SOON, "everything is claimed").await?;
    worker.kill().await?;

    let ledger = open(fixture).await?;
    for class in CLASSES {
        let ask = |point, now| anyhow::Ok(claim(org, effect(class, point)?, class, at(now)));
        let done = ledger.claim(ask("completed", 100)?).await?;
        ensure!(
            done == Claimed::Done {
                result: Bytes::from_static(b"42")
            },
            "{done:?}"
        );

        let busy = ledger.claim(ask("claimed", 10)?).await?;
        ensure!(
            busy == Claimed::Busy { until: at(30) },
            "{class:?} {busy:?}"
        );
        let after = ledger.claim(ask("claimed", 100)?).await?;
        if class == EffectClass::AtMostOnce {
            ensure!(after == Claimed::Unknown, "{after:?}");
            continue;
        }
        ensure!(
            after
                == Claimed::Run {
                    epoch: 2,
                    attempt: 2
                },
            "{class:?} {after:?}"
        );
        let claimed = effect(class, "claimed")?;
        let zombie = ledger
            .complete(org, &claimed, 1, Bytes::from_static(b"z"), at(101))
            .await?;
        ensure!(zombie == Completion::Superseded { result: None });
    }
    // The dead worker's open transaction is gone with it. A server notices when it looks.
    let unseen = claim(org, id("uncommitted")?, EffectClass::AtMostOnce, at(10));
    ensure!(
        ledger.claim(unseen).await?
            == Claimed::Run {
                epoch: 1,
                attempt: 1
            }
    );
    Ok(())
}
