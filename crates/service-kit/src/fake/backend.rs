//! The backend of the fake bus: as much of one as the loops ask for.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use nexus_bus::{
    Backend, Backlog, BusError, ChannelInfo, Entry, EntryId, Expect, Group, GroupSpec, LiveEntry,
    LiveItem, Outgoing, PutOutcome, ReadFrom, ServerInfo, TableChange, Versioned,
};

use super::FakeBus;
use super::group::FakeReader;

#[async_trait]
impl Backend for FakeBus {
    async fn publish(&self, batch: &[Outgoing]) -> Result<Vec<EntryId>, BusError> {
        let mut state = self.state();
        if let Some(error) = &state.down {
            return Err(error.clone());
        }
        let ids = batch
            .iter()
            .map(|outgoing| state.append(outgoing))
            .collect();
        drop(state);
        self.poke();
        Ok(ids)
    }

    async fn group(&self, spec: GroupSpec) -> Result<Group, BusError> {
        if let Some(error) = &self.state().down {
            return Err(error.clone());
        }
        let reader = FakeReader {
            bus: self.clone(),
            channel: spec.channel,
        };
        Ok(Group {
            reader: Box::new(reader),
            settler: Arc::new(self.clone()),
        })
    }

    async fn read(
        &self,
        channel: &str,
        _from: ReadFrom,
        limit: usize,
    ) -> Result<Vec<Entry>, BusError> {
        let all = self
            .state()
            .channels
            .get(channel)
            .cloned()
            .unwrap_or_default();
        Ok(all.into_iter().take(limit).collect())
    }

    async fn backlog(&self, _channel: &str, _group: &str) -> Result<Backlog, BusError> {
        Ok(Backlog {
            undelivered: self.state().waiting() as u64,
            ..Backlog::default()
        })
    }

    async fn trim(&self, channel: &str, retain: Duration) -> Result<u64, BusError> {
        let mut state = self.state();
        state.trimmed.push((channel.to_owned(), retain));
        state.down.clone().map_or(Ok(0), Err)
    }

    async fn channels(&self) -> Result<Vec<ChannelInfo>, BusError> {
        Ok(Vec::new())
    }

    async fn incarnation(&self, _channel: &str) -> Result<String, BusError> {
        Ok("fake".to_owned())
    }

    async fn table_get(&self, table: &str, key: &str) -> Result<Option<Versioned>, BusError> {
        Ok(self.state().tables.get(table, key))
    }

    async fn table_put(
        &self,
        table: &str,
        key: &str,
        value: Bytes,
        _expect: Expect,
    ) -> Result<PutOutcome, BusError> {
        let version = self.state().tables.put(table, key, value);
        self.poke();
        Ok(PutOutcome::Stored(version))
    }

    async fn table_delete(
        &self,
        table: &str,
        key: &str,
        _expect: Expect,
    ) -> Result<PutOutcome, BusError> {
        let version = self.state().tables.delete(table, key);
        self.poke();
        Ok(PutOutcome::Stored(version))
    }

    async fn table_list(&self, table: &str) -> Result<Vec<Versioned>, BusError> {
        let state = self.state();
        match &state.down {
            Some(error) => Err(error.clone()),
            None => Ok(state.tables.list(table)),
        }
    }

    async fn table_watch(&self, table: &str) -> Result<BoxStream<'static, TableChange>, BusError> {
        let state = self.state();
        match &state.down {
            Some(error) => Err(error.clone()),
            None => Ok(state.tables.watch(table, self.clone())),
        }
    }

    async fn live_publish(&self, topic: &str, entries: &[LiveEntry]) -> Result<u64, BusError> {
        let mut state = self.state();
        if let Some(error) = &state.down {
            return Err(error.clone());
        }
        let kept = state.live.entry(topic.to_owned()).or_default();
        kept.extend_from_slice(entries);
        let last = kept.len() as u64;
        drop(state);
        self.poke();
        Ok(last)
    }

    async fn live_subscribe(
        &self,
        topic: &str,
        after: u64,
    ) -> Result<BoxStream<'static, LiveItem>, BusError> {
        let (bus, topic) = (self.clone(), topic.to_owned());
        let next = move |(bus, topic, at): (Self, String, usize)| async move {
            loop {
                let changed = bus.changed.notified();
                let entry = bus
                    .state()
                    .live
                    .get(&topic)
                    .and_then(|kept| kept.get(at).cloned());
                if let Some(LiveEntry { snapshot, data }) = entry {
                    let sequence = at as u64 + 1;
                    let item = LiveItem::Entry {
                        sequence,
                        snapshot,
                        data,
                    };
                    return Some((item, (bus.clone(), topic, at + 1)));
                }
                changed.await;
            }
        };
        let start = usize::try_from(after).unwrap_or(usize::MAX);
        Ok(futures::stream::unfold((bus, topic, start), next).boxed())
    }

    async fn ping(&self) -> Result<(), BusError> {
        self.state().down.clone().map_or(Ok(()), Err)
    }

    async fn info(&self) -> Result<ServerInfo, BusError> {
        Err(BusError::Closed)
    }

    async fn close(&self) {}
}
