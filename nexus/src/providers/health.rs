//! How providers fare, as the running routers see it.

use nexus_bus::{Bus, BusError};
use nexus_contracts::{Timestamp, tables};
use nexus_provider_router::ProviderHealth;
use nexus_provider_router::health::ModelHealth;
use nexus_service_kit::breaker::State;
use serde_json::{Value, json};

use crate::style::millis;

/// A router that has told nothing for this long is not there any more.
const FRESH_MS: i64 = 60_000;

/// What all routers say.
pub(super) struct Fleet(Vec<ProviderHealth>);

impl Fleet {
    /// What they have said lately.
    ///
    /// # Errors
    /// When the bus cannot be read.
    pub(super) async fn read(bus: &Bus, now: Timestamp) -> Result<Self, BusError> {
        let rows = bus.table_list(tables::PROVIDERS_HEALTH).await?;
        let rows = rows.iter().filter_map(|row| {
            let health: ProviderHealth = serde_json::from_slice(&row.value).ok()?;
            (now.as_millis() - health.at.as_millis() < FRESH_MS).then_some(health)
        });
        Ok(Self(rows.collect()))
    }

    fn of<'a>(&'a self, provider: &'a str) -> impl Iterator<Item = &'a ProviderHealth> {
        self.0
            .iter()
            .filter(move |health| health.provider == provider)
    }

    /// In a word, what any router has against a provider.
    #[must_use]
    pub(super) fn worst(&self, provider: &str) -> Option<&'static str> {
        let models = self.of(provider).flat_map(|health| &health.models);
        let words = models.filter_map(|model| word(model.breaker));
        words.max_by_key(|(rank, _)| *rank).map(|(_, word)| word)
    }

    /// What there is to say of a provider: models in trouble, how quick it is, how much of its
    /// limits is in use.
    #[must_use]
    pub(super) fn lines(&self, provider: &str) -> Vec<String> {
        let mut lines = Vec::new();
        for health in self.of(provider) {
            lines.extend(health.models.iter().filter_map(trouble));
        }
        let models = || self.of(provider).flat_map(|health| &health.models);
        let quickest = models().filter_map(|model| model.latency_ms).min();
        let (good, bad) = models().fold((0, 0), |(good, bad), model| {
            (good + model.good, bad + model.bad)
        });
        let begins = quickest.map(|latency| {
            let latency = millis(i64::try_from(latency).unwrap_or(i64::MAX));
            format!("begins after {latency}")
        });
        let lately = (good + bad > 0).then(|| format!("lately {good} answered, {bad} failed"));
        let both: Vec<String> = begins.into_iter().chain(lately).collect();
        if !both.is_empty() {
            lines.push(both.join("; "));
        }
        if bad > 0 && lines.len() == 1 {
            let mut failures = models().filter_map(|model| model.last_failure.as_deref());
            lines.extend(
                failures
                    .next()
                    .map(|why| format!("the last failure: {why}")),
            );
        }
        // All replicas read the same meters: one of them is enough.
        let limits = self.of(provider).max_by_key(|health| health.at.as_millis());
        for (what, used) in limits.into_iter().flat_map(|health| &health.limits) {
            let percent = (used * 100.0).round();
            lines.push(format!(
                "{percent}% of what its limit of {what} lets through at once is in use"
            ));
        }
        lines
    }

    /// The same for programs.
    #[must_use]
    pub(super) fn as_json(&self, provider: &str) -> Value {
        self.of(provider).map(|health| json!(health)).collect()
    }
}

const fn word(state: State) -> Option<(u8, &'static str)> {
    match state {
        State::Closed => None,
        State::Resting => Some((1, "resting")),
        State::HalfOpen => Some((2, "probing")),
        State::Open => Some((3, "failing")),
    }
}

fn trouble(model: &ModelHealth) -> Option<String> {
    let (_, word) = word(model.breaker)?;
    let wait = model.for_ms.map_or_else(String::new, |wait| {
        let wait = millis(i64::try_from(wait).unwrap_or(i64::MAX));
        format!(", left alone for {wait}")
    });
    let why = model.last_failure.as_deref().unwrap_or("it asked for it");
    Some(format!("{} is {word}{wait}: {why}", model.model))
}
