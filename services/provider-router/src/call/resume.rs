//! Going on where an answer broke off, and saying so.

use std::borrow::Cow;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::Question;
use super::asked::{Asked, Given};
use crate::plan::Candidate;
use crate::provider::{DeltaSink, ProviderFailure};

/// What listeners have heard of an answer, by whomever.
pub(super) struct Heard<'a> {
    sink: &'a mut dyn DeltaSink,
    quiet: bool,
    /// Everything that was heard.
    text: String,
    /// Where it broke off, and who was speaking.
    seams: Vec<Value>,
}

impl<'a> Heard<'a> {
    pub(super) const fn by<R>(question: &Question<'_, R>, sink: &'a mut dyn DeltaSink) -> Self {
        Self {
            sink,
            quiet: question.quiet,
            text: String::new(),
            seams: Vec::new(),
        }
    }

    /// Whether a person has heard anything.
    pub(super) const fn anything(&self) -> bool {
        !self.quiet && !self.text.is_empty()
    }

    /// The request, with what was said already where it has to go on.
    pub(super) fn request<'b, R>(&self, asked: &'b R) -> Again<'b, R> {
        let said = self.anything().then(|| self.text.clone());
        Again { asked, said }
    }

    /// Somebody stopped in the middle.
    pub(super) fn broke_off(&mut self, by: &Candidate, failure: &ProviderFailure) {
        if !self.anything() {
            // What nobody has heard is forgotten.
            self.text.clear();
            return;
        }
        let at = self.text.chars().count();
        let last = self.seams.last().and_then(|seam| seam.get("at"));
        if last.and_then(Value::as_u64) != u64::try_from(at).ok() {
            self.seams.push(json!({
                "at": at,
                "from": name(by),
                "reason": failure.detail,
            }));
        }
    }

    /// The whole answer, of which `answer` is the last part.
    pub(super) fn whole<G: Given>(&mut self, mut answer: G, by: &Candidate) -> G {
        if self.seams.is_empty() {
            return answer;
        }
        // Who goes on after each seam is who is named by the next one; after the last, who ended it.
        let mut to = name(by);
        for seam in self.seams.iter_mut().rev() {
            let from = seam.get("from").cloned().unwrap_or_default();
            if let Value::Object(seam) = seam {
                seam.insert("to".to_owned(), to);
            }
            to = from;
        }
        answer.seamed(&self.text, std::mem::take(&mut self.seams));
        answer
    }
}

fn name(by: &Candidate) -> Value {
    json!({ "provider": &*by.configured.name, "model": &*by.model })
}

#[async_trait]
impl DeltaSink for Heard<'_> {
    async fn delta(&mut self, text: &str) {
        if !self.quiet {
            self.text.push_str(text);
        }
        self.sink.delta(text).await;
    }
}

/// A request that may have to go on.
pub(super) struct Again<'a, R> {
    asked: &'a R,
    said: Option<String>,
}

impl<'a, R: Asked> Again<'a, R> {
    /// It, for this model.
    pub(super) fn for_model(&self, model: &str) -> Cow<'a, R> {
        if self.said.is_none() && self.asked.model() == model {
            return Cow::Borrowed(self.asked);
        }
        Cow::Owned(self.asked.for_model(model, self.said.as_deref()))
    }
}
