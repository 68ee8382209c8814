//! The meters of all providers, in a table of the bus.

use std::collections::HashMap;
use std::time::Duration;

use nexus_bus::{Bus, BusError, Expect, PutOutcome, Versioned};
use nexus_contracts::tables;
use nexus_service_kit::Clock;
use parking_lot::Mutex;
use tokio::time::timeout;

use super::{Limits, Meter, Purse, Taken};

/// How often a block is asked for when others take theirs at the same moment.
const TRIES: u32 = 8;

/// A bus that says nothing for this long is not waited for: each replica keeps the limit alone then.
const PATIENCE: Duration = Duration::from_millis(500);

/// What this replica may use of the limits of all providers.
pub struct SharedLimits {
    bus: Bus,
    clock: Clock,
    purses: Mutex<HashMap<String, Purse>>,
    /// What counts while the bus is away.
    alone: Mutex<HashMap<String, Meter>>,
    /// One block is asked for at a time.
    asking: tokio::sync::Mutex<()>,
}

impl SharedLimits {
    /// The limits that replicas on this bus share.
    #[must_use]
    pub fn new(bus: Bus, clock: Clock) -> Self {
        Self {
            bus,
            clock,
            purses: Mutex::default(),
            alone: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
        }
    }

    /// Whether a call of about `tokens` may be made now, or how long it has to wait.
    ///
    /// # Errors
    /// How long to wait.
    pub async fn admit(
        &self,
        provider: &str,
        limits: &Limits,
        tokens: u64,
    ) -> Result<(), Duration> {
        if let Some(per_minute) = limits.requests_per_minute {
            self.pay(&key(provider, "requests"), per_minute, 1).await?;
        }
        let Some(per_minute) = limits.tokens_per_minute else {
            return Ok(());
        };
        let paid = self.pay(&key(provider, "tokens"), per_minute, tokens).await;
        if paid.is_err() && limits.requests_per_minute.is_some() {
            // The request is not made.
            self.correct(&key(provider, "requests"), 1, 0);
        }
        paid
    }

    /// A call that was admitted with so many tokens is not made.
    pub fn give_back(&self, provider: &str, limits: &Limits, tokens: u64) {
        if limits.requests_per_minute.is_some() {
            self.correct(&key(provider, "requests"), 1, 0);
        }
        self.settle(provider, limits, tokens, 0);
    }

    /// A call took `used` tokens, where `expected` were paid for.
    pub fn settle(&self, provider: &str, limits: &Limits, expected: u64, used: u64) {
        if limits.tokens_per_minute.is_some() {
            self.correct(&key(provider, "tokens"), expected, used);
        }
    }

    /// How much of each limit is in use, by all replicas together: 1 is all of it.
    pub async fn used(&self, provider: &str, limits: &Limits) -> Vec<(&'static str, f64)> {
        let mut all = Vec::new();
        for (what, limit) in [
            ("requests", limits.requests_per_minute),
            ("tokens", limits.tokens_per_minute),
        ] {
            if limit.is_some()
                && let Ok(found) = self
                    .bus
                    .table_get(tables::PROVIDERS_LIMITS, &key(provider, what))
                    .await
            {
                all.push((what, meter(found.as_ref()).used(self.nanos())));
            }
        }
        all
    }

    fn correct(&self, key: &str, expected: u64, used: u64) {
        let mut purses = self.purses.lock();
        purses
            .entry(key.to_owned())
            .or_default()
            .correct(expected, used);
    }

    async fn pay(&self, key: &str, per_minute: u64, count: u64) -> Result<(), Duration> {
        if self.pay_at_hand(key, count) {
            return Ok(());
        }
        let _one_at_a_time = self.asking.lock().await;
        // Somebody else may have fetched enough meanwhile.
        if self.pay_at_hand(key, count) {
            return Ok(());
        }
        let wants = {
            let mut purses = self.purses.lock();
            purses
                .entry(key.to_owned())
                .or_default()
                .wants(count, per_minute)
        };
        let fetched = timeout(PATIENCE, self.fetch(key, per_minute, wants)).await;
        let got = match fetched {
            Ok(Ok(got)) => got,
            Ok(Err(error)) => {
                tracing::debug!(%error, key, "the shared limit cannot be read; kept alone");
                self.fetch_alone(key, per_minute, wants)
            }
            Err(_elapsed) => self.fetch_alone(key, per_minute, wants),
        }?;
        let now = self.nanos();
        let mut purses = self.purses.lock();
        let purse = purses.entry(key.to_owned()).or_default();
        purse.fill(got, now);
        purse.pay(count, now);
        Ok(())
    }

    fn pay_at_hand(&self, key: &str, count: u64) -> bool {
        let now = self.nanos();
        let mut purses = self.purses.lock();
        purses
            .get_mut(key)
            .is_some_and(|purse| purse.pay(count, now))
    }

    /// Takes a block from the table, the large one if it is there.
    async fn fetch(
        &self,
        key: &str,
        per_minute: u64,
        wants: [u64; 2],
    ) -> Result<Result<u64, Duration>, BusError> {
        for _ in 0..TRIES {
            let found = self.bus.table_get(tables::PROVIDERS_LIMITS, key).await?;
            let (got, after) = match choose(meter(found.as_ref()), per_minute, wants, self.nanos())
            {
                Ok(taken) => taken,
                Err(wait) => return Ok(Err(wait)),
            };
            let json = serde_json::to_vec(&after)
                .map_err(|error| BusError::Protocol(format!("a meter: {error}")))?;
            let expect = found.map_or(Expect::Absent, |found| Expect::Version(found.version));
            let put = self
                .bus
                .table_put(tables::PROVIDERS_LIMITS, key, json.into(), expect);
            if matches!(put.await?, PutOutcome::Stored(_)) {
                return Ok(Ok(got));
            }
        }
        // Everybody else was quicker, again and again: their turn is over soon.
        Ok(Err(Duration::from_millis(20)))
    }

    fn fetch_alone(&self, key: &str, per_minute: u64, wants: [u64; 2]) -> Result<u64, Duration> {
        let mut alone = self.alone.lock();
        let meter = alone.entry(key.to_owned()).or_default();
        let (got, after) = choose(*meter, per_minute, wants, self.nanos())?;
        *meter = after;
        Ok(got)
    }

    fn nanos(&self) -> u64 {
        let millis = u64::try_from(self.clock.now().as_millis()).unwrap_or(0);
        millis.saturating_mul(1_000_000)
    }
}

/// The first of these amounts that can be taken.
fn choose(
    meter: Meter,
    per_minute: u64,
    wants: [u64; 2],
    now: u64,
) -> Result<(u64, Meter), Duration> {
    let mut wait = Duration::ZERO;
    for want in wants {
        match meter.take(per_minute, want, now) {
            Taken::Yes(after) => return Ok((want, after)),
            Taken::After(later) => wait = later,
        }
    }
    Err(wait)
}

/// A value that cannot be read is as good as none: the next one to take writes it anew.
fn meter(found: Option<&Versioned>) -> Meter {
    let read = found.and_then(|found| serde_json::from_slice(&found.value).ok());
    read.unwrap_or_default()
}

fn key(provider: &str, what: &str) -> String {
    format!("{provider}.{what}")
}
