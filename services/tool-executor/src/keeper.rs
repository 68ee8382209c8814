//! What becomes of conversations, from the channel `conversations`: the results of a deleted one
//! are erased from the ledger, and every event is confirmed once that is committed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use nexus_bus::Outgoing;
use nexus_contracts::events::{ConversationDeleted, Event, ReceiptRecorded};
use nexus_contracts::{
    ContractError, Envelope, Extra, MessageId, Metadata, OrgId, Timestamp, channels, derive_id,
};
use nexus_retrieval::Memory;
use nexus_service_kit::{BatchHandler, Clock, Failure, Message, Outcome, outgoing};
use nexus_store::Ledger;

use crate::NAME;
use crate::switches::Switches;

/// How long an event waits when the database cannot be asked.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// Keeps nothing of a conversation longer than its owner does.
pub struct Keeper {
    /// Where results are kept.
    pub ledger: Ledger,
    /// What is switched off in conversations.
    pub switches: Switches,
    /// What is remembered of people, and from which conversation.
    pub memory: Memory,
    /// Dates the receipts.
    pub clock: Clock,
}

#[async_trait]
impl BatchHandler for Keeper {
    async fn handle(&self, batch: Vec<Message>) -> Vec<Outcome> {
        let kept = batch.iter().map(|message| self.keep(&message.envelope));
        let kept = join_all(kept).await;
        let mut done: BTreeMap<OrgId, BTreeSet<MessageId>> = BTreeMap::new();
        for (message, org) in batch.iter().zip(&kept) {
            if let Ok(org) = org {
                let ids = done.entry(*org).or_default();
                ids.insert(message.envelope.id.clone());
            }
        }
        // The first event of an organisation carries the receipt for all of them.
        let mut carried = |org| match done.remove(&org) {
            Some(ids) => receipt(org, ids, self.clock.now())
                .map(|receipt| vec![receipt])
                .map_err(|error| Failure::reject(format!("no receipt can be written: {error}"))),
            None => Ok(Vec::new()),
        };
        kept.into_iter()
            .map(|org| org.and_then(&mut carried))
            .collect()
    }
}

impl Keeper {
    /// Does what an event means here, and says whose it is. Most mean nothing: a ledger has no
    /// titles.
    async fn keep(&self, event: &Envelope) -> Result<OrgId, Failure> {
        let org = event.metadata.org_id.ok_or_else(|| {
            Failure::reject("metadata.org_id is missing: whose conversation is it?")
        })?;
        if event.event_type == ConversationDeleted::TYPE {
            let deleted: ConversationDeleted = event
                .decode()
                .map_err(|error| Failure::reject(error.to_string()))?;
            let about = deleted.conversation_id.to_string();
            let wait = |error: &dyn std::fmt::Display| {
                Failure::wait(STORE_PAUSE, format!("results cannot be erased: {error}"))
            };
            let id = deleted.conversation_id;
            let unnamed = self.memory.conversation_deleted(org, id).await;
            unnamed.map_err(|error| wait(&error))?;
            let erased = async {
                self.switches.forget(org, &about).await?;
                self.ledger.erase(org, &about).await
            };
            let erased = erased.await.map_err(|error| wait(&error))?;
            tracing::info!(%org, conversation = about, erased, "a conversation was erased");
        }
        Ok(org)
    }
}

/// The same events give the same receipt.
fn receipt(org: OrgId, ids: BTreeSet<MessageId>, at: Timestamp) -> Result<Outgoing, ContractError> {
    let about = ids.iter().map(|id| id.as_str().as_bytes());
    let parts = [b"receipt".as_slice(), NAME.as_bytes()];
    let id = MessageId::from(derive_id(parts.into_iter().chain(about)));
    let event = ReceiptRecorded {
        ids: ids.into_iter().collect(),
        by: NAME.to_owned(),
        extra: Extra::new(),
    };
    let metadata = Metadata {
        org_id: Some(org),
        ..Metadata::default()
    };
    let envelope = Envelope::new(id, at, &event)?.with_metadata(metadata);
    Ok(outgoing(channels::RECEIPTS, &envelope))
}
