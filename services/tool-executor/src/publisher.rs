//! The table `control.tools`: what models are told there is.
//!
//! This service owns the entries of its own tools. It puts them at start, and again whenever the
//! bus lost them or another incarnation of the table began. It deletes those of tools that are
//! switched off, and none when it ends: another replica may go on, and the commands wait.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt;
use nexus_bus::{Bus, BusError, Expect, TableChange};
use nexus_contracts::chat::ToolSpec;
use nexus_contracts::tables;
use nexus_service_kit::backoff::Backoff;
use nexus_service_kit::{Deps, HealthHandle, put_table};

use crate::Registry;

/// Keeps the table right until the node stops.
pub(crate) struct Publisher {
    bus: Bus,
    specs: Vec<ToolSpec>,
    off: Vec<&'static str>,
    health: HealthHandle,
}

impl Publisher {
    pub(crate) fn new(deps: &Deps, registry: &Registry) -> Self {
        Self {
            bus: deps.bus.clone(),
            specs: registry.specs(),
            off: registry.switched_off().to_vec(),
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
        while let Some(change) = changes.next().await {
            let look = match change {
                // At the beginning and after every reconnect, when the data may be gone.
                TableChange::Ready => true,
                TableChange::Deleted { key } => self.specs.iter().any(|spec| spec.name == key),
                // A replica of another version may describe a tool otherwise. Answering would go
                // on for ever; the one that started last is right.
                TableChange::Put(_) => false,
            };
            if look {
                self.put_what_differs().await?;
                self.health.ok();
                backoff.reset();
            }
        }
        Ok(())
    }

    async fn put_what_differs(&self) -> Result<(), BusError> {
        let there = self.bus.table_list(tables::TOOLS).await?;
        let there: BTreeMap<_, _> = there
            .into_iter()
            .map(|entry| (entry.key, entry.value))
            .collect();
        for spec in &self.specs {
            let same = there
                .get(&spec.name)
                .and_then(|value| serde_json::from_slice::<ToolSpec>(value).ok())
                .is_some_and(|stored| stored == *spec);
            if !same {
                put_table(&self.bus, tables::TOOLS, &spec.name, spec).await?;
            }
        }
        for name in &self.off {
            if there.contains_key(*name) {
                self.bus
                    .table_delete(tables::TOOLS, name, Expect::Any)
                    .await?;
            }
        }
        Ok(())
    }
}
