//! What providers took today, by the events the bus still has.

use std::collections::BTreeMap;

use nexus_bus::{Bus, BusError, ReadFrom};
use nexus_contracts::chat::Usage;
use nexus_contracts::events::UsageRecorded;
use nexus_contracts::{Timestamp, channels};
use nexus_provider_router::ProviderStatus;
use nexus_service_kit::envelope_of;
use serde_json::{Value, json};

/// Read at once, and at most.
const PAGE: usize = 1_000;
const MOST: usize = 200_000;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// What was taken since midnight, UTC.
#[derive(Default)]
pub(super) struct Spend {
    by_provider: BTreeMap<String, Taken>,
    /// Whether there was more than is read.
    cut_short: bool,
}

#[derive(Default)]
struct Taken {
    attempts: u64,
    usage: Usage,
}

impl Spend {
    /// Adds up the events of today.
    ///
    /// # Errors
    /// When the bus cannot be read.
    pub(super) async fn today(bus: &Bus, now: Timestamp) -> Result<Self, BusError> {
        let midnight = now.as_millis() - now.as_millis().rem_euclid(DAY_MS);
        let mut spend = Self::default();
        let mut from = ReadFrom::Time(midnight);
        for _ in 0..MOST / PAGE {
            let entries = bus.read(channels::USAGE, from, PAGE).await?;
            for entry in &entries {
                let read = envelope_of(entry, channels::USAGE);
                if let Some(usage) = read
                    .ok()
                    .and_then(|read| read.decode::<UsageRecorded>().ok())
                {
                    spend.add(&usage);
                }
            }
            match entries.last() {
                Some(last) if entries.len() == PAGE => from = ReadFrom::After(last.id),
                _ => return Ok(spend),
            }
        }
        spend.cut_short = true;
        Ok(spend)
    }

    fn add(&mut self, usage: &UsageRecorded) {
        let taken = self.by_provider.entry(usage.provider.clone()).or_default();
        taken.attempts += 1;
        taken.usage = taken.usage.plus(usage.usage);
    }

    /// A provider's, in words; `None` when it took nothing.
    #[must_use]
    pub(super) fn line(&self, provider: &ProviderStatus) -> Option<String> {
        let Taken { attempts, usage } = self.by_provider.get(&provider.name)?;
        let least = if self.cut_short { "at least " } else { "" };
        // What is here has no price, and needs none.
        let cost = match usage.cost_microusd {
            Some(cost) => format!("; {}", dollars(cost)),
            None if provider.local => String::new(),
            None => "; cost unknown: its models have no `price`".to_owned(),
        };
        let (input, output) = (usage.input_tokens, usage.output_tokens);
        let times = if *attempts == 1 {
            "attempt"
        } else {
            "attempts"
        };
        Some(format!(
            "today {least}{attempts} {times}, {input} tokens in and {output} out{cost}"
        ))
    }

    /// The same for programs.
    #[must_use]
    pub(super) fn as_json(&self, provider: &str) -> Value {
        let taken = self.by_provider.get(provider);
        json!({
            "attempts": taken.map_or(0, |taken| taken.attempts),
            "usage": taken.map(|taken| taken.usage).unwrap_or_default(),
            "cut_short": self.cut_short,
        })
    }
}

/// Millionths of a dollar for people: at least two digits behind the point, and no zeros behind those.
#[must_use]
pub(super) fn dollars(micros: u64) -> String {
    let (whole, parts) = (micros / 1_000_000, micros % 1_000_000);
    let parts = format!("{parts:06}");
    let (cents, rest) = parts.split_at_checked(2).unwrap_or((&parts, ""));
    format!("${whole}.{cents}{}", rest.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::dollars;

    #[test]
    fn dollars_are_short_and_exact() {
        let shown = [1_250_000, 37_500, 15_000_000, 1, 0].map(dollars);
        assert_eq!(shown, ["$1.25", "$0.0375", "$15.00", "$0.000001", "$0.00"]);
    }
}
