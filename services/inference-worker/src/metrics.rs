//! What is measured, by model. Never by tenant: labels are for ever.

use std::time::Duration;

use metrics::{counter, gauge, histogram};
use nexus_contracts::chat::Usage;

use crate::engine::Engine;

/// A model is ready.
pub fn loaded(model: &str, took: Duration) {
    gauge!("nexus_inference_load_seconds", "model" => model.to_owned()).set(took.as_secs_f64());
}

/// A command found no place free.
pub fn waited(engine: &Engine) {
    counter!("nexus_inference_waits_total", "model" => engine.name().to_owned()).increment(1);
}

/// A command was stopped or refused, in this word.
pub fn ended(engine: &Engine, outcome: &'static str) {
    let model = engine.name().to_owned();
    counter!("nexus_inference_requests_total", "model" => model, "outcome" => outcome).increment(1);
}

/// A model did what was asked.
pub fn worked(engine: &Engine, usage: &Usage, took: Duration, first_text: Option<Duration>) {
    let model = engine.name().to_owned();
    ended(engine, "completed");
    histogram!("nexus_inference_compute_seconds", "model" => model.clone(), "device" => engine.device())
        .record(took.as_secs_f64());
    if let Some(first) = first_text {
        histogram!("nexus_inference_first_text_seconds", "model" => model.clone())
            .record(first.as_secs_f64());
    }
    for (direction, count) in [
        ("input", usage.input_tokens),
        ("output", usage.output_tokens),
    ] {
        counter!("nexus_inference_tokens_total", "model" => model.clone(), "direction" => direction)
            .increment(count);
    }
}
