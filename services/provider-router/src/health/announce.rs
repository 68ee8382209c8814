//! Telling others how providers fare: the table `providers.health`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use nexus_bus::{BusError, Expect};
use nexus_contracts::{Timestamp, tables};
use nexus_service_kit::{Deps, put_table};

use super::{Health, ProviderHealth};
use crate::limits::shared::SharedLimits;
use crate::reload::Current;

/// How often it is told, where anything changed.
const EVERY: Duration = Duration::from_secs(2);

/// How often it is told where nothing changed: readers judge a value by its time.
const AT_LEAST: i64 = 20_000;

/// A value this old is of a router that is gone; whoever starts next removes it.
const GONE_AFTER_MS: i64 = 60 * 60 * 1000;

/// Tells how providers fare until the node stops, then takes back what it told.
pub async fn keep(deps: Deps, health: Arc<Health>, limits: Arc<SharedLimits>, providers: Current) {
    let worker = deps.clock.new_id();
    let mut told: HashMap<String, ProviderHealth> = HashMap::new();
    forget_the_gone(&deps).await;
    loop {
        let pause = tokio::time::sleep(EVERY);
        if deps.shutdown.run_until_cancelled(pause).await.is_none() {
            break;
        }
        let registry = providers.get();
        health.keep(&registry);
        for (provider, models) in health.all() {
            let mut value = ProviderHealth {
                provider: provider.clone(),
                at: deps.clock.now(),
                models,
                limits: Vec::new(),
            };
            if let Some(configured) = registry.provider(&provider) {
                let used = limits.used(&provider, &configured.limits).await;
                value.limits = used
                    .into_iter()
                    .map(|(what, used)| (what.to_owned(), used))
                    .collect();
            }
            if told
                .get(&provider)
                .is_some_and(|before| !is_news(before, &value))
            {
                continue;
            }
            let key = format!("{worker}.{provider}");
            match put_table(&deps.bus, tables::PROVIDERS_HEALTH, &key, &value).await {
                Ok(()) => drop(told.insert(provider, value)),
                Err(error) => tracing::debug!(%error, "how providers fare could not be told"),
            }
        }
    }
    for provider in told.keys() {
        let key = format!("{worker}.{provider}");
        let deleted = deps
            .bus
            .table_delete(tables::PROVIDERS_HEALTH, &key, Expect::Any);
        // Where this fails the value stays, and readers judge it by its time.
        drop(deleted.await);
    }
}

/// Whether a reader would see a difference, or wonder whether anybody is there.
fn is_news(before: &ProviderHealth, now: &ProviderHealth) -> bool {
    let old = now.at.as_millis() - before.at.as_millis() >= AT_LEAST;
    old || before.models != now.models || before.limits != now.limits
}

async fn forget_the_gone(deps: &Deps) {
    if let Err(error) = forget(deps, deps.clock.now()).await {
        tracing::debug!(%error, "what routers that are gone told could not be removed");
    }
}

async fn forget(deps: &Deps, now: Timestamp) -> Result<(), BusError> {
    for entry in deps.bus.table_list(tables::PROVIDERS_HEALTH).await? {
        let at = serde_json::from_slice::<ProviderHealth>(&entry.value).map(|value| value.at);
        if at.is_ok_and(|at| now.as_millis() - at.as_millis() > GONE_AFTER_MS) {
            let expect = Expect::Version(entry.version);
            deps.bus
                .table_delete(tables::PROVIDERS_HEALTH, &entry.key, expect)
                .await?;
        }
    }
    Ok(())
}
