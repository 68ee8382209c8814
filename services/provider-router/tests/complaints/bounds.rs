//! Memory and processors that grew or ran without an end.

use anyhow::{Context, Result, ensure};
use nexus_provider_router::assembler::{MAX_ANSWER_BYTES, MAX_STREAM_BYTES};
use nexus_provider_router::provider::FailureClass;
use nexus_provider_router::sse::MAX_EVENT_BYTES;
use serde_json::{Value, json};
use tokio::time::{Duration, Instant};

use crate::dialect::{KINDS, Kind, anthropic_open, anthropic_start, openai, openai_end};
use crate::support::{Outcome, Reply, Upstream, ask, ask_of, question, registry};

/// What the system may hold on the way, whatever is read: buffers of both ends.
const ON_THE_WAY: usize = 64 * 1024 * 1024;

/// Large enough that little is sent for much.
fn piece() -> String {
    "x".repeat(64 * 1024)
}

/// The reply has no end, and this much of it is enough.
async fn is_given_up(kind: Kind, reply: Reply, enough: usize) -> Result<Outcome> {
    let upstream = Upstream::always(reply).await?;
    let outcome = ask(kind.name(), &upstream, &question()).await?;
    // It would never be, if the rest were read and forgotten.
    upstream.is_left_by(1).await?;
    let written = upstream.written();
    ensure!(
        written <= enough + ON_THE_WAY,
        "{kind:?}: {written} bytes were taken"
    );
    Ok(outcome)
}

fn is_too_long(kind: Kind, outcome: Outcome) -> Result<()> {
    let failure = outcome.failure()?;
    ensure!(
        failure.class == FailureClass::Garbled,
        "{kind:?}: {:?}: {failure}",
        failure.class
    );
    ensure!(
        failure.detail.contains("longer than"),
        "{kind:?}: {failure}"
    );
    Ok(())
}

/// litellm #12685: memory grew from day to day until the process was started again.
#[tokio::test]
async fn an_answer_without_an_end_is_cut_off_at_its_limit() -> Result<()> {
    for kind in KINDS {
        let reply = Reply::events(kind.begun()).endless(kind.said(&piece()));
        // An event is a little more than the text in it.
        let outcome = is_given_up(kind, reply, 2 * MAX_ANSWER_BYTES).await?;
        let heard = outcome.heard.len();
        ensure!(heard <= MAX_ANSWER_BYTES, "{kind:?}: heard {heard}");
        ensure!(heard > MAX_ANSWER_BYTES / 2, "{kind:?}: heard {heard}");
        is_too_long(kind, outcome)?;
    }
    Ok(())
}

/// litellm #12685, for what nobody hears: it is kept for the next turn, but not without a limit.
#[tokio::test]
async fn thoughts_without_an_end_are_cut_off_at_their_limit() -> Result<()> {
    for kind in KINDS {
        let begun = match kind {
            Kind::Anthropic => {
                let block = json!({ "type": "thinking", "thinking": "" });
                anthropic_start() + &anthropic_open(0, &block)
            }
            Kind::OpenAi | Kind::Gemini => String::new(),
        };
        let reply = Reply::events(begun).endless(kind.thought(&piece()));
        let outcome = is_given_up(kind, reply, 2 * MAX_STREAM_BYTES).await?;
        ensure!(outcome.heard.is_empty(), "{kind:?}: thoughts were said");
        is_too_long(kind, outcome)?;
    }
    Ok(())
}

/// How much memory the process has, in thousands of bytes: 1024 each.
#[cfg(target_os = "linux")]
fn resident() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let count = line.context("no VmRSS")?.trim().trim_end_matches(" kB");
    Ok(count.parse()?)
}

