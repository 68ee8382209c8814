//! Reading what a batch needs, as `db/load.rs` does.

use std::rc::Rc;

use nexus_contracts::{ConversationId, Envelope, OrgId};
use nexus_orchestrator::core::Request;
use nexus_orchestrator::plan::{Conversation, Loaded, Repeated, Which};
use nexus_orchestrator::translate::Inbound;

use super::{Refused, Stored, Tables};

impl Tables {
    /// Conversations, inbox rows and bases of branches of a batch of one organisation.
    pub(crate) fn load(&self, org: OrgId, batch: &[&Inbound]) -> Result<Loaded, Refused> {
        let mut loaded = Loaded::default();
        for inbound in batch {
            let id = inbound.conversation_id;
            if let Some(Stored { version, state }) = self.conversations.get(&(org, id)) {
                loaded
                    .conversations
                    .entry(id)
                    .or_insert_with(|| Conversation {
                        version: *version,
                        state: state.as_ref().clone(),
                    });
            }
            let Some(asked) = inbound.input.asked() else {
                continue;
            };
            let (channel, message) = (inbound.channel.clone(), inbound.message_id.clone());
            if let Some(handled) = self.inbox.get(&(org, channel.clone(), message.clone())) {
                loaded.inbox.insert((channel, message), *handled);
            }
            if let Request::Branch(branch) = &asked.request {
                let key = (branch.parent, branch.run_id);
                if let Some(base) = self.before_run(org, key.0, key.1)? {
                    loaded.bases.insert(key, base);
                }
            }
        }
        Ok(loaded)
    }

    /// Whose a conversation is, as who looks for its id alone finds it.
    pub(crate) fn whose(&self, id: ConversationId) -> Option<OrgId> {
        let mut rows = self.conversations.keys();
        rows.find(|(_, one)| *one == id).map(|(org, _)| *org)
    }

    /// What these events led to and is not settled; and the delivered answers to them.
    pub(crate) fn repeated(&self, org: OrgId, events: &[Repeated]) -> Vec<(Rc<str>, Rc<Envelope>)> {
        let rows = self.outbox.iter();
        let rows = rows.filter(|((whose, _), kept)| {
            let again = |repeated: &Repeated| {
                let answers = match repeated.event {
                    Which::Request(run) => kept.settled && kept.run_id == run,
                    Which::Other(_) => false,
                };
                answers || kept.cause == repeated.event.cause()
            };
            *whose == org && events.iter().any(again)
        });
        rows.map(|(_, kept)| (Rc::clone(&kept.channel), Rc::clone(&kept.envelope)))
            .collect()
    }

    /// Whatever an organisation was told, as if each of it were repeated.
    pub(crate) fn everything(&self, org: OrgId) -> Vec<(Rc<str>, Rc<Envelope>)> {
        let rows = self.outbox.iter().filter(|((whose, _), _)| *whose == org);
        rows.map(|(_, kept)| (Rc::clone(&kept.channel), Rc::clone(&kept.envelope)))
            .collect()
    }

    /// All conversations there are.
    pub(crate) fn all(&self) -> impl Iterator<Item = (OrgId, ConversationId, &Stored)> {
        let rows = self.conversations.iter();
        rows.map(|((org, id), stored)| (*org, *id, stored))
    }
}
