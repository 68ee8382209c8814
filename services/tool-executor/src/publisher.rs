//! The table `control.tools`: what models are told there is.
//!
//! This service owns the entries. It puts them at start, whenever its tools change, and again when
//! the bus lost them or another incarnation of the table began. It deletes those of sources that are
//! gone, and none when it ends: another replica may go on, and the commands wait.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use futures::future::join_all;
use nexus_bus::{Bus, BusError, Expect, TableChange};
use nexus_contracts::tables;
use nexus_contracts::tool::{ListedTool, ToolList};
use nexus_mcp::Fleet;
use nexus_service_kit::backoff::Backoff;
use nexus_service_kit::{Deps, HealthHandle, put_table};

use crate::Registry;
use crate::tool::OURS;

/// Keeps the table right until the node stops.
pub(crate) struct Publisher {
    bus: Bus,
    registry: Arc<Registry>,
    servers: Fleet,
    health: HealthHandle,
}

impl Publisher {
    pub(crate) fn new(deps: &Deps, registry: &Arc<Registry>, servers: &Fleet) -> Self {
        Self {
            bus: deps.bus.clone(),
            registry: Arc::clone(registry),
            servers: servers.clone(),
            health: deps.health.component("tools.published"),
        }
    }

    pub(crate) async fn run(self, deps: Deps) {
        let publisher = Arc::new(self);
        let mut backoff = Backoff::of_loop(&deps.clock);
        loop {
            let watched = deps
                .shutdown
                .run_until_cancelled(publisher.watch(&mut backoff))
                .await;
            match watched {
                None => return,
                Some(Ok(())) => {}
                Some(Err(error)) => {
                    if !backoff.is_failing() {
                        tracing::warn!(%error, "the table of tools cannot be kept; trying again");
                    }
                    publisher
                        .health
                        .failing(format!("models are not told of the tools: {error}"));
                }
            }
            let pause = tokio::time::sleep(backoff.next_delay());
            if deps.shutdown.run_until_cancelled(pause).await.is_none() {
                return;
            }
        }
    }

    /// Ends only with the bus or an error.
    async fn watch(&self, backoff: &mut Backoff) -> Result<(), BusError> {
        let mut changes = self.bus.table_watch(tables::TOOLS).await?;
        let mut registry = self.registry.changed();
        loop {
            tokio::select! {
                change = changes.next() => match change {
                    None => return Ok(()),
                    // At the beginning and after every reconnect, when the data may be gone.
                    Some(TableChange::Ready) => self.settle().await?,
                    // Only put again: where replicas differ, each deleting what is the other's would
                    // go on for ever.
                    Some(TableChange::Deleted { key }) if is_ours(&key) => {
                        self.put_what_differs(&self.there().await?).await?;
                    }
                    // A replica of another version may describe a tool otherwise. Answering would
                    // go on for ever; the one that started last is right.
                    Some(_) => continue,
                },
                changed = registry.changed() => if changed.is_ok() { self.settle().await? },
            }
            self.health.ok();
            backoff.reset();
        }
    }

    async fn settle(&self) -> Result<(), BusError> {
        let there = self.there().await?;
        let put = self.put_what_differs(&there).await;
        self.delete_what_is_gone(&there).await?;
        put
    }

    async fn there(&self) -> Result<BTreeMap<String, Bytes>, BusError> {
        let there = self.bus.table_list(tables::TOOLS).await?;
        Ok(there
            .into_iter()
            .map(|entry| (entry.key, entry.value))
            .collect())
    }

    /// All of them, whatever becomes of one: a list that is too large harms no other.
    async fn put_what_differs(&self, there: &BTreeMap<String, Bytes>) -> Result<(), BusError> {
        let lists = by_source(self.registry.listed());
        let differs = |source: &str, list: &ToolList| {
            let stored = there.get(source);
            let stored = stored.and_then(|value| serde_json::from_slice::<ToolList>(value).ok());
            stored.is_none_or(|stored| stored != *list)
        };
        let puts = lists
            .iter()
            .filter(|(source, list)| differs(source, list))
            .map(|(source, list)| put_table(&self.bus, tables::TOOLS, source, list));
        join_all(puts).await.into_iter().collect()
    }

    /// Those of other services are theirs, and those of servers that are just starting are not gone.
    async fn delete_what_is_gone(&self, there: &BTreeMap<String, Bytes>) -> Result<(), BusError> {
        let lists = by_source(self.registry.listed());
        let servers = self.servers.statuses().into_iter();
        let starting: BTreeSet<String> = servers
            .filter(|status| status.health == nexus_mcp::Health::Starting)
            .map(|status| format!("mcp:{}", status.server))
            .collect();
        let stays = |source: &String| {
            !is_ours(source) || lists.contains_key(source) || starting.contains(source)
        };
        let gone = there.keys().filter(|source| !stays(source));
        for source in gone {
            self.bus
                .table_delete(tables::TOOLS, source, Expect::Any)
                .await?;
        }
        Ok(())
    }
}

/// The tools as the table has them. Ours are listed even when there are none: who reads the table is
/// told that this service has been there.
fn by_source(tools: Vec<ListedTool>) -> BTreeMap<String, ToolList> {
    let mut lists = BTreeMap::from([(OURS.to_owned(), ToolList::default())]);
    for tool in tools {
        let list: &mut ToolList = lists.entry(tool.source.clone()).or_default();
        list.tools.push(tool);
    }
    lists
}

/// Whether this service brings what comes from there.
fn is_ours(source: &str) -> bool {
    source == OURS || source.starts_with("mcp:")
}
