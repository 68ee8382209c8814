//! A model that asks for a sum and an effect, counts how often it is asked, and answers from the
//! history it is sent: one that lost or doubled a message changes the answer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use nexus_testkit::openai::{FakeOpenAi, Script, ToolCall};
use serde_json::{Value, json};

/// What the answer says where the effect is reported as unknown.
pub const UNKNOWN: &str = "may or may not be appended";

/// What the answer says where the effect happened.
pub const DONE: &str = "is appended";

type Calls = Mutex<BTreeMap<usize, usize>>;

/// The model.
pub struct Model {
    server: FakeOpenAi,
    calls: Arc<Calls>,
}

impl Model {
    /// Starts it.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start() -> Result<Self> {
        let calls = Arc::new(Calls::default());
        let counted = Arc::clone(&calls);
        let server = FakeOpenAi::answering(move |body| answer(body, &counted)).await?;
        Ok(Self { server, calls })
    }

    /// `providers.yaml` with this model as the only one.
    #[must_use]
    pub fn providers(&self) -> String {
        let url = self.server.base_url();
        format!(
            "default: it\nproviders: {{ it: {{ type: openai, base_url: \"{url}\", model: m }} }}\n"
        )
    }

    /// How often it was asked about this number.
    #[must_use]
    pub fn calls(&self, number: usize) -> usize {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.get(&number).copied().unwrap_or_default()
    }
}

fn answer(body: &Value, calls: &Calls) -> Script {
    let messages = body.get("messages").and_then(Value::as_array);
    let messages = messages.map_or(&[][..], Vec::as_slice);
    let question = messages.iter().rposition(|message| role(message) == "user");
    let (_, open) = messages.split_at(question.unwrap_or(messages.len()));
    let Some(number) = open.first().and_then(number) else {
        return Script::text("hello");
    };
    let mut counts = calls.lock().unwrap_or_else(PoisonError::into_inner);
    *counts.entry(number).or_default() += 1;
    match open {
        [_] => Script::tool_calls(&wanted(number), 4),
        [_, asked, results @ ..] => Script::text(&conclusion(number, asked, results)),
        [] => Script::error(500, "nothing was asked"),
    }
}

fn wanted(number: usize) -> [ToolCall; 2] {
    let sum = json!({ "expression": format!("{number} * 43") }).to_string();
    let line = json!({ "text": number.to_string() }).to_string();
    [
        ToolCall::new(&format!("sum_{number}"), "math_solver", &sum),
        ToolCall::new(&format!("line_{number}"), "append", &line),
    ]
}

/// The answer, or what is wrong with the history.
fn conclusion(number: usize, asked: &Value, results: &[Value]) -> String {
    let calls = asked.get("tool_calls").and_then(Value::as_array);
    let [sum, line] = wanted(number).map(|call| {
        let of_call = |message: &&Value| {
            message.get("tool_call_id").and_then(Value::as_str) == Some(&call.id)
        };
        let mut of_call = results.iter().filter(of_call);
        (of_call.next(), of_call.next())
    });
    let (Some(2), 2, (Some(sum), None), (Some(line), None)) =
        (calls.map(Vec::len), results.len(), sum, line)
    else {
        return format!("a broken history: {asked} {results:?}");
    };
    let effect = match text(line) {
        line if line.contains("unknown_outcome") => UNKNOWN,
        line if line.contains("\"appended\"") => DONE,
        line => line,
    };
    format!("{} and it {effect}", text(sum))
}

/// The number of "What is 7 * 43?".
fn number(question: &Value) -> Option<usize> {
    let words = text(question).strip_prefix("What is ")?;
    words.split(' ').next()?.parse().ok()
}

fn role(message: &Value) -> &str {
    message
        .get("role")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn text(message: &Value) -> &str {
    message
        .get("content")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(of: &str, content: &str) -> Value {
        json!({ "role": "tool", "tool_call_id": of, "content": content })
    }

    #[test]
    fn the_answer_is_made_of_the_results() {
        let asked = json!({ "role": "assistant", "tool_calls": [1, 2] });
        let said = |results: &[Value]| conclusion(7, &asked, results);
        let sum = result("sum_7", r#"{"result":"301"}"#);
        let done = result("line_7", r#"{"appended":"7"}"#);
        let unknown = result("line_7", r#"{"error":{"code":"unknown_outcome"}}"#);
        let both = said(&[done.clone(), sum.clone()]);
        assert!(both.contains("301") && both.contains(DONE), "{both}");
        assert!(said(&[sum.clone(), unknown]).contains(UNKNOWN));
        for broken in [
            &[sum.clone()][..],
            &[sum.clone(), sum.clone()],
            &[sum, done.clone(), done],
        ] {
            assert!(said(broken).starts_with("a broken history"), "{broken:?}");
        }
    }

    #[test]
    fn every_call_is_counted_by_its_question() {
        let calls = Calls::default();
        let user = |text: &str| json!({ "role": "user", "content": text });
        let body = json!({ "messages": [user("What is 7 * 43?"), user("What is 8 * 43?")] });
        answer(&body, &calls);
        answer(&body, &calls);
        answer(&json!({ "messages": [user("hello")] }), &calls);
        assert_eq!(calls.into_inner().unwrap(), [(8, 2)].into());
    }
}
