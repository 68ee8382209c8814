//! The retry loop with scripted providers and a clock that stands still.

mod chains;
mod hedging;
mod in_text;

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use nexus_bus::{Bus, BusConfig, BusUrl};
use nexus_contracts::Timestamp;
use nexus_contracts::chat::{ChatMessage, FinishReason, Role, ToolSpec, Usage};
use nexus_contracts::events::ModelParameters;
use nexus_service_kit::Clock;
use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use super::{Answered, Means, Question, Unanswered, ask};
use crate::assembler::Answer;
use crate::health::Health;
use crate::limits::Limits;
use crate::limits::shared::SharedLimits;
use crate::plan::{Candidate, Plan};
use crate::provider::{
    ChatRequest, DeltaSink, FailureClass, Origin, Provider, ProviderFailure, openai,
};
use crate::registry::Configured;
use crate::registry::route::{OnInterruption, Strategy};
use crate::retry::RetryPolicy;
use crate::tally::{Attempt, Tally};

thread_local! {
    /// Whether the clock of this test stands still.
    static PAUSED: Cell<bool> = const { Cell::new(false) };
}

/// What a scripted provider does in one call.
#[derive(Clone)]
pub(super) enum Act {
    /// Says this, then fails.
    Fail(&'static str, FailureClass),
    /// Fails, and asks to be left alone for so many seconds.
    Limit(u64),
    /// Fails because of the key, where another one is at hand.
    Key,
    /// Waits for so many milliseconds, then says this and is done.
    Say(u64, &'static str),
}

/// Does what it is told, one act a call, then says "Hi".
pub(super) struct Scripted {
    acts: Vec<Act>,
    calls: AtomicUsize,
    asked: Mutex<Vec<ChatRequest>>,
}

#[async_trait]
impl Provider for Scripted {
    async fn chat(
        &self,
        request: &ChatRequest,
        sink: &mut dyn DeltaSink,
    ) -> Result<Answer, ProviderFailure> {
        self.asked.lock().push(request.clone());
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        let (wait, text) = match self.acts.get(call).cloned().unwrap_or(Act::Say(0, "Hi")) {
            Act::Fail(text, class) => {
                if !text.is_empty() {
                    sink.delta(text).await;
                }
                return Err(ProviderFailure::new(class, "failed"));
            }
            Act::Key => {
                let mut failure = ProviderFailure::new(FailureClass::Unauthorized, "this key");
                failure.another_key = true;
                return Err(failure);
            }
            Act::Limit(seconds) => {
                let mut failure = ProviderFailure::new(FailureClass::RateLimited, "slow down");
                failure.retry_after = Some(Duration::from_secs(seconds));
                return Err(failure);
            }
            Act::Say(wait, text) => (wait, text),
        };
        sleep(Duration::from_millis(wait)).await;
        sink.delta(text).await;
        Ok(Answer {
            message: ChatMessage::text(Role::Assistant, text),
            finish_reason: FinishReason::Stop,
            usage: Usage::of(10, 2),
            model: None,
            metadata: [].into(),
        })
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

/// Providers `a`, `b`, `c` with these scripts.
pub(super) struct World {
    providers: Vec<Arc<Scripted>>,
    pub(super) plan: Plan,
    health: Health,
    limits: SharedLimits,
    pub(super) seconds: u64,
    pub(super) quiet: bool,
    pub(super) tools: Vec<ToolSpec>,
    _folder: tempfile::TempDir,
}

/// What came of a question.
pub(super) struct Came {
    pub(super) outcome: Result<Answered, Unanswered>,
    pub(super) heard: String,
    pub(super) attempts: Vec<Attempt>,
}

impl World {
    pub(super) async fn new(scripts: &[&[Act]]) -> Self {
        Self::limited(scripts, Limits::default()).await
    }

    /// Each of them takes no more than this, by a clock that stands still.
    pub(super) async fn limited(scripts: &[&[Act]], limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = BusUrl::Embedded {
            path: folder.path().join("bus.db"),
            read_only: false,
        };
        let config = BusConfig::new(url, folder.path().join("blobs"));
        let bus = Bus::connect(&config).await.unwrap();
        // Only now: the bus works on threads of its own, which the standing clock would not wait for.
        // Twice would be an error.
        if !PAUSED.with(|paused| paused.replace(true)) {
            tokio::time::pause();
        }
        let scripted = |acts: &&[Act]| {
            Arc::new(Scripted {
                acts: acts.to_vec(),
                calls: AtomicUsize::new(0),
                asked: Mutex::default(),
            })
        };
        let providers: Vec<_> = scripts.iter().map(scripted).collect();
        let candidates = ["a", "b", "c"].iter().zip(&providers);
        let candidates = candidates.map(|(name, provider)| candidate(name, provider, limits));
        Self {
            plan: Plan {
                route: Some("r".to_owned()),
                strategy: Strategy::Order,
                candidates: candidates.collect(),
                skipped: Vec::new(),
                delegated: None,
                hedge_after: None,
                on_interruption: OnInterruption::Continue,
            },
            providers,
            health: Health::default(),
            limits: SharedLimits::new(bus, Clock::manual(Timestamp::from_millis(0)).0),
            seconds: 60,
            quiet: false,
            tools: Vec::new(),
            _folder: folder,
        }
    }

    pub(super) async fn ask(&self) -> Came {
        let request = ChatRequest {
            id: "c".to_owned(),
            model: "m".to_owned(),
            messages: vec![ChatMessage::text(Role::User, "Count.")],
            tools: self.tools.clone(),
            parameters: ModelParameters::default(),
            origin: Origin::default(),
        };
        let policy = RetryPolicy {
            tries: 3,
            base: Duration::from_secs(1),
            max: Duration::from_secs(1),
            patience: Duration::from_secs(20),
        };
        let tally = Tally::default();
        let question = Question {
            plan: &self.plan,
            request: &request,
            prompt_tokens: 5,
            answer_tokens: 5,
            policy: &policy,
            until: Instant::now() + Duration::from_secs(self.seconds),
            quiet: self.quiet,
        };
        let means = Means {
            health: &self.health,
            limits: &self.limits,
            tally: &tally,
        };
        let mut text = Text::default();
        let outcome = ask(&question, means, &mut text).await;
        Came {
            outcome,
            heard: text.0,
            attempts: tally.close(),
        }
    }

    /// How often each was asked.
    pub(super) fn calls(&self) -> Vec<usize> {
        let calls = self.providers.iter();
        calls.map(|one| one.calls.load(Ordering::Relaxed)).collect()
    }

    /// What one was asked last.
    pub(super) fn asked(&self, place: usize) -> ChatRequest {
        let asked = self.providers.get(place).unwrap().asked.lock();
        asked.last().unwrap().clone()
    }
}

fn candidate(name: &str, provider: &Arc<Scripted>, limits: Limits) -> Candidate {
    Candidate {
        configured: Arc::new(Configured {
            name: name.into(),
            model: "m".into(),
            embedding_model: None,
            models: Vec::new(),
            kind: &openai::TYPE,
            local: false,
            limits,
            breaker: nexus_service_kit::breaker::BreakerPolicy::default(),
            keys: 2,
            fingerprint: uuid::Uuid::nil(),
            answers: uuid::Uuid::nil(),
            provider: Ok(Arc::clone(provider) as Arc<dyn Provider>),
        }),
        model: "m".into(),
    }
}

impl Came {
    pub(super) fn answer(&self) -> (&str, &str) {
        let answered = self.outcome.as_ref().unwrap();
        (&answered.provider, &answered.answer.message.content)
    }

    pub(super) fn failure(&self) -> (&ProviderFailure, bool) {
        match self.outcome.as_ref().unwrap_err() {
            Unanswered::Failed { failure, heard, .. } => (failure, *heard),
            Unanswered::NotNow(wait) => panic!("not now, but in {wait:?}"),
        }
    }

    pub(super) fn outcomes(&self) -> Vec<&str> {
        self.attempts.iter().map(Attempt::outcome).collect()
    }
}

const AWAY: Act = Act::Fail("", FailureClass::Unreachable);

#[tokio::test]
async fn passing_failures_are_tried_again_until_it_works() {
    let limited = Act::Fail("", FailureClass::RateLimited);
    let world = World::new(&[&[AWAY, limited]]).await;
    let came = world.ask().await;
    assert_eq!((came.answer(), came.heard.as_str()), (("a", "Hi"), "Hi"));
    assert_eq!(
        came.outcomes(),
        ["provider_unreachable", "rate_limited", "completed"]
    );
}

#[tokio::test]
async fn the_number_of_tries_is_limited() {
    let world = World::new(&[&[AWAY, AWAY, AWAY, AWAY]]).await;
    let came = world.ask().await;
    assert_eq!(came.failure().0.class, FailureClass::Unreachable);
    assert_eq!(world.calls(), [3]);
}

#[tokio::test]
async fn a_provider_by_itself_is_not_tried_again_once_a_word_was_heard() {
    let mut world = World::new(&[&[Act::Fail("H", FailureClass::Interrupted)]]).await;
    world.plan.on_interruption = OnInterruption::Fail;
    let came = world.ask().await;
    assert_eq!((world.calls(), came.heard.as_str()), (vec![1], "H"));
    let (failure, heard) = came.failure();
    assert!(heard && failure.class == FailureClass::Interrupted);
}

#[tokio::test]
async fn what_nobody_hears_is_tried_again_after_a_word_too() {
    let broken = Act::Fail("H", FailureClass::Interrupted);
    let mut world = World::new(&[std::slice::from_ref(&broken)]).await;
    world.quiet = true;
    world.plan.on_interruption = OnInterruption::Fail;
    let came = world.ask().await;
    assert_eq!(came.answer(), ("a", "Hi"));
    assert!(came.outcome.unwrap().answer.metadata.is_empty(), "no seam");
    assert_eq!(world.calls(), [2]);
}

#[tokio::test]
async fn lasting_failures_are_not_tried_again() {
    let world = World::new(&[&[Act::Fail("", FailureClass::BadRequest)]]).await;
    let came = world.ask().await;
    assert_eq!(came.failure().0.class, FailureClass::BadRequest);
    assert_eq!(world.calls(), [1]);
}

#[tokio::test]
async fn the_deadline_ends_everything() {
    let mut world = World::new(&[&[Act::Say(5_000, "late")]]).await;
    world.seconds = 2;
    let came = world.ask().await;
    let (failure, heard) = came.failure();
    assert!(!heard && failure.class == FailureClass::DeadlineExceeded);
    assert!(failure.detail.starts_with("a did not answer"), "{failure}");
    assert_eq!(came.outcomes(), ["aborted"]);
    let aborted = came.attempts.first().unwrap();
    assert!(
        aborted.estimated && aborted.usage.input_tokens == 5,
        "the prompt was sent"
    );
}

#[tokio::test]
async fn a_second_key_gets_nothing_for_free() {
    // A hundred tokens at once. Each question pays 10; the refused key takes 5 of them, and the
    // answer 12 more: six questions are more than a hundred.
    let limits = Limits {
        tokens_per_minute: Some(600),
        ..Limits::default()
    };
    let acts: Vec<Act> = (0..8).flat_map(|_| [Act::Key, Act::Say(0, "Hi")]).collect();
    let world = World::limited(&[&acts], limits).await;
    let mut answered = 0;
    while world.ask().await.outcome.is_ok() {
        answered += 1;
        assert!(answered < 8, "the limit lets everything through");
    }
    assert!(answered >= 4, "{answered}");
}
