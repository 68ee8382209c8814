//! What the demo model is like to talk to.

use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use serde_json::{Value, json};

use super::respond;
use crate::assembler::{Answer, Assembler};
use nexus_contracts::chat::FinishReason;

fn assemble(events: &[String]) -> Answer {
    let mut assembler = Assembler::new("seed");
    for event in events {
        assembler.push(event).unwrap();
    }
    assembler.finish().unwrap()
}

fn tools() -> Value {
    let tool = |name: &str, parameters: Value| json!({"type": "function", "function": {"name": name, "parameters": parameters}});
    let solver = json!({"type": "object", "required": ["expression"],
        "properties": {"expression": {"type": "string"}}});
    json!([
        tool("math_solver", solver),
        tool("current_time", json!({"type": "object"}))
    ])
}

fn user(text: &str) -> Value {
    json!({"role": "user", "content": text})
}

fn ask(messages: &[Value]) -> Answer {
    assemble(&respond(
        &json!({"model": "demo-1", "messages": messages, "tools": tools()}),
    ))
}

fn says(text: &str) -> String {
    ask(&[user(text)]).message.content
}

/// Plays the rounds of the agent loop: every tool called returns what `results` holds for it.
fn converse(text: &str, results: &[(&str, &str)]) -> String {
    let asked = ask(&[user(text)]);
    assert_eq!(asked.finish_reason, FinishReason::ToolCalls, "{asked:?}");
    assert_eq!(asked.message.tool_calls.len(), results.len(), "{asked:?}");
    let mut messages = vec![user(text)];
    let calls: Vec<Value> = asked
        .message
        .tool_calls
        .iter()
        .map(|call| {
            json!({"id": call.id, "type": "function",
                "function": {"name": call.name, "arguments": call.arguments}})
        })
        .collect();
    messages.push(json!({"role": "assistant", "content": null, "tool_calls": calls}));
    for (call, (name, result)) in asked.message.tool_calls.iter().zip(results) {
        assert_eq!(call.name, *name);
        messages.push(json!({"role": "tool", "tool_call_id": call.id, "content": result}));
    }
    let answer = ask(&messages);
    assert_eq!(answer.finish_reason, FinishReason::Stop);
    answer.message.content
}

#[test]
fn a_sum_goes_through_the_solver() {
    let asked = ask(&[user("What is 37 * 43?")]);
    assert_eq!(
        asked.message.tool_calls[0].arguments,
        r#"{"expression":"37 * 43"}"#
    );
    assert_eq!(asked.message.content, "");
    assert_eq!(asked.model.as_deref(), Some("demo-1"));
    assert_eq!(asked.metadata["provider.demo"], json!(true));
    assert_eq!(asked.usage.input_tokens, 5);
    for result in [
        "1591",
        r#""1591""#,
        r#"{"result":"1591"}"#,
        r#"{"exact":true,"value":1591}"#,
    ] {
        assert_eq!(
            converse("What is 37 * 43?", &[("math_solver", result)]),
            "37 * 43 = 1591"
        );
    }
}

