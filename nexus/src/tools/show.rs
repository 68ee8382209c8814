//! One tool, in full.

use nexus_contracts::settings::ToolPolicy;
use nexus_contracts::tool::{Effect, ListedTool};
use nexus_tool_executor::api::view::ToolView;
use serde_json::Value;

use crate::style::{Tone, millis, toned};

/// Everything a person may want to know before an agent gets it.
pub(super) fn lines(view: &ToolView) -> Vec<String> {
    let tool = &view.tool;
    let mut lines = vec![
        format!(
            "{}  {}",
            toned(Tone::Name, &tool.name),
            toned(Tone::Faint, format!("{} · {}", view.state, tool.source))
        ),
        tool.description.clone(),
    ];
    lines.extend(view.reason.iter().map(|reason| format!("→ {reason}")));
    lines.push(String::new());
    lines.extend(facts(tool).map(|(what, how)| format!("{what:<12} {how}")));
    lines.push(String::new());
    lines.push("arguments".to_owned());
    lines.extend(arguments(&tool.parameters));
    lines
}

fn facts(tool: &ListedTool) -> impl Iterator<Item = (&'static str, String)> {
    let effect = match tool.effect {
        Effect::ReadOnly => "read_only: runs again when a worker dies",
        Effect::Idempotent => "idempotent: runs again under the same key when a worker dies",
        Effect::AtMostOnce => "at_most_once: never runs again; its outcome is then unknown",
    };
    let policy = match tool.policy {
        ToolPolicy::Auto => "auto: called whenever a model asks",
        ToolPolicy::Ask => "ask: a person approves each call",
        ToolPolicy::Deny => "deny: never called unless a setting names it",
    };
    let touch = &tool.capabilities;
    let touches = [
        (touch.brings.untrusted, "brings what strangers wrote"),
        (touch.brings.private, "brings private data"),
        (touch.egress, "lets its arguments out"),
    ];
    let touches: Vec<&str> = touches
        .into_iter()
        .filter_map(|(is, what)| is.then_some(what))
        .collect();
    let limit = i64::try_from(tool.limits.timeout_ms).unwrap_or(i64::MAX);
    let facts = [
        ("effect", Some(effect.to_owned())),
        ("policy", Some(policy.to_owned())),
        ("touches", Some(touches.join(", "))),
        ("hosts", Some(touch.hosts.join(", "))),
        ("data", Some(touch.sources.join(", "))),
        (
            "limits",
            Some(format!(
                "{}, {} bytes shown",
                millis(limit),
                tool.limits.output_bytes
            )),
        ),
        (
            "cost",
            tool.cost_microusd
                .map(|cost| format!("{cost} millionths of a dollar a call")),
        ),
    ];
    facts
        .into_iter()
        .filter_map(|(what, how)| Some((what, how.filter(|how| !how.is_empty())?)))
}

fn arguments(schema: &Value) -> Vec<String> {
    let required = schema.get("required").and_then(Value::as_array);
    let is_required = |name: &str| {
        let mut names = required.into_iter().flatten();
        names.any(|one| one.as_str() == Some(name))
    };
    let properties = schema.get("properties").and_then(Value::as_object);
    let properties = properties.into_iter().flatten();
    let lines: Vec<String> = properties
        .map(|(name, property)| {
            let must = if is_required(name) {
                "required"
            } else {
                "optional"
            };
            let text = property.get("description").and_then(Value::as_str);
            let text = text.unwrap_or_default().replace('\n', " ");
            format!("  {}  {must}  {text}", toned(Tone::Strong, name))
                .trim_end()
                .to_owned()
        })
        .collect();
    if lines.is_empty() {
        return vec!["  none".to_owned()];
    }
    lines
}
