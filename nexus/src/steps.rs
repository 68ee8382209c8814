//! What a run reports on its way, in words for a terminal. Pure.

use nexus_contracts::live::LiveEvent;
use serde_json::Value;

use crate::style::{Tone, cut, toned};

/// Longest detail of a tool call, in characters.
const DETAIL: usize = 100;

/// The word for a status.
#[must_use]
pub fn status_word(status: &str) -> &str {
    match status {
        "thinking" => "thinking",
        "calling_tools" => "calling tools",
        other => other,
    }
}

/// The line for a tool call that started or ended; `None` for other events.
#[must_use]
pub fn tool_line(event: &LiveEvent) -> Option<String> {
    let LiveEvent::Tool {
        name,
        status,
        detail,
        ..
    } = event
    else {
        return None;
    };
    let (mark, tone) = match status.as_str() {
        "started" => ("→", Tone::Faint),
        "completed" => ("✓", Tone::Good),
        _ => ("✗", Tone::Bad),
    };
    let detail = cut(&plain(detail), DETAIL);
    Some(
        format!(
            "{} {} {}",
            toned(tone, mark),
            toned(Tone::Name, name),
            detail
        )
        .trim_end()
        .into(),
    )
}

/// Text as it is, nothing for nothing, the rest as JSON.
fn plain(detail: &Value) -> String {
    match detail {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
