//! Stands in for the orchestrator: the service, and what it saw.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use nexus_bus::Outgoing;
use nexus_contracts::events::{ApprovalDecided, ApprovalRequested};
use nexus_contracts::principal::Principal;
use nexus_contracts::{
    ConversationId, Envelope, Extra, MessageId, OrgId, RunId, UserId, channels, derive_id, tables,
};
use nexus_service_kit::{
    ConsumerSpec, Deps, Failure, Handler, Message, Outcome, Service, ServiceError, Started,
    consume_each, put_table,
};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::puppet::Puppet;

/// The organisation of the local client.
pub(crate) fn org() -> OrgId {
    OrgId(derive_id([b"test org".as_slice()]))
}

/// The local client.
pub(crate) fn user() -> UserId {
    UserId(derive_id([b"test user".as_slice()]))
}

/// Somebody else in the same organisation.
pub(crate) const COLLEAGUE: &str = "client:colleague";

/// Somebody of another organisation.
pub(crate) const STRANGER: &str = "client:stranger";

/// What the orchestrator got, and what it remembers.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) texts: Mutex<Vec<String>>,
    pub(crate) cancelled: Mutex<Vec<RunId>>,
    pub(crate) receipts: Mutex<Vec<MessageId>>,
    pub(crate) decisions: Mutex<Vec<ApprovalDecided>>,
    pub(crate) envelopes: Mutex<Vec<Envelope>>,
    /// What each message led to, to be repeated.
    pub(crate) inbox: Mutex<BTreeMap<MessageId, Vec<Outgoing>>>,
    pub(crate) conversations: Mutex<BTreeMap<ConversationId, (OrgId, UserId)>>,
    /// What started each run.
    pub(crate) runs: Mutex<BTreeMap<RunId, Envelope>>,
    pub(crate) approvals: Mutex<BTreeMap<MessageId, ApprovalRequested>>,
    news: Notify,
}

impl Seen {
    /// Every text, in the order it came, repetitions too.
    pub(crate) fn texts(&self) -> Vec<String> {
        self.texts.lock().clone()
    }

    /// Waits until something holds.
    pub(crate) async fn until(&self, holds: impl Fn(&Self) -> bool) -> anyhow::Result<()> {
        let wait = async {
            loop {
                let news = self.news.notified();
                if holds(self) {
                    return;
                }
                news.await;
            }
        };
        tokio::time::timeout(crate::node::PATIENCE, wait)
            .await
            .map_err(|_elapsed| anyhow::anyhow!("it never held; texts: {:?}", self.texts()))
    }

    /// Messages somebody confirmed.
    pub(crate) fn receipts(&self) -> Vec<MessageId> {
        self.receipts.lock().clone()
    }

    /// Runs somebody cancelled.
    pub(crate) fn cancelled(&self) -> Vec<RunId> {
        self.cancelled.lock().clone()
    }

    /// What was decided about tool calls.
    pub(crate) fn decisions(&self) -> Vec<ApprovalDecided> {
        self.decisions.lock().clone()
    }

    /// The envelopes of this type, each once.
    pub(crate) fn of_type(&self, event_type: &str) -> Vec<Envelope> {
        let envelopes = self.envelopes.lock();
        let ours = envelopes.iter().filter(|one| one.event_type == event_type);
        let by_id: BTreeMap<_, _> = ours.map(|one| (one.id.clone(), one.clone())).collect();
        by_id.into_values().collect()
    }
}

/// The service.
pub(crate) struct Orchestrator {
    pub(crate) seen: Arc<Seen>,
}

#[async_trait]
impl Service for Orchestrator {
    fn name(&self) -> &'static str {
        "orchestrator"
    }

    async fn start(&self, deps: &Deps) -> Result<Started, ServiceError> {
        let someone = |org_id, user_id| Principal {
            org_id,
            user_id,
            roles: vec![],
            extra: Extra::new(),
        };
        let other = |name: &str| derive_id([name.as_bytes()]);
        let people = [
            ("client:local", someone(org(), user())),
            (COLLEAGUE, someone(org(), UserId(other("colleague")))),
            (STRANGER, someone(OrgId(other("elsewhere")), user())),
        ];
        for (key, principal) in people {
            put_table(&deps.bus, tables::PRINCIPALS, key, &principal).await?;
        }
        let demo = serde_json::json!({ "name": "demo", "default": true });
        put_table(&deps.bus, tables::PROVIDERS, "demo", &demo).await?;
        for channel in [channels::incoming("api"), channels::RECEIPTS.to_owned()] {
            let puppet = Puppet {
                seen: Arc::clone(&self.seen),
                deps: deps.clone(),
            };
            let spec = ConsumerSpec::new(channel, "orchestrator");
            consume_each(deps, spec, Arc::new(Listener(puppet)));
        }
        Ok(Started::default())
    }
}

struct Listener(Puppet);

#[async_trait]
impl Handler for Listener {
    async fn handle(&self, message: Message) -> Outcome {
        let answers = self.0.answers(&message.envelope).await;
        let answers = answers.map_err(|error| Failure::reject(error.to_string()))?;
        self.0.seen.envelopes.lock().push(message.envelope);
        self.0.seen.news.notify_waiters();
        Ok(answers)
    }
}
