//! What every attempt took, those that nobody wanted to the end included.

use std::time::Duration;

use async_trait::async_trait;
use nexus_contracts::chat::Usage;
use nexus_contracts::events::{Purpose, UsageRecorded};
use nexus_contracts::{Extra, tokens};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::call::asked::Given;
use crate::plan::Candidate;
use crate::provider::{DeltaSink, ProviderFailure};
use crate::registry::models::Task;

/// All attempts of one command.
#[derive(Default)]
pub struct Tally(Mutex<Vec<Attempt>>);

/// One attempt.
pub struct Attempt {
    /// Who was asked.
    pub candidate: Candidate,
    /// What for.
    pub task: Task,
    /// How long it took until the first piece of text.
    pub first_text: Option<Duration>,
    /// How it ended.
    pub end: End,
    /// How long it took in all.
    pub took: Duration,
    /// Tokens and their cost.
    pub usage: Usage,
    /// Whether the tokens are estimated.
    pub estimated: bool,
    /// The model that answered, as the provider names it.
    model: Option<String>,
    began: Instant,
    prompt_tokens: u64,
    text_bytes: u64,
}

/// How an attempt ended.
pub enum End {
    /// It did not: nobody wanted the rest.
    Aborted,
    /// With an answer.
    Answered,
    /// Without.
    Failed(ProviderFailure),
}

impl Attempt {
    /// `completed`, `aborted`, or the code of the failure.
    #[must_use]
    pub const fn outcome(&self) -> &'static str {
        match &self.end {
            End::Aborted => "aborted",
            End::Answered => "completed",
            End::Failed(failure) => failure.class.code(),
        }
    }

    /// What it is for whoever reads the journal, where it did not answer.
    #[must_use]
    pub fn mishap(&self) -> Option<Value> {
        let End::Failed(failure) = &self.end else {
            return None;
        };
        Some(json!({
            "provider": &*self.candidate.configured.name,
            "model": &*self.candidate.model,
            "code": failure.class.code(),
            "detail": failure.detail,
            "duration_ms": millis(self.took),
        }))
    }

    /// The event about it, the `place`-th of its command.
    #[must_use]
    pub fn recorded(&self, place: u32, purpose: Purpose) -> UsageRecorded {
        let mut extra = Extra::new();
        if self.task != Task::Chat {
            extra.insert("operation".to_owned(), self.task.name().into());
        }
        UsageRecorded {
            provider: self.candidate.configured.name.to_string(),
            model: self
                .model
                .clone()
                .unwrap_or_else(|| self.candidate.model.to_string()),
            outcome: self.outcome().to_owned(),
            usage: self.usage,
            estimated: self.estimated,
            duration_ms: millis(self.took),
            first_token_ms: self.first_text.map(millis),
            attempt: place,
            purpose,
            extra,
        }
    }
}

impl Tally {
    /// An attempt begins, with about so many tokens.
    pub fn begin(&self, candidate: &Candidate, task: Task, prompt_tokens: u64) -> Running<'_> {
        let mut all = self.0.lock();
        all.push(Attempt {
            candidate: candidate.clone(),
            task,
            first_text: None,
            end: End::Aborted,
            took: Duration::ZERO,
            usage: Usage::default(),
            estimated: false,
            model: None,
            began: Instant::now(),
            prompt_tokens,
            text_bytes: 0,
        });
        Running {
            tally: self,
            place: all.len() - 1,
        }
    }

    /// All attempts, with what they cost.
    #[must_use]
    pub fn close(self) -> Vec<Attempt> {
        let mut all = self.0.into_inner();
        for attempt in &mut all {
            attempt.estimate();
            attempt.price();
        }
        all
    }
}

impl Attempt {
    /// What was said of an answer that did not come to its end, or whose provider keeps no count.
    /// People have no tokens.
    fn estimate(&mut self) {
        if self.candidate.configured.kind.is_person() {
            return;
        }
        let unsaid = self.usage.tokens() == 0;
        // A call that was refused before it began took nothing.
        let begun = self.text_bytes > 0 || !matches!(self.end, End::Failed(_));
        if unsaid && begun {
            self.usage = Usage::of(self.prompt_tokens, tokens::of_bytes(self.text_bytes));
            self.estimated = true;
        }
    }

    fn price(&mut self) {
        let price = self.candidate.spec().and_then(|spec| spec.price);
        // What the provider itself says of the cost is nearer to the bill.
        if self.usage.cost_microusd.is_none() {
            self.usage.cost_microusd = price.map(|price| price.cost(&self.usage));
        }
    }
}

/// An attempt that is under way. Until [`Running::end`] it counts as aborted.
#[derive(Clone, Copy)]
pub struct Running<'a> {
    tally: &'a Tally,
    place: usize,
}

impl Running<'_> {
    /// It is over.
    pub fn end<G: Given>(self, result: &Result<G, ProviderFailure>) {
        self.edit(|attempt| {
            attempt.took = attempt.began.elapsed();
            match result {
                Ok(answer) => {
                    attempt.usage = answer.usage();
                    attempt.model = answer.model().cloned();
                    attempt.end = End::Answered;
                }
                Err(failure) => {
                    attempt.usage = failure.used;
                    attempt.end = End::Failed(failure.clone());
                }
            }
        });
    }

    /// Nobody wants the rest.
    pub fn give_up(self) {
        self.edit(|attempt| attempt.took = attempt.began.elapsed());
    }

    /// How long the first piece of text took, if there was one; where nothing is said on the way, how
    /// long the whole took.
    #[must_use]
    pub fn latency(self) -> Option<Duration> {
        let all = self.tally.0.lock();
        let attempt = all.get(self.place)?;
        match attempt.task {
            Task::Chat => attempt.first_text,
            Task::Embed => Some(attempt.took),
        }
    }

    /// About how many tokens it took.
    #[must_use]
    pub fn tokens(self) -> u64 {
        let all = self.tally.0.lock();
        all.get(self.place)
            .map_or(0, |attempt| match attempt.usage.tokens() {
                0 => attempt.prompt_tokens + tokens::of_bytes(attempt.text_bytes),
                said => said,
            })
    }

    fn said(self, text: &str) {
        self.edit(|attempt| {
            if attempt.first_text.is_none() {
                attempt.first_text = Some(attempt.began.elapsed());
            }
            let bytes = u64::try_from(text.len()).unwrap_or(u64::MAX);
            attempt.text_bytes = attempt.text_bytes.saturating_add(bytes);
        });
    }

    fn edit(self, edit: impl FnOnce(&mut Attempt)) {
        if let Some(attempt) = self.tally.0.lock().get_mut(self.place) {
            edit(attempt);
        }
    }
}

/// Counts what passes by.
pub struct Counted<'a> {
    /// The attempt that says it.
    pub running: Running<'a>,
    /// Where it goes.
    pub sink: &'a mut dyn DeltaSink,
}

#[async_trait]
impl DeltaSink for Counted<'_> {
    async fn delta(&mut self, text: &str) {
        self.running.said(text);
        self.sink.delta(text).await;
    }
}

/// The usage of all of these together.
#[must_use]
pub fn sum<'a>(attempts: impl Iterator<Item = &'a Attempt>) -> Usage {
    attempts.fold(Usage::default(), |sum, attempt| sum.plus(attempt.usage))
}

/// Whole milliseconds.
#[must_use]
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
