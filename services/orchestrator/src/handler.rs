//! Event in, outgoing events out: the ends of the consume loops.

use std::time::Duration;

use async_trait::async_trait;
use nexus_bus::Outgoing;
use nexus_contracts::events::{InferenceFailed, MessageSubmitted, ToolFailed};
use nexus_contracts::principal::Principal;
use nexus_contracts::{Envelope, Event, Extra, channels};
use nexus_service_kit::{
    BatchHandler, Clock, DeadLetter, Failure, Message, Outcome, TableView, outgoing,
};

use crate::core::Command;
use crate::core::run::failure;
use crate::emit::emission;
use crate::intake::Intake;
use crate::metrics;
use crate::translate::{self, Refusal, Sender, Translated};

/// Handles what people and programs ask, on the channel of one adapter or client.
pub struct Incoming {
    /// The name that ends the channel; empty for the local client.
    pub name: String,
    /// The principal's key for a client; `None` for an adapter of ours.
    pub principal: Option<String>,
    /// Who may ask.
    pub principals: TableView<Principal>,
    /// Where events go.
    pub intake: Intake,
    /// Now.
    pub clock: Clock,
}

impl Incoming {
    fn sender(&self) -> Option<Sender> {
        let name = self.name.clone();
        match &self.principal {
            None => Some(Sender::Adapter { name }),
            Some(key) => self
                .principals
                .get(key)
                .map(|principal| Sender::Client { name, principal }),
        }
    }

    /// Tells the sender that the message cannot be taken. Without knowing who asked nobody can be
    /// told: the message is parked.
    fn refuse(&self, refusal: Refusal) -> Outcome {
        metrics::refused(refusal.code);
        let Refusal {
            header,
            code,
            detail,
        } = refusal;
        let Some(header) = header else {
            return Err(Failure::Reject { reason: detail });
        };
        let command = failure(&header, code, &detail, Extra::new());
        self.outgoing(&command)
    }

    fn outgoing(&self, command: &Command) -> Outcome {
        let Command::Fail { header, .. } = command else {
            return Ok(Vec::new());
        };
        let emission =
            emission(command, &header.message_id, self.clock.now()).map_err(|error| {
                Failure::Reject {
                    reason: error.to_string(),
                }
            })?;
        Ok(emission
            .map(|one| outgoing(one.channel, &one.envelope))
            .into_iter()
            .collect())
    }
}

#[async_trait]
impl BatchHandler for Incoming {
    async fn handle(&self, batch: Vec<Message>) -> Vec<Outcome> {
        let Some(sender) = self.sender() else {
            let reason = format!(
                "no principal for the client `{}` yet; is it in the section `principals`?",
                self.name
            );
            let wait = Failure::Wait {
                after: Duration::from_millis(500),
                reason,
            };
            return batch.iter().map(|_| Err(wait.clone())).collect();
        };
        let translated = batch
            .iter()
            .map(|message| translate::incoming(&message.envelope, &message.channel, &sender));
        let (mut outcomes, events) = sort_out(translated, |refusal| self.refuse(refusal));
        fill_in(&mut outcomes, self.intake.handle(events).await);
        finished(outcomes)
    }

    /// A message that cannot even be tried still gets an answer, made from its flat fields.
    fn on_dead(&self, letter: &DeadLetter) -> Vec<Outgoing> {
        let (Some(sender), Some(envelope)) = (self.sender(), &letter.envelope) else {
            return Vec::new();
        };
        let Ok(header) = translate::header_of(envelope, &letter.channel, &sender) else {
            return Vec::new();
        };
        let detail = format!(
            "the {} could not be handled and was parked in {}.dead: {}",
            MessageSubmitted::TYPE,
            letter.channel,
            letter.reason
        );
        let command = failure(&header, "poisoned", &detail, Extra::new());
        self.outgoing(&command).unwrap_or_default()
    }
}

/// Handles what workers return, and receipts.
pub struct Results {
    /// Where events go.
    pub intake: Intake,
    /// Now.
    pub clock: Clock,
}

#[async_trait]
impl BatchHandler for Results {
    async fn handle(&self, batch: Vec<Message>) -> Vec<Outcome> {
        let translated = batch.iter().map(|message| {
            if translate::is_of_no_run(&message.envelope) {
                return Err(None);
            }
            translate::result(&message.envelope, &message.channel).map_err(Some)
        });
        let reject = |reason: Option<String>| match reason {
            None => Ok(Vec::new()),
            Some(reason) => Err(Failure::Reject { reason }),
        };
        let (mut outcomes, events) = sort_out(translated, reject);
        fill_in(&mut outcomes, self.intake.handle(events).await);
        finished(outcomes)
    }

    /// A result that cannot be read is replaced by one that says so, or the run would wait for
    /// its deadline.
    fn on_dead(&self, letter: &DeadLetter) -> Vec<Outgoing> {
        let Some(dead) = &letter.envelope else {
            return Vec::new();
        };
        let replaces_itself = [InferenceFailed::TYPE, ToolFailed::TYPE];
        if replaces_itself.contains(&dead.event_type.as_str()) {
            return Vec::new();
        }
        let detail = format!(
            "the result was parked in {}.dead: {}",
            letter.channel, letter.reason
        );
        let now = self.clock.now();
        let id = dead.id.result("poisoned");
        let replacement = match letter.channel.as_str() {
            channels::INFERENCE_RESPONSE => Envelope::new(id, now, &poisoned_inference(detail)),
            channels::TOOLS_RESULTS => Envelope::new(id, now, &poisoned_tool(detail)),
            _ => return Vec::new(),
        };
        let replacement = replacement.map(|envelope| {
            envelope
                .correlated(dead.correlation_id.clone())
                .with_metadata(dead.metadata.clone())
        });
        replacement
            .map(|envelope| outgoing(&letter.channel, &envelope))
            .into_iter()
            .collect()
    }
}

fn poisoned_inference(detail: String) -> InferenceFailed {
    InferenceFailed {
        code: "poisoned".to_owned(),
        detail,
        retryable: false,
        provider: None,
        extra: Extra::new(),
    }
}

fn poisoned_tool(detail: String) -> ToolFailed {
    ToolFailed {
        call_id: String::new(),
        name: String::new(),
        code: "poisoned".to_owned(),
        detail,
        extra: Extra::new(),
    }
}

/// Outcomes of what needs no transaction, holes for the rest, and the events that fill them.
fn sort_out<E>(
    translated: impl Iterator<Item = Result<Translated, E>>,
    refuse: impl Fn(E) -> Outcome,
) -> (Vec<Option<Outcome>>, Vec<Translated>) {
    let mut events = Vec::new();
    let outcomes = translated
        .map(|one| match one {
            Ok(event) => {
                events.push(event);
                None
            }
            Err(error) => Some(refuse(error)),
        })
        .collect();
    (outcomes, events)
}

fn fill_in(outcomes: &mut [Option<Outcome>], handled: Vec<crate::intake::Handled>) {
    let holes = outcomes.iter_mut().filter(|outcome| outcome.is_none());
    for (hole, handled) in holes.zip(handled) {
        *hole = Some(handled.map(|()| Vec::new()));
    }
}

fn finished(outcomes: Vec<Option<Outcome>>) -> Vec<Outcome> {
    let lost = || {
        Err(Failure::Retry {
            after: Duration::ZERO,
            reason: "no outcome".to_owned(),
        })
    };
    outcomes
        .into_iter()
        .map(|outcome| outcome.unwrap_or_else(lost))
        .collect()
}
