//! Switching tools off and on for an organisation or one conversation, while everything runs.
//!
//! This service's database is the truth, and every call is held against it. The table
//! `control.tools.off` shows it to whoever offers tools to models.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt;
use nexus_bus::{Bus, BusError, Expect, TableChange};
use nexus_contracts::tool::ToolSwitch;
use nexus_contracts::{ConversationId, OrgId, Timestamp, tables};
use nexus_service_kit::backoff::Backoff;
use nexus_service_kit::{Deps, put_table};
use nexus_store::{Row, Store, StoreError, Value};

/// How often the table is compared with the database, where nothing happens.
const LOOK: Duration = Duration::from_secs(30);

const OFF: &str = "INSERT INTO tool_switch (org_id, scope, tool, at) VALUES ($1, $2, $3, $4) \
    ON CONFLICT (org_id, scope, tool) DO NOTHING";
const ON: &str = "DELETE FROM tool_switch WHERE org_id = $1 AND scope = $2 AND tool = $3";
const ALL: &str = "SELECT scope, tool, at FROM tool_switch WHERE org_id = $1";
const IS_OFF: &str = "SELECT 1 AS one FROM tool_switch \
    WHERE org_id = $1 AND tool = $3 AND (scope = '' OR scope = $2)";
const FORGET: &str = "DELETE FROM tool_switch WHERE org_id = $1 AND scope = $2";

/// The switches.
#[derive(Clone)]
pub struct Switches {
    store: Store,
    bus: Bus,
}

/// Why a switch could not be moved.
#[derive(Debug, thiserror::Error)]
pub enum SwitchError {
    /// The database did not take it; nothing changed.
    #[error("the switch could not be stored: {0}")]
    Store(#[from] StoreError),
    /// It holds, and is shown as soon as the bus is back.
    #[error("the switch holds from now on; models hear of it as soon as the bus is back: {0}")]
    Bus(#[from] BusError),
}

impl Switches {
    /// Over this database and bus.
    #[must_use]
    pub const fn new(store: Store, bus: Bus) -> Self {
        Self { store, bus }
    }

    /// Switches a tool off.
    ///
    /// # Errors
    /// [`SwitchError`].
    pub async fn off(&self, switch: ToolSwitch) -> Result<(), SwitchError> {
        let tx = self.store.begin(switch.org_id).await?;
        let mut values = place(switch.org_id, switch.conversation_id, &switch.tool);
        values.push(Value::from(switch.at.as_millis()));
        tx.execute(OFF, values).await?;
        tx.commit().await?;
        let key = key(&switch);
        Ok(put_table(&self.bus, tables::TOOLS_OFF, &key, &switch).await?)
    }

    /// Switches a tool on again.
    ///
    /// # Errors
    /// [`SwitchError`].
    pub async fn on(
        &self,
        org: OrgId,
        conversation: Option<ConversationId>,
        tool: &str,
    ) -> Result<(), SwitchError> {
        let tx = self.store.begin(org).await?;
        tx.execute(ON, place(org, conversation, tool)).await?;
        tx.commit().await?;
        let key = ToolSwitch::key(org, conversation, tool);
        let deleted = self.bus.table_delete(tables::TOOLS_OFF, &key, Expect::Any);
        deleted.await?;
        Ok(())
    }

    /// Whether a tool is off for all of an organisation or for this conversation.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn are_off(
        &self,
        org: OrgId,
        conversation: Option<ConversationId>,
        tool: &str,
    ) -> Result<bool, StoreError> {
        let tx = self.store.read(org).await?;
        let rows = tx.query(IS_OFF, place(org, conversation, tool)).await?;
        tx.commit().await?;
        Ok(!rows.is_empty())
    }

    /// What is off for an organisation, for all of it and for single conversations.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn of(&self, org_id: OrgId) -> Result<Vec<ToolSwitch>, StoreError> {
        let tx = self.store.read(org_id).await?;
        let rows = tx.query(ALL, vec![Value::from(org_id.to_string())]).await?;
        tx.commit().await?;
        rows.iter().map(|row| read(org_id, row)).collect()
    }

    /// A conversation is gone.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget(&self, org: OrgId, conversation: &str) -> Result<(), StoreError> {
        let tx = self.store.begin(org).await?;
        let values = vec![Value::from(org.to_string()), Value::from(conversation)];
        tx.execute(FORGET, values).await?;
        tx.commit().await
    }

    async fn stored(&self) -> Result<BTreeMap<String, ToolSwitch>, StoreError> {
        let mut all = BTreeMap::new();
        for org_id in self.store.organisations().await? {
            let switches = self.of(org_id).await?;
            all.extend(switches.into_iter().map(|switch| (key(&switch), switch)));
        }
        Ok(all)
    }

    /// Makes the table show what is stored.
    async fn project(&self) -> Result<(), SwitchError> {
        let mut shown = BTreeMap::new();
        for entry in self.bus.table_list(tables::TOOLS_OFF).await? {
            shown.insert(entry.key, entry.version);
        }
        // Read after the table: a switch that is moved meanwhile is put right by whoever moves it,
        // or by the next look.
        let stored = self.stored().await?;
        for (key, switch) in &stored {
            if !shown.contains_key(key) {
                put_table(&self.bus, tables::TOOLS_OFF, key, switch).await?;
            }
        }
        let gone = shown.iter().filter(|(key, _)| !stored.contains_key(*key));
        for (key, version) in gone {
            // Only what was seen: one that was put since is of a switch moved meanwhile.
            let expect = Expect::Version(version.clone());
            self.bus
                .table_delete(tables::TOOLS_OFF, key, expect)
                .await?;
        }
        Ok(())
    }

    /// Keeps the table right until the node stops.
    pub(crate) async fn run(self, deps: Deps) {
        let mut backoff = Backoff::of_loop(&deps.clock);
        loop {
            let kept = deps.shutdown.run_until_cancelled(self.keep(&mut backoff));
            match kept.await {
                None => return,
                Some(Ok(())) => {}
                Some(Err(error)) => {
                    tracing::warn!(%error, "the table of switches cannot be kept; trying again");
                }
            }
            let pause = tokio::time::sleep(backoff.next_delay());
            if deps.shutdown.run_until_cancelled(pause).await.is_none() {
                return;
            }
        }
    }

    async fn keep(&self, backoff: &mut Backoff) -> Result<(), SwitchError> {
        let mut changes = self.bus.table_watch(tables::TOOLS_OFF).await?;
        loop {
            self.project().await?;
            backoff.reset();
            let mut anew = changes
                .by_ref()
                .filter(|change| std::future::ready(matches!(change, TableChange::Ready)));
            if let Ok(None) = tokio::time::timeout(LOOK, anew.next()).await {
                return Ok(());
            }
        }
    }
}

fn read(org_id: OrgId, row: &Row) -> Result<ToolSwitch, StoreError> {
    let scope: String = row.get("scope")?;
    Ok(ToolSwitch {
        org_id,
        conversation_id: scope.parse().ok(),
        tool: row.get("tool")?,
        at: Timestamp::from_millis(row.get("at")?),
    })
}

fn key(switch: &ToolSwitch) -> String {
    ToolSwitch::key(switch.org_id, switch.conversation_id, &switch.tool)
}

fn place(org: OrgId, conversation: Option<ConversationId>, tool: &str) -> Vec<Value> {
    let scope = conversation.map(|id| id.to_string()).unwrap_or_default();
    vec![
        Value::from(org.to_string()),
        Value::from(scope),
        Value::from(tool),
    ]
}
