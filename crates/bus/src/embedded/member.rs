//! Both halves of a group.

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::codec::encode;
use super::command::{Append, Command, Mark, Settle, Verdict};
use super::delivery::Claim;
use super::link::{Link, appends, entries_at};
use super::state::{Member, Stored};
use crate::clock::now_ms;
use crate::group::{dead_channel, dead_record};
use crate::{Action, BusError, GroupReader, GroupSettler, LeaseToken, Leased, Settlement};

/// The receiving half.
pub(super) struct EmbeddedReader {
    pub(super) link: Link,
    pub(super) member: Member,
    pub(super) lease: Duration,
}

/// The settling half.
pub(super) struct EmbeddedSettler {
    pub(super) link: Link,
    pub(super) member: Member,
    pub(super) lease: Duration,
}

#[async_trait]
impl GroupReader for EmbeddedReader {
    async fn next(&mut self, max: usize, wait: Duration) -> Result<Vec<Leased>, BusError> {
        if max == 0 {
            return Ok(Vec::new());
        }
        let until = Instant::now() + wait;
        loop {
            if self.link.shared.closed.is_cancelled() {
                return Err(BusError::Closed);
            }
            let claims = self.claim(max)?;
            if !claims.claims.is_empty() {
                let batch = self.fetch(claims).await?;
                if !batch.is_empty() {
                    return Ok(batch);
                }
            }
            if !self.wait(until).await {
                return Ok(Vec::new());
            }
        }
    }
}

impl EmbeddedReader {
    /// Takes what there is, and tells the writer under the same lock, so that marks arrive in the
    /// order of what they mark.
    fn claim(&self, max: usize) -> Result<Claims<'_>, BusError> {
        let Member { channel, group } = &self.member;
        let now = Instant::now();
        let mut deliveries = group.deliveries.lock();
        let claims = deliveries.claim(max, channel.head(), now, self.lease);
        let mut claims = Claims {
            member: &self.member,
            claims,
            marked: None,
        };
        if claims.claims.is_empty() {
            return Ok(claims);
        }
        let more = deliveries.ready(channel.head(), now);
        let mark = mark(&claims.claims);
        let suspect = claims.claims.iter().any(|claim| claim.seq <= group.suspect);
        let (reply, marked) = suspect.then(tokio::sync::oneshot::channel).unzip();
        claims.marked = marked;
        let sent = self.link.send(Command::Mark {
            member: self.member.clone(),
            mark,
            reply,
        });
        drop(deliveries);
        sent?;
        if more {
            group.wake.notify_one();
        }
        Ok(claims)
    }

    async fn fetch(&self, mut claims: Claims<'_>) -> Result<Vec<Leased>, BusError> {
        let channel = &self.member.channel;
        if let Some(marked) = claims.marked.take() {
            // A full disk keeps nobody from working off what is there: the writer has told.
            let _ = marked.await.or(Err(BusError::Closed))?;
        }
        let mut found = channel.recent(claims.claims.iter().map(|claim| claim.seq));
        let sequences = claims.claims.iter().map(|claim| claim.seq);
        let missing: Vec<u64> = sequences.filter(|seq| !found.contains_key(seq)).collect();
        if !missing.is_empty() {
            let channel = std::sync::Arc::clone(channel);
            let query = move |db: &rusqlite::Connection| entries_at(db, &channel, &missing);
            let read: Vec<Stored> = self.link.readers.query(query).await?;
            found.extend(read.into_iter().map(|stored| (stored.seq, stored)));
        }
        let mut batch = Vec::with_capacity(claims.claims.len());
        for claim in std::mem::take(&mut claims.claims) {
            match found.remove(&claim.seq) {
                Some(stored) => batch.push(self.leased(claim, stored)),
                None => self.settle_ghost(claim).await?,
            }
        }
        Ok(batch)
    }

    fn leased(&self, claim: Claim, stored: Stored) -> Leased {
        let entry = self.member.channel.entry(stored);
        let token = LeaseToken(format!("{}.{}", claim.seq, claim.lease));
        Leased {
            entry,
            attempts: claim.attempts,
            token,
        }
    }

    /// The entry is not in the file any more (someone deleted the row): nobody can work on it.
    async fn settle_ghost(&self, claim: Claim) -> Result<(), BusError> {
        let Member { channel, group } = &self.member;
        tracing::error!(
            channel = channel.name,
            group = group.name,
            entry = claim.seq,
            "entry is gone from the bus file; skipped"
        );
        let settles = vec![Settle {
            claim,
            verdict: Verdict::Done,
            appends: Vec::new(),
        }];
        let member = self.member.clone();
        let results = self
            .link
            .ask(|reply| Command::Settle {
                member,
                settles,
                reply,
            })
            .await?;
        results.into_iter().collect()
    }

    /// Until something may be there; `false` when the time is over.
    async fn wait(&self, until: Instant) -> bool {
        let group = &self.member.group;
        let deadline = group.deliveries.lock().next_deadline();
        let sleep = deadline.map_or(until, |deadline| deadline.min(until));
        tokio::select! {
            () = group.wake.notified() => true,
            () = self.link.shared.closed.cancelled() => true,
            () = tokio::time::sleep_until(sleep) => sleep < until,
        }
    }
}

