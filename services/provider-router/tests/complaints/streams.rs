//! Text that was lost on the way, and calls that nobody wants any more.

use anyhow::{Context, Result, bail, ensure};
use async_trait::async_trait;
use futures::future::try_join_all;
use nexus_contracts::chat::{ChatMessage, FinishReason, Role};
use nexus_provider_router::provider::{DeltaSink, FailureClass, Provider};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::dialect::{
    KINDS, Kind, anthropic_close, anthropic_end, anthropic_piece, event, gemini, gemini_end, openai,
};
use crate::support::{Gate, PATIENCE, Reply, Upstream, ask, ask_of, question, registry};

/// The same text in two pieces, each with an empty place beside it for what it is not.
fn with_empty_places(kind: Kind) -> String {
    match kind {
        Kind::OpenAi => {
            let piece = |text: &str| json!({ "content": text, "tool_calls": [] });
            let end = json!({ "choices": [
                { "index": 0, "delta": piece(""), "finish_reason": "stop" }] });
            let call_less = json!({ "content": "lo", "tool_calls": [], "reasoning_content": null });
            openai(&piece(""))
                + &openai(&piece("Hel"))
                + &openai(&call_less)
                + &event(&end)
                + "data: [DONE]\n\n"
        }
        Kind::Anthropic => {
            let piece = |text: &str| {
                anthropic_piece(
                    0,
                    &json!({ "type": "text_delta", "text": text, "partial_json": "" }),
                )
            };
            kind.begun()
                + &piece("Hel")
                + &piece("lo")
                + &anthropic_close(0)
                + &anthropic_end("end_turn")
        }
        Kind::Gemini => {
            let part = |text: &str| json!([{ "text": text, "functionCall": null }]);
            gemini(&part("Hel")) + &gemini_end(&part("lo"))
        }
    }
}

/// litellm #29286: text that came beside an empty list of calls was taken for a piece of a call,
/// and nobody heard a word.
#[tokio::test]
async fn text_beside_an_empty_list_of_calls_is_heard() -> Result<()> {
    for kind in KINDS {
        let upstream = Upstream::always(Reply::events(with_empty_places(kind))).await?;
        let outcome = ask(kind.name(), &upstream, &question()).await?;
        ensure!(outcome.heard == "Hello", "{kind:?}: {:?}", outcome.heard);
        let answer = outcome.answer()?;
        ensure!(answer.message.content == "Hello", "{kind:?}: {answer:?}");
        ensure!(answer.message.tool_calls.is_empty(), "{kind:?}: {answer:?}");
        ensure!(
            answer.finish_reason == FinishReason::Stop,
            "{kind:?}: {answer:?}"
        );
    }
    Ok(())
}

/// litellm #29286, for whole answers: servers are known that put an empty `delta` beside the
/// `message`.
#[tokio::test]
async fn the_text_of_a_whole_answer_is_kept_beside_an_empty_delta() -> Result<()> {
    let message = json!({ "role": "assistant", "content": "Hello", "tool_calls": [] });
    for delta in [
        Value::Null,
        json!({}),
        json!({ "role": "assistant", "content": "", "tool_calls": null }),
    ] {
        let choice = json!({ "index": 0, "delta": delta, "message": message,
            "finish_reason": "stop" });
        let whole = json!({ "choices": [choice] }).to_string();
        let upstream = Upstream::always(Reply::json(200, whole)).await?;
        let outcome = ask("openai", &upstream, &question()).await?;
        ensure!(
            outcome.heard == "Hello",
            "beside {delta}: {:?}",
            outcome.heard
        );
    }
    Ok(())
}

