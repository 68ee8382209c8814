//! Telling others how tools fare: the table `tools.health`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use nexus_bus::{BusError, Expect};
use nexus_contracts::{Timestamp, tables};
use nexus_service_kit::{Deps, put_table};

use super::{Health, ToolHealth};

/// How often it is told, where anything changed.
const EVERY: Duration = Duration::from_secs(2);

/// How often it is told where nothing changed: readers judge a value by its time.
const AT_LEAST: i64 = 20_000;

/// A value this old is of an executor that is gone; whoever starts next removes it.
const GONE_AFTER_MS: i64 = 60 * 60 * 1000;

/// Tells how tools fare until the node stops, then takes back what it told.
pub(crate) async fn keep(deps: Deps, health: Arc<Health>) {
    let worker = deps.clock.new_id();
    let mut told: HashMap<String, ToolHealth> = HashMap::new();
    if let Err(error) = forget_the_gone(&deps, deps.clock.now()).await {
        tracing::debug!(%error, "what executors that are gone told could not be removed");
    }
    loop {
        let pause = tokio::time::sleep(EVERY);
        if deps.shutdown.run_until_cancelled(pause).await.is_none() {
            break;
        }
        for value in health.all(deps.clock.now()) {
            let before = told.get(&value.tool);
            if before.is_some_and(|before| !is_news(before, &value)) {
                continue;
            }
            let key = format!("{worker}.{}", value.tool);
            match put_table(&deps.bus, tables::TOOLS_HEALTH, &key, &value).await {
                Ok(()) => drop(told.insert(value.tool.clone(), value)),
                Err(error) => tracing::debug!(%error, "how tools fare could not be told"),
            }
        }
    }
    for tool in told.keys() {
        let key = format!("{worker}.{tool}");
        let deleted = deps
            .bus
            .table_delete(tables::TOOLS_HEALTH, &key, Expect::Any);
        // Where this fails the value stays, and readers judge it by its time.
        drop(deleted.await);
    }
}

/// Whether a reader would see a difference, or wonder whether anybody is there.
fn is_news(before: &ToolHealth, now: &ToolHealth) -> bool {
    let old = now.at.as_millis() - before.at.as_millis() >= AT_LEAST;
    let seen = |health: &ToolHealth| (health.breaker, health.good, health.bad);
    old || seen(before) != seen(now) || before.last_failure != now.last_failure
}

async fn forget_the_gone(deps: &Deps, now: Timestamp) -> Result<(), BusError> {
    for entry in deps.bus.table_list(tables::TOOLS_HEALTH).await? {
        let at = serde_json::from_slice::<ToolHealth>(&entry.value).map(|value| value.at);
        if at.is_ok_and(|at| now.as_millis() - at.as_millis() > GONE_AFTER_MS) {
            let expect = Expect::Version(entry.version);
            deps.bus
                .table_delete(tables::TOOLS_HEALTH, &entry.key, expect)
                .await?;
        }
    }
    Ok(())
}
