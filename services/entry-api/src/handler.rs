//! Answers in, receipts out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use nexus_bus::Outgoing;
use nexus_contracts::events::{Event, ReceiptRecorded};
use nexus_contracts::{ContractError, Envelope, Extra, MessageId, Metadata, OrgId, derive_id};
use nexus_service_kit::{BatchHandler, Clock, Failure, Message, Outcome, outgoing};

use crate::NAME;
use crate::answer::{self, Answer};
use crate::ingress::Ingress;
use crate::messages::Messages;
use crate::metrics::Metrics;
use crate::waiters::Waiters;

/// How long answers wait while the store cannot be written.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// Records what the orchestrator answered.
pub struct Answers {
    /// Where it is kept.
    pub messages: Messages,
    /// Whose publications end.
    pub ingress: Ingress,
    /// Who waits for it.
    pub waiters: Arc<Waiters>,
    /// Dates the receipts.
    pub clock: Clock,
    /// Counts.
    pub metrics: Arc<Metrics>,
}

#[async_trait]
impl BatchHandler for Answers {
    async fn handle(&self, batch: Vec<Message>) -> Vec<Outcome> {
        let read: Vec<Result<Answer, Failure>> = batch
            .iter()
            .map(|message| {
                answer::read(&message.envelope).map_err(|error| Failure::Reject {
                    reason: error.to_string(),
                })
            })
            .collect();
        let answers: Vec<Answer> = read.iter().flatten().cloned().collect();
        if let Err(error) = self.messages.record(&answers).await {
            tracing::error!(%error, "answers wait: the store cannot be written");
            let reason = format!("{error}; free disk space or mend the store");
            let wait = || Failure::Wait {
                after: STORE_PAUSE,
                reason: reason.clone(),
            };
            return read
                .into_iter()
                .map(|answer| answer.and_then(|_| Err(wait())))
                .collect();
        }
        self.ingress.settle(&answers);
        self.waiters.wake(answers.iter().map(|answer| answer.run));
        self.metrics.answers.increment(answers.len() as u64);
        let mut receipts = self.receipts(&answers);
        read.into_iter()
            .map(|answer| answer.map(|answer| receipts.remove(&answer.id).unwrap_or_default()))
            .collect()
    }
}

impl Answers {
    /// One receipt per organisation, carried by the first answer it is about. Acceptances need
    /// none: nobody repeats them.
    fn receipts(&self, answers: &[Answer]) -> BTreeMap<MessageId, Vec<Outgoing>> {
        let mut kept: BTreeMap<OrgId, Vec<MessageId>> = BTreeMap::new();
        for answer in answers.iter().filter(|answer| answer.wants_receipt) {
            kept.entry(answer.org).or_default().push(answer.id.clone());
        }
        let mut receipts = BTreeMap::new();
        for (org, ids) in kept {
            let Some(carrier) = ids.first().cloned() else {
                continue;
            };
            match receipt(org, ids, self.clock.now()) {
                Ok(envelope) => {
                    receipts.insert(carrier, vec![outgoing(ReceiptRecorded::CHANNEL, &envelope)]);
                }
                Err(error) => tracing::error!(%error, "a receipt could not be written"),
            }
        }
        receipts
    }
}

/// The same answers give the same receipt.
fn receipt(
    org: OrgId,
    ids: Vec<MessageId>,
    at: nexus_contracts::Timestamp,
) -> Result<Envelope, ContractError> {
    let about = ids.iter().map(|id| id.as_str().as_bytes());
    let id = derive_id(
        [b"receipt".as_slice(), NAME.as_bytes()]
            .into_iter()
            .chain(about),
    );
    let event = ReceiptRecorded {
        ids,
        by: NAME.to_owned(),
        extra: Extra::new(),
    };
    let metadata = Metadata {
        org_id: Some(org),
        ..Metadata::default()
    };
    Ok(Envelope::new(MessageId::from(id), at, &event)?.with_metadata(metadata))
}
