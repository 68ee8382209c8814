//! How each model of each provider fares, as this replica has seen it.

pub mod announce;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use nexus_contracts::Timestamp;
use nexus_service_kit::breaker::{Admission, Breaker, BreakerPolicy, Millis, State};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use uuid::Uuid;

use crate::plan::{Candidate, Facts};
use crate::provider::{FailureClass, ProviderFailure};
use crate::registry::Registry;

/// How long a provider rests that said "too many" and not for how long.
const REST: Duration = Duration::from_millis(500);

/// For how long a provider is asked last that refused the key or has no budget left.
const SHUNNED: Duration = Duration::from_mins(1);

/// A new latency counts this much, the old ones the rest: about the last ten count.
const NEWEST: f64 = 0.2;

/// The state of all breakers, and how quick everybody is.
pub struct Health {
    began: Instant,
    models: Mutex<HashMap<Key, Seen>>,
}

/// A provider, what the file says of it, and its model. A provider that is mended is another one:
/// what the earlier one did is not held against it.
type Key = (Arc<str>, Uuid, Arc<str>);

/// Models that no file lists, together: people make names up.
const UNLISTED: &str = "other";

/// What has been seen of one model.
#[derive(Default)]
struct Seen {
    breaker: Breaker,
    policy: BreakerPolicy,
    /// How long it takes to begin, in milliseconds.
    latency: Option<f64>,
    last_failure: Option<ProviderFailure>,
    shunned_until: Millis,
}

/// One model as others may see it: part of a value of the table `providers.health`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelHealth {
    /// The model.
    pub model: String,
    /// What its breaker is doing.
    pub breaker: State,
    /// For how much longer, in milliseconds from `at`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_ms: Option<u64>,
    /// Calls that were answered lately.
    pub good: u32,
    /// Calls that failed on its side lately.
    pub bad: u32,
    /// How long it takes to begin an answer, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<u64>,
    /// What went wrong last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<String>,
}

/// A provider as one replica sees it: value of the table `providers.health`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProviderHealth {
    /// The provider.
    pub provider: String,
    /// When this was written.
    pub at: Timestamp,
    /// Its models that were asked.
    pub models: Vec<ModelHealth>,
    /// How much of each limit is in use by all replicas together: 1 is all of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<(String, f64)>,
}

/// Who keeps a call from being made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// A limit of ours: it passes for certain.
    Ours,
    /// The provider is in trouble, or wants to be left alone.
    Theirs,
}

/// Why a call is not made now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotNow {
    /// Who says so.
    pub whose: Whose,
    /// For how long.
    pub wait: Duration,
    /// What went wrong, or who is waited for.
    pub failure: ProviderFailure,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            models: Mutex::default(),
        }
    }
}

impl Health {
    /// Whether a model may be asked now.
    ///
    /// # Errors
    /// [`NotNow`], with what went wrong last.
    pub fn admit(&self, candidate: &Candidate) -> Result<(), NotNow> {
        let now = self.now();
        let policy = candidate.configured.breaker;
        let mut models = self.models.lock();
        let seen = models.entry(key(candidate)).or_default();
        seen.policy = policy;
        let until = match seen.breaker.admit(&policy, now) {
            Admission::Yes | Admission::Probe => return Ok(()),
            Admission::NotBefore(until) => until,
        };
        let wait = Duration::from_millis(until.saturating_sub(now));
        let (name, model) = (&candidate.configured.name, &candidate.model);
        let last = seen.last_failure.as_ref();
        let class = last.map_or(FailureClass::Unavailable, |last| last.class);
        let why = last.map_or_else(String::new, |last| format!(": {last}"));
        let detail = format!("{name}/{model} is left alone for {wait:.1?}{why}");
        Err(NotNow {
            whose: Whose::Theirs,
            wait,
            failure: ProviderFailure::new(class, detail),
        })
    }

    /// Whether nothing speaks against asking a model; asks nothing of its breaker.
    #[must_use]
    pub fn is_well(&self, candidate: &Candidate) -> bool {
        let models = self.models.lock();
        let seen = models.get(&key(candidate));
        seen.is_none_or(|seen| seen.breaker.state(self.now()).0 == State::Closed)
    }

