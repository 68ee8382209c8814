//! The one retry loop of the system.
//!
//! Until the first piece of text has reached a listener, trying again is free. From then on it is
//! not: another answer would contradict what was already heard, so the call fails as it is. A quiet
//! question has no listeners.

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::Instrument;

use crate::assembler::Answer;
use crate::provider::{ChatRequest, DeltaSink, FailureClass, Provider, ProviderFailure};
use crate::retry::RetryPolicy;

/// What came of all tries.
#[derive(Debug)]
pub struct Attempts {
    /// The answer, or the last failure.
    pub outcome: Result<Answer, ProviderFailure>,
    /// How many tries there were.
    pub tries: u32,
    /// How long the first piece of text took, if any came.
    pub first_text: Option<Duration>,
    /// Whether somebody may have heard a part of it.
    pub heard: bool,
}

impl Attempts {
    /// Whether the same command may be tried anew: it failed for a passing reason, and nobody
    /// has heard anything.
    #[must_use]
    pub fn may_run_again(&self) -> bool {
        let transient = self
            .outcome
            .as_ref()
            .is_err_and(|failure| failure.class.is_transient());
        transient && !self.heard
    }
}

/// Whom to ask what, and for how long.
pub struct Question<'a> {
    /// Whom.
    pub provider: &'a dyn Provider,
    /// Its name.
    pub name: &'a str,
    /// What.
    pub request: &'a ChatRequest,
    /// How often and how patiently.
    pub policy: &'a RetryPolicy,
    /// No longer than this.
    pub until: Instant,
    /// Whether nobody hears what is said.
    pub quiet: bool,
}

/// Asks until there is an answer, there is no use in going on, or the time is over.
pub async fn ask(question: &Question<'_>, sink: &mut dyn DeltaSink) -> Attempts {
    let mut heard = Heard {
        sink,
        began: Instant::now(),
        first_text: None,
    };
    let mut tries = 0;
    let all = try_often(question, &mut heard, &mut tries);
    let outcome = timeout_at(question.until, all)
        .await
        .unwrap_or_else(|_elapsed| {
            let detail = format!(
                "{} did not answer before the command's deadline",
                question.name
            );
            Err(ProviderFailure::new(FailureClass::DeadlineExceeded, detail))
        });
    Attempts {
        outcome,
        tries,
        first_text: heard.first_text,
        heard: heard.first_text.is_some() && !question.quiet,
    }
}

async fn try_often(
    question: &Question<'_>,
    heard: &mut Heard<'_>,
    tries: &mut u32,
) -> Result<Answer, ProviderFailure> {
    loop {
        *tries += 1;
        let span = tracing::debug_span!(
            "provider.attempt",
            provider.name = question.name,
            attempt = *tries
        );
        let attempt = question
            .provider
            .chat(question.request, heard)
            .instrument(span);
        let failure = match attempt.await {
            Ok(answer) => return Ok(answer),
            Err(failure) => failure,
        };
        let spoken = heard.first_text.is_some() && !question.quiet;
        if spoken || !failure.class.is_transient() {
            return Err(failure);
        }
        let left = question.until.saturating_duration_since(Instant::now());
        let wait = question
            .policy
            .wait(*tries, failure.retry_after, left, rand::random());
        let Some(wait) = wait else {
            return Err(failure);
        };
        tracing::info!(
            provider.name = question.name, attempt = *tries, reason = %failure,
            "provider failed; trying again"
        );
        sleep(wait).await;
    }
}

/// Notes when the first piece passes by.
struct Heard<'a> {
    sink: &'a mut dyn DeltaSink,
    began: Instant,
    first_text: Option<Duration>,
}

