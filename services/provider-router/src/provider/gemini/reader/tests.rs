//! Answers as Google sends them, and as it does not say that it does.

use nexus_contracts::chat::{FinishReason, ToolCall, Usage};
use proptest::prelude::{any, prop_assert_eq, proptest};
use serde_json::{Value, json};

use super::{GeminiReader, Reader};
use crate::assembler::{Answer, WireError};

fn read(chunks: &[Value]) -> Result<Answer, WireError> {
    let mut reader = GeminiReader::new("seed");
    for chunk in chunks {
        reader.push(&chunk.to_string())?;
    }
    Box::new(reader).finish()
}

/// A chunk in the middle of an answer.
#[expect(
    clippy::needless_pass_by_value,
    reason = "reads better where it is called"
)]
fn chunk(parts: Value) -> Value {
    json!({
        "candidates": [{"content": {"parts": parts, "role": "model"}, "index": 0}],
        "usageMetadata": {"promptTokenCount": 8, "totalTokenCount": 8,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 8}]},
        "modelVersion": "gemini-3-flash-preview",
        "responseId": "JPozaonvK7yzvdIPrJ7FyAk",
    })
}

fn finish(reason: &str) -> Value {
    json!({"candidates": [{"content": {"parts": [{"text": ""}], "role": "model"},
        "finishReason": reason, "index": 0}]})
}

fn call(id: &str, name: &str, arguments: &str) -> ToolCall {
    ToolCall {
        id: id.to_owned(),
        name: name.to_owned(),
        arguments: arguments.to_owned(),
    }
}

#[test]
fn text_thoughts_and_counts() {
    let mut reader = Box::new(GeminiReader::new("seed"));
    let mut heard = String::new();
    for chunk in [
        chunk(json!([{"text": "**Greeting**\n", "thought": true}])),
        chunk(json!([{"text": "I say hi.", "thought": true}])),
        chunk(json!([{"text": "Grüße "}, {"text": "🦀"}])),
        json!({"candidates": [{"content": {"parts": [{"text": "!"}], "role": "model"},
                "finishReason": "STOP", "index": 0}],
            "usageMetadata": {"promptTokenCount": 8, "candidatesTokenCount": 3,
                "totalTokenCount": 38, "cachedContentTokenCount": 2, "thoughtsTokenCount": 20,
                "toolUsePromptTokenCount": 7, "serviceTier": "standard"}}),
    ] {
        assert!(!reader.is_finished());
        heard += &reader.push(&chunk.to_string()).unwrap();
    }
    assert!(reader.is_finished());
    assert!(!reader.is_done());
    let answer = reader.finish().unwrap();
    assert_eq!(heard, "Grüße 🦀!");
    assert_eq!(answer.message.content, heard);
    assert_eq!(
        serde_json::to_value(&answer.message.extra).unwrap(),
        json!({"thoughts": "**Greeting**\nI say hi."})
    );
    assert_eq!(answer.finish_reason, FinishReason::Stop);
    let usage = Usage {
        cached_input_tokens: 2,
        reasoning_tokens: 20,
        ..Usage::of(15, 23)
    };
    assert_eq!(answer.usage, usage);
    assert_eq!(answer.model.as_deref(), Some("gemini-3-flash-preview"));
    assert_eq!(
        serde_json::to_value(&answer.metadata).unwrap(),
        json!({"responseId": "JPozaonvK7yzvdIPrJ7FyAk", "usage": {"cachedContentTokenCount": 2,
            "thoughtsTokenCount": 20, "toolUsePromptTokenCount": 7, "serviceTier": "standard"}})
    );
}

