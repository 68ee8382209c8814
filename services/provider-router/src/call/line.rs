//! Somebody who is asked, and all that is noted of every attempt.

use tracing::Instrument;

use super::asked::{Asked, Given};
use super::{Means, admit};
use crate::health::NotNow;
use crate::plan::Candidate;
use crate::provider::{DeltaSink, ProviderFailure};
use crate::tally::{Counted, Running};

/// What came of an attempt.
pub(super) type Outcome<G> = Result<G, ProviderFailure>;

/// The line to somebody who may be asked now.
#[derive(Clone, Copy)]
pub struct Line<'a> {
    /// Who is asked.
    pub(super) candidate: &'a Candidate,
    /// What calls share.
    pub(super) means: Means<'a>,
    /// About how many tokens the question has.
    pub(super) prompt_tokens: u64,
    /// About how many it takes in all.
    pub(super) tokens: u64,
    /// How many tokens of its limit were paid for.
    pub(super) paid: u64,
}

impl Line<'_> {
    /// It once more, for another attempt that is paid for by itself.
    ///
    /// # Errors
    /// [`NotNow`] when it may not be asked again.
    pub(super) async fn again(self) -> Result<Self, NotNow> {
        admit(self.means, self.candidate, self.tokens).await?;
        let paid = self.tokens;
        Ok(Self { paid, ..self })
    }

    /// One attempt, with all that is noted of it.
    pub(super) async fn attempt<R: Asked>(
        &self,
        request: &R,
        sink: &mut dyn DeltaSink,
    ) -> Outcome<R::Given> {
        let candidate = self.candidate;
        let provider = candidate
            .configured
            .provider
            .as_ref()
            .map_err(Clone::clone)?;
        let tally = self.means.tally;
        let running = tally.begin(candidate, R::TASK, self.prompt_tokens);
        let mut noted = Noted {
            means: self.means,
            candidate,
            running,
            paid: self.paid,
            ended: false,
        };
        let mut counted = Counted { running, sink };
        let span = tracing::debug_span!(
            "provider.attempt",
            provider.name = &*candidate.configured.name,
            model = &*candidate.model
        );
        let call = request.put(provider.as_ref(), &mut counted);
        let outcome = call.instrument(span).await;
        noted.end(&outcome);
        outcome
    }
}

/// What is to be noted, also of an attempt that is dropped.
struct Noted<'a> {
    means: Means<'a>,
    candidate: &'a Candidate,
    running: Running<'a>,
    paid: u64,
    ended: bool,
}

impl Noted<'_> {
    fn end<G: Given>(&mut self, outcome: &Outcome<G>) {
        self.ended = true;
        self.running.end(outcome);
        match outcome {
            Ok(_) => self
                .means
                .health
                .answered(self.candidate, self.running.latency()),
            Err(failure) => self.means.health.failed(self.candidate, failure),
        }
    }
}

impl Drop for Noted<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.running.give_up();
            self.means.health.unused(self.candidate);
        }
        let configured = &self.candidate.configured;
        let used = self.running.tokens();
        let limits = self.means.limits;
        limits.settle(&configured.name, &configured.limits, self.paid, used);
    }
}