    /// Whether a model should be asked only when nobody else can.
    #[must_use]
    pub fn is_shunned(&self, candidate: &Candidate) -> bool {
        let models = self.models.lock();
        let seen = models.get(&key(candidate));
        seen.is_some_and(|seen| self.now() < seen.shunned_until)
    }

    /// A model answered, having begun after `first`.
    pub fn answered(&self, candidate: &Candidate, first: Option<Duration>) {
        let now = self.now();
        let mut models = self.models.lock();
        let seen = models.entry(key(candidate)).or_default();
        seen.breaker.succeeded(&candidate.configured.breaker, now);
        seen.shunned_until = 0;
        if let Some(first) = first {
            let ms = first.as_secs_f64() * 1000.0;
            let old = seen.latency.unwrap_or(ms);
            seen.latency = Some(old + (ms - old) * NEWEST);
        }
    }

    /// A model failed.
    pub fn failed(&self, candidate: &Candidate, failure: &ProviderFailure) {
        let now = self.now();
        let policy = candidate.configured.breaker;
        let mut models = self.models.lock();
        let seen = models.entry(key(candidate)).or_default();
        if failure.another_key {
            // It is the key that rests, not the model.
            seen.breaker.unused();
            return;
        }
        seen.last_failure = Some(failure.clone());
        match failure.class {
            FailureClass::Unavailable
            | FailureClass::Unreachable
            | FailureClass::TimedOut
            | FailureClass::Interrupted
            | FailureClass::Garbled => seen.breaker.failed(&policy, now),
            FailureClass::RateLimited => {
                let rest = failure.retry_after.unwrap_or(REST);
                seen.breaker.limited(now.saturating_add(millis(rest)));
            }
            FailureClass::Unauthorized | FailureClass::QuotaExceeded => {
                seen.breaker.unused();
                seen.shunned_until = now.saturating_add(millis(SHUNNED));
            }
            _ => seen.breaker.unused(),
        }
    }

    /// A call was given up before it said anything about the model.
    pub fn unused(&self, candidate: &Candidate) {
        let mut models = self.models.lock();
        if let Some(seen) = models.get_mut(&key(candidate)) {
            seen.breaker.unused();
        }
    }

    /// Forgets providers that are not there any more, or not as they were.
    pub fn keep(&self, registry: &Registry) {
        self.models.lock().retain(|(name, fingerprint, _), _| {
            let there = registry.provider(name);
            there.is_some_and(|configured| configured.fingerprint == *fingerprint)
        });
    }

    /// What has been seen, by provider.
    #[must_use]
    pub fn all(&self) -> HashMap<String, Vec<ModelHealth>> {
        let now = self.now();
        let mut all: HashMap<String, Vec<ModelHealth>> = HashMap::new();
        for ((provider, _, model), seen) in self.models.lock().iter() {
            let (state, until) = seen.breaker.state(now);
            let (good, bad) = seen.breaker.counts(&seen.policy, now);
            let closed = state == State::Closed && bad == 0;
            let failure = seen.last_failure.as_ref().filter(|_| !closed);
            all.entry(provider.to_string())
                .or_default()
                .push(ModelHealth {
                    model: model.to_string(),
                    breaker: state,
                    for_ms: until.map(|until| until.saturating_sub(now)),
                    good,
                    bad,
                    latency_ms: seen.latency.map(rounded),
                    last_failure: failure.map(ToString::to_string),
                });
        }
        for models in all.values_mut() {
            models.sort_by(|one, other| one.model.cmp(&other.model));
        }
        all
    }

    fn now(&self) -> Millis {
        millis(self.began.elapsed())
    }
}

impl Facts for Health {
    fn latency_ms(&self, provider: &str, model: &str) -> Option<u64> {
        let models = self.models.lock();
        let mut known = models
            .iter()
            .filter(|((name, _, one), _)| **name == *provider && **one == *model);
        let (_, seen) = known.next()?;
        seen.latency.map(rounded)
    }
}

fn key(candidate: &Candidate) -> Key {
    let configured = &candidate.configured;
    let model = if configured.lists(&candidate.model) {
        Arc::clone(&candidate.model)
    } else {
        UNLISTED.into()
    };
    (Arc::clone(&configured.name), configured.fingerprint, model)
}

fn rounded(ms: f64) -> u64 {
    Duration::try_from_secs_f64(ms / 1000.0).map_or(0, millis)
}

fn millis(duration: Duration) -> Millis {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
