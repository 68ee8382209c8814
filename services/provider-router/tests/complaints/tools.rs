//! Calls of tools that arrived as something else than the model wrote.

use anyhow::{Context, Result, ensure};
use nexus_contracts::chat::{ChatMessage, FinishReason, ToolCall};
use nexus_provider_router::assembler::Answer;
use serde_json::{Value, json};

use crate::dialect::{
    KINDS, Kind, anthropic_close, anthropic_end, anthropic_input, anthropic_open, anthropic_start,
    anthropic_tool, gemini, gemini_end, openai, openai_call, openai_end,
};
use crate::support::{Reply, Upstream, ask, question, sent};

fn call(id: &str, name: &str, arguments: &str) -> ToolCall {
    ToolCall {
        id: id.to_owned(),
        name: name.to_owned(),
        arguments: arguments.to_owned(),
    }
}

/// What is made of a reply.
async fn answer(kind: Kind, reply: Reply) -> Result<Answer> {
    let upstream = Upstream::always(reply).await?;
    let outcome = ask(kind.name(), &upstream, &question()).await?;
    outcome.answer().with_context(|| kind.name())
}

async fn calls(kind: Kind, events: String) -> Result<Vec<ToolCall>> {
    let answer = answer(kind, Reply::events(events)).await?;
    ensure!(
        answer.finish_reason == FinishReason::ToolCalls,
        "{kind:?}: {:?}",
        answer.finish_reason
    );
    Ok(answer.message.tool_calls)
}

/// The same call in a stream and as a whole body.
fn addition(kind: Kind) -> (String, Value) {
    const NAME: &str = "add_numbers";
    let input = json!({ "a": 17, "b": 25 });
    match kind {
        Kind::OpenAi => {
            let head = json!({ "index": 0, "id": "call_1", "type": "function",
                "function": { "name": NAME, "arguments": "" } });
            let piece = |text| json!({ "index": 0, "function": { "arguments": text } });
            let events = openai_call(&head)
                + &openai_call(&piece("{\"a\":17,"))
                + &openai_call(&piece("\"b\":25}"))
                + &openai_end("tool_calls");
            let call = json!({ "id": "call_1", "type": "function",
                "function": { "name": NAME, "arguments": input.to_string() } });
            let message = json!({ "role": "assistant", "content": null, "tool_calls": [call] });
            let choice = json!({ "index": 0, "message": message, "finish_reason": "tool_calls" });
            (events, json!({ "choices": [choice] }))
        }
        Kind::Anthropic => {
            let events = anthropic_start()
                + &anthropic_tool(0, "call_1", NAME)
                + &anthropic_input(0, "{\"a\":17,")
                + &anthropic_input(0, "\"b\":25}")
                + &anthropic_close(0)
                + &anthropic_end("tool_use");
            let block = json!({ "type": "tool_use", "id": "call_1", "name": NAME, "input": input });
            let whole = json!({ "type": "message", "role": "assistant", "content": [block],
                "stop_reason": "tool_use", "usage": { "input_tokens": 5, "output_tokens": 9 } });
            (events, whole)
        }
        Kind::Gemini => {
            let parts = json!([{ "functionCall": { "name": NAME, "args": input } }]);
            let content = json!({ "role": "model", "parts": parts });
            let whole = json!({ "candidates": [
                { "index": 0, "content": content, "finishReason": "STOP" }] });
            (gemini_end(&parts), whole)
        }
    }
}

