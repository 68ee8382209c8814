//! Which deliveries this consumer holds, and for how long.
//!
//! NATS does not tell a consumer that its delivery went to another, and takes an answer from
//! either. So each lease is counted here, and what ran out is no longer answered.

use std::collections::HashMap;
use std::time::Duration;

use async_nats::Message;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{BusError, LeaseToken};

/// What the subject for the answer says about a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Delivered {
    /// How often the entry was delivered, this time included.
    pub(super) times: u32,
    /// Where it stands in its stream.
    pub(super) sequence: u64,
    /// When it was stored, in nanoseconds since 1970.
    pub(super) stored_ns: i64,
}

impl Delivered {
    /// `$JS.ACK[.<domain>.<account>].<stream>.<consumer>.<times>.<sequence>.<n>.<time>.<pending>`
    pub(super) fn parse(reply: &str) -> Option<Self> {
        let tokens: Vec<&str> = reply.strip_prefix("$JS.ACK.")?.split('.').collect();
        let numbers = tokens.get(if tokens.len() >= 9 { 4 } else { 2 }..)?;
        let [times, sequence, _, stored_ns, ..] = numbers else {
            return None;
        };
        Some(Self {
            times: times.parse().ok()?,
            sequence: sequence.parse().ok()?,
            stored_ns: stored_ns.parse().ok()?,
        })
    }

    /// Reads it from a message.
    pub(super) fn of(message: &Message) -> Result<Self, BusError> {
        let reply = message.reply.as_deref().unwrap_or_default();
        Self::parse(reply).ok_or_else(|| BusError::Protocol(format!("`{reply}` names no delivery")))
    }
}

/// How often an entry waited, and where that is written down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Waited {
    pub(super) times: u32,
    pub(super) noted_at: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    until: Instant,
    waited: Waited,
    stored_ns: i64,
}

/// The leases of one group on this bus.
pub(super) struct Leases {
    lease: Duration,
    held: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    by_token: HashMap<LeaseToken, Held>,
    /// Above this many, the ones that ran out are dropped.
    sweep_above: usize,
}

impl Leases {
    /// The server counts from when it sent a delivery, this side from when it asked or received:
    /// a twentieth makes up for the way.
    pub(super) fn new(lease: Duration) -> Self {
        Self {
            lease: lease - lease / 20,
            held: Mutex::default(),
        }
    }

    /// Whether a delivery of this moment is still ours.
    pub(super) fn covers(&self, from: Instant) -> bool {
        from + self.lease > Instant::now()
    }

    /// A delivery received at `from`.
    pub(super) fn begin(
        &self,
        token: LeaseToken,
        from: Instant,
        waited: Waited,
        delivered: Delivered,
    ) {
        let now = Instant::now();
        let mut held = self.held.lock();
        if held.by_token.len() > held.sweep_above {
            held.by_token.retain(|_, one| one.until > now);
            held.sweep_above = held.by_token.len() * 2 + 64;
        }
        let until = from + self.lease;
        held.by_token.insert(
            token,
            Held {
                until,
                waited,
                stored_ns: delivered.stored_ns,
            },
        );
    }

    /// What was noted about a delivery that is still ours.
    pub(super) fn current(&self, token: &LeaseToken) -> Option<(Waited, i64)> {
        let held = self.held.lock();
        let one = held
            .by_token
            .get(token)
            .filter(|one| one.until > Instant::now())?;
        Some((one.waited, one.stored_ns))
    }

    /// All deliveries that are still ours.
    pub(super) fn tokens(&self) -> Vec<LeaseToken> {
        let now = Instant::now();
        let held = self.held.lock();
        let current = held.by_token.iter().filter(|(_, one)| one.until > now);
        current.map(|(token, _)| token.clone()).collect()
    }

    /// The server was asked at `from` for another lease, and granted it.
    pub(super) fn extend(&self, token: &LeaseToken, from: Instant) {
        if let Some(one) = self.held.lock().by_token.get_mut(token) {
            one.until = from + self.lease;
        }
    }

    /// Where the waits of a delivery are noted now.
    pub(super) fn waited(&self, token: &LeaseToken, waited: Waited) {
        if let Some(one) = self.held.lock().by_token.get_mut(token) {
            one.waited = waited;
        }
    }

    /// The delivery was settled or given up.
    pub(super) fn end(&self, token: &LeaseToken) {
        self.held.lock().by_token.remove(token);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Delivered = Delivered {
        times: 1,
        sequence: 1,
        stored_ns: 0,
    };

    #[test]
    fn reads_both_forms_of_the_answer_subject() {
        let expected = Delivered {
            times: 3,
            sequence: 17,
            stored_ns: 1_700_000_000_000_000_001,
        };
        let old = "$JS.ACK.stream.group.3.17.20.1700000000000000001.5";
        assert_eq!(Delivered::parse(old), Some(expected));
        let new = "$JS.ACK._.ACCOUNT.stream.group.3.17.20.1700000000000000001.5.token";
        assert_eq!(Delivered::parse(new), Some(expected));
        assert_eq!(Delivered::parse("_INBOX.x"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_ends_unless_it_is_extended() {
        let leases = Leases::new(Duration::from_secs(10));
        let token = LeaseToken("a".to_owned());
        leases.begin(token.clone(), Instant::now(), Waited::default(), NONE);
        tokio::time::advance(Duration::from_secs(6)).await;
        assert!(leases.current(&token).is_some());
        leases.extend(&token, Instant::now());
        tokio::time::advance(Duration::from_secs(6)).await;
        assert!(leases.current(&token).is_some());
        tokio::time::advance(Duration::from_secs(6)).await;
        assert!(leases.current(&token).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn leases_that_ran_out_do_not_pile_up() {
        let leases = Leases::new(Duration::from_secs(1));
        for n in 0..1000 {
            let token = LeaseToken(n.to_string());
            leases.begin(token, Instant::now(), Waited::default(), NONE);
            tokio::time::advance(Duration::from_millis(100)).await;
        }
        assert!(leases.held.lock().by_token.len() < 100);
    }
}
