//! What a call came to, in the words of the contract.

use std::time::Duration;

use nexus_contracts::Extra;
use nexus_contracts::events::InferenceCompleted;
use serde_json::{Value, json};

use crate::call::{Answered, Unanswered};
use crate::command::Reply;
use crate::plan::Plan;
use crate::provider::{FailureClass, ProviderFailure};
use crate::tally::{self, Attempt, End};

/// What became of a command that was carried out.
pub struct Done {
    /// What answers it.
    pub reply: Reply,
    /// Whether repetitions get the same; if not, they run anew.
    pub keep: bool,
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
    let done = match outcome {
        Ok(answered) => Done {
            reply: Reply::Completed(Box::new(completed(answered, plan, took))),
            keep: true,
        },
        Err(Unanswered::NotNow(wait)) => return Ended::NotNow(wait),
        Err(Unanswered::Failed {
            failure,
            provider,
            heard,
        }) => {
            let keep = heard || !failure.class.is_transient();
            let mut reply = Reply::failed(&failure, provider.as_deref());
            reply.extra_mut().extend(route_of(plan));
            Done { reply, keep }
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
    pub fn take_note(&mut self, attempts: &[Attempt]) {
        let mishaps: Vec<Value> = attempts.iter().filter_map(Attempt::mishap).collect();
        if !mishaps.is_empty() {
            self.extra_mut()
                .insert("attempts".to_owned(), mishaps.into());
        }
        let Self::Completed(completed) = self else {
            return;
        };
        // Of an answer of several parts, all of them are paid for.
        let whole = completed.metadata.contains_key("seams");
        let counted = attempts
            .iter()
            .filter(|attempt| whole || matches!(attempt.end, End::Answered));
        completed.usage = tally::sum(counted);
    }

    fn extra_mut(&mut self) -> &mut Extra {
        match self {
            Self::Completed(completed) => &mut completed.extra,
            Self::Failed(failed) => &mut failed.extra,
        }
    }
}
