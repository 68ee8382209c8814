//! What is measured of every attempt, by provider and model, and of answers that are kept. Never by
//! tenant: labels are for ever.

use std::sync::Arc;

use metrics::{SharedString, counter, histogram};

use crate::tally::Attempt;

/// Notes an attempt that ended.
pub fn attempted(attempt: &Attempt) {
    let (configured, model) = (&attempt.candidate.configured, &attempt.candidate.model);
    // Clients choose models freely; only those the file lists may become a label.
    let model: SharedString = if configured.lists(model) {
        Arc::clone(model).into()
    } else {
        "other".into()
    };
    let provider: SharedString = Arc::clone(&configured.name).into();
    let labels = [("provider", provider), ("model", model)];
    counter!(
        "nexus_provider_requests_total",
        &with(&labels, "outcome", attempt.outcome())
    )
    .increment(1);
    histogram!("nexus_provider_request_seconds", &labels).record(attempt.took.as_secs_f64());
    if let Some(first) = attempt.first_text {
        histogram!("nexus_provider_first_text_seconds", &labels).record(first.as_secs_f64());
    }
    let usage = &attempt.usage;
    let tokens = [
        ("input", usage.input_tokens),
        ("output", usage.output_tokens),
        ("cached_input", usage.cached_input_tokens),
        ("reasoning", usage.reasoning_tokens),
    ];
    for (direction, count) in tokens.into_iter().filter(|(_, count)| *count > 0) {
        let labels = with(&labels, "direction", direction);
        counter!("nexus_provider_tokens_total", &labels).increment(count);
    }
    if let Some(cost) = usage.cost_microusd {
        counter!("nexus_provider_cost_microusd_total", &labels).increment(cost);
    }
}

/// What came of looking an answer up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looked {
    /// One was found.
    Hit,
    /// None is kept.
    Miss,
    /// One was near, and the guard saw a difference.
    Guarded,
    /// One was alike, and is kept no more.
    Gone,
    /// Nobody who may read the message makes vectors.
    NoVectors,
    /// It could not be looked up.
    Failed,
}

/// Notes that an answer was looked up: `exact` or `semantic`.
pub fn looked_up(kind: &'static str, looked: Looked) {
    let outcome = match looked {
        Looked::Hit => "hit",
        Looked::Miss => "miss",
        Looked::Guarded => "guarded",
        Looked::Gone => "gone",
        Looked::NoVectors => "no_vectors",
        Looked::Failed => "failed",
    };
    let labels = [("kind", kind), ("outcome", outcome)];
    counter!("nexus_provider_cache_lookups_total", &labels).increment(1);
}

/// Notes what became of an answer that might do again.
pub fn kept(outcome: &'static str) {
    counter!("nexus_provider_cache_answers_total", "outcome" => outcome).increment(1);
}

type Label = (&'static str, SharedString);

fn with(labels: &[Label; 2], name: &'static str, value: &'static str) -> [Label; 3] {
    let [provider, model] = labels.clone();
    [provider, model, (name, value.into())]
}
