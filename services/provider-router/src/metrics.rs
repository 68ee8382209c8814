//! What is measured of every call, by provider and model. Never by tenant: labels are for ever.

use std::sync::Arc;
use std::time::Duration;

use metrics::{SharedString, counter, histogram};

use crate::attempts::Attempts;
use crate::registry::Configured;

/// Notes a call that ended.
pub fn called(configured: &Configured, model: &str, attempts: &Attempts, took: Duration) {
    // Clients choose models freely; only those the file lists may become a label.
    let listed = configured.models.iter().any(|known| known == model);
    let model: SharedString = match listed {
        true if *configured.model == *model => Arc::clone(&configured.model).into(),
        true => model.to_owned().into(),
        false => "other".into(),
    };
    let provider: SharedString = Arc::clone(&configured.name).into();
    let outcome = match &attempts.outcome {
        Ok(_) => "completed",
        Err(failure) => failure.class.code(),
    };
    counter!(
        "nexus_provider_requests_total",
        "provider" => provider.clone(), "model" => model.clone(), "outcome" => outcome
    )
    .increment(1);
    if attempts.tries > 1 {
        counter!(
            "nexus_provider_retries_total",
            "provider" => provider.clone(), "model" => model.clone()
        )
        .increment(u64::from(attempts.tries - 1));
    }
    histogram!(
        "nexus_provider_request_seconds",
        "provider" => provider.clone(), "model" => model.clone()
    )
    .record(took.as_secs_f64());
    if let Some(first) = attempts.first_text {
        histogram!(
            "nexus_provider_first_text_seconds",
            "provider" => provider.clone(), "model" => model.clone()
        )
        .record(first.as_secs_f64());
    }
    if let Ok(answer) = &attempts.outcome {
        let tokens = [
            ("input", answer.usage.input_tokens),
            ("output", answer.usage.output_tokens),
        ];
        for (direction, count) in tokens {
            counter!(
                "nexus_provider_tokens_total",
                "provider" => provider.clone(), "model" => model.clone(), "direction" => direction
            )
            .increment(count);
        }
    }
}
