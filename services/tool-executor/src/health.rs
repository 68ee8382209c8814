//! How each tool fares, as this replica has seen it: its breaker, and what went wrong last.

pub mod announce;

use std::collections::BTreeMap;
use std::time::Duration;

use nexus_contracts::Timestamp;
use nexus_service_kit::breaker::{Admission, Breaker, BreakerPolicy, Millis, State};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// The breakers of all tools that were called.
pub struct Health {
    policy: BreakerPolicy,
    tools: Mutex<BTreeMap<String, Seen>>,
}

/// What has been seen of one tool.
#[derive(Default)]
struct Seen {
    breaker: Breaker,
    last_failure: Option<String>,
}

/// What a call says of its tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// It works, whatever it made of this call.
    Works,
    /// It, or what it depends on, does not; why.
    Broken(String),
    /// Nothing: it was cut short from outside.
    Nothing,
}

/// A tool as one replica sees it: value of the table `tools.health`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolHealth {
    /// The tool.
    pub tool: String,
    /// When this was written.
    pub at: Timestamp,
    /// What its breaker is doing.
    pub breaker: State,
    /// For how much longer, in milliseconds from `at`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_ms: Option<u64>,
    /// Calls after which it worked lately.
    pub good: u32,
    /// Calls after which it did not lately.
    pub bad: u32,
    /// What went wrong last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<String>,
}

impl Health {
    /// Breakers that open by this policy.
    #[must_use]
    pub fn new(policy: BreakerPolicy) -> Self {
        Self {
            policy,
            tools: Mutex::default(),
        }
    }

    /// Whether a tool may be called now.
    ///
    /// # Errors
    /// For how long it is left alone, and what went wrong last.
    pub fn admit(&self, tool: &str, now: Timestamp) -> Result<(), (Duration, String)> {
        let mut tools = self.tools.lock();
        let Some(seen) = tools.get_mut(tool) else {
            return Ok(());
        };
        let now = millis(now);
        match seen.breaker.admit(&self.policy, now) {
            Admission::Yes | Admission::Probe => Ok(()),
            Admission::NotBefore(then) => {
                let wait = Duration::from_millis(then.saturating_sub(now));
                Err((wait, seen.last_failure.clone().unwrap_or_default()))
            }
        }
    }

    /// A call ended.
    pub fn ended(&self, tool: &str, said: Said, now: Timestamp) {
        let mut tools = self.tools.lock();
        let seen = tools.entry(tool.to_owned()).or_default();
        let now = millis(now);
        match said {
            Said::Works => seen.breaker.succeeded(&self.policy, now),
            Said::Broken(why) => {
                seen.breaker.failed(&self.policy, now);
                seen.last_failure = Some(why);
            }
            Said::Nothing => seen.breaker.unused(),
        }
    }

    /// How all tools that were called fare.
    #[must_use]
    pub fn all(&self, now: Timestamp) -> Vec<ToolHealth> {
        let tools = self.tools.lock();
        let of = |(tool, seen): (&String, &Seen)| {
            let (breaker, until) = seen.breaker.state(millis(now));
            let (good, bad) = seen.breaker.counts(&self.policy, millis(now));
            ToolHealth {
                tool: tool.clone(),
                at: now,
                breaker,
                for_ms: until.map(|until| until.saturating_sub(millis(now))),
                good,
                bad,
                last_failure: seen.last_failure.clone(),
            }
        };
        tools.iter().map(of).collect()
    }
}

fn millis(now: Timestamp) -> Millis {
    u64::try_from(now.as_millis()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_000_000 + millis)
    }

    #[test]
    fn a_tool_that_keeps_failing_is_left_alone_and_tried_again() {
        let health = Health::new(BreakerPolicy::default());
        for _ in 0..5 {
            assert_eq!(health.admit("search", at(0)), Ok(()));
            health.ended("search", Said::Broken("no route".to_owned()), at(0));
        }
        let refused = health.admit("search", at(1000)).unwrap_err();
        assert_eq!(refused, (Duration::from_secs(9), "no route".to_owned()));
        assert_eq!(health.admit("other", at(1000)), Ok(()));
        assert_eq!(health.all(at(0))[0].breaker, State::Open);
        assert_eq!(health.admit("search", at(10_000)), Ok(()), "a probe");
        health.ended("search", Said::Works, at(10_001));
        assert_eq!(health.admit("search", at(10_002)), Ok(()));
    }

    #[test]
    fn a_call_that_was_cancelled_says_nothing() {
        let health = Health::new(BreakerPolicy::default());
        for _ in 0..50 {
            health.ended("search", Said::Nothing, at(0));
        }
        assert_eq!(health.admit("search", at(0)), Ok(()));
    }
}
