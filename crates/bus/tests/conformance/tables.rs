//! Tables: the latest value of each key, with compare-and-set.

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use futures::future::try_join_all;
use nexus_bus::{Bus, Expect, PutOutcome, TableVersion, Versioned};
use nexus_testkit::wait_until;

use crate::harness::Harness;
use crate::member::PATIENCE;

pub(crate) const TABLE: &str = "control.tools";

/// Puts a value that must be accepted.
pub(crate) async fn put(bus: &Bus, key: &str, value: &str, expect: Expect) -> Result<TableVersion> {
    match bus
        .table_put(TABLE, key, Bytes::from(value.to_owned()), expect)
        .await?
    {
        PutOutcome::Stored(version) => Ok(version),
        PutOutcome::Conflict(found) => bail!("{key} = {value} refused: {found:?} is there"),
    }
}

/// Puts a value that must be refused; returns what is there.
async fn refused(bus: &Bus, key: &str, expect: Expect) -> Result<Option<Versioned>> {
    match bus.table_put(TABLE, key, "no".into(), expect).await? {
        PutOutcome::Stored(version) => bail!("{key} was written: {version:?}"),
        PutOutcome::Conflict(found) => Ok(found),
    }
}

/// The latest value of each key; versions grow.
pub(crate) async fn put_and_get(harness: &mut Harness) -> Result<()> {
    let bus = harness.bus().await?;
    ensure!(
        bus.table_get(TABLE, "a").await?.is_none(),
        "no table, no value"
    );
    ensure!(
        bus.table_list(TABLE).await?.is_empty(),
        "no table, no values"
    );
    let first = put(&bus, "a", "1", Expect::Any).await?;
    let second = put(&bus, "b", "2", Expect::Any).await?;
    let third = put(&bus, "a", "3", Expect::Any).await?;
    ensure!(
        first.n < second.n && second.n < third.n,
        "{first:?} {second:?} {third:?}"
    );
    ensure!(first.incarnation == third.incarnation, "one table");
    let a = bus.table_get(TABLE, "a").await?.context("a")?;
    ensure!(a.value == "3" && a.version == third, "{a:?}");
    let mut all = bus.table_list(TABLE).await?;
    all.sort_by(|one, other| one.key.cmp(&other.key));
    let shown: Vec<_> = all
        .iter()
        .map(|value| (value.key.as_str(), &value.value[..]))
        .collect();
    ensure!(shown == [("a", &b"3"[..]), ("b", &b"2"[..])], "{shown:?}");
    ensure!(
        bus.table_get("control.other", "a").await?.is_none(),
        "tables are apart"
    );
    Ok(())
}

/// A write happens only if what its writer knows still holds; else it learns what is there.
pub(crate) async fn compare_and_set(harness: &mut Harness) -> Result<()> {
    let bus = harness.bus().await?;
    let first = put(&bus, "a", "1", Expect::Absent).await?;
    let found = refused(&bus, "a", Expect::Absent).await?;
    ensure!(found.is_some_and(|found| found.version == first), "absent");
    let second = put(&bus, "a", "2", Expect::Version(first.clone())).await?;
    let found = refused(&bus, "a", Expect::Version(first.clone())).await?;
    ensure!(
        found.is_some_and(|found| found.value == "2" && found.version == second),
        "version"
    );
    ensure!(
        refused(&bus, "b", Expect::Version(first.clone()))
            .await?
            .is_none(),
        "no value"
    );
    let foreign = TableVersion {
        incarnation: "another".to_owned(),
        n: second.n,
    };
    ensure!(
        refused(&bus, "a", Expect::Version(foreign))
            .await?
            .is_some(),
        "another incarnation"
    );
    let stale = bus.table_delete(TABLE, "a", Expect::Version(first)).await?;
    ensure!(matches!(stale, PutOutcome::Conflict(Some(_))), "{stale:?}");
    let deleted = bus
        .table_delete(TABLE, "a", Expect::Version(second.clone()))
        .await?;
    ensure!(
        matches!(&deleted, PutOutcome::Stored(version) if version.n > second.n),
        "{deleted:?}"
    );
    ensure!(bus.table_get(TABLE, "a").await?.is_none(), "deleted");
    let last = put(&bus, "a", "3", Expect::Absent).await?;
    ensure!(last.n > second.n, "versions do not begin again");
    Ok(())
}

/// Of many writers that know the same, one writes.
pub(crate) async fn one_of_many_wins(harness: &mut Harness) -> Result<()> {
    let bus = harness.bus().await?;
    let mut version = put(&bus, "a", "0", Expect::Any).await?;
    for round in 0..5 {
        let writers = (0..8).map(|writer| {
            let value = Bytes::from(format!("{round}/{writer}"));
            bus.table_put(TABLE, "a", value, Expect::Version(version.clone()))
        });
        let outcomes = try_join_all(writers).await?;
        let mut won = outcomes.into_iter().filter_map(|outcome| match outcome {
            PutOutcome::Stored(version) => Some(version),
            PutOutcome::Conflict(_) => None,
        });
        version = won.next().context("one must win")?;
        ensure!(won.next().is_none(), "only one may win");
        let there = bus.table_get(TABLE, "a").await?.context("a value")?;
        ensure!(there.version == version, "the winner's value is there");
    }
    Ok(())
}

/// A key is any text, a value any bytes.
pub(crate) async fn any_key(harness: &mut Harness) -> Result<()> {
    let bus = harness.bus().await?;
    let keys = [
        "run:0193/step 1",
        "a.b",
        "*",
        ">",
        "ключ 🔑",
        "key\u{0}nul",
        "_-=",
        ".lead",
        "tail.",
    ];
    for key in keys {
        let value = Bytes::from(format!("\0\u{ff}{key}"));
        bus.table_put(TABLE, key, value.clone(), Expect::Absent)
            .await?;
        let found = bus.table_get(TABLE, key).await?;
        ensure!(
            found.is_some_and(|found| found.key == key && found.value == value),
            "{key:?}"
        );
    }
    let mut listed: Vec<String> = bus
        .table_list(TABLE)
        .await?
        .into_iter()
        .map(|value| value.key)
        .collect();
    listed.sort_unstable();
    let mut expected = keys.to_vec();
    expected.sort_unstable();
    ensure!(listed == expected, "{listed:?}");
    Ok(())
}

/// Values and versions are there after a restart.
pub(crate) async fn table_survives_a_restart(harness: &mut Harness) -> Result<()> {
    let bus = harness.bus().await?;
    let version = put(&bus, "a", "1", Expect::Any).await?;
    harness.restart().await?;
    let bus = harness.bus().await?;
    wait_until(PATIENCE, "the bus to answer", async || {
        Ok(bus.ping().await.is_ok())
    })
    .await?;
    let found = bus.table_get(TABLE, "a").await?.context("a value")?;
    ensure!(found.value == "1" && found.version == version, "{found:?}");
    let next = put(&bus, "a", "2", Expect::Version(version.clone())).await?;
    ensure!(
        next.n > version.n && next.incarnation == version.incarnation,
        "{next:?}"
    );
    Ok(())
}
