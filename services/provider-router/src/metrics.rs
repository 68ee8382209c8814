//! What is measured of every attempt, by provider and model. Never by tenant: labels are for ever.

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

type Label = (&'static str, SharedString);

fn with(labels: &[Label; 2], name: &'static str, value: &'static str) -> [Label; 3] {
    let [provider, model] = labels.clone();
    [provider, model, (name, value.into())]
}