/// litellm #25836: in a stream, calls of Gemini reached a client of Anthropic's interface with an
/// empty input; as a whole body they were right.
#[tokio::test]
async fn the_arguments_of_a_call_are_the_same_streamed_and_whole() -> Result<()> {
    for kind in KINDS {
        let (events, whole) = addition(kind);
        // Gemini gives its calls no ids here.
        let id = match kind {
            Kind::Gemini => "call_cmd_0",
            Kind::OpenAi | Kind::Anthropic => "call_1",
        };
        let expected = [call(id, "add_numbers", r#"{"a":17,"b":25}"#)];
        let streamed = answer(kind, Reply::events(events)).await?;
        ensure!(streamed.message.tool_calls == expected, "{streamed:?}");
        let whole = answer(kind, Reply::json(200, whole.to_string())).await?;
        ensure!(whole.message == streamed.message, "{whole:?}");
        ensure!(whole.finish_reason == streamed.finish_reason, "{whole:?}");
        // And on to each of the others, as part of what was said.
        let mut request = question();
        request.messages.push(streamed.message);
        request.messages.push(ChatMessage::tool_result(id, "42"));
        for (other, pointer, arguments) in [
            (
                "openai",
                "/messages/1/tool_calls/0/function/arguments",
                json!(r#"{"a":17,"b":25}"#),
            ),
            (
                "anthropic",
                "/messages/1/content/0/input",
                json!({ "a": 17, "b": 25 }),
            ),
            (
                "gemini",
                "/contents/1/parts/0/functionCall/args",
                json!({ "a": 17, "b": 25 }),
            ),
        ] {
            let body = sent(other, &request).await?;
            let found = body.pointer(pointer);
            ensure!(
                found == Some(&arguments),
                "{kind:?} to {other}: {found:?} in {body:#}"
            );
        }
    }
    Ok(())
}

/// litellm #25561: when Gemini had thought before a call, only the thoughts were used; the
/// arguments were lost, and the signature ended up in the call's id.
#[tokio::test]
async fn a_signed_call_keeps_its_arguments_and_its_signature_apart() -> Result<()> {
    const SIGNATURE: &str = "c2lnbmVkIGJ5IHRoZSBtb2RlbA==";
    let args = json!({ "file_path": "/etc/hosts" });
    let thought = json!([{ "text": "I have to read it.", "thought": true }]);
    let function = json!({ "name": "read", "args": args });
    let signed = json!([{ "functionCall": function, "thoughtSignature": SIGNATURE }]);
    let events = gemini(&thought) + &gemini_end(&signed);
    let message = answer(Kind::Gemini, Reply::events(events)).await?.message;
    let expected = [call("call_cmd_0", "read", &args.to_string())];
    ensure!(message.tool_calls == expected, "{message:?}");
    ensure!(message.content.is_empty(), "{message:?}");
    ensure!(
        message.extra.get("thoughts") == Some(&json!("I have to read it.")),
        "{message:?}"
    );
    let mut request = question();
    request.messages.push(message);
    let result = ChatMessage::tool_result("call_cmd_0", "localhost");
    request.messages.push(result);
    let body = sent("gemini", &request).await?;
    let part = body.pointer("/contents/1/parts/0").context("a call")?;
    ensure!(
        part.pointer("/functionCall/args") == Some(&args)
            && part.get("thoughtSignature") == Some(&json!(SIGNATURE)),
        "{part}"
    );
    for other in ["openai", "anthropic"] {
        let body = sent(other, &request).await?.to_string();
        ensure!(body.contains("/etc/hosts"), "{other}: {body}");
        ensure!(!body.contains(SIGNATURE), "nobody else can read it: {body}");
    }
    Ok(())
}

/// litellm #25321: the piece that names a tool was thrown away after it had opened a block, and
/// with it the arguments of every provider that sends both together.
#[tokio::test]
async fn arguments_that_come_with_the_name_of_the_tool_are_kept() -> Result<()> {
    let input = json!({ "path": "a/b" });
    let text = input.to_string();
    let piece = json!({ "index": 0, "id": "c", "type": "function",
        "function": { "name": "read", "arguments": text } });
    let block = json!({ "type": "tool_use", "id": "c", "name": "read", "input": input });
    let function = json!({ "functionCall": { "id": "c", "name": "read", "args": input } });
    let said = json!({ "type": "text", "text": "Let me see." });
    for (kind, events) in [
        (
            Kind::OpenAi,
            openai(&json!({ "content": "Let me see." })) + &openai_call(&piece),
        ),
        (
            Kind::OpenAi,
            openai(&json!({ "content": "Let me see.", "tool_calls": [piece] })),
        ),
        (
            Kind::Anthropic,
            anthropic_open(0, &said) + &anthropic_close(0) + &anthropic_open(1, &block),
        ),
        (
            Kind::Anthropic,
            anthropic_open(0, &said) + &anthropic_open(1, &block) + &anthropic_input(1, ""),
        ),
        (
            Kind::Gemini,
            gemini(&json!([{ "text": "Let me see." }, function])),
        ),
        (
            Kind::Gemini,
            gemini(&json!([{ "text": "Let me see." }])) + &gemini(&json!([function])),
        ),
    ] {
        let end = match kind {
            Kind::OpenAi => openai_end("tool_calls"),
            Kind::Anthropic => anthropic_close(1) + &anthropic_end("tool_use"),
            Kind::Gemini => gemini_end(&json!([])),
        };
        let message = answer(kind, Reply::events(events + &end)).await?.message;
        ensure!(message.content == "Let me see.", "{kind:?}: {message:?}");
        ensure!(
            message.tool_calls == [call("c", "read", &text)],
            "{kind:?}: {message:?}"
        );
    }
    Ok(())
}

/// bifrost #1961: every piece of every call went out with `index: 0`, so that clients made one call
/// with mingled names and arguments of all of them.
#[tokio::test]
async fn parallel_calls_that_all_say_index_zero_stay_apart() -> Result<()> {
    let piece = |id: &str, name: Option<&str>, arguments: &str| {
        let function = json!({ "name": name, "arguments": arguments });
        json!({ "index": 0, "id": id, "type": "function", "function": function })
    };
    let in_pieces = openai_call(&piece("a", Some("f"), ""))
        + &openai_call(&piece("", None, "{\"x\":"))
        + &openai_call(&piece("", None, "1}"))
        + &openai_call(&piece("b", Some("g"), ""))
        + &openai_call(&piece("", None, "{\"y\":2}"));
    let with_ids = openai_call(&piece("a", Some("f"), "{\"x\":"))
        + &openai_call(&piece("a", None, "1}"))
        + &openai_call(&piece("b", Some("g"), "{\"y\":"))
        + &openai_call(&piece("b", None, "2}"));
    let at_once = openai(&json!({ "tool_calls":
        [piece("a", Some("f"), "{\"x\":1}"), piece("b", Some("g"), "{\"y\":2}")] }));
    let blocks = anthropic_tool(0, "a", "f")
        + &anthropic_input(0, "{\"x\":1}")
        + &anthropic_close(0)
        + &anthropic_tool(0, "b", "g")
        + &anthropic_input(0, "{\"y\":2}")
        + &anthropic_close(0);
    let expected = [call("a", "f", "{\"x\":1}"), call("b", "g", "{\"y\":2}")];
    for (kind, events, end) in [
        (Kind::OpenAi, in_pieces, openai_end("tool_calls")),
        (Kind::OpenAi, with_ids, openai_end("tool_calls")),
        (Kind::OpenAi, at_once, openai_end("tool_calls")),
        (Kind::Anthropic, blocks, anthropic_end("tool_use")),
    ] {
        let called = calls(kind, events.clone() + &end).await?;
        ensure!(called == expected, "{called:?} of {events}");
    }
    // Gemini has no index, and the same tool twice is two calls.
    let twice = json!([
        { "functionCall": { "name": "f", "args": { "x": 1 } } },
        { "functionCall": { "name": "f", "args": { "x": 1 } } },
    ]);
    let called = calls(Kind::Gemini, gemini_end(&twice)).await?;
    let expected = ["call_cmd_0", "call_cmd_1"].map(|id| call(id, "f", "{\"x\":1}"));
    ensure!(called == expected, "{called:?}");
    Ok(())
}

/// bifrost #1961, where the pieces take turns as well: then only the id says whose a piece is.
#[tokio::test]
async fn pieces_that_all_say_index_zero_go_to_the_call_whose_id_they_have() -> Result<()> {
    let piece = |id: &str, name: Option<&str>, arguments: &str| {
        let function = json!({ "name": name, "arguments": arguments });
        openai_call(&json!({ "index": 0, "id": id, "type": "function", "function": function }))
    };
    let events = piece("a", Some("f"), "")
        + &piece("b", Some("g"), "")
        + &piece("a", None, "{\"x\":")
        + &piece("b", None, "{\"y\":")
        + &piece("a", None, "1}")
        + &piece("b", None, "2}");
    let called = calls(Kind::OpenAi, events + &openai_end("tool_calls")).await?;
    let expected = [call("a", "f", "{\"x\":1}"), call("b", "g", "{\"y\":2}")];
    ensure!(called == expected, "{called:?}");
    Ok(())
}

/// bifrost #1961, where there are no ids either: another name behind arguments is another call.
#[tokio::test]
async fn calls_without_ids_that_all_say_index_zero_stay_apart() -> Result<()> {
    let piece = |name: &str, arguments: &str| {
        let function = json!({ "name": name, "arguments": arguments });
        openai_call(&json!({ "index": 0, "type": "function", "function": function }))
    };
    let events = piece("f", "{\"x\":1}") + &piece("g", "{\"y\":2}");
    let called = calls(Kind::OpenAi, events + &openai_end("tool_calls")).await?;
    let named: Vec<_> = called
        .iter()
        .map(|one| (&*one.name, &*one.arguments))
        .collect();
    ensure!(
        named == [("f", "{\"x\":1}"), ("g", "{\"y\":2}")],
        "{called:?}"
    );
    Ok(())
}

/// bifrost #3475: the last brace was cut off arguments that came in one piece.
#[tokio::test]
async fn arguments_keep_their_last_brace_however_they_are_cut() -> Result<()> {
    const ARGUMENTS: &str = r#"{"a":{"b":{"c":{}}}}"#;
    let expected = [call("c", "f", ARGUMENTS)];
    for at in 0..=ARGUMENTS.len() {
        let (before, after) = ARGUMENTS.split_at(at);
        let pieces = [before, after];
        let pieces = pieces.iter().filter(|piece| !piece.is_empty());
        let head = json!({ "index": 0, "id": "c", "function": { "name": "f", "arguments": "" } });
        let more =
            |text: &&str| openai_call(&json!({ "index": 0, "function": { "arguments": text } }));
        let events = openai_call(&head) + &pieces.clone().map(more).collect::<String>();
        let called = calls(Kind::OpenAi, events + &openai_end("tool_calls")).await?;
        ensure!(called == expected, "openai, cut at {at}: {called:?}");
        let more: String = pieces.map(|text| anthropic_input(0, text)).collect();
        let events = anthropic_tool(0, "c", "f") + &more + &anthropic_close(0);
        let called = calls(Kind::Anthropic, events + &anthropic_end("tool_use")).await?;
        ensure!(called == expected, "anthropic, cut at {at}: {called:?}");
    }
    let args: Value = serde_json::from_str(ARGUMENTS)?;
    let parts = json!([{ "functionCall": { "id": "c", "name": "f", "args": args } }]);
    let called = calls(Kind::Gemini, gemini_end(&parts)).await?;
    ensure!(called == expected, "gemini: {called:?}");
    Ok(())
}

/// Portkey #1275: the count of tools never got past its beginning, so that three calls of Claude
/// behind some text came as one.
#[tokio::test]
async fn three_calls_behind_some_text_stay_three() -> Result<()> {
    let expected = ["a", "b", "c"].map(|id| call(id, &format!("tool_{id}"), r#"{"n":1}"#));
    let tools = [(1, "a", "tool_a"), (2, "b", "tool_b"), (4, "c", "tool_c")];
    let text = json!({ "type": "text", "text": "Three." });
    let mut blocks = anthropic_open(0, &text) + &anthropic_close(0);
    // There is no call in the first place, as where thoughts are counted along.
    let mut pieces = openai(&json!({ "content": "Three." }));
    for (index, id, name) in tools {
        blocks += &anthropic_tool(index, id, name);
        let function = json!({ "name": name, "arguments": "" });
        pieces += &openai_call(&json!({ "index": index, "id": id, "function": function }));
    }
    // All of them at the same time.
    for part in ["{\"n\":", "1}"] {
        for (index, ..) in tools {
            blocks += &anthropic_input(index, part);
            pieces += &openai_call(&json!({ "index": index, "function": { "arguments": part } }));
        }
    }
    blocks += &tools.map(|(index, ..)| anthropic_close(index)).concat();
    let mut chunks = gemini(&json!([{ "text": "Three." }]));
    for (_, id, name) in tools {
        let function = json!({ "id": id, "name": name, "args": { "n": 1 } });
        chunks += &gemini(&json!([{ "functionCall": function }]));
    }
    for (kind, events) in [
        (Kind::Anthropic, blocks + &anthropic_end("tool_use")),
        (Kind::OpenAi, pieces + &openai_end("tool_calls")),
        (Kind::Gemini, chunks + &gemini_end(&json!([]))),
    ] {
        let message = answer(kind, Reply::events(events)).await?.message;
        ensure!(message.content == "Three.", "{kind:?}: {message:?}");
        ensure!(message.tool_calls == expected, "{kind:?}: {message:?}");
    }
    Ok(())
}
