//! Settings as a request may choose them.

use std::collections::BTreeMap;

use nexus_contracts::Extra;
use nexus_contracts::events::ModelParameters;
use nexus_contracts::settings::{Caching, OnBusy, Privacy, RunLimits, Settings, ToolPolicy};
use serde_json::Value;

use super::Invalid;
use super::fields::{Fields, checked_name, whole, word};

/// Every setting a request may choose: all but how long history is kept, which is the
/// organisation's to say.
pub(super) const SETTINGS: [&str; 16] = [
    "provider",
    "model",
    "tools",
    "parameters",
    "instructions",
    "on_busy",
    "samples",
    "tool_policy",
    "approval_seconds",
    "clarify",
    "aliases",
    "limits",
    "context_tokens",
    "summary_after",
    "privacy",
    "cache",
];

/// Most tools or models one request may name.
pub const MAX_NAMES: usize = 128;

/// Longest instructions, in bytes.
pub const MAX_INSTRUCTIONS_BYTES: usize = 64 * 1024;

/// Longest text that a name may stand for, in bytes.
const MAX_MEANING_BYTES: usize = 1024;

/// Most answers drawn to vote on one.
pub const MAX_SAMPLES: u64 = 9;

/// Longest wait for an approval: thirty days, in seconds.
pub const MAX_APPROVAL_SECONDS: u64 = 30 * 24 * 60 * 60;

const U32: u64 = u32::MAX as u64;

/// What a client can write and every part of Nexus can hold.
const WHOLE: u64 = i64::MAX as u64;

const POLICIES: [(&str, ToolPolicy); 3] = [
    ("auto", ToolPolicy::Auto),
    ("ask", ToolPolicy::Ask),
    ("deny", ToolPolicy::Deny),
];

const WHEN_BUSY: [(&str, OnBusy); 3] = [
    ("queue", OnBusy::Queue),
    ("interrupt", OnBusy::Interrupt),
    ("reject", OnBusy::Reject),
];

const PLACES: [(&str, Privacy); 3] = [
    ("open", Privacy::Open),
    ("sensitive", Privacy::Sensitive),
    ("local_only", Privacy::LocalOnly),
];

const CACHES: [(&str, Caching); 3] = [
    ("off", Caching::Off),
    ("exact", Caching::Exact),
    ("semantic", Caching::Semantic),
];

/// Sampling that goes to the provider as it is: what it means is the provider's to say.
const PASSED_ON: [&str; 5] = [
    "seed",
    "stop",
    "reasoning_effort",
    "response_format",
    "tool_choice",
];

/// Takes the settings out of an object.
pub(super) fn read(fields: &mut Fields) -> Result<Settings, Invalid> {
    Ok(Settings {
        provider: fields.name("provider")?,
        model: fields.name("model")?,
        tools: fields.names("tools", MAX_NAMES)?,
        parameters: parameters(fields)?,
        instructions: fields.text("instructions", MAX_INSTRUCTIONS_BYTES)?,
        on_busy: fields.word("on_busy", &WHEN_BUSY)?,
        samples: fields.whole("samples", (1, MAX_SAMPLES))?,
        tool_policy: by_name(fields, "tool_policy", |name, value| {
            word(name, value, &POLICIES)
        })?,
        approval_seconds: fields.whole("approval_seconds", (1, MAX_APPROVAL_SECONDS))?,
        clarify: fields.boolean("clarify")?,
        aliases: by_name(fields, "aliases", meanings)?,
        limits: limits(fields)?,
        context_tokens: by_name(fields, "context_tokens", |name, value| {
            whole(name, value, (1, WHOLE))
        })?,
        summary_after: fields.whole("summary_after", (0, U32))?,
        privacy: fields.word("privacy", &PLACES)?,
        cache: fields.word("cache", &CACHES)?,
        history_days: None,
    })
}

/// What names of one kind stand for.
fn meanings(field: &str, value: &Value) -> Result<BTreeMap<String, String>, Invalid> {
    let wrong = || {
        let detail = format!("field `{field}` must be an object from names to texts");
        Invalid::unacceptable("wrong_type", detail)
    };
    let names = value.as_object().ok_or_else(wrong)?;
    if names.len() > MAX_NAMES {
        let detail = format!(
            "field `{field}` has {} names; at most {MAX_NAMES}",
            names.len()
        );
        return Err(Invalid::unacceptable("too_many_names", detail));
    }
    let meaning = |(name, meant): (&String, &Value)| {
        let meant = meant.as_str().ok_or_else(wrong)?;
        if meant.len() > MAX_MEANING_BYTES {
            return Err(Invalid::too_long(format!(
                "field `{field}.{name}` has {} bytes; at most {MAX_MEANING_BYTES} are taken",
                meant.len()
            )));
        }
        Ok((checked_name(field, name.clone())?, meant.to_owned()))
    };
    names.iter().map(meaning).collect()
}

fn parameters(fields: &mut Fields) -> Result<Option<ModelParameters>, Invalid> {
    let mut known = vec!["temperature", "max_tokens", "top_p"];
    known.extend(PASSED_ON);
    let Some(mut fields) = fields.object("parameters", &known)? else {
        return Ok(None);
    };
    let mut extra = Extra::new();
    if let Some(top_p) = fields.number("top_p", (0.0, 1.0))? {
        extra.insert("top_p".to_owned(), top_p.into());
    }
    for name in PASSED_ON {
        if let Some(value) = fields.value(name) {
            extra.insert(name.to_owned(), value);
        }
    }
    Ok(Some(ModelParameters {
        temperature: fields.number("temperature", (0.0, 2.0))?,
        max_tokens: fields.whole("max_tokens", (1, U32))?,
        extra,
    }))
}

fn limits(fields: &mut Fields) -> Result<Option<RunLimits>, Invalid> {
    let known = ["steps", "tokens", "cost_microusd", "seconds"];
    let Some(mut fields) = fields.object("limits", &known)? else {
        return Ok(None);
    };
    Ok(Some(RunLimits {
        steps: fields.whole("steps", (1, U32))?,
        tokens: fields.whole("tokens", (1, WHOLE))?,
        cost_microusd: fields.whole("cost_microusd", (1, WHOLE))?,
        seconds: fields.whole("seconds", (1, U32))?,
    }))
}

/// An object from names of the client's choice to something.
fn by_name<T>(
    fields: &mut Fields,
    field: &str,
    read: impl Fn(&str, &Value) -> Result<T, Invalid>,
) -> Result<Option<BTreeMap<String, T>>, Invalid> {
    let Some(map) = fields.map(field)? else {
        return Ok(None);
    };
    let path = fields.path(field);
    if map.len() > MAX_NAMES {
        let detail = format!(
            "field `{path}` has {} names; at most {MAX_NAMES}",
            map.len()
        );
        return Err(Invalid::unacceptable("too_many_names", detail));
    }
    let entries = map.into_iter().map(|(name, value)| {
        let name = checked_name(&path, name)?;
        let meaning = read(&format!("{path}.{name}"), &value)?;
        Ok((name, meaning))
    });
    entries.collect::<Result<_, _>>().map(Some)
}
