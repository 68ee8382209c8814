//! Every message in, nothing out.

use std::time::Duration;

use async_trait::async_trait;
use nexus_contracts::principal::Principal;
use nexus_service_kit::{BatchHandler, Failure, Message, Outcome, TableView};

use crate::fact::{Origin, record};
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
}

impl Recording {
    fn origin(&self) -> Option<Origin> {
        match &self.client {
            None => Some(Origin::Ours),
            Some(key) => self.principals.get(key).map(Origin::Client),
        }
    }
}

#[async_trait]
impl BatchHandler for Recording {
    async fn handle(&self, batch: Vec<Message>) -> Vec<Outcome> {
        let count = batch.len();
        let all = |outcome: Outcome| (0..count).map(|_| outcome.clone()).collect();
        let Some(origin) = self.origin() else {
            let reason = "no principal for this client yet".to_owned();
            return all(Err(Failure::Wait {
                after: AWAY,
                reason,
            }));
        };
        let messages = batch.into_iter().map(|message| {
            let entry_id = message.entry_id.to_string();
            (
                message.stored_at.as_millis(),
                record(message.envelope, &message.channel, entry_id, &origin),
            )
        });
        match self.intake.record(messages.collect()).await {
            Ok(()) => all(Ok(Vec::new())),
            Err(Some(error)) => {
                let reason = error.to_string();
                let transient = match error.as_ref() {
                    crate::Error::Store(error) => error.is_transient(),
                    crate::Error::Row { .. } => false,
                };
                all(Err(if transient {
                    Failure::Wait {
                        after: AWAY,
                        reason,
                    }
                } else {
                    Failure::Retry {
                        after: AWAY,
                        reason,
                    }
                }))
            }
            Err(None) => {
                let reason = "the recorder is stopping".to_owned();
                all(Err(Failure::Wait {
                    after: AWAY,
                    reason,
                }))
            }
        }
    }
}
