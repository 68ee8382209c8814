//! What tools returned, in words.

use serde_json::Value;

use super::conversation::Call;

/// The tool that computes.
pub const SOLVER: &str = "math_solver";
/// The tool that knows the time.
pub const CLOCK: &str = "current_time";

/// A sentence about the result of a call.
#[must_use]
pub fn sentence(call: &Call<'_>) -> String {
    let subject = subject(call);
    let Some(result) = call.result else {
        return format!("I asked for {subject}, but no result came back.");
    };
    match read(result) {
        Err(reason) => format!(
            "I could not work out {subject}: {}.",
            reason.trim_end_matches('.')
        ),
        Ok(value) => match call.name {
            SOLVER => format!("{subject} = {value}"),
            CLOCK => format!("It is {value}."),
            _ => format!("{subject} returned {value}."),
        },
    }
}

fn subject(call: &Call<'_>) -> String {
    match call.name {
        SOLVER => first_text(call.arguments).unwrap_or_else(|| "that".to_owned()),
        CLOCK => "the time".to_owned(),
        "" => "a tool".to_owned(),
        name => format!("`{name}`"),
    }
}

/// The first text in an arguments object.
fn first_text(arguments: &str) -> Option<String> {
    let arguments: Value = serde_json::from_str(arguments).ok()?;
    arguments
        .as_object()?
        .values()
        .find_map(Value::as_str)
        .map(str::to_owned)
}

/// The value in a result, or what went wrong. A result is JSON or plain text.
fn read(result: &str) -> Result<String, String> {
    if let Some(reason) = result.trim().strip_prefix("error:") {
        return Err(reason.trim().to_owned());
    }
    let Ok(json) = serde_json::from_str::<Value>(result) else {
        return Ok(result.trim().to_owned());
    };
    if let Some(error) = json.get("error").filter(|error| !error.is_null()) {
        let detail = error
            .get("detail")
            .or_else(|| error.get("message"))
            .unwrap_or(error);
        return Err(shown(detail));
    }
    Ok(shown(&json))
}

/// The telling part of a value: the fields that usually hold it, else the first, else all of it.
fn shown(value: &Value) -> String {
    const TELLING: &[&str] = &[
        "result", "value", "answer", "output", "text", "local", "iso", "time", "utc", "now",
    ];
    match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Object(fields) => {
            let telling = TELLING.iter().find_map(|name| fields.get(*name));
            match telling {
                Some(Value::Object(_) | Value::Null) | None => value.to_string(),
                Some(part) => shown(part),
            }
        }
        other => other.to_string(),
    }
}
