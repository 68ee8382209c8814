//! The table `control.tools`: what models are told there is.
//!
//! This service owns the entries. It puts them at start, whenever its tools change, and again when
//! the bus lost them or another incarnation of the table began. It deletes those of tools that are
//! gone, and none when it ends: another replica may go on, and the commands wait.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt;
use futures::future::try_join_all;
use nexus_bus::{Bus, BusError, Expect, TableChange};
use nexus_contracts::tables;
use nexus_contracts::tool::ListedTool;
use nexus_service_kit::backoff::Backoff;
use nexus_service_kit::{Deps, HealthHandle, put_table};

use crate::Registry;
use crate::tool::OURS;

/// Keeps the table right until the node stops.
pub(crate) struct Publisher {
    bus: Bus,
    registry: Arc<Registry>,
    health: HealthHandle,
}

impl Publisher {
    pub(crate) fn new(deps: &Deps, registry: &Arc<Registry>) -> Self {
        Self {
            bus: deps.bus.clone(),
            registry: Arc::clone(registry),
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
            let look = tokio::select! {
                change = changes.next() => match change {
                    None => return Ok(()),
                    // At the beginning and after every reconnect, when the data may be gone.
                    Some(TableChange::Ready) => true,
                    Some(TableChange::Deleted { key }) => self.registry.get(&key).is_some(),
                    // A replica of another version may describe a tool otherwise. Answering would
                    // go on for ever; the one that started last is right.
                    Some(TableChange::Put(_)) => false,
                },
                changed = registry.changed() => changed.is_ok(),
            };
            if look {
                self.put_what_differs().await?;
                self.health.ok();
                backoff.reset();
            }
        }
    }

    async fn put_what_differs(&self) -> Result<(), BusError> {
        let there = self.bus.table_list(tables::TOOLS).await?;
        let there: BTreeMap<_, _> = there
            .into_iter()
            .map(|entry| (entry.key, entry.value))
            .collect();
        let listed = self.registry.listed();
        let differs = |tool: &&ListedTool| {
            let stored = there.get(&tool.name);
            let stored = stored.and_then(|value| serde_json::from_slice::<ListedTool>(value).ok());
            stored.is_none_or(|stored| stored != **tool)
        };
        // All at once: who reads meanwhile should not see some of them for longer than it takes.
        let puts = listed
            .iter()
            .filter(differs)
            .map(|tool| put_table(&self.bus, tables::TOOLS, &tool.name, tool));
        try_join_all(puts).await?;
        // Those of other services are theirs.
        let ours = |value: &[u8]| {
            let stored = serde_json::from_slice::<ListedTool>(value);
            stored.is_ok_and(|tool| is_ours(&tool.source))
        };
        let gone = there
            .iter()
            .filter(|(name, value)| ours(value) && listed.iter().all(|tool| tool.name != **name));
        for (name, _) in gone {
            self.bus
                .table_delete(tables::TOOLS, name, Expect::Any)
                .await?;
        }
        Ok(())
    }
}

/// Whether this service brings what comes from there.
fn is_ours(source: &str) -> bool {
    source == OURS || source.starts_with("mcp:")
}
