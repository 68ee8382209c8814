//! Deciding: what a delivery is before it is worked on, and what its outcome means after.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use nexus_bus::blob::PAYLOAD_REF;
use nexus_bus::{Delivery, Outgoing};
use nexus_contracts::Timestamp;
use tokio::sync::OwnedSemaphorePermit;

use super::looping::{Loop, Received};
use super::measure::Kind;
use super::reply;
use super::settle::Decided;
use super::{DeadLetter, Failure, Message, Outcome, envelope_of};

/// A delivery being worked on. Whoever holds it decides it.
pub(super) struct Work {
    delivery: Delivery,
    permit: OwnedSemaphorePermit,
    suspect: bool,
    reply: bool,
}

impl Work {
    /// Whether it must run alone.
    pub(super) const fn is_suspect(&self) -> bool {
        self.suspect
    }
}

/// How long a message whose payload cannot be fetched waits, and one whose handler panicked: 1 s,
/// doubling with every attempt, up to a minute.
pub(super) fn pause(attempts: u32) -> Duration {
    Duration::from_secs(1_u64 << attempts.saturating_sub(1).min(6)).min(Duration::from_mins(1))
}

impl Loop {
    /// What is to be worked on, or `None` when it was decided already: attempts are looked at
    /// before anything is decoded.
    pub(super) fn triage(&self, received: Received) -> Option<(Message, Work)> {
        let Received {
            delivery,
            lost,
            permit,
        } = received;
        let (attempts, most) = (delivery.attempts(), self.spec.max_attempts);
        let suspect = attempts > most;
        let reply = reply::is_wanted(&delivery.entry().record);
        let work = Work {
            delivery,
            permit,
            suspect,
            reply,
        };
        if attempts > most.saturating_add(1) {
            let tries = attempts - 1;
            self.bury(
                work,
                "poisoned",
                format!("tried {tries} times, the last one alone"),
            );
            return None;
        }
        let entry = work.delivery.entry();
        match envelope_of(entry, &self.spec.channel) {
            Ok(envelope) => {
                let message = Message {
                    envelope,
                    entry_id: entry.id,
                    stored_at: Timestamp::from_millis(entry.stored_at_ms),
                    channel: self.spec.channel.clone(),
                    attempts,
                    lost,
                };
                Some((message, work))
            }
            Err(error) => {
                if entry.record.get("payload").is_none() && entry.record.get(PAYLOAD_REF).is_some()
                {
                    let reason = "the payload is kept as a blob, which cannot be fetched";
                    self.decide(work, Err(Failure::retry(pause(attempts), reason)));
                } else {
                    self.bury(work, "undecodable", error.to_string());
                }
                None
            }
        }
    }

    /// Carries an outcome to the settling task.
    pub(super) fn decide(&self, work: Work, outcome: Outcome) {
        match outcome {
            Ok(publish) => self.acknowledge(work, publish),
            Err(Failure::Retry { reason, .. }) if work.suspect => {
                self.bury(
                    work,
                    "poisoned",
                    format!("failed alone, as before: {reason}"),
                );
            }
            Err(Failure::Retry { after, reason }) => self.retry(work, after, &reason),
            Err(Failure::Wait { after, .. }) => {
                let settlement = work.delivery.wait(after);
                self.send(Decided::new(settlement, work.permit, Kind::Waited, None));
            }
            Err(Failure::Reject { reason }) => self.bury(work, "rejected", reason),
            Err(Failure::Fatal { reason }) => self.end_node(reason),
        }
    }

    fn retry(&self, work: Work, after: Duration, reason: &str) {
        let entry = work.delivery.entry().id;
        let (channel, attempts) = (self.spec.channel.as_str(), work.delivery.attempts());
        tracing::warn!(channel, %entry, attempts, reason, "message failed; trying again");
        let settlement = work.delivery.retry(after);
        self.send(Decided::new(settlement, work.permit, Kind::Retried, None));
    }

    /// The delivery is not settled: it comes back when its lease ends, to whoever runs then.
    fn end_node(&self, reason: String) {
        self.meters.count(Kind::Fatal);
        tracing::error!(channel = self.spec.channel, reason, "the node has to end");
        self.deps.tasks.fail(reason);
    }

    /// Gives a delivery back as if it had not come: another worker may have it at once.
    pub(super) fn give_back(&self, work: Work) {
        let settlement = work.delivery.wait(Duration::ZERO);
        self.send(Decided::new(settlement, work.permit, Kind::Returned, None));
    }

    /// As [`Loop::give_back`], of one that was never looked at.
    pub(super) fn give_back_unseen(&self, received: Received) {
        let settlement = received.delivery.wait(Duration::ZERO);
        self.send(Decided::new(
            settlement,
            received.permit,
            Kind::Returned,
            None,
        ));
    }

    fn acknowledge(&self, work: Work, publish: Vec<Outgoing>) {
        let reply = work
            .reply
            .then(|| reply::Reply::new(&work.delivery.entry().record, &publish))
            .flatten();
        let settlement = work.delivery.ack(publish);
        self.send(Decided::new(settlement, work.permit, Kind::Acked, reply));
    }

    fn bury(&self, work: Work, code: &'static str, reason: String) {
        let entry = work.delivery.entry();
        tracing::warn!(
            channel = self.spec.channel, entry = %entry.id, code, reason, "message parked as dead"
        );
        let letter = DeadLetter {
            channel: self.spec.channel.clone(),
            record: entry.record.clone(),
            envelope: envelope_of(entry, &self.spec.channel).ok(),
            stored_at: Timestamp::from_millis(entry.stored_at_ms),
            reason,
            code,
        };
        let told = std::panic::catch_unwind(AssertUnwindSafe(|| (self.on_dead)(&letter)));
        let publish = told.unwrap_or_else(|_| {
            tracing::error!(
                code,
                "on_dead panicked: nobody is told about this dead letter"
            );
            Vec::new()
        });
        let reply = work
            .reply
            .then(|| reply::Reply::new(&letter.record, &publish))
            .flatten();
        let settlement = work
            .delivery
            .dead(format!("{code}: {}", letter.reason), publish);
        self.send(Decided::new(settlement, work.permit, Kind::Dead, reply));
    }

    fn send(&self, decided: Decided) {
        // Settling outlives every sender; were it gone, the lease would end and the message return.
        drop(self.decided.send(decided));
    }
}