/// litellm #12685: what an answer took is free again when it was given.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn answers_one_after_another_leave_nothing_behind() -> Result<()> {
    const ANSWERS: usize = 144;
    const PIECES: usize = 16;
    let text = piece();
    let mut providers = Vec::new();
    for kind in KINDS {
        let events = kind.begun() + &kind.said(&text).repeat(PIECES) + &kind.done();
        let upstream = Upstream::always(Reply::events(events)).await?;
        let registry = registry(kind.name(), &upstream, "")?;
        providers.push((upstream, registry));
    }
    let mut sizes = Vec::new();
    for (_, registry) in providers.iter().cycle().take(ANSWERS) {
        let outcome = ask_of(registry, &question()).await?;
        let heard = outcome.heard.len();
        ensure!(heard == PIECES * text.len(), "heard {heard}");
        outcome.answer()?;
        sizes.push(resident()?);
    }
    // The least of many, so that it does not matter what else runs meanwhile. Each answer is a
    // megabyte, and two thirds of them lie between the two.
    let least = |sizes: &[u64]| sizes.iter().copied().min();
    let early = sizes.get(16..48).and_then(least).context("early")?;
    let late = sizes.get(ANSWERS - 32..).and_then(least).context("late")?;
    ensure!(
        late < early + 32 * 1024,
        "{early} KiB became {late} KiB after {ANSWERS} answers"
    );
    Ok(())
}

/// litellm #27954: the memory of a container filled up within a day or two, whatever its size.
#[tokio::test]
async fn an_event_without_an_end_is_refused() -> Result<()> {
    for kind in KINDS {
        for reply in [
            // A line that does not end, lines of an event that does not end, a body that does not.
            Reply::events("data: ").endless(piece()),
            Reply::events("").endless(format!("data: {}\n", piece())),
            Reply::events("").endless(format!(": {}", piece())),
            Reply::json(200, "[").endless(" ".repeat(64 * 1024)),
        ] {
            let outcome = is_given_up(kind, reply, MAX_EVENT_BYTES).await?;
            ensure!(outcome.heard.is_empty(), "{kind:?}: something was said");
            is_too_long(kind, outcome)?;
        }
    }
    Ok(())
}

/// litellm #38193: memory went on growing after every restart, and nobody knew what for.
#[tokio::test]
async fn an_error_without_an_end_is_read_as_far_as_it_is_shown() -> Result<()> {
    for kind in KINDS {
        for status in [400, 429, 500] {
            let reply = Reply::json(status, "{\"error\":\"").endless(piece());
            let outcome = is_given_up(kind, reply, 64 * 1024).await?;
            let failure = outcome.failure()?;
            let class = match status {
                400 => FailureClass::BadRequest,
                429 => FailureClass::RateLimited,
                _ => FailureClass::Unavailable,
            };
            ensure!(failure.class == class, "{kind:?}: {:?}", failure.class);
            let shown = failure.detail.len();
            ensure!(shown < 1_000, "{kind:?}: {shown} bytes are shown");
        }
    }
    Ok(())
}

/// litellm #26015, for another way to keep a processor busy: very many very small calls. Nothing
/// else runs on it while an event is read, no timeout either.
#[tokio::test]
async fn a_flood_of_calls_does_not_hold_up_the_others() -> Result<()> {
    const CALLS: u64 = 60_000;
    const AT_ONCE: u64 = 20_000;
    let mut events = String::new();
    for first in (0..CALLS).step_by(usize::try_from(AT_ONCE)?) {
        let calls = (first..first + AT_ONCE).map(|index| json!({ "index": index }));
        let calls: Vec<Value> = calls.collect();
        events += &openai(&json!({ "tool_calls": calls }));
    }
    let reply = Reply::events(events + &openai_end("tool_calls"));
    let upstream = Upstream::always(reply).await?;
    let began = Instant::now();
    let outcome = ask("openai", &upstream, &question()).await?;
    let took = began.elapsed();
    let failure = outcome.failure()?;
    ensure!(failure.class == FailureClass::Garbled, "{failure}");
    ensure!(took < Duration::from_secs(5), "it took {took:?}");
    Ok(())
}