#[test]
fn several_questions_are_several_calls_side_by_side() {
    let results = [
        ("math_solver", r#"{"result":"1591"}"#),
        ("current_time", r#"{"utc":"12:00 UTC"}"#),
    ];
    assert_eq!(
        converse("What is 37 * 43 and what time is it?", &results),
        "37 * 43 = 1591. It is 12:00 UTC."
    );
    let results = [("math_solver", "4"), ("math_solver", "9")];
    assert_eq!(
        converse("Hi! 2+2 and 3*3, please", &results),
        "Hello! 2 + 2 = 4. 3 * 3 = 9."
    );
}

#[test]
fn failed_tools_are_reported_as_they_are() {
    for result in [
        "error: division by zero (failed)",
        r#"{"error":{"code":"failed","detail":"division by zero (failed)"}}"#,
        r#"{"error":"division by zero (failed)"}"#,
    ] {
        assert_eq!(
            converse("1/0", &[("math_solver", result)]),
            "I could not work out 1 / 0: division by zero (failed)."
        );
    }
    let unanswered = json!({"role": "assistant", "tool_calls":
        [{"id": "c", "function": {"name": "current_time", "arguments": "{}"}}]});
    let answer = ask(&[user("what time is it?"), unanswered]);
    assert_eq!(
        answer.message.content,
        "I asked for the time, but no result came back."
    );
}

#[test]
fn without_the_tool_it_says_so() {
    let body = json!({"messages": [user("What is 37 * 43? And what time is it?")]});
    assert_eq!(
        assemble(&respond(&body)).message.content,
        "I cannot work out 37 * 43: the tool `math_solver` is not offered in this conversation. \
         I cannot tell the time: the tool `current_time` is not offered in this conversation."
    );
}

#[test]
fn small_talk() {
    assert_eq!(says("Hello!"), "Hello!");
    assert_eq!(says("hi, how are you?"), "Hello! I am fine, thank you.");
    assert_eq!(says("Thanks a lot"), "You are welcome!");
    assert_eq!(says("bye"), "Goodbye!");
    assert!(says("Who are you?").starts_with("I am the demo model"));
    assert!(says("what can you do?").starts_with("I work out sums"));
    assert_eq!(says("count to 5"), "1 2 3 4 5.");
    for unknown in ["Tell me about Rome.", "", "🦀", "this hint ohio"] {
        let said = says(unknown);
        assert!(said.starts_with("I am the demo model"), "{unknown}: {said}");
        assert!(said.contains("config/providers.yaml"), "{unknown}: {said}");
    }
}

#[test]
fn it_remembers_what_it_was_told() {
    let assistant = json!({"role": "assistant", "content": "…"});
    let name = user("Hello, my name’s Ada Lovelace, nice to meet you");
    assert_eq!(
        ask(std::slice::from_ref(&name)).message.content,
        "Hello! Nice to meet you, Ada Lovelace!"
    );
    let colour = user("My favourite colour is Blue.");
    let history = [name, assistant.clone(), colour, assistant];
    let later = |question: &str| {
        ask(&[history.as_slice(), &[user(question)]].concat())
            .message
            .content
    };
    assert_eq!(later("what is my name?"), "Your name is Ada Lovelace.");
    assert_eq!(
        later("What's my favourite colour again?"),
        "Your favourite colour is Blue."
    );
    assert_eq!(later("who am I"), "Your name is Ada Lovelace.");
    assert_eq!(
        later("do you know my age?"),
        "You have not told me your age in this conversation."
    );
}

#[test]
fn equal_requests_name_their_calls_alike_and_others_do_not() {
    let id = |messages: &[Value]| ask(messages).message.tool_calls[0].id.clone();
    assert_eq!(id(&[user("1+1")]), id(&[user("1+1")]));
    assert_ne!(id(&[user("1+1")]), id(&[user("1+2")]));
    assert_ne!(id(&[user("1+1")]), id(&[user("hi"), user("1+1")]));
}

#[test]
fn a_word_is_an_event() {
    let events = respond(&json!({"messages": [user("hi, how are you?")]}));
    let mut assembler = Assembler::new("s");
    let mut heard = Vec::new();
    for event in &events {
        heard.push(assembler.push(event).unwrap().to_owned());
    }
    heard.retain(|word| !word.is_empty());
    assert_eq!(heard, ["Hello!", " I", " am", " fine,", " thank", " you."]);
    assert_eq!(assembler.finish().unwrap().usage.output_tokens, 6);
}

/// Anything a request could hold, likely things more often.
fn anything() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        ".{0,40}",
        Just("What is 3 * 4 and what time is it?".to_owned()),
        Just("my name is Zoë and my age is?".to_owned()),
        "[-+*/().,%x0-9 a-z’]{0,40}",
    ];
    let leaf = prop_oneof![
        text.prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        Just(Value::Null),
        prop_oneof![
            Just("user"),
            Just("assistant"),
            Just("tool"),
            Just("system")
        ]
        .prop_map(Value::from),
    ];
    let key = prop_oneof![
        Just("messages"),
        Just("role"),
        Just("content"),
        Just("tool_calls"),
        Just("id"),
        Just("tool_call_id"),
        Just("function"),
        Just("name"),
        Just("arguments"),
        Just("tools"),
        Just("parameters"),
        Just("required"),
    ];
    leaf.prop_recursive(5, 60, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::vec((key.clone(), inner), 0..6)
                .prop_map(|fields| fields.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()),
        ]
    })
}

proptest! {
    #[test]
    fn it_always_answers_and_always_alike(
        texts in proptest::collection::vec("[-+*/().,%x0-9 a-zA-Z’?!]{0,60}|.{0,60}", 0..5),
        odd in anything(),
        at in any::<proptest::sample::Index>(),
    ) {
        let mut messages: Vec<Value> = texts.iter().map(|text| user(text)).collect();
        messages.insert(at.index(messages.len() + 1), odd.clone());
        for body in [json!({"messages": messages, "tools": tools()}), odd] {
            let events = respond(&body);
            prop_assert_eq!(&respond(&body), &events);
            let answer = assemble(&events);
            prop_assert!(!answer.message.content.is_empty() || !answer.message.tool_calls.is_empty());
        }
    }
}

fn system(text: &str) -> Value {
    json!({"role": "system", "content": text})
}

#[test]
fn asked_for_a_title_and_a_summary_it_gives_both() {
    let instructions = "Write `Title: ` and a title, an empty line, then a summary.";
    let transcript = "person: My name is Ada.\nagent: Nice to meet you, Ada!\nperson: 6 * 7?";
    let answer = ask(&[system(instructions), user(transcript)]);
    assert_eq!(answer.finish_reason, FinishReason::Stop);
    assert_eq!(
        answer.message.content,
        "Title: My name is Ada\n\n- person: My name is Ada.\n\
         - agent: Nice to meet you, Ada!\n- person: 6 * 7?"
    );
}

#[test]
fn it_remembers_what_a_summary_says_and_what_was_said_since() {
    let summary = system("What was said so far:\n- person: My name is Ada.\n- agent: I am Bo.");
    let later = |rest: &[Value]| {
        let messages = [std::slice::from_ref(&summary), rest].concat();
        ask(&messages).message.content
    };
    assert_eq!(later(&[user("What is my name?")]), "Your name is Ada.");
    let renamed = [user("My name is Eve."), user("What is my name?")];
    assert_eq!(later(&renamed), "Your name is Eve.");
}

#[test]
fn samples_of_one_question_are_alike_at_any_temperature() {
    let body = |temperature: Value| {
        json!({"model": "demo-1", "messages": [user("What is 6 * 7?")], "tools": tools(),
            "temperature": temperature})
    };
    let first = respond(&body(Value::Null));
    for temperature in [json!(0), json!(0.7), json!(2), json!("odd")] {
        assert_eq!(respond(&body(temperature)), first);
    }
}
