use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use nexus_contracts::chat::Usage;
use nexus_contracts::events::{InferenceFailed, ToolCompleted};
use nexus_contracts::{Envelope, Extra, MessageId, Timestamp};

use super::{RequestError, RequestTiming, request};
use crate::fake::FakeBus;
use crate::{
    Clock, ConsumerSpec, DeadLetter, Failure, Handler, Message, Outcome, consume_each, outgoing,
};
use nexus_bus::Outgoing;

/// Bytes that no live stream should carry: as many as a NATS server takes by default.
const LARGE: usize = 1024 * 1024;

/// Answers the n-th time it is asked; before that it says nothing. Rejects what is called `bad`.
struct Worker {
    answers_at: usize,
    asked: AtomicUsize,
}

fn answer(to: &MessageId, text: &str) -> Envelope {
    let event = ToolCompleted {
        call_id: "call".to_owned(),
        name: "tool".to_owned(),
        result: text.into(),
        duration_ms: 1,
        ..ToolCompleted::default()
    };
    let id = to.result("tool");
    let mut envelope = Envelope::new(id, Timestamp::from_millis(5), &event).unwrap();
    envelope.metadata.causation_id = Some(to.clone());
    envelope
}

#[async_trait]
impl Handler for Worker {
    async fn handle(&self, message: Message) -> Outcome {
        let asked = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let id = message.envelope.id;
        match (asked >= self.answers_at, id.as_str()) {
            (_, "bad") => Err(Failure::reject("no such tool")),
            (false, _) => Ok(Vec::new()),
            (true, _) => {
                let other = MessageId::new("somebody-else").unwrap();
                let noise = outgoing("usage", &answer(&other, "noise"));
                let more = if id.as_str() == "large" { LARGE } else { 0 };
                let said = format!("answer {asked}{}", "!".repeat(more));
                Ok(vec![noise, outgoing("results", &answer(&id, &said))])
            }
        }
    }

    fn on_dead(&self, letter: &DeadLetter) -> Vec<Outgoing> {
        let id = &letter.envelope.as_ref().unwrap().id;
        vec![outgoing("results", &answer(id, letter.code))]
    }
}

fn question(id: &str) -> Envelope {
    let event = InferenceFailed {
        code: "test".to_owned(),
        detail: format!("{:?}", Usage::default()),
        retryable: false,
        provider: None,
        extra: Extra::new(),
    };
    Envelope::new(
        MessageId::new(id).unwrap(),
        Timestamp::from_millis(1),
        &event,
    )
    .unwrap()
}

async fn ask(answers_at: usize, id: &str) -> (Result<Envelope, RequestError>, FakeBus) {
    let (folder, bus) = (tempfile::tempdir().unwrap(), FakeBus::default());
    let deps = bus.deps(&folder);
    let worker = Worker {
        answers_at,
        asked: AtomicUsize::new(0),
    };
    consume_each(
        &deps,
        ConsumerSpec::new("asked", "worker"),
        Arc::new(worker),
    );
    let timing = RequestTiming {
        again: Duration::from_secs(2),
        deadline: Duration::from_secs(9),
    };
    let (clock, _hand) = Clock::manual(Timestamp::from_millis(1_000));
    let answer = request(&deps.bus, &clock, "asked", question(id), timing).await;
    (answer, bus)
}

fn said(answer: Result<Envelope, RequestError>) -> String {
    let event: ToolCompleted = answer.unwrap().decode().unwrap();
    event.result.as_str().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn the_answer_to_this_question_comes_back() {
    let (answer, bus) = ask(1, "q").await;
    assert_eq!(said(answer), "answer 1");
    let state = bus.state();
    assert_eq!(state.count("results"), 1, "it is stored as well");
    let asked = &state.channels["asked"][0].record;
    assert!(
        asked
            .text("metadata")
            .unwrap()
            .contains("1970-01-01T00:00:10.000Z"),
        "a deadline"
    );
}

#[tokio::test(start_paused = true)]
async fn a_large_answer_comes_back_and_leaves_the_live_stream_small() {
    let (answer, bus) = ask(1, "large").await;
    let said = said(answer);
    assert!(
        said.len() > LARGE && said.starts_with("answer 1"),
        "{}",
        said.len()
    );
    let live: usize = bus
        .state()
        .live
        .values()
        .flatten()
        .map(|entry| entry.data.len())
        .sum();
    assert!(live < 4096, "{live} bytes");
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_asked_for_again_under_the_same_id() {
    let (answer, bus) = ask(3, "q").await;
    assert_eq!(said(answer), "answer 3");
    let state = bus.state();
    let asked = &state.channels["asked"];
    assert_eq!(asked.len(), 3);
    assert!(
        asked
            .iter()
            .all(|entry| entry.record.text("id") == Some("q"))
    );
}

#[tokio::test(start_paused = true)]
async fn a_parked_question_is_answered_too() {
    let (answer, bus) = ask(1, "bad").await;
    assert_eq!(said(answer), "rejected");
    assert_eq!(bus.state().count("asked.dead"), 1);
}

#[tokio::test(start_paused = true)]
async fn nobody_answers_for_ever() {
    let began = tokio::time::Instant::now();
    let (answer, _bus) = ask(100, "q").await;
    let error = answer.unwrap_err();
    assert!(matches!(&error, RequestError::Timeout { channel, .. } if channel == "asked"));
    assert!(error.to_string().contains("is its service running?"));
    assert_eq!(began.elapsed(), Duration::from_secs(9));
}