/// ai-gateway #1894: of a complete answer in compressed pieces not one byte reached the client,
/// which had a 200 and waited.
#[tokio::test]
async fn an_answer_is_heard_to_its_last_byte() -> Result<()> {
    let text = "Grüße, 世界. ".repeat(5_000);
    for kind in KINDS {
        // Events of all sizes, and pieces that end anywhere.
        let said = text.split_inclusive(' ').collect::<Vec<_>>();
        let said = said.chunks(37).map(|words| kind.said(&words.concat()));
        let events = kind.begun() + &said.collect::<String>() + &kind.done();
        for size in [usize::MAX, 1_000, 7] {
            let upstream = Upstream::always(Reply::events(events.clone()).cut(size)).await?;
            let outcome = ask(kind.name(), &upstream, &question()).await?;
            ensure!(outcome.heard == text, "{kind:?}: cut every {size} bytes");
            let answer = outcome.answer()?;
            ensure!(answer.message.content == text, "{kind:?}: {size}");
            let heads = upstream.heads();
            let head = heads.first().context("a request")?;
            ensure!(!head.contains("accept-encoding"), "{head}");
        }
    }
    Ok(())
}

/// `{"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]}`, as gzip has it.
const COMPRESSED: [u8; 109] = [
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0x1d, 0xcc, 0x31, 0x0a, 0x80, 0x30,
    0x0c, 0x46, 0xe1, 0xbd, 0xa7, 0x90, 0x7f, 0x76, 0x70, 0xce, 0xac, 0xe0, 0xa4, 0x07, 0x28, 0x22,
    0xa5, 0x8d, 0x18, 0x90, 0x54, 0x6c, 0x06, 0x41, 0x7a, 0x77, 0xc5, 0xf5, 0x7d, 0xf0, 0x52, 0xb0,
    0x40, 0xcd, 0x83, 0xb8, 0x67, 0x89, 0x5c, 0x40, 0xfe, 0x81, 0x68, 0xe2, 0x1b, 0xd4, 0xb5, 0x48,
    0x7c, 0x58, 0x00, 0x7d, 0x9c, 0xd5, 0x58, 0x0d, 0x84, 0x51, 0x50, 0x5b, 0x6c, 0xa2, 0x52, 0xf6,
    0xf5, 0xe2, 0x50, 0xb2, 0x7e, 0xb5, 0x58, 0x3e, 0x51, 0x97, 0xea, 0x5c, 0xfa, 0x87, 0xbe, 0x9f,
    0xa7, 0x61, 0x71, 0xee, 0x05, 0x13, 0xb7, 0xf7, 0xeb, 0x5f, 0x00, 0x00, 0x00,
];

/// ai-gateway #1894: a 200 of which nothing can be read is no answer.
#[tokio::test]
async fn a_body_without_a_word_is_a_failure() -> Result<()> {
    for kind in KINDS {
        let silent = [
            Reply::events(""),
            Reply::events(": keepalive\n\n: keepalive\n\n"),
            Reply::events(kind.begun()),
            Reply::events(COMPRESSED).header("content-encoding", "gzip"),
            Reply::json(200, "{}"),
        ];
        for (place, reply) in silent.into_iter().enumerate() {
            let upstream = Upstream::always(reply).await?;
            let outcome = ask(kind.name(), &upstream, &question()).await?;
            ensure!(outcome.heard.is_empty(), "{kind:?}: {:?}", outcome.heard);
            let failure = outcome.failure();
            let failure = failure.with_context(|| format!("{kind:?}, body {place}"))?;
            let class = failure.class;
            ensure!(
                matches!(class, FailureClass::Interrupted | FailureClass::Garbled),
                "{kind:?}, body {place}: {class:?}: {failure}"
            );
        }
    }
    Ok(())
}

struct Words(mpsc::UnboundedSender<String>);

#[async_trait]
impl DeltaSink for Words {
    async fn delta(&mut self, text: &str) {
        drop(self.0.send(text.to_owned()));
    }
}

/// How often a call that is not dropped says its word.
const OFTEN: usize = 200;

/// What the call of this number says, and no other.
fn word(number: usize) -> String {
    format!("<{number}>")
}

