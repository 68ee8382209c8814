//! Conversations: several turns in order, each with the answer it must get.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio_util::sync::CancellationToken;

use crate::client::HTTP;
use crate::history::{Ending, Purpose, Request};
use crate::http::Http;
use crate::log::{Heard, Log};
use crate::prompt::{Prompt, Task, Transcript};
use crate::raw::Raw;

/// Most turns of a conversation: few enough that none of it falls out of the model's window.
const MOST_TURNS: u32 = 5;

/// One question on its way.
#[derive(Clone, Debug)]
pub struct Question {
    /// Idempotency key or message id.
    pub id: String,
    /// Our name of the conversation.
    pub label: String,
    /// The conversation it goes on with.
    pub conversation: Option<String>,
    /// What is said.
    pub text: String,
    /// Whether a client on the bus puts it twice at once, as one does whose connection broke.
    pub twice: bool,
}

/// The way a client asks.
#[derive(Clone)]
pub enum Route {
    /// Over HTTP.
    Http(Arc<Http>),
    /// On the bus.
    Raw(Arc<Raw>, &'static str),
}

impl Route {
    /// The client's name.
    #[must_use]
    pub const fn client(&self) -> &'static str {
        match self {
            Self::Http(_) => HTTP,
            Self::Raw(_, name) => name,
        }
    }

    async fn ask(&self, log: &Log, question: &Question) -> Heard {
        match self {
            Self::Http(http) => http.ask(log, question).await,
            Self::Raw(raw, _) => raw.ask(log, question).await,
        }
    }
}

/// What is talked about.
#[derive(Clone, Debug)]
pub struct Topics {
    /// Share of turns that only a deadline ends.
    pub silence: f64,
    /// Share of conversations that begin with a try to get into somebody else's.
    pub intrusion: f64,
    /// Share of questions on the bus that are put twice.
    pub twice: f64,
    /// Longest pause between two turns.
    pub pause: Duration,
}

impl Default for Topics {
    fn default() -> Self {
        Self {
            silence: 0.0,
            intrusion: 0.05,
            twice: 0.1,
            pause: Duration::from_millis(250),
        }
    }
}

/// Somebody who has one conversation after another.
pub struct Talker {
    /// The way it asks.
    pub route: Route,
    /// Unique among all.
    pub name: String,
    /// What it talks about.
    pub topics: Topics,
    /// Where everything is written down.
    pub log: Arc<Log>,
}

/// A conversation as its client has it.
struct Thread {
    label: String,
    conversation: Option<String>,
    transcript: Transcript,
}

/// What is said next.
struct Turn {
    number: u32,
    task: Task,
    twice: bool,
}

impl Talker {
    /// Talks until `stop`; what was asked by then is still waited for until `give_up`.
    pub async fn talk(&self, seed: u64, stop: &CancellationToken, give_up: &CancellationToken) {
        let mut chance = StdRng::seed_from_u64(seed);
        let mut number = 0;
        while !stop.is_cancelled() {
            number += 1;
            let label = format!("{}-{number}", self.name);
            let talked = self.converse(&mut chance, label, stop);
            if give_up.run_until_cancelled(talked).await.is_none() {
                return;
            }
        }
    }

    async fn converse(&self, chance: &mut StdRng, label: String, stop: &CancellationToken) {
        if chance.random_bool(self.topics.intrusion) {
            self.intrude(chance, &label).await;
        }
        let mut thread = Thread {
            label,
            conversation: None,
            transcript: Transcript::default(),
        };
        let turns = chance.random_range(2..=MOST_TURNS);
        for number in 1..=turns {
            let turn = Turn {
                number,
                task: self.task(chance),
                twice: chance.random_bool(self.topics.twice),
            };
            let pause = self.topics.pause.mul_f64(chance.random_range(0.0..1.0));
            if stop.is_cancelled() || !self.turn(&mut thread, &turn).await {
                return;
            }
            // Cut short when the talking ends.
            let _ended = stop.run_until_cancelled(tokio::time::sleep(pause)).await;
        }
    }

    fn task(&self, chance: &mut StdRng) -> Task {
        if chance.random_bool(self.topics.silence) {
            return Task::Silence;
        }
        let (a, b) = (
            chance.random_range(100..1000),
            chance.random_range(100..1000),
        );
        match chance.random_range(0..4) {
            0 => Task::Product(a, b),
            1 => Task::Both(a, b),
            _ => Task::Answer,
        }
    }

    /// One turn; whether the conversation goes on.
    async fn turn(&self, thread: &mut Thread, turn: &Turn) -> bool {
        let prompt = self.prompt(&thread.label, turn.number, turn.task);
        thread.transcript.question(&prompt);
        let purpose = match turn.task {
            Task::Silence => Purpose::Silence,
            _ => Purpose::Turn,
        };
        let question = Question {
            id: format!("{}.{}", thread.label, turn.number),
            label: thread.label.clone(),
            conversation: thread.conversation.clone(),
            text: prompt.to_string(),
            twice: turn.twice,
        };
        let heard = self
            .put(&question, purpose, turn.number, &thread.transcript)
            .await;
        thread.transcript.assistant(&heard.text);
        thread.conversation = heard.conversation.or_else(|| thread.conversation.take());
        heard.ending == Ending::Completed
    }

    /// One question that is asked once, in a conversation of its own.
    pub async fn ask_once(&self, label: &str, task: Task) {
        let mut thread = Thread {
            label: label.to_owned(),
            conversation: None,
            transcript: Transcript::default(),
        };
        let turn = Turn {
            number: 1,
            task,
            twice: false,
        };
        self.turn(&mut thread, &turn).await;
    }

    /// Tries to go on with a conversation of another client. Over HTTP one is refused before it
    /// reaches the bus; that is tried when the run has ended.
    async fn intrude(&self, chance: &mut StdRng, label: &str) {
        let client = self.route.client();
        let mut others = self.log.owned();
        others
            .retain(|owned| owned.client != client && !(is_home(&owned.client) && is_home(client)));
        if others.is_empty() || matches!(self.route, Route::Http(_)) {
            return;
        }
        let at = chance.random_range(0..others.len());
        let Some(victim) = others.get(at) else { return };
        let prompt = self.prompt(label, 1, Task::Answer);
        let question = Question {
            id: format!("{label}.intrusion"),
            label: victim.label.clone(),
            conversation: Some(victim.conversation.clone()),
            text: prompt.to_string(),
            twice: false,
        };
        let nothing = Transcript::default();
        self.put(&question, Purpose::Intrusion, 1, &nothing).await;
    }

    async fn put(
        &self,
        question: &Question,
        purpose: Purpose,
        turn: u32,
        transcript: &Transcript,
    ) -> Heard {
        self.log.asked(Request {
            id: question.id.clone(),
            client: self.route.client().to_owned(),
            purpose,
            conversation: question.label.clone(),
            turn,
            expected: transcript.digest(),
            asked_at: 0,
            accepted_at: None,
            replies: Vec::new(),
        });
        self.route.ask(&self.log, question).await
    }

    fn prompt(&self, label: &str, turn: u32, task: Task) -> Prompt {
        Prompt {
            client: self.route.client().to_owned(),
            conversation: label.to_owned(),
            turn,
            task,
        }
    }
}

/// HTTP and the local client ask for the same user.
fn is_home(client: &str) -> bool {
    client == HTTP || client == "local"
}
