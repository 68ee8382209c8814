//! What was asked for and silently left out.

use anyhow::{Context, Result, ensure};
use nexus_contracts::chat::ChatMessage;
use serde_json::{Value, json};

use crate::dialect::{
    KINDS, Kind, anthropic_close, anthropic_end, anthropic_open, anthropic_piece, anthropic_start,
    anthropic_tool, event, gemini, gemini_end, openai, openai_call, openai_end,
};
use crate::support::{Reply, Upstream, ask, question, sent};

/// Where the limit of an answer's tokens has to be, by type of provider.
const LIMITS: [(&str, &str); 5] = [
    ("openai", "/max_tokens"),
    ("perplexity", "/max_tokens"),
    ("ollama", "/max_tokens"),
    ("anthropic", "/max_tokens"),
    ("gemini", "/generationConfig/maxOutputTokens"),
];

/// bifrost #6132: no limit of the answer's tokens reached Ollama, and models wrote on for thousands
/// of tokens.
#[tokio::test]
async fn the_limit_of_tokens_reaches_every_type_of_provider() -> Result<()> {
    let mut request = question();
    request.parameters.max_tokens = Some(5);
    for (kind, pointer) in LIMITS {
        let body = sent(kind, &request).await?;
        ensure!(body.pointer(pointer) == Some(&json!(5)), "{kind}: {body:#}");
    }
    Ok(())
}

/// bifrost #6132, for the other name of the limit: servers that know only `max_tokens` take
/// `max_completion_tokens` and do nothing with it.
#[tokio::test]
async fn the_newer_name_of_the_limit_becomes_the_one_the_server_knows() -> Result<()> {
    let mut request = question();
    let extra = &mut request.parameters.extra;
    extra.insert("max_completion_tokens".to_owned(), json!(5));
    for (kind, pointer) in LIMITS {
        let body = sent(kind, &request).await?;
        ensure!(body.pointer(pointer) == Some(&json!(5)), "{kind}: {body:#}");
    }
    Ok(())
}

const THOUGHT: &str = "I have to look it up.";
const SIGNATURE: &str = "c2lnbmVk";

/// An answer that was thought about and asks for a tool.
fn thoughtful(kind: Kind) -> String {
    match kind {
        Kind::OpenAi => {
            let function = json!({ "name": "look", "arguments": "{}" });
            let usage = json!({ "choices": [], "usage": { "prompt_tokens": 9,
                "completion_tokens": 7, "completion_tokens_details": { "reasoning_tokens": 3 } } });
            openai(&json!({ "reasoning_content": "I have to " }))
                + &openai(&json!({ "reasoning_content": "look it up." }))
                + &openai_call(&json!({ "index": 0, "id": "c", "function": function }))
                + &event(&usage)
                + &openai_end("tool_calls")
        }
        Kind::Anthropic => {
            let block = json!({ "type": "thinking", "thinking": "", "signature": "" });
            let thought = json!({ "type": "thinking_delta", "thinking": THOUGHT });
            let signature = json!({ "type": "signature_delta", "signature": SIGNATURE });
            anthropic_start()
                + &anthropic_open(0, &block)
                + &anthropic_piece(0, &thought)
                + &anthropic_piece(0, &signature)
                + &anthropic_close(0)
                + &anthropic_tool(1, "c", "look")
                + &anthropic_close(1)
                + &anthropic_end("tool_use")
        }
        Kind::Gemini => {
            let call = json!({ "id": "c", "name": "look", "args": {} });
            let signed = json!({ "functionCall": call, "thoughtSignature": SIGNATURE });
            gemini(&json!([{ "text": THOUGHT, "thought": true }])) + &gemini_end(&json!([signed]))
        }
    }
}

/// How thinking is asked for, and where it has to be then.
fn wish(kind: Kind) -> (&'static str, Value, &'static str) {
    match kind {
        Kind::OpenAi => ("thinking", json!({ "type": "enabled" }), "/thinking"),
        Kind::Anthropic => (
            "thinking",
            json!({ "type": "enabled", "budget_tokens": 2048 }),
            "/thinking",
        ),
        Kind::Gemini => (
            "generationConfig",
            json!({ "thinkingConfig": { "includeThoughts": true, "thinkingLevel": "high" } }),
            "/generationConfig",
        ),
    }
}

/// Where a thought is in an answer, and where it goes back.
fn thought_of(kind: Kind) -> (&'static str, &'static str, Value) {
    match kind {
        Kind::OpenAi => (
            "reasoning_content",
            "/messages/1/reasoning_content",
            json!(THOUGHT),
        ),
        Kind::Anthropic => (
            "thoughts",
            "/messages/1/content/0",
            json!({ "type": "thinking", "thinking": THOUGHT, "signature": SIGNATURE }),
        ),
        Kind::Gemini => (
            "thoughts",
            "/contents/1/parts/0/thoughtSignature",
            json!(SIGNATURE),
        ),
    }
}

/// bifrost #5887: as soon as a conversation had an answer in it, deepseek was no longer told to
/// think, without an error: every turn of an agent but the first went without.
#[tokio::test]
async fn thinking_is_asked_for_in_every_turn_and_what_was_thought_goes_back() -> Result<()> {
    for kind in KINDS {
        let (name, value, pointer) = wish(kind);
        let (kept, back, thought) = thought_of(kind);
        let upstream = Upstream::always(Reply::events(thoughtful(kind))).await?;
        let mut request = question();
        let extra = &mut request.parameters.extra;
        extra.insert(name.to_owned(), value.clone());
        for turn in 0..3 {
            let answer = ask(kind.name(), &upstream, &request).await?.answer()?;
            let body = upstream.body(turn)?;
            ensure!(
                body.pointer(pointer) == Some(&value),
                "{kind:?}, turn {turn}: {body:#}"
            );
            let found = answer.message.extra.get(kept);
            ensure!(
                found == Some(&json!(THOUGHT)),
                "{kind:?}, turn {turn}: {found:?}"
            );
            if turn > 0 {
                let found = body.pointer(back);
                ensure!(
                    found == Some(&thought),
                    "{kind:?}, turn {turn}: {found:?} in {body:#}"
                );
            }
            if kind == Kind::OpenAi {
                ensure!(answer.usage.reasoning_tokens == 3, "{:?}", answer.usage);
            }
            let call = answer.message.tool_calls.first().context("a call")?;
            let result = ChatMessage::tool_result(&call.id, "nothing");
            request.messages.push(answer.message);
            request.messages.push(result);
        }
    }
    Ok(())
}
