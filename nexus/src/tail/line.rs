//! One line per message. Pure.

use std::collections::BTreeMap;

use nexus_contracts::{Envelope, Timestamp};
use serde_json::{Value, json as object};

use crate::channels::Seen;
use crate::style::{Tone, column, cut, millis, time_of_day, toned};

/// How many correlation ids are remembered for their latencies.
const REMEMBERED: usize = 10_000;

/// Longest summary, in characters.
const SUMMARY: usize = 80;

/// Remembers when each correlation id was last seen, for the latency of each hop.
#[derive(Debug, Default)]
pub struct Lines {
    last: BTreeMap<String, Timestamp>,
}

impl Lines {
    /// Time, latency since the last message of the same correlation id, that id, channel, type and
    /// what it says.
    pub fn line(&mut self, seen: &Seen) -> String {
        let corr = seen.corr().unwrap_or("-");
        let since = self.hop(corr, seen.stored_at);
        let event_type = seen.event_type();
        [
            toned(Tone::Faint, time_of_day(seen.stored_at)),
            column(Tone::Strong, &since, 8),
            column(Tone::Name, corr.get(..8).unwrap_or(corr), 8),
            column(Tone::Faint, &seen.channel, 24),
            column(tone_of(event_type), event_type, 20),
            summary(&seen.envelope),
        ]
        .join("  ")
        .trim_end()
        .to_owned()
    }

    fn hop(&mut self, corr: &str, at: Timestamp) -> String {
        if self.last.len() >= REMEMBERED {
            self.last.clear();
        }
        match self.last.insert(corr.to_owned(), at) {
            Some(before) if corr != "-" => {
                format!(
                    "+{}",
                    millis(at.as_millis().saturating_sub(before.as_millis()))
                )
            }
            _ => String::new(),
        }
    }
}

/// Failures stand out.
#[must_use]
pub fn tone_of(event_type: &str) -> Tone {
    if event_type.ends_with(".failed") || event_type.starts_with('(') {
        Tone::Bad
    } else if event_type.ends_with(".completed") {
        Tone::Good
    } else {
        Tone::Strong
    }
}

/// What a message says, in a few words.
#[must_use]
pub fn summary(envelope: &Result<Envelope, String>) -> String {
    let envelope = match envelope {
        Ok(envelope) => envelope,
        Err(error) => return cut(error, SUMMARY),
    };
    let payload = envelope.payload_json().unwrap_or_default();
    cut(&words(&envelope.event_type, &payload), SUMMARY)
}

fn words(event_type: &str, payload: &Value) -> String {
    let text = |pointer: &str| payload.pointer(pointer).map(plain).unwrap_or_default();
    match event_type {
        "message.submitted" | "message.completed" => text("/text"),
        "message.failed" | "inference.failed" => format!("{}: {}", text("/code"), text("/detail")),
        "inference.requested" => {
            let count = |name: &str| {
                payload
                    .get(name)
                    .and_then(Value::as_array)
                    .map_or(0, Vec::len)
            };
            format!("{} messages, {} tools", count("messages"), count("tools"))
        }
        "inference.completed" => match payload.pointer("/message/tool_calls/0") {
            Some(_) => format!(
                "{}: calls {}",
                text("/provider"),
                payload
                    .pointer("/message/tool_calls")
                    .map(call_names)
                    .unwrap_or_default()
            ),
            None => {
                // Nobody was asked: it is an earlier answer once more.
                let kept = payload.pointer("/metadata/cache").map_or("", |_| " (kept)");
                format!("{}{kept}: {}", text("/provider"), text("/message/content"))
            }
        },
        "tool.requested" => format!("{} {}", text("/name"), text("/arguments")),
        "tool.completed" => format!("{} = {}", text("/name"), text("/result")),
        "tool.failed" => format!("{}: {} {}", text("/name"), text("/code"), text("/detail")),
        "approval.requested" => format!(
            "{} {}: {}",
            text("/tool"),
            text("/arguments"),
            text("/reason")
        ),
        "approval.decided" => format!("{} {}", text("/decision"), text("/comment")),
        "usage.recorded" => {
            let (provider, model) = (text("/provider"), text("/model"));
            let tokens = [text("/usage/input_tokens"), text("/usage/output_tokens")];
            let [input, output] = tokens;
            format!(
                "{provider}/{model}: {} ({input} in, {output} out)",
                text("/outcome")
            )
        }
        "receipt.recorded" => {
            let ids = payload
                .get("ids")
                .and_then(Value::as_array)
                .map_or(0, Vec::len);
            format!("{ids} by {}", text("/by"))
        }
        _ => String::new(),
    }
}

fn call_names(calls: &Value) -> String {
    let calls = calls.as_array().map(Vec::as_slice).unwrap_or_default();
    let names = calls
        .iter()
        .filter_map(|call| call.get("name").and_then(Value::as_str));
    names.collect::<Vec<_>>().join(", ")
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// The whole message as one line of JSON.
#[must_use]
pub fn json(seen: &Seen) -> String {
    let mut line = object!({
        "channel": seen.channel,
        "entry": seen.entry.to_string(),
        "stored_at": seen.stored_at.to_string(),
    });
    let more = match &seen.envelope {
        Ok(envelope) => object!({
            "id": envelope.id,
            "type": envelope.event_type,
            "correlation_id": envelope.correlation_id,
            "timestamp": envelope.timestamp,
            "metadata": envelope.metadata,
            "payload": envelope.payload_json().unwrap_or_default(),
        }),
        Err(error) => object!({ "error": error }),
    };
    if let (Value::Object(line), Value::Object(more)) = (&mut line, more) {
        line.extend(more);
    }
    line.to_string()
}
