//! Every message in; out go receipts for what is told of conversations, once it is committed.

use std::time::Duration;

use async_trait::async_trait;
use nexus_contracts::events::{Event, ReceiptRecorded};
use nexus_contracts::principal::Principal;
use nexus_contracts::{ContractError, MessageId, OrgId, channels};
use nexus_service_kit::{BatchHandler, Clock, Failure, Message, Outcome, TableView, outgoing};

use crate::fact::{Found, Origin, Recorded, record};
use crate::receipt::receipts;
use crate::writer::Intake;

/// How long messages wait when the database is away or a principal is not known yet.
const AWAY: Duration = Duration::from_secs(1);

/// Records one channel.
pub struct Recording {
    /// The principal's key where an external client writes the channel.
    pub client: Option<String>,
    /// Who may ask.
    pub principals: TableView<Principal>,
    /// Where messages go.
    pub intake: Intake,
    /// The time of receipts.
    pub clock: Clock,
}

/// What is to become of a message once the batch is committed.
enum Fate {
    Archived,
    /// Its publisher repeats it until it gets a receipt.
    Confirmed(OrgId, MessageId),
    Unreadable(String),
}

#[async_trait]
impl BatchHandler for Recording {
    async fn handle(&self, batch: Vec<Message>) -> Vec<Outcome> {
        let count = batch.len();
        let all = |failure: Failure| (0..count).map(|_| Err(failure.clone())).collect();
        let Some(origin) = self.origin() else {
            return all(Failure::wait(AWAY, "no principal for this client yet"));
        };
        let (mut recorded, mut fates) = (Vec::with_capacity(count), Vec::with_capacity(count));
        for message in batch {
            match place(message, &origin) {
                Ok(one) => {
                    fates.push(fate(&one));
                    recorded.push(one);
                }
                Err(error) => fates.push(Fate::Unreadable(error.to_string())),
            }
        }
        match self.intake.record(recorded).await {
            Ok(()) => self.settle(fates),
            Err(Some(error)) => {
                let reason = error.to_string();
                all(match error.as_ref() {
                    crate::Error::Store(error) if error.is_transient() => {
                        Failure::wait(AWAY, reason)
                    }
                    crate::Error::Store(_) | crate::Error::Row { .. } => {
                        Failure::retry(AWAY, reason)
                    }
                })
            }
            Err(None) => all(Failure::wait(AWAY, "the recorder is stopping")),
        }
    }
}

impl Recording {
    fn origin(&self) -> Option<Origin> {
        match &self.client {
            None => Some(Origin::Ours),
            Some(key) => self.principals.get(key).map(Origin::Client),
        }
    }

    fn settle(&self, fates: Vec<Fate>) -> Vec<Outcome> {
        let confirmed = fates
            .iter()
            .enumerate()
            .filter_map(|(at, fate)| match fate {
                Fate::Confirmed(org, id) => Some((at, *org, id)),
                Fate::Archived | Fate::Unreadable(_) => None,
            });
        let carried = match receipts(confirmed, self.clock.now()) {
            Ok(carried) => carried,
            Err(error) => {
                // Acknowledged without a receipt they come again, under another entry.
                tracing::error!(%error, "receipts could not be written");
                Vec::new()
            }
        };
        let mut outcomes: Vec<Outcome> = fates
            .into_iter()
            .map(|fate| match fate {
                Fate::Archived | Fate::Confirmed(..) => Ok(Vec::new()),
                Fate::Unreadable(reason) => Err(Failure::reject(reason)),
            })
            .collect();
        for (at, receipt) in carried {
            if let Some(Ok(records)) = outcomes.get_mut(at) {
                records.push(outgoing(ReceiptRecorded::CHANNEL, &receipt));
            }
        }
        outcomes
    }
}

fn place(message: Message, origin: &Origin) -> Result<Recorded, ContractError> {
    let found = Found {
        channel: &message.channel,
        entry_id: message.entry_id.to_string(),
        stored_at: message.stored_at.as_millis(),
    };
    record(message.envelope, found, origin)
}

/// What this version does not know of conversations is archived but not confirmed: it is repeated
/// until a recorder that knows what to do with it is there.
fn fate(recorded: &Recorded) -> Fate {
    if recorded.channel != channels::CONVERSATIONS {
        return Fate::Archived;
    }
    if recorded.fact.is_none() {
        let event = &recorded.envelope.event_type;
        tracing::warn!(
            event,
            "not known here and not confirmed; a newer recorder is needed"
        );
        return Fate::Archived;
    }
    Fate::Confirmed(recorded.org, recorded.envelope.id.clone())
}
