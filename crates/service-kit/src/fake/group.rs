//! The group of the fake bus.

use std::time::Duration;

use async_trait::async_trait;
use nexus_bus::{
    Action, BusError, GroupReader, GroupSettler, LeaseToken, Leased, Outgoing, Settlement,
};
use tokio::time::Instant;

use super::{FakeBus, Queued, State};

pub(super) struct FakeReader {
    pub(super) bus: FakeBus,
    pub(super) channel: String,
}

#[async_trait]
impl GroupReader for FakeReader {
    async fn next(&mut self, max: usize, wait: Duration) -> Result<Vec<Leased>, BusError> {
        let give_up = Instant::now() + wait;
        loop {
            let changed = self.bus.changed.notified();
            let next_due = {
                let mut state = self.bus.state();
                if let Some(error) = &state.down {
                    return Err(error.clone());
                }
                let batch = state.take(&self.channel, max);
                if !batch.is_empty() || Instant::now() >= give_up {
                    return Ok(batch);
                }
                let ours = state
                    .queue
                    .iter()
                    .filter(|queued| queued.channel == self.channel);
                let due = ours.map(|queued| queued.due).min();
                due.map_or(give_up, |due| due.min(give_up))
            };
            drop(tokio::time::timeout_at(next_due, changed).await);
        }
    }
}

impl State {
    fn take(&mut self, channel: &str, max: usize) -> Vec<Leased> {
        let mut batch = Vec::new();
        let mut rest = std::collections::VecDeque::new();
        for queued in self.queue.drain(..) {
            let ours = queued.channel == channel && queued.due <= Instant::now();
            if ours && batch.len() < max {
                self.tokens += 1;
                let token = LeaseToken(self.tokens.to_string());
                batch.push(Leased {
                    entry: queued.entry,
                    attempts: queued.attempts,
                    token,
                });
            } else {
                rest.push_back(queued);
            }
        }
        self.queue = rest;
        for leased in &batch {
            let held = (channel.to_owned(), leased.clone());
            self.leased.insert(leased.token.clone(), held);
        }
        batch
    }

    fn settle(&mut self, settlement: &Settlement) -> Result<(), BusError> {
        let Some((channel, leased)) = self.leased.remove(&settlement.leased.token) else {
            return Err(BusError::Protocol("not held".to_owned()));
        };
        for outgoing in &settlement.publish {
            self.append(outgoing);
        }
        let Leased {
            entry, attempts, ..
        } = leased;
        let now = Instant::now();
        match &settlement.action {
            Action::Ack => {}
            Action::Retry { after } => {
                let (attempts, due) = (attempts + 1, now + *after);
                self.queue.push_back(Queued {
                    channel,
                    entry,
                    attempts,
                    due,
                });
            }
            Action::Wait { after } => {
                self.queue.push_back(Queued {
                    channel,
                    entry,
                    attempts,
                    due: now + *after,
                });
            }
            Action::Dead { reason } => {
                let mut record = entry.record;
                record.set("reason", reason.clone());
                let dead = Outgoing {
                    channel: format!("{channel}.dead"),
                    record,
                };
                self.append(&dead);
            }
        }
        Ok(())
    }
}

#[async_trait]
impl GroupSettler for FakeBus {
    async fn settle(&self, batch: &[Settlement]) -> Vec<Result<(), BusError>> {
        // A server takes its time; meanwhile others are decided.
        tokio::time::sleep(Duration::from_millis(1)).await;
        let mut state = self.state();
        let error = state.down.clone().or_else(|| state.settling_fails.clone());
        if let Some(error) = error {
            return batch.iter().map(|_| Err(error.clone())).collect();
        }
        let results = batch
            .iter()
            .map(|settlement| state.settle(settlement))
            .collect();
        let done = batch
            .iter()
            .map(|one| (one.leased.entry.id, one.action.clone()))
            .collect();
        state.settled.push(done);
        drop(state);
        self.poke();
        results
    }

    async fn extend(&self, tokens: &[LeaseToken]) -> Result<Vec<LeaseToken>, BusError> {
        let mut state = self.state();
        if let Some(error) = &state.down {
            return Err(error.clone());
        }
        state.extended += 1;
        Ok(tokens
            .iter()
            .filter(|token| !state.leased.contains_key(token))
            .cloned()
            .collect())
    }
}
