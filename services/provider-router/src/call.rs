//! The one retry loop of the system, whatever is [`asked`] for.
//!
//! It goes in rounds. In a round everybody of the plan is asked in turn until one answers; who fails
//! for good is not asked again, and between two rounds there is a pause. So a chain falls over at
//! once, and a provider alone is tried again with patience, by the same rule.
//!
//! Until the first piece of text has reached a listener, asking anew is free. From then on it is not:
//! another answer would contradict what was heard. Then somebody goes on where the answer broke off,
//! and the answer says so, or the call fails. A quiet question has no listeners.

pub mod asked;
mod in_text;
mod line;
mod race;
mod resume;
mod verdict;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use crate::assembler::Answer;
use crate::health::{Health, NotNow, Whose};
use crate::limits::shared::SharedLimits;
use crate::plan::{Candidate, Plan};
use crate::provider::{ChatRequest, DeltaSink, FailureClass, ProviderFailure};
use crate::registry::route::OnInterruption;
use crate::retry::RetryPolicy;
use crate::tally::Tally;

use asked::Asked;
use race::{Entrant, race};
use resume::Heard;

pub use line::Line;

/// A wait longer than this is not waited out here: the command goes back to its channel, and the
/// place it has here to another one.
const WORTH_WAITING: Duration = Duration::from_secs(1);

/// Whom to ask what, and for how long.
pub struct Question<'a, R = ChatRequest> {
    /// Whom.
    pub plan: &'a Plan,
    /// What; the model is that of whoever is asked.
    pub request: &'a R,
    /// About how many tokens it has.
    pub prompt_tokens: u64,
    /// About how many the answer may have.
    pub answer_tokens: u64,
    /// How often and how patiently.
    pub policy: &'a RetryPolicy,
    /// No longer than this.
    pub until: Instant,
    /// Whether nobody hears what is said.
    pub quiet: bool,
}

/// What calls share.
#[derive(Clone, Copy)]
pub struct Means<'a> {
    /// How everybody fares.
    pub health: &'a Health,
    /// What everybody takes at most.
    pub limits: &'a SharedLimits,
    /// Where attempts are noted.
    pub tally: &'a Tally,
}

/// An answer, and who gave it.
#[derive(Debug)]
pub struct Answered<G = Answer> {
    /// The answer.
    pub answer: G,
    /// The provider.
    pub provider: Arc<str>,
    /// The model that was asked.
    pub model: Arc<str>,
}

