//! Reads what the engine says, to the end: the engine stands still for everybody while one answer
//! is not read.

use std::sync::Arc;
use std::time::Duration;

use mistralrs::{Delta, Response};
use nexus_contracts::Extra;
use nexus_contracts::chat::{ChatMessage, FinishReason, Role, ToolCall, Usage};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::answer::{Answer, Refusal};
use super::control::Progress;
use super::stops::{Said, Stops};

/// An answer on its way out of the engine.
pub(crate) struct Pump {
    pub(crate) from: mpsc::Receiver<Response>,
    pub(crate) texts: mpsc::UnboundedSender<String>,
    pub(crate) stop: CancellationToken,
    pub(crate) stops: Stops,
    pub(crate) about: About,
    /// Whether the engine can be made to end the answer with its next token.
    pub(crate) ends_when_told: bool,
}

/// What is known of an answer before it comes.
pub(crate) struct About {
    pub(crate) progress: Arc<Progress>,
    /// What the question is called.
    pub(crate) id: String,
    /// Most tokens.
    pub(crate) most: usize,
    pub(crate) form: Form,
}

/// What the text of an answer is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Something to be read.
    Text,
    /// A tool call, written as JSON.
    Call,
}

#[derive(Default)]
struct Heard {
    text: String,
    thoughts: String,
    calls: Vec<ToolCall>,
    finish: Option<String>,
    usage: Option<Usage>,
    refused: Option<Refusal>,
    first_text: Option<Duration>,
    cut: Cut,
}

/// Whether the answer was ended from here.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Cut {
    #[default]
    No,
    /// Nobody wants it any more.
    Unwanted,
    /// A stop text came.
    StopText,
}

impl Pump {
    /// Reads to the end.
    pub(crate) async fn run(mut self, began: Instant) -> Result<Answer, Refusal> {
        let mut heard = Heard::default();
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled(), if heard.cut == Cut::No => {
                    heard.cut = Cut::Unwanted;
                }
                response = self.from.recv() => match response {
                    Some(response) => self.take(&mut heard, response, began),
                    None => break,
                }
            }
            if heard.cut != Cut::No {
                self.about.progress.stop();
                // The engine notices at its next chunk that nobody listens. That is the only way
                // where a grammar, or not knowing the last token, forbids to end the answer.
                if !self.ends_when_told {
                    break;
                }
            }
        }
        drop(self.from);
        let held = self.stops.finish();
        if heard.cut == Cut::No && !held.is_empty() {
            heard.text.push_str(&held);
            tell(&self.texts, held);
        }
        self.about.answer(heard, began)
    }

    fn take(&mut self, heard: &mut Heard, response: Response, began: Instant) {
        match response {
            Response::Chunk(chunk) => {
                heard.usage = chunk.usage.as_ref().map(usage).or(heard.usage);
                for choice in chunk.choices {
                    heard.finish = choice.finish_reason.or_else(|| heard.finish.take());
                    self.hear(heard, choice.delta, began);
                }
            }
            Response::ValidationError(error) => {
                heard.refused = Some(Refusal::BadRequest(error.to_string()));
            }
            Response::InternalError(error) => {
                heard.refused = Some(Refusal::Failed(error.to_string()));
            }
            Response::ModelError(error, _) => heard.refused = Some(Refusal::Failed(error)),
            _ => {
                let reason = "the engine answered something else than was asked".to_owned();
                heard.refused = Some(Refusal::Failed(reason));
            }
        }
    }

    fn hear(&mut self, heard: &mut Heard, delta: Delta, began: Instant) {
        if heard.cut != Cut::No {
            return;
        }
        heard.thoughts.extend(delta.reasoning_content);
        for call in delta.tool_calls.unwrap_or_default() {
            heard.calls.push(ToolCall {
                id: call.id,
                name: call.function.name,
                arguments: call.function.arguments,
            });
        }
        let Some(text) = delta.content.filter(|text| !text.is_empty()) else {
            return;
        };
        heard.first_text.get_or_insert_with(|| began.elapsed());
        if self.about.form == Form::Call {
            heard.text.push_str(&text);
            return;
        }
        let (text, cut) = match self.stops.push(&text) {
            Said::More(text) => (text, Cut::No),
            Said::Stopped(text) => (text, Cut::StopText),
        };
        heard.cut = cut;
        heard.text.push_str(&text);
        tell(&self.texts, text);
    }
}

fn tell(texts: &mpsc::UnboundedSender<String>, text: String) {
    if !text.is_empty() {
        // Whoever listened may have gone.
        drop(texts.send(text));
    }
}

fn usage(usage: &mistralrs::Usage) -> Usage {
    Usage::of(count(usage.prompt_tokens), count(usage.completion_tokens))
}

fn count(tokens: usize) -> u64 {
    u64::try_from(tokens).unwrap_or(u64::MAX)
}

impl About {
    fn answer(self, mut heard: Heard, began: Instant) -> Result<Answer, Refusal> {
        if let Some(refused) = heard.refused {
            return Err(refused);
        }
        let progress = &self.progress;
        let said = progress.said_tokens();
        if heard.finish.is_none() && heard.cut == Cut::No && (progress.is_broken() || said == 0) {
            let reason = "the engine broke off; it starts anew with the next question";
            return Err(Refusal::Failed(reason.to_owned()));
        }
        // The engine keeps back its last chunk, with the reason and the count, when the last token
        // ends inside a character.
        let counted = Usage::of(count(progress.prompt_tokens()), count(said));
        let mut finish_reason = self.reason(&heard);
        if self.form == Form::Call
            && heard.calls.is_empty()
            && let Some(call) = call(&heard.text, &self.id)
        {
            heard.calls.push(call);
            heard.text.clear();
        }
        if !heard.calls.is_empty() {
            finish_reason = FinishReason::ToolCalls;
        }
        let mut message = ChatMessage {
            tool_calls: heard.calls,
            ..ChatMessage::text(Role::Assistant, heard.text)
        };
        if !heard.thoughts.is_empty() {
            let thoughts = heard.thoughts.into();
            message.extra = Extra::from([("reasoning_content".to_owned(), thoughts)]);
        }
        Ok(Answer {
            message,
            finish_reason,
            usage: heard.usage.unwrap_or(counted),
            took: began.elapsed(),
            first_text: heard.first_text,
        })
    }

    /// Why it ended. Without a reason of the engine: at the limit, or of itself.
    fn reason(&self, heard: &Heard) -> FinishReason {
        match heard.finish.as_deref() {
            _ if heard.cut == Cut::StopText => FinishReason::Stop,
            Some("stop" | "canceled") => FinishReason::Stop,
            Some("length") => FinishReason::Length,
            Some("tool_calls") => FinishReason::ToolCalls,
            Some(_) => FinishReason::Other,
            None if self.progress.said_tokens() >= self.most => FinishReason::Length,
            None => FinishReason::Stop,
        }
    }
}

#[derive(Deserialize)]
struct Call<'a> {
    name: String,
    #[serde(borrow)]
    arguments: &'a RawValue,
}

/// A call the model was made to write. Cut off by the limit it is none.
fn call(text: &str, id: &str) -> Option<ToolCall> {
    let call: Call<'_> = serde_json::from_str(text).ok()?;
    Some(ToolCall {
        id: format!("call_{id}"),
        name: call.name,
        arguments: call.arguments.get().to_owned(),
    })
}