#[test]
fn calls_side_by_side_with_one_name_and_no_ids() {
    let answer = read(&[
        chunk(json!([
            {"functionCall": {"name": "weather", "args": {"city": "北京"}},
                "thoughtSignature": "c2ln"},
            {"functionCall": {"name": "weather", "args": {"city": "上海"}}},
        ])),
        chunk(json!([
            {"functionCall": {"name": "now"}},
            {"functionCall": {"name": "now", "args": null}},
        ])),
        finish("STOP"),
    ])
    .unwrap();
    assert_eq!(
        answer.message.tool_calls,
        [
            call("call_seed_0", "weather", r#"{"city":"北京"}"#),
            call("call_seed_1", "weather", r#"{"city":"上海"}"#),
            call("call_seed_2", "now", "{}"),
            call("call_seed_3", "now", "{}"),
        ]
    );
    assert_eq!(
        answer.message.extra["thought_signatures"],
        json!({"call_seed_0": "c2ln"})
    );
    assert_eq!(answer.finish_reason, FinishReason::ToolCalls);
}

#[test]
fn ids_are_kept_unless_they_come_twice() {
    let answer = read(&[
        chunk(json!([
            {"functionCall": {"id": "nqh2j2zy", "name": "f", "args": {}}},
            {"functionCall": {"id": "nqh2j2zy", "name": "g", "args": {}}},
            {"functionCall": {"id": "", "name": "h", "args": {}}},
        ])),
        finish("STOP"),
    ])
    .unwrap();
    let ids: Vec<&str> = answer
        .message
        .tool_calls
        .iter()
        .map(|call| call.id.as_str())
        .collect();
    assert_eq!(ids, ["nqh2j2zy", "call_seed_1", "call_seed_2"]);
}

#[test]
fn a_call_without_a_name_is_an_error() {
    for call in [
        json!({}),
        json!({"name": ""}),
        json!({"id": "a", "args": {}}),
    ] {
        let chunk = chunk(json!([{ "functionCall": call }]));
        assert_eq!(read(&[chunk, finish("STOP")]), Err(WireError::NamelessCall));
    }
}

#[test]
fn the_signature_of_a_text_comes_where_it_likes() {
    for part in [
        json!({"text": "", "thoughtSignature": "c2ln"}),
        json!({"text": "!", "thoughtSignature": "c2ln"}),
        json!({"thoughtSignature": "c2ln"}),
        json!({"thought": true, "thoughtSignature": "c2ln"}),
    ] {
        let chunks = [
            chunk(json!([{"text": "Hi"}])),
            chunk(json!([part])),
            finish("STOP"),
        ];
        let answer = read(&chunks).unwrap();
        assert!(answer.message.content.starts_with("Hi"));
        assert_eq!(
            serde_json::to_value(&answer.message.extra).unwrap(),
            json!({"thought_signatures": {"": "c2ln"}})
        );
    }
}

#[test]
fn other_parts_are_kept_as_they_came() {
    let parts = json!([
        {"executableCode": {"language": "PYTHON", "code": "print(1)"}},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1\n"}},
        {"inlineData": {"mimeType": "image/png", "data": "aGk="}, "thoughtSignature": "c2ln"},
    ]);
    let answer = read(&[
        chunk(parts.clone()),
        chunk(json!([{"text": "One."}])),
        finish("STOP"),
    ]);
    let message = answer.unwrap().message;
    assert_eq!(message.content, "One.");
    assert_eq!(
        serde_json::to_value(&message.extra).unwrap(),
        json!({ "parts": parts })
    );
}

#[test]
fn what_else_is_said_of_the_answer_is_kept() {
    let found = json!({"webSearchQueries": ["F1"], "groundingChunks": [
        {"web": {"uri": "https://example.org", "title": "example.org"}}]});
    let answer = read(&[
        json!({"candidates": [{"content": {"parts": [{"text": "Norris."}]},
            "groundingMetadata": found, "citationMetadata": {"citationSources": [{"uri": "u"}]},
            "safetyRatings": [{"category": "c", "probability": "LOW"}]}]}),
        json!({"candidates": [{"finishReason": "STOP", "groundingMetadata": {},
            "safetyRatings": [], "citationMetadata": null, "avgLogprobs": -0.5}]}),
    ])
    .unwrap();
    assert_eq!(
        serde_json::to_value(&answer.metadata).unwrap(),
        json!({"groundingMetadata": found, "citationMetadata": {"citationSources": [{"uri": "u"}]},
            "safetyRatings": [{"category": "c", "probability": "LOW"}], "avgLogprobs": -0.5})
    );
}

#[test]
fn a_blocked_prompt_is_an_answer_of_the_filter() {
    let feedback = json!({"blockReason": "PROHIBITED_CONTENT", "safetyRatings": [
        {"category": "HARM_CATEGORY_HARASSMENT", "probability": "HIGH"}]});
    let answer = read(&[
        json!({"promptFeedback": feedback, "modelVersion": "gemini-2.5-flash",
        "usageMetadata": {"promptTokenCount": 12, "totalTokenCount": 12}}),
    ])
    .unwrap();
    assert_eq!(answer.message.content, "");
    assert_eq!(answer.finish_reason, FinishReason::ContentFilter);
    assert_eq!(answer.usage, Usage::of(12, 0));
    assert_eq!(answer.metadata["promptFeedback"], feedback);
    // Feedback that blocks nothing ends nothing.
    let praise = json!({"promptFeedback": {"safetyRatings": [{"probability": "NEGLIGIBLE"}]}});
    assert_eq!(read(&[praise]), Err(WireError::Unfinished));
}

#[test]
fn why_it_stopped() {
    for (word, reason, kept) in [
        ("STOP", FinishReason::Stop, false),
        ("MAX_TOKENS", FinishReason::Length, false),
        ("SAFETY", FinishReason::ContentFilter, true),
        ("RECITATION", FinishReason::ContentFilter, true),
        ("LANGUAGE", FinishReason::ContentFilter, true),
        ("IMAGE_SAFETY", FinishReason::ContentFilter, true),
        ("MALFORMED_FUNCTION_CALL", FinishReason::Other, true),
        ("UNEXPECTED_TOOL_CALL", FinishReason::Other, true),
        ("SOMETHING_NEW", FinishReason::Other, true),
    ] {
        let answer = read(&[chunk(json!([{"text": "Hi"}])), finish(word)]).unwrap();
        assert_eq!(answer.finish_reason, reason, "{word}");
        let told = answer.metadata.get("finishReason");
        assert_eq!(told, kept.then(|| json!(word)).as_ref(), "{word}");
    }
    // Cut off in the middle of its calls.
    let cut = [
        chunk(json!([{"functionCall": {"name": "f"}}])),
        finish("MAX_TOKENS"),
    ];
    assert_eq!(read(&cut).unwrap().finish_reason, FinishReason::Length);
}

#[test]
fn how_a_stream_may_end() {
    let text = || chunk(json!([{"text": "Hi"}]));
    for chunks in [
        vec![],
        vec![text()],
        vec![json!({"candidates": []})],
        vec![json!({"candidates": [{"index": 0}]})],
        vec![json!({"candidates": null, "error": null})],
        vec![text(), json!({"usageMetadata": {"promptTokenCount": 1}})],
    ] {
        assert_eq!(read(&chunks), Err(WireError::Unfinished), "{chunks:?}");
    }
    // It stopped and said nothing: that happens, and is an answer.
    let silent = json!({"candidates": [{"content": {"role": "model"}, "finishReason": "STOP"}]});
    assert_eq!(read(&[silent]).unwrap().message.content, "");
    // Counts may still follow.
    let late = json!({"usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 2}});
    let answer = read(&[text(), finish("STOP"), late]).unwrap();
    assert_eq!(answer.usage, Usage::of(1, 2));
}

#[test]
fn only_the_first_candidate_counts() {
    let answer = read(&[json!({"candidates": [
        {"index": 1, "content": {"parts": [{"text": "another"}]}, "finishReason": "SAFETY"},
        {"index": 0, "content": {"parts": [{"text": "first"}, 7, {}]}, "finishReason": "STOP"},
        "odd",
    ]})])
    .unwrap();
    assert_eq!(answer.message.content, "first");
    assert_eq!(answer.finish_reason, FinishReason::Stop);
    assert!(answer.message.extra.is_empty());
}

#[test]
fn a_whole_body_reads_like_a_stream_of_one() {
    let chunks = [
        chunk(json!([{"text": "He"}])),
        chunk(json!([{"text": "llo"}])),
        finish("STOP"),
    ];
    let streamed = read(&chunks).unwrap();
    assert_eq!(read(&[json!(chunks)]), Ok(streamed.clone()));
    assert_eq!(streamed.message.content, "Hello");
    let whole = json!({"candidates": [{"content": {"parts": [{"text": "Hello"}]},
        "finishReason": "STOP"}]});
    assert_eq!(read(&[whole]).unwrap().message.content, "Hello");
}

#[test]
fn errors_in_the_stream_are_errors() {
    let error = json!({"error": {"code": 503, "status": "UNAVAILABLE",
        "message": "The model is overloaded. Please try again later."}});
    let reported = Err(WireError::Reported {
        code: "503".to_owned(),
        message: "The model is overloaded. Please try again later.".to_owned(),
    });
    let text = || chunk(json!([{"text": "H"}]));
    assert_eq!(read(&[text(), error.clone()]), reported);
    assert_eq!(read(&[json!([text(), error])]), reported);
    for garbled in ["<html>", "7", "\"text\"", "[1]", "[[]]", ""] {
        let read = GeminiReader::new("s").push(garbled);
        assert!(matches!(read, Err(WireError::NotJson(_))), "{garbled}");
    }
}

#[test]
fn an_answer_has_a_limit() {
    let large = "x".repeat(1024 * 1024);
    for part in [
        json!({"text": large}),
        json!({"functionCall": {"name": "f", "args": {"x": large}}}),
        json!({"inlineData": {"mimeType": "image/png", "data": large}}),
    ] {
        let chunk = chunk(json!([part])).to_string();
        let mut reader = GeminiReader::new("s");
        let failed = (0..10).find_map(|_| reader.push(&chunk).err());
        assert_eq!(failed, Some(WireError::TooLong));
    }
}

#[test]
fn a_stream_has_a_limit() {
    let chunk = json!({"padding": "x".repeat(4 * 1024 * 1024)}).to_string();
    let mut reader = GeminiReader::new("s");
    let failed = (0..20).find_map(|_| reader.push(&chunk).err());
    assert_eq!(failed, Some(WireError::TooLong));
}

proptest! {
    #[test]
    fn any_cut_of_the_text_gives_the_same_answer(
        text in "[a-zß🦀\"\\\\\n]{0,40}",
        cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..8),
    ) {
        let letters: Vec<char> = text.chars().collect();
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(letters.len() + 1)).collect();
        at.extend([0, letters.len()]);
        at.sort_unstable();
        let mut reader = Box::new(GeminiReader::new("seed"));
        let mut heard = String::new();
        for cut in at.windows(2) {
            let piece: String = letters[cut[0]..cut[1]].iter().collect();
            heard += &reader.push(&chunk(json!([{ "text": piece }])).to_string()).unwrap();
        }
        heard += &reader.push(&finish("STOP").to_string()).unwrap();
        prop_assert_eq!(&heard, &text);
        prop_assert_eq!(&reader.finish().unwrap().message.content, &text);
    }
}