impl<R> Question<'_, R> {
    /// About how many tokens it takes in all.
    const fn tokens(&self) -> u64 {
        self.prompt_tokens.saturating_add(self.answer_tokens)
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub enum Unanswered {
    /// Everybody failed.
    Failed {
        /// What to tell.
        failure: ProviderFailure,
        /// Who failed, if it was only one.
        provider: Option<Arc<str>>,
        /// Whether somebody has heard a part of an answer.
        heard: bool,
    },
    /// Nobody could be asked yet, and nothing was said: again after this long.
    NotNow(Duration),
}

/// Asks until there is an answer, there is no use in going on, or the time is over.
///
/// # Errors
/// [`Unanswered`].
pub async fn ask<R: Asked>(
    question: &Question<'_, R>,
    means: Means<'_>,
    sink: &mut dyn DeltaSink,
) -> Result<Answered<R::Given>, Unanswered> {
    let mut asking = Asking {
        question,
        means,
        heard: Heard::by(question, sink),
        left: question.plan.candidates.iter().collect(),
        failures: Vec::new(),
    };
    // Those that refused the key a moment ago are asked when nobody else can.
    asking.left.sort_by_key(|one| means.health.is_shunned(one));
    match timeout_at(question.until, asking.rounds()).await {
        Ok(outcome) => outcome,
        Err(_elapsed) => Err(asking.out_of_time()),
    }
}

/// A call that is going on.
struct Asking<'a, 'b, R> {
    question: &'a Question<'a, R>,
    means: Means<'a>,
    heard: Heard<'b>,
    /// Who may still answer.
    left: Vec<&'a Candidate>,
    failures: Vec<(&'a Candidate, ProviderFailure)>,
}

/// What a round came to.
enum Round<G> {
    Answered(Box<Answered<G>>),
    /// Nobody answered. After this long the next round, if somebody is left.
    Failed(Option<Duration>),
    /// Nobody could be asked.
    Refused(NotNow),
    /// It broke off after a part was heard, and nobody may go on.
    Broken,
}

impl<'a, R: Asked> Asking<'a, '_, R> {
    async fn rounds(&mut self) -> Result<Answered<R::Given>, Unanswered> {
        let policy = self.question.policy;
        let mut rounds = 0;
        loop {
            let asked_for = match self.round().await {
                Round::Answered(answered) => return Ok(*answered),
                Round::Broken => return Err(self.failed()),
                Round::Refused(not_now) => {
                    self.wait_for_admission(not_now).await?;
                    continue;
                }
                Round::Failed(asked_for) => asked_for,
            };
            rounds += 1;
            let chance = rand::random();
            let wait = policy.wait(rounds, asked_for, self.time_left(), chance);
            let Some(wait) = wait.filter(|_| !self.left.is_empty()) else {
                return Err(self.failed());
            };
            sleep(wait).await;
        }
    }

    /// Asks everybody who is left and may be asked now, in turn.
    async fn round(&mut self) -> Round<R::Given> {
        let before = self.failures.len();
        let mut wait: Option<Duration> = None;
        let mut refused: Option<NotNow> = None;
        let mut asked = false;
        for place in self.left.clone() {
            // Who was asked beside somebody else has had its turn.
            let since = self.failures.iter().skip(before);
            if since.into_iter().any(|(by, _)| std::ptr::eq(*by, place)) {
                continue;
            }
            if let Err(not_now) = admit(self.means, place, self.question.tokens()).await {
                let shorter = refused.as_ref().is_none_or(|one| not_now.wait < one.wait);
                if shorter {
                    refused = Some(not_now);
                }
                continue;
            }
            asked = true;
            let mut keys = 0;
            let failure = loop {
                keys += 1;
                // A second key is the same call: what it takes is settled, and paid for once.
                let paid = if keys == 1 { self.question.tokens() } else { 0 };
                let failure = match self.attempt(place, paid).await {
                    Ok(answered) => return Round::Answered(Box::new(answered)),
                    Err(failure) => failure,
                };
                if !self.may_go_on() {
                    return Round::Broken;
                }
                // Each of its keys once: what they say in turn is what one would say.
                if !failure.another_key || keys >= place.configured.keys {
                    break failure;
                }
            };
            if failure.class.is_transient() {
                let asks = failure.retry_after.unwrap_or_default();
                wait = Some(wait.map_or(asks, |wait| wait.min(asks)));
            }
        }
        match refused {
            Some(refused) if !asked => Round::Refused(refused),
            // Somebody who could not be asked this time can be the next.
            Some(refused) => {
                Round::Failed(Some(wait.map_or(refused.wait, |w| w.min(refused.wait))))
            }
            None => Round::Failed(wait),
        }
    }

    /// One attempt, with another one beside it if the first is silent for long.
    async fn attempt(
        &mut self,
        candidate: &'a Candidate,
        paid: u64,
    ) -> Result<Answered<R::Given>, ProviderFailure> {
        let question = self.question;
        let request = self.heard.request(question.request);
        let hedge_after = question.plan.hedge_after;
        let beside = hedge_after.and_then(|after| Some((after, self.beside(candidate)?)));
        let means = self.means;
        let entrant = |candidate: &'a Candidate, paid| Entrant {
            line: Line {
                candidate,
                means,
                prompt_tokens: question.prompt_tokens,
                tokens: question.tokens(),
                paid,
            },
            request: request.for_model(&candidate.model),
        };
        let first = entrant(candidate, paid);
        // Whether it is needed is not known yet, so nothing is paid for it before.
        let second = beside.map(|(after, other)| (after, entrant(other, 0)));
        let (by, result) = race(first, second, &mut self.heard, &mut self.failures).await;
        match result {
            Ok(answer) => Ok(Answered {
                answer: self.heard.whole(answer, by),
                provider: Arc::clone(&by.configured.name),
                model: Arc::clone(&by.model),
            }),
            Err(failure) => {
                self.note(by, failure.clone());
                Err(failure)
            }
        }
    }

    /// Who could be asked beside this one. A person is not asked for what may not be needed, and is
    /// given the time to think.
    fn beside(&self, candidate: &Candidate) -> Option<&'a Candidate> {
        if candidate.configured.kind.is_person() {
            return None;
        }
        let mut later = self
            .left
            .iter()
            .skip_while(|one| !std::ptr::eq(**one, candidate))
            .skip(1);
        later
            .find(|one| !one.configured.kind.is_person() && self.means.health.is_well(one))
            .copied()
    }

    fn note(&mut self, by: &'a Candidate, failure: ProviderFailure) {
        tracing::info!(
            provider.name = &*by.configured.name, model = &*by.model, reason = %failure,
            "a provider failed"
        );
        let last_key = !failure.another_key;
        if !failure.class.is_transient() && last_key {
            self.left.retain(|one| !std::ptr::eq(*one, by));
        }
        self.heard.broke_off(by, &failure);
        self.failures.push((by, failure));
    }

    /// Whether somebody else may answer after what was heard.
    fn may_go_on(&self) -> bool {
        let continues = self.question.plan.on_interruption == OnInterruption::Continue;
        !self.heard.anything() || (continues && !self.question.request.is_shaped())
    }

    /// Waits if it is short; else the command comes back later.
    async fn wait_for_admission(&mut self, not_now: NotNow) -> Result<(), Unanswered> {
        let NotNow {
            whose,
            wait,
            failure,
        } = not_now;
        // Until a limit of our own is free again is waited as long as there is time; on a provider
        // that is in trouble, for as long as anybody has patience.
        let patient = whose == Whose::Ours || wait <= self.question.policy.patience;
        if !patient || wait >= self.time_left() {
            let provider = self.left.first().copied();
            if let Some(provider) = provider {
                self.failures.push((provider, failure));
            }
            return Err(self.failed());
        }
        // Not all at the same moment.
        let wait = wait.mul_f64(1.0 + rand::random::<f64>() / 4.0);
        if wait > WORTH_WAITING && self.failures.is_empty() {
            return Err(Unanswered::NotNow(wait));
        }
        sleep(wait).await;
        Ok(())
    }

    fn time_left(&self) -> Duration {
        self.question
            .until
            .saturating_duration_since(Instant::now())
    }

    fn failed(&self) -> Unanswered {
        self.told(verdict::failed(&self.failures))
    }

    fn out_of_time(&self) -> Unanswered {
        let asked = &self.question.plan.candidates;
        self.told(verdict::out_of_time(asked, &self.failures))
    }

    fn told(&self, (failure, provider): (ProviderFailure, Option<Arc<str>>)) -> Unanswered {
        Unanswered::Failed {
            failure,
            provider,
            heard: self.heard.anything(),
        }
    }
}

/// Whether somebody may be asked now for about so many tokens: by our own limits, and by how it fares.
async fn admit(means: Means<'_>, candidate: &Candidate, tokens: u64) -> Result<(), NotNow> {
    let configured = &candidate.configured;
    let (name, limits) = (&configured.name, &configured.limits);
    if !limits.is_none() {
        let paid = means.limits.admit(name, limits, tokens);
        paid.await.map_err(|wait| NotNow {
            whose: Whose::Ours,
            wait,
            failure: ProviderFailure::new(
                FailureClass::RateLimited,
                format!("{name} has reached its `limits`"),
            ),
        })?;
    }
    // Its breaker last: whom it lets through as a probe has to go, and nothing is waited for now.
    let admitted = means.health.admit(candidate);
    if admitted.is_err() {
        means.limits.give_back(name, limits, tokens);
    }
    admitted
}

#[cfg(test)]
mod tests;
