//! What became of conversations as a whole: what is deleted is erased here too, and everything is
//! confirmed, so that the orchestrator knows when nobody keeps anything any more.

use std::sync::Arc;

use async_trait::async_trait;
use nexus_contracts::events::{ConversationDeleted, Event};
use nexus_contracts::{ContractError, ConversationId, Envelope, OrgId, UserId};
use nexus_service_kit::{BatchHandler, Clock, Failure, Message, Outcome};

use crate::handler::store_is_away;
use crate::ingress::Ingress;
use crate::messages::Messages;
use crate::receipts::receipts;
use crate::waiters::Waiters;

/// A conversation that is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone {
    /// The organisation.
    pub org: OrgId,
    /// Whose it was, where that is said.
    pub user: Option<UserId>,
    /// The conversation.
    pub conversation: ConversationId,
}

/// Keeps nothing of what was deleted.
pub struct Keeper {
    /// Where it is erased.
    pub messages: Messages,
    /// What is not published any more.
    pub ingress: Ingress,
    /// Who waits for an answer that will not come.
    pub waiters: Arc<Waiters>,
    /// Dates the traces that are left.
    pub clock: Clock,
}

#[async_trait]
impl BatchHandler for Keeper {
    async fn handle(&self, batch: Vec<Message>) -> Vec<Outcome> {
        let read: Vec<Result<Option<Gone>, Failure>> = batch
            .iter()
            .map(|message| read(&message.envelope))
            .collect();
        let gone: Vec<Gone> = read.iter().flatten().flatten().copied().collect();
        let now = self.clock.now();
        let erased = match self.messages.erase(&gone, now).await {
            Ok(erased) => erased,
            Err(error) => {
                let wait = store_is_away(&error, "erasures wait");
                return read
                    .into_iter()
                    .map(|read| read.and_then(|_| Err(wait.clone())))
                    .collect();
            }
        };
        self.ingress.settle(erased.iter().copied());
        self.waiters.wake(erased.iter().map(|key| key.run));
        let good = batch.iter().zip(&read).filter(|(_, read)| read.is_ok());
        let stored = good.filter_map(|(message, _)| {
            let envelope = &message.envelope;
            Some((envelope.metadata.org_id?, &envelope.id))
        });
        let mut receipts = receipts(stored, now);
        let with_receipt = batch.iter().zip(read);
        with_receipt
            .map(|(message, read)| {
                read.map(|_| receipts.remove(&message.envelope.id).unwrap_or_default())
            })
            .collect()
    }
}

/// What is to be erased, if anything is: nothing else of a conversation is kept by what happens to
/// it as a whole.
fn read(envelope: &Envelope) -> Result<Option<Gone>, Failure> {
    let Some(org) = envelope.metadata.org_id else {
        let reason = "it names no organisation in `metadata.org_id`";
        return Err(Failure::reject(reason));
    };
    if envelope.event_type != ConversationDeleted::TYPE {
        return Ok(None);
    }
    let event: ConversationDeleted = envelope
        .decode()
        .map_err(|error: ContractError| Failure::reject(error.to_string()))?;
    Ok(Some(Gone {
        org,
        user: envelope.metadata.user_id,
        conversation: event.conversation_id,
    }))
}
