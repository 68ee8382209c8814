//! An answer whose calls are in its text, with its calls where they belong.

use nexus_contracts::chat::{FinishReason, ToolCall};
use serde_json::{Map, Value, json};

use super::NOTE;
use super::marks::RESPONSE;
use crate::assembler::{Answer, excerpt, finish_reason};
use crate::toolcalls::{Ending, Parsed, Refusal, Tool, parse};

/// An answer that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Read {
    /// It, with its calls, and in its metadata under [`NOTE`] what there is to say of them.
    pub answer: Answer,
    /// Why there is no call in it though there should be, where asking again may help.
    pub refused: Option<Refused>,
}

/// What looks like calls and could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// All that was said.
    pub said: String,
    /// What stands before it and was heard: nothing else of it ever is. `said` begins with it.
    pub kept: String,
    /// What is wrong, in words for the model.
    pub words: String,
}

/// Reads the text of an answer to a question that offered these tools. `seed` names the calls.
///
/// What the server has read itself stays as it is: nothing of the text is a call then.
#[must_use]
pub fn read(mut answer: Answer, tools: &[Tool<'_>], seed: &str) -> Read {
    if !answer.message.tool_calls.is_empty() {
        let refused = None;
        return Read { answer, refused };
    }
    let said = std::mem::take(&mut answer.message.content);
    let ending = match answer.finish_reason {
        FinishReason::Stop | FinishReason::ToolCalls => Ending::Done,
        _ => Ending::CutShort,
    };
    let (parsed, invented) = without_inventions(&said, tools, ending);
    let note = noted(&parsed, invented);
    if !note.is_empty() {
        answer.metadata.insert(NOTE.to_owned(), note.into());
    }
    let refused = refused(&said, &parsed, ending);
    answer.message.content = parsed.prose;
    let calls = parsed.calls.into_iter().enumerate();
    let calls = calls.map(|(place, call)| ToolCall {
        id: format!("call_{seed}_{place}"),
        name: call.name,
        arguments: Value::Object(call.arguments).to_string(),
    });
    answer.message.tool_calls = calls.collect();
    let told = Some(answer.finish_reason);
    answer.finish_reason = finish_reason(told, &answer.message.tool_calls);
    Read { answer, refused }
}

/// What is asked for before the first result that the model made up. What it says behind that, and what it
/// asks for there, would stand on nothing.
fn without_inventions<'t>(
    text: &'t str,
    tools: &[Tool<'_>],
    ending: Ending,
) -> (Parsed, Option<&'t str>) {
    if let Some((before, _)) = text.split_once(RESPONSE) {
        let mut parsed = parse(before, tools, Ending::CutShort);
        // Else the mark stands inside a call, or in prose.
        if !parsed.calls.is_empty() && parsed.refusals.is_empty() {
            parsed.prose.truncate(parsed.prose.trim_end().len());
            return (parsed, text.get(before.len()..));
        }
    }
    (parse(text, tools, ending), None)
}

/// What there is to say of the calls: nothing where nothing looked like one.
fn noted(parsed: &Parsed, invented: Option<&str>) -> Map<String, Value> {
    let mut note = Map::new();
    if !parsed.calls.is_empty() {
        let formats = parsed.calls.iter().map(|call| json!(call.format));
        note.insert("formats".to_owned(), formats.collect());
    }
    if !parsed.repairs.is_empty() {
        let repairs = parsed.repairs.iter();
        let repairs = repairs.map(|one| in_words(json!(one), &one.repair.to_string()));
        note.insert("repairs".to_owned(), repairs.collect());
    }
    if !parsed.refusals.is_empty() {
        let refusals = parsed.refusals.iter();
        let refusals = refusals.map(|one| in_words(json!(one), &one.reason.to_string()));
        note.insert("refusals".to_owned(), refusals.collect());
    }
    if let Some(invented) = invented {
        note.insert("invented".to_owned(), excerpt(invented).into());
    }
    note
}

fn in_words(mut said: Value, words: &str) -> Value {
    if let Value::Object(fields) = &mut said {
        fields.insert("detail".to_owned(), words.into());
    }
    said
}

/// What stopped an answer would stop the next one too, so only a model that was done is asked again.
fn refused(said: &str, parsed: &Parsed, ending: Ending) -> Option<Refused> {
    let first = parsed.refusals.first()?;
    if !parsed.calls.is_empty() || ending == Ending::CutShort {
        return None;
    }
    Some(Refused {
        said: said.to_owned(),
        kept: said.get(..first.at)?.trim_end().to_owned(),
        words: words(&parsed.refusals),
    })
}

/// Each reason once: of many calls most fail alike.
fn words(refusals: &[Refusal]) -> String {
    let mut words: Vec<String> = Vec::new();
    for refusal in refusals {
        let reason = refusal.reason.to_string();
        if !words.contains(&reason) {
            words.push(reason);
        }
    }
    words.join("; ")
}

impl Read {
    /// The answer to the second question as the rest of the one to the first, with `gap` between.
    #[must_use]
    pub fn behind(self, refused: &Refused, gap: &str, first: &Answer) -> Answer {
        let mut answer = self.answer;
        let rest = std::mem::take(&mut answer.message.content);
        let gap = if rest.is_empty() { "" } else { gap };
        answer.message.content = format!("{}{gap}{rest}", refused.kept);
        let unread = refused.said.get(refused.kept.len()..).unwrap_or_default();
        let refusals = first
            .metadata
            .get(NOTE)
            .and_then(|note| note.get("refusals"));
        let before = json!({ "refusals": refusals, "said": excerpt(unread.trim_start()) });
        let note = answer.metadata.entry(NOTE.to_owned());
        if let Value::Object(note) = note.or_insert_with(|| json!({})) {
            note.insert("asked_again".to_owned(), before);
        }
        answer
    }
}
