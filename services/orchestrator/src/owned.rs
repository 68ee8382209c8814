//! The tables this service owns: what the operator wrote is put there, again whenever it is missing.

use std::collections::BTreeMap;

use nexus_bus::{BusError, Expect};
use nexus_contracts::principal::Principal;
use nexus_contracts::settings::Settings;
use nexus_contracts::{OrgId, tables};
use nexus_service_kit::{Deps, TableView, put_table};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What the tables must hold, and what they hold.
pub struct Owned {
    /// `control.principals`.
    pub principals: (BTreeMap<String, Principal>, TableView<Principal>),
    /// `control.settings`.
    pub settings: (BTreeMap<String, Settings>, TableView<Settings>),
}

impl Owned {
    /// How many days the history of an organisation's conversations is kept; for ever when absent.
    #[must_use]
    pub fn history_days(&self, org: OrgId) -> Option<u32> {
        let (written, view) = &self.settings;
        let days = |key: &str| {
            let layer = view.get(key).or_else(|| written.get(key).cloned());
            layer.and_then(|layer| layer.history_days)
        };
        days(&format!("org:{org}")).or_else(|| days("global"))
    }

    /// Puts what is missing or differs; deletes what nobody wrote.
    pub async fn put(&self, deps: &Deps) {
        put(deps, tables::PRINCIPALS, &self.principals).await;
        put(deps, tables::SETTINGS, &self.settings).await;
    }
}

async fn put<T>(
    deps: &Deps,
    table: &'static str,
    (written, _): &(BTreeMap<String, T>, TableView<T>),
) where
    T: Serialize + DeserializeOwned + Clone + PartialEq + Send + Sync + 'static,
{
    // Asked, not remembered: a view keeps its copy when the bus loses the table, and whoever starts
    // after that would never get one.
    let there = match deps.bus.table_list(table).await {
        Ok(there) => there,
        Err(error) => return say(table, "*", Some(error)),
    };
    let holds = |key: &str, value: &T| {
        let entry = there.iter().find(|entry| entry.key == key);
        entry.is_some_and(|entry| {
            serde_json::from_slice(&entry.value).is_ok_and(|is: T| is == *value)
        })
    };
    for (key, value) in written.iter().filter(|(key, value)| !holds(key, value)) {
        let put = put_table(&deps.bus, table, key, value).await;
        say(table, key, put.err());
    }
    for entry in there
        .iter()
        .filter(|entry| !written.contains_key(&entry.key))
    {
        let deleted = deps.bus.table_delete(table, &entry.key, Expect::Any).await;
        say(table, &entry.key, deleted.err());
    }
}

/// What did not work is tried again with the next sweep.
fn say(table: &'static str, key: &str, error: Option<BusError>) {
    if let Some(error) = error {
        tracing::debug!(%error, table, key, "a table is not yet as it must be");
    }
}