/// Claims on their way to the consumer. Whoever stops waiting for them gives them back: due at
/// once, and the attempt does not count.
struct Claims<'a> {
    member: &'a Member,
    claims: Vec<Claim>,
    marked: Option<tokio::sync::oneshot::Receiver<Result<(), BusError>>>,
}

impl Drop for Claims<'_> {
    fn drop(&mut self) {
        if self.claims.is_empty() {
            return;
        }
        let group = &self.member.group;
        let mut deliveries = group.deliveries.lock();
        let now = Instant::now();
        for claim in &self.claims {
            let untried = Claim {
                attempts: claim.attempts.saturating_sub(1),
                ..*claim
            };
            deliveries.postpone(untried, now);
        }
        drop(deliveries);
        group.wake.notify_one();
    }
}

fn mark(claims: &[Claim]) -> Mark {
    let (first, again): (Vec<&Claim>, Vec<&Claim>) = claims.iter().partition(|claim| claim.fresh);
    Mark {
        fresh: first.iter().map(|claim| claim.seq).collect(),
        again: again
            .iter()
            .map(|claim| (claim.seq, claim.attempts))
            .collect(),
    }
}

#[async_trait]
impl GroupSettler for EmbeddedSettler {
    async fn settle(&self, batch: &[Settlement]) -> Vec<Result<(), BusError>> {
        let settles = batch.iter().map(|settlement| self.settlement(settlement));
        match settles.collect::<Result<Vec<Settle>, BusError>>() {
            Ok(settles) => {
                let member = self.member.clone();
                let asked = self
                    .link
                    .ask(|reply| Command::Settle {
                        member,
                        settles,
                        reply,
                    })
                    .await;
                asked.unwrap_or_else(|error| batch.iter().map(|_| Err(error.clone())).collect())
            }
            Err(error) => batch.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    async fn extend(&self, tokens: &[LeaseToken]) -> Result<Vec<LeaseToken>, BusError> {
        let until = Instant::now() + self.lease;
        let mut deliveries = self.member.group.deliveries.lock();
        let mut kept = |token: &LeaseToken| match parse(token) {
            Ok((seq, lease)) => deliveries.extend(seq, lease, until),
            Err(_) => false,
        };
        Ok(tokens
            .iter()
            .filter(|token| !kept(token))
            .cloned()
            .collect())
    }
}

impl EmbeddedSettler {
    fn settlement(&self, settlement: &Settlement) -> Result<Settle, BusError> {
        let (seq, lease) = parse(&settlement.leased.token)?;
        let mut appends = appends(&settlement.publish)?;
        let mut attempts = settlement.leased.attempts;
        let verdict = match &settlement.action {
            Action::Ack => Verdict::Done,
            Action::Retry { after } => again(*after),
            Action::Wait { after } => {
                attempts = attempts.saturating_sub(1);
                again(*after)
            }
            Action::Dead { .. } => {
                appends.push(self.letter(settlement));
                Verdict::Buried
            }
        };
        Ok(Settle {
            claim: Claim {
                seq,
                attempts,
                lease,
                fresh: false,
            },
            verdict,
            appends,
        })
    }

    fn letter(&self, settlement: &Settlement) -> Append {
        let Member { channel, group } = &self.member;
        let record = dead_record(settlement, &channel.name, &group.name, now_ms());
        Append {
            channel: dead_channel(&channel.name),
            record: encode(&record),
        }
    }
}

fn again(after: Duration) -> Verdict {
    let due_ms = now_ms().saturating_add(i64::try_from(after.as_millis()).unwrap_or(i64::MAX));
    Verdict::Again {
        due: Instant::now() + after,
        due_ms,
    }
}

fn parse(token: &LeaseToken) -> Result<(u64, u64), BusError> {
    let parts = token.0.split_once('.');
    let numbers = parts.and_then(|(seq, lease)| Some((seq.parse().ok()?, lease.parse().ok()?)));
    numbers.ok_or_else(|| BusError::Protocol(format!("`{}` is not a lease of this bus", token.0)))
}