/// The number of the call that sends this.
fn number_in(body: &Value) -> usize {
    let text = body.to_string();
    let tail = text.split("call-").nth(1).unwrap_or_default();
    let digits = tail.chars().take_while(char::is_ascii_digit);
    digits.collect::<String>().parse().unwrap_or_default()
}

/// Says its word often, in small pieces; every second one never ends.
fn spoken(kind: Kind, number: usize) -> Reply {
    let said = kind.said(&word(number));
    if number % 2 == 1 {
        return Reply::events(kind.begun() + &said).left_open();
    }
    let events = kind.begun() + &said.repeat(OFTEN) + &kind.done();
    Reply::events(events).cut(100)
}

/// Hears a call to its end; one that has none is dropped at its first word.
async fn one_of_many(provider: &dyn Provider, number: usize) -> Result<()> {
    let mut request = question();
    request.messages = vec![ChatMessage::text(Role::User, format!("call-{number}."))];
    let (words, mut heard) = mpsc::unbounded_channel();
    let mut sink = Words(words);
    let call = provider.chat(&request, &mut sink);
    if number % 2 == 1 {
        let first = tokio::select! {
            ended = call => bail!("call {number} ended by itself: {ended:?}"),
            first = heard.recv() => first.context("a word")?,
        };
        ensure!(first == word(number), "call {number} heard {first}");
        return Ok(());
    }
    let answer = call.await?;
    let expected = word(number).repeat(OFTEN);
    ensure!(
        answer.message.content == expected,
        "call {number} was told {}",
        answer.message.content
    );
    let heard: String = std::iter::from_fn(|| heard.try_recv().ok()).collect();
    ensure!(heard == expected, "call {number} heard {heard}");
    Ok(())
}

/// bifrost #6143: a stream that was cancelled while it was read went back to a pool, where another
/// request got it.
#[tokio::test]
async fn calls_that_are_dropped_leave_the_others_alone() -> Result<()> {
    const ROUNDS: usize = 4;
    const AT_ONCE: usize = 32;
    for kind in KINDS {
        let upstream = Upstream::start(move |_, body| spoken(kind, number_in(body))).await?;
        let registry = registry(kind.name(), &upstream, "")?;
        let configured = registry.find(None)?;
        let provider = configured.provider.as_deref().map_err(Clone::clone)?;
        // In rounds, so that connections are used again.
        for round in 0..ROUNDS {
            let numbers = round * AT_ONCE..(round + 1) * AT_ONCE;
            let calls = numbers.map(|number| one_of_many(provider, number));
            let all = timeout(PATIENCE, try_join_all(calls)).await;
            let all = all.with_context(|| format!("{kind:?}: waited for round {round}"))?;
            all.with_context(|| format!("{kind:?}"))?;
        }
        upstream.is_left_by(ROUNDS * AT_ONCE / 2).await?;
    }
    Ok(())
}

/// Found by measuring: the end of a body that comes a moment after `[DONE]` cost the connection, and
/// each call a new handshake.
#[tokio::test]
async fn a_connection_is_used_again_though_its_body_ends_late() -> Result<()> {
    let gate = Gate::closed();
    let late = Reply::events(Kind::OpenAi.answer("Hello")).wait_for(&gate, "");
    let upstream = Upstream::start(move |before, _| match before {
        0 => late.clone(),
        _ => Reply::events(Kind::OpenAi.answer("Hello")),
    })
    .await?;
    let registry = registry("openai", &upstream, "")?;
    // The answer does not wait for the end.
    ask_of(&registry, &question()).await?.answer()?;
    gate.open();
    let again = async {
        loop {
            ask_of(&registry, &question()).await?.answer()?;
            ensure!(!upstream.has_ended(0), "the first connection was closed");
            if upstream.connections().iter().skip(1).any(|one| *one == 0) {
                return Ok(());
            }
        }
    };
    timeout(PATIENCE, again)
        .await
        .context("waited for the first connection")?
}