#[async_trait]
impl DeltaSink for Heard<'_> {
    async fn delta(&mut self, text: &str) {
        if self.first_text.is_none() {
            self.first_text = Some(self.began.elapsed());
        }
        self.sink.delta(text).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use async_trait::async_trait;
    use nexus_contracts::chat::{ChatMessage, FinishReason, Role, Usage};
    use nexus_contracts::events::ModelParameters;
    use tokio::time::Instant;

    use super::{Attempts, Question, ask};
    use crate::assembler::Answer;
    use crate::provider::{ChatRequest, DeltaSink, FailureClass, Provider, ProviderFailure};
    use crate::retry::RetryPolicy;

    /// Fails in the ways listed, some after a first word, then answers.
    struct Scripted {
        failures: Vec<(bool, FailureClass)>,
        calls: AtomicUsize,
    }

    #[async_trait]
    impl Provider for Scripted {
        async fn chat(
            &self,
            _: &ChatRequest,
            sink: &mut dyn DeltaSink,
        ) -> Result<Answer, ProviderFailure> {
            let call = self.calls.fetch_add(1, Ordering::Relaxed);
            let Some((speaks, class)) = self.failures.get(call) else {
                sink.delta("Hi").await;
                return Ok(Answer {
                    message: ChatMessage::text(Role::Assistant, "Hi"),
                    finish_reason: FinishReason::Stop,
                    usage: Usage::default(),
                    model: None,
                    metadata: [].into(),
                });
            };
            if *speaks {
                sink.delta("H").await;
            }
            Err(ProviderFailure::new(*class, "failed"))
        }

        async fn probe(&self) -> Result<String, ProviderFailure> {
            Ok("scripted".to_owned())
        }
    }

    #[derive(Default)]
    struct Text(String);

    #[async_trait]
    impl DeltaSink for Text {
        async fn delta(&mut self, text: &str) {
            self.0.push_str(text);
        }
    }

    async fn run(failures: &[(bool, FailureClass)], seconds: u64) -> (Attempts, String, usize) {
        ask_for(failures, seconds, |_| {}).await
    }

    async fn ask_for(
        failures: &[(bool, FailureClass)],
        seconds: u64,
        change: impl FnOnce(&mut Question<'_>),
    ) -> (Attempts, String, usize) {
        let provider = Scripted {
            failures: failures.to_vec(),
            calls: AtomicUsize::new(0),
        };
        let request = ChatRequest {
            id: "c".to_owned(),
            model: "m".to_owned(),
            messages: Vec::new(),
            tools: Vec::new(),
            parameters: ModelParameters::default(),
        };
        let policy = RetryPolicy {
            tries: 3,
            base: Duration::from_secs(1),
            max: Duration::from_secs(1),
            patience: Duration::from_secs(1),
        };
        let until = Instant::now() + Duration::from_secs(seconds);
        let mut question = Question {
            provider: &provider,
            name: "p",
            request: &request,
            policy: &policy,
            until,
            quiet: false,
        };
        change(&mut question);
        let mut text = Text::default();
        let attempts = ask(&question, &mut text).await;
        (attempts, text.0, provider.calls.into_inner())
    }

    #[tokio::test(start_paused = true)]
    async fn passing_failures_are_tried_again_until_it_works() {
        let failures = [
            (false, FailureClass::Unreachable),
            (false, FailureClass::RateLimited),
        ];
        let (attempts, heard, calls) = run(&failures, 60).await;
        assert_eq!((attempts.tries, calls, heard.as_str()), (3, 3, "Hi"));
        assert!(attempts.outcome.is_ok() && !attempts.may_run_again());
    }

    #[tokio::test(start_paused = true)]
    async fn the_number_of_tries_is_limited() {
        let (attempts, _, calls) = run(&[(false, FailureClass::Unavailable); 9], 60).await;
        assert_eq!((attempts.tries, calls), (3, 3));
        assert!(attempts.may_run_again());
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_tried_again_once_a_word_was_heard() {
        let (attempts, heard, calls) = run(&[(true, FailureClass::Interrupted)], 60).await;
        assert_eq!((attempts.tries, calls, heard.as_str()), (1, 1, "H"));
        assert_eq!(
            attempts.outcome.as_ref().unwrap_err().class,
            FailureClass::Interrupted
        );
        assert!(!attempts.may_run_again());
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_hears_is_tried_again_after_a_word_too() {
        let failures = [(true, FailureClass::Interrupted)];
        let (attempts, _, calls) = ask_for(&failures, 60, |question| question.quiet = true).await;
        assert_eq!((attempts.tries, calls, attempts.heard), (2, 2, false));
        assert!(attempts.outcome.is_ok());
        let (attempts, ..) = ask_for(&[failures[0]; 9], 60, |question| question.quiet = true).await;
        assert!(attempts.may_run_again());
    }

    #[tokio::test(start_paused = true)]
    async fn lasting_failures_are_not_tried_again() {
        let (attempts, _, calls) = run(&[(false, FailureClass::Unauthorized); 9], 60).await;
        assert_eq!(calls, 1);
        assert!(!attempts.may_run_again());
    }

    #[tokio::test(start_paused = true)]
    async fn the_deadline_ends_everything() {
        let (attempts, _, calls) = run(&[(false, FailureClass::Unavailable); 9], 0).await;
        assert!(calls <= 1, "{calls}");
        assert!(attempts.outcome.is_err());
    }
}
