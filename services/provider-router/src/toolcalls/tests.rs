//! Tests: a table of hostile examples, laws on arbitrary texts, and what takes long.

mod hostile;
mod laws;
mod refused;
mod render;
mod repaired;
mod streamed;
mod texts;
mod time;

use serde_json::{Value, json};

use super::{Ending, Parsed, Tool, parse};

/// The tools that every test offers.
pub(super) struct Offered(Vec<(&'static str, Value)>);

impl Offered {
    pub(super) fn new() -> Self {
        let weather = json!({
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "days": {"type": "integer"},
                "metric": {"type": ["boolean", "null"]},
                "where": {"type": "object"},
                "ratio": {"anyOf": [{"type": "number"}, {"type": "null"}]},
            },
            "required": ["city"],
        });
        let any = json!({"type": "object"});
        Self(vec![
            ("get_weather", weather),
            ("search", any.clone()),
            ("now", any),
        ])
    }

    pub(super) fn tools(&self) -> Vec<Tool<'_>> {
        let tools = self.0.iter();
        tools
            .map(|(name, parameters)| Tool { name, parameters })
            .collect()
    }
}

pub(super) fn read(text: &str) -> Parsed {
    parse(text, &Offered::new().tools(), Ending::Done)
}

pub(super) fn read_cut(text: &str) -> Parsed {
    parse(text, &Offered::new().tools(), Ending::CutShort)
}

/// All of an answer in one line: prose, calls, repairs, refusals.
pub(super) fn line(text: &str) -> String {
    line_of(&read(text))
}

pub(super) fn line_of(parsed: &Parsed) -> String {
    let mut line = format!("{:?}", parsed.prose);
    for call in &parsed.calls {
        let arguments = Value::Object(call.arguments.clone());
        line += &format!(" {}{arguments}", call.name);
    }
    for one in &parsed.repairs {
        let word = serde_json::to_value(one.repair).unwrap();
        line += &format!(" +{}:{}", one.call, word.as_str().unwrap());
    }
    for one in &parsed.refusals {
        let reason = serde_json::to_value(&one.reason).unwrap();
        line += &format!(" !{}", reason["code"].as_str().unwrap());
        for detail in ["what", "problem"] {
            if let Some(what) = reason.get(detail).and_then(Value::as_str) {
                line += &format!(":{what}");
            }
        }
    }
    line
}

/// Checks a table of texts and what they come to.
pub(super) fn check(table: &[(&str, &str)]) {
    let wrong: Vec<String> = table
        .iter()
        .filter(|(text, expected)| line(text) != *expected)
        .map(|(text, expected)| format!("{text}\n  is  {}\n  not {expected}", line(text)))
        .collect();
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        table.len(),
        wrong.join("\n")
    );
}

/// Checks that these are prose and nothing else.
pub(super) fn check_prose(texts: &[&str]) {
    for text in texts {
        let parsed = read(text);
        assert_eq!(parsed.prose, *text);
        assert_eq!(line_of(&parsed), format!("{text:?}"), "{text}");
    }
}
