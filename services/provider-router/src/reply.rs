//! What a call came to, in the words of the contract.

use std::time::Duration;

use nexus_contracts::Extra;
use nexus_contracts::events::{EmbeddingCompleted, InferenceCompleted};
use serde_json::{Value, json};

use crate::cache::sought::Fit;
use crate::call::{Answered, Unanswered};
use crate::command::Reply;
use crate::plan::Plan;
use crate::provider::{Embedded, FailureClass, ProviderFailure, embed};
use crate::registry::models::Task;
use crate::tally::{self, Attempt, End};

/// What became of a command that was carried out.
pub struct Done {
    /// What answers it.
    pub reply: Reply,
    /// Whether repetitions get the same; if not, they run anew.
    pub keep: bool,
    /// What other questions may be answered with, too.
    pub fit: Option<Box<Fit>>,
}

impl Done {
    /// It is told, to repetitions too.
    #[must_use]
    pub const fn told(reply: Reply) -> Self {
        Self {
            reply,
            keep: true,
            fit: None,
        }
    }
}

/// How a call ended.
pub enum Ended {
    /// With something to tell.
    Done(Box<Done>),
    /// Nobody could be asked yet: the command is to come back after this long.
    NotNow(Duration),
}

/// What a call by this plan came to.
#[must_use]
pub fn ended(outcome: Result<Answered, Unanswered>, plan: &Plan, took: Duration) -> Ended {
    let told = |answered| Reply::Completed(Box::new(completed(answered, plan, took)));
    told_or_not(outcome.map(told), plan)
}

/// The same of texts that were to become vectors.
#[must_use]
pub fn embedded(outcome: Result<Answered<Embedded>, Unanswered>, plan: &Plan) -> Ended {
    let told = |answered: Answered<Embedded>| {
        let vectors = &answered.answer;
        // Paid for all the same: what cannot be kept would be paid again when it is repeated.
        match embed::check_numbers(vectors.vectors.len(), vectors.length()) {
            Ok(()) => Reply::Embedded(Box::new(vectors_of(answered, plan))),
            Err(why) => {
                let failure = ProviderFailure::new(FailureClass::BadRequest, why);
                Reply::failed(&failure, Some(&answered.provider))
            }
        }
    };
    told_or_not(outcome.map(told), plan)
}

fn told_or_not(outcome: Result<Reply, Unanswered>, plan: &Plan) -> Ended {
    let done = match outcome {
        Ok(reply) => Done::told(reply),
        Err(Unanswered::NotNow(wait)) => return Ended::NotNow(wait),
        Err(Unanswered::Failed {
            failure,
            provider,
            heard,
        }) => {
            let keep = heard || !failure.class.is_transient();
            let mut reply = Reply::failed(&failure, provider.as_deref());
            reply.extra_mut().extend(route_of(plan));
            Done {
                reply,
                keep,
                fit: None,
            }
        }
    };
    Ended::Done(Box::new(done))
}

fn completed(answered: Answered, plan: &Plan, took: Duration) -> InferenceCompleted {
    let Answered {
        answer,
        provider,
        model,
    } = answered;
    InferenceCompleted {
        message: answer.message,
        finish_reason: answer.finish_reason,
        usage: answer.usage,
        provider: provider.to_string(),
        model: answer.model.unwrap_or_else(|| model.to_string()),
        duration_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        metadata: answer.metadata,
        extra: route_of(plan),
    }
}

fn vectors_of(answered: Answered<Embedded>, plan: &Plan) -> EmbeddingCompleted {
    let Answered {
        answer,
        provider,
        model,
    } = answered;
    let mut extra = route_of(plan);
    if !answer.metadata.is_empty() {
        extra.insert("metadata".to_owned(), json!(answer.metadata));
    }
    EmbeddingCompleted {
        embeddings: answer.vectors,
        usage: answer.usage,
        provider: provider.to_string(),
        model: answer.model.unwrap_or_else(|| model.to_string()),
        extra,
    }
}

/// By which way somebody was found, where it was not by name.
fn route_of(plan: &Plan) -> Extra {
    let mut extra = Extra::new();
    if let Some(route) = &plan.route {
        extra.insert("route".to_owned(), route.as_str().into());
    }
    if let Some(delegated) = &plan.delegated {
        extra.insert("delegated".to_owned(), json!(delegated));
    }
    extra
}

/// A person no longer wants the answer.
#[must_use]
pub fn cancelled() -> Reply {
    let failure = ProviderFailure::new(FailureClass::Cancelled, "the run was cancelled");
    Reply::failed(&failure, None)
}

impl Reply {
    /// Adds who failed on the way, and what the answer cost.
    pub fn take_note(&mut self, attempts: &[Attempt], task: Task) {
        // What was taken beside it, as vectors to look an answer up, is told apart.
        let attempts = attempts.iter().filter(|attempt| attempt.task == task);
        let attempts: Vec<&Attempt> = attempts.collect();
        let mishaps = attempts.iter().filter_map(|attempt| attempt.mishap());
        let mishaps: Vec<Value> = mishaps.collect();
        if !mishaps.is_empty() {
            self.extra_mut()
                .insert("attempts".to_owned(), mishaps.into());
        }
        let answered = |attempt: &&&Attempt| matches!(attempt.end, End::Answered);
        match self {
            // For an answer that was kept nobody was asked.
            Self::Completed(_) if attempts.is_empty() => {}
            Self::Completed(completed) => {
                // Of an answer of several parts, all of them are paid for.
                let whole = completed.metadata.contains_key("seams");
                let counted = attempts.iter().filter(|attempt| whole || answered(attempt));
                completed.usage = tally::sum(counted.copied());
            }
            Self::Embedded(embedded) => {
                let counted = attempts.iter().filter(answered);
                embedded.usage = tally::sum(counted.copied());
            }
            Self::Failed(_) => {}
        }
    }

    fn extra_mut(&mut self) -> &mut Extra {
        match self {
            Self::Completed(completed) => &mut completed.extra,
            Self::Embedded(embedded) => &mut embedded.extra,
            Self::Failed(failed) => &mut failed.extra,
        }
    }
}
