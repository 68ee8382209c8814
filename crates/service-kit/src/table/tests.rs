use std::collections::BTreeMap;

use nexus_bus::{BusError, Expect};

use super::{TableView, put_table};
use crate::Deps;
use crate::fake::FakeBus;

const TABLE: &str = "control.settings";

struct Desk {
    bus: FakeBus,
    deps: Deps,
    view: TableView<u32>,
    _folder: tempfile::TempDir,
}

async fn desk(values: &[(&str, u32)]) -> Desk {
    let (folder, bus) = (tempfile::tempdir().unwrap(), FakeBus::default());
    let deps = bus.deps(&folder);
    for (key, value) in values {
        put_table(&deps.bus, TABLE, key, value).await.unwrap();
    }
    let view = TableView::watch(&deps, TABLE).await;
    Desk {
        bus,
        deps,
        view,
        _folder: folder,
    }
}

impl Desk {
    async fn shows(&self, expected: &[(&str, u32)]) {
        let expected: BTreeMap<_, _> = expected
            .iter()
            .map(|(key, value)| ((*key).to_owned(), *value))
            .collect();
        let what = format!("{expected:?}");
        self.bus.until(&what, |_| self.view.all() == expected).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_view_starts_filled_and_follows() {
    let desk = desk(&[("a", 1), ("b", 2)]).await;
    assert_eq!(desk.view.get("a"), Some(1), "filled when `watch` returns");
    let mut changed = desk.view.changed();
    changed.mark_unchanged();
    put_table(&desk.deps.bus, TABLE, "a", &7).await.unwrap();
    desk.deps
        .bus
        .table_delete(TABLE, "b", Expect::Any)
        .await
        .unwrap();
    put_table(&desk.deps.bus, "control.others", "c", &1)
        .await
        .unwrap();
    desk.shows(&[("a", 7)]).await;
    assert!(changed.has_changed().unwrap() && !desk.view.contains("c"));
}

#[tokio::test(start_paused = true)]
async fn the_copy_outlives_the_bus_and_catches_up() {
    let desk = desk(&[("a", 1), ("b", 2)]).await;
    let reason = "unplugged".to_owned();
    {
        let mut state = desk.bus.state();
        state.down = Some(BusError::Unreachable {
            address: "fake".to_owned(),
            reason,
        });
        state.tables.cut();
    }
    put_table(&desk.deps.bus, TABLE, "a", &7).await.unwrap();
    desk.deps
        .bus
        .table_delete(TABLE, "b", Expect::Any)
        .await
        .unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(20)).await;
    assert_eq!(
        (desk.view.get("a"), desk.view.get("b")),
        (Some(1), Some(2)),
        "the last copy"
    );
    desk.bus.state().down = None;
    desk.shows(&[("a", 7)]).await;
}

#[tokio::test(start_paused = true)]
async fn a_bus_that_lost_everything_deletes_nothing_here() {
    let desk = desk(&[("a", 1), ("b", 2)]).await;
    {
        let mut state = desk.bus.state();
        state.tables.flush();
        state.tables.cut();
    }
    desk.bus.poke();
    tokio::time::sleep(std::time::Duration::from_secs(20)).await;
    assert_eq!(desk.view.all().len(), 2, "an empty bus is not a deletion");
    put_table(&desk.deps.bus, TABLE, "a", &9).await.unwrap();
    desk.shows(&[("a", 9), ("b", 2)]).await;
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_value_keeps_the_last_one() {
    let desk = desk(&[("a", 1)]).await;
    put_table(&desk.deps.bus, TABLE, "a", &"not a number")
        .await
        .unwrap();
    put_table(&desk.deps.bus, TABLE, "b", &2).await.unwrap();
    desk.shows(&[("a", 1), ("b", 2)]).await;
}

#[tokio::test(start_paused = true)]
async fn a_start_without_a_bus_goes_on_and_is_ready_later() {
    let (folder, bus) = (tempfile::tempdir().unwrap(), FakeBus::default());
    let deps = bus.deps(&folder);
    let reason = "unplugged".to_owned();
    bus.state().down = Some(BusError::Unreachable {
        address: "fake".to_owned(),
        reason,
    });
    let view: TableView<u32> = TableView::watch(&deps, TABLE).await;
    assert!(view.all().is_empty());
    put_table(&deps.bus, TABLE, "a", &1).await.unwrap();
    bus.state().down = None;
    tokio::time::timeout(std::time::Duration::from_secs(10), view.ready())
        .await
        .unwrap();
    assert_eq!(view.get("a"), Some(1));
}
