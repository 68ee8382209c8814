//! A model without tools of its own calls them in its text, over real HTTP.

use anyhow::{Context, Result, ensure};
use nexus_bus::ReadFrom;
use nexus_contracts::chat::{ChatMessage, FinishReason, Role, ToolCall, ToolSpec};
use nexus_contracts::events::{InferenceCompleted, InferenceRequested, UsageRecorded};
use nexus_contracts::live::LiveEvent;
use nexus_contracts::{Envelope, RunId, channels, tables};
use nexus_service_kit::{Clock, envelope_of, report};
use nexus_testkit::openai::Script;
use nexus_testkit::{wait_for, wait_until};
use serde_json::{Value, json};

use crate::world::{PATIENCE, World, asking, world};

/// A router whose `it` has one model, which asks for tools like this.
async fn it_has(tools: &str) -> Result<World> {
    let world = world(&[("reload_every", "5ms")]).await?;
    let base_url = world.fake.base_url();
    world.edit(&format!(
        "providers:\n  it:\n    type: openai\n    base_url: {base_url}\n    model: m\n    \
         models: [{{name: m, tools: {tools}}}]\n"
    ))?;
    wait_until(PATIENCE, "the model", async || {
        let rows = world.deps.bus.table_list(tables::PROVIDERS).await?;
        let known = rows.iter().map(|row| serde_json::from_slice(&row.value));
        let known: Vec<Value> = known.collect::<Result<_, _>>()?;
        Ok(known.len() == 1
            && known
                .iter()
                .all(|it| it.pointer("/facts/0/tools") == Some(&json!(tools))))
    })
    .await?;
    Ok(world)
}

fn math_solver() -> ToolSpec {
    ToolSpec {
        name: "math_solver".to_owned(),
        description: "Computes what an expression comes to.".to_owned(),
        parameters: json!({
            "type": "object",
            "properties": {"expression": {"type": "string"}},
            "required": ["expression"],
        }),
        extra: [].into(),
    }
}

/// A question with the tool on offer.
fn asks(id: &str, change: impl FnOnce(&mut InferenceRequested)) -> Result<(Envelope, RunId)> {
    let (mut command, run) = asking(id, "What is 6*7?", Some("it"), |_| {})?;
    let mut asked: InferenceRequested = command.decode()?;
    asked.tools = vec![math_solver()];
    change(&mut asked);
    let same = Envelope::new(command.id.clone(), Clock::system().now(), &asked)?;
    command.payload = same.payload;
    Ok((command, run))
}

/// A stream of small pieces, which ends for this reason.
fn pieces(text: &str, finish_reason: &'static str) -> Script {
    let chars: Vec<char> = text.chars().collect();
    let pieces = chars
        .chunks(3)
        .map(|piece| piece.iter().collect::<String>());
    Script::of_deltas(
        pieces.map(|piece| json!({ "content": piece })),
        finish_reason,
    )
}

/// Asks, as the `place`-th question, and checks that a listener has heard the answer's text and nothing
/// else on the way.
async fn ask(world: &World, place: usize) -> Result<InferenceCompleted> {
    let (command, run) = asks(&format!("c{place}"), |_| {})?;
    world.publish(&command).await?;
    let completed = world.answer(place).await?.1.completed()?;
    // Whatever was said of the run was said before this.
    let last = LiveEvent::Delta {
        step: 9,
        text: "<last>".to_owned(),
    };
    report(&world.deps.bus, run, &last).await;
    let heard = format!("{}<last>", completed.message.content);
    world.heard(run, &heard).await?;
    Ok(completed)
}

fn note(completed: &InferenceCompleted) -> Value {
    completed
        .metadata
        .get("text_calls")
        .cloned()
        .unwrap_or_default()
}

/// What the model was sent in the `place`-th request.
fn sent(world: &World, place: usize) -> Result<Vec<Value>> {
    let received = world.fake.received();
    let body = &received.get(place).context("no such request")?.body;
    ensure!(body.get("tools").is_none(), "{body}");
    Ok(body["messages"].as_array().context("messages")?.clone())
}

#[tokio::test]
async fn calls_are_read_however_they_are_written_and_never_shown() -> Result<()> {
    let world = it_has("text").await?;
    let json = r#"{"name": "math_solver", "arguments": {"expression": "6*7"}}"#;
    let formats = [
        ("tagged", format!("<tool_call>\n{json}\n</tool_call>")),
        ("fenced", format!("```json\n{json}\n```")),
        ("bare", json.to_owned()),
        ("pythonic", "[math_solver(expression='6*7')]".to_owned()),
        ("mistral", format!("[TOOL_CALLS][{json}]")),
        (
            "function",
            "<function=math_solver><parameter=expression>6*7</parameter></function>".to_owned(),
        ),
        (
            "invoke",
            "<function_calls><invoke name=\"math_solver\"><parameter name=\"expression\">6*7</parameter>\
             </invoke></function_calls>"
                .to_owned(),
        ),
    ];
    for (place, (format, written)) in (1..).zip(formats) {
        let text = format!("Let me *compute* {{that}}:\n{written}");
        world.fake.push(pieces(&text, "stop"));
        let completed = ask(&world, place).await.context(written.clone())?;
        ensure!(
            completed.message.content == "Let me *compute* {that}:",
            "{completed:?}"
        );
        let call = ToolCall {
            id: format!("call_c{place}_0"),
            name: "math_solver".to_owned(),
            arguments: r#"{"expression":"6*7"}"#.to_owned(),
        };
        ensure!(completed.message.tool_calls == [call], "{completed:?}");
        ensure!(
            completed.finish_reason == FinishReason::ToolCalls,
            "{written}"
        );
        ensure!(
            note(&completed) == json!({ "formats": [format] }),
            "{completed:?}"
        );
        let sent = sent(&world, place - 1)?;
        ensure!(sent.len() == 2 && sent[0]["role"] == "system", "{sent:?}");
        let told = sent[0]["content"].as_str().unwrap_or_default();
        ensure!(told.contains(r#""name":"math_solver""#), "{told}");
    }
    Ok(())
}

#[tokio::test]
async fn what_was_called_before_is_told_in_text() -> Result<()> {
    let world = it_has("text").await?;
    world.fake.push(Script::text("It is 42."));
    let (command, _) = asks("c1", |asked| {
        let mut asking = ChatMessage::text(Role::Assistant, "");
        asking.tool_calls = vec![ToolCall {
            id: "x".to_owned(),
            name: "math_solver".to_owned(),
            arguments: r#"{"expression":"6*7"}"#.to_owned(),
        }];
        asked.messages.push(asking);
        asked.messages.push(ChatMessage::tool_result("x", "42"));
    })?;
    let completed = world.ask(&command).await?.completed()?;
    ensure!(completed.message.content == "It is 42.", "{completed:?}");
    ensure!(
        !completed.metadata.contains_key("text_calls"),
        "{completed:?}"
    );
    let sent = sent(&world, 0)?;
    let rest: Vec<_> = sent.iter().skip(2).cloned().collect();
    let call = r#"{"name": "math_solver", "arguments": {"expression":"6*7"}}"#;
    let result = r#"{"name":"math_solver","content":"42"}"#;
    ensure!(
        rest == [
            json!({"role": "assistant", "content": format!("<tool_call>\n{call}\n</tool_call>")}),
            json!({"role": "user", "content": format!("<tool_response>\n{result}\n</tool_response>")}),
        ],
        "{rest:?}"
    );
    Ok(())
}

#[tokio::test]
async fn repairs_are_in_the_journal_and_a_call_that_was_cut_off_is_none() -> Result<()> {
    let world = it_has("text").await?;
    let loose =
        "<tool_call>{'name': 'math_solver', 'arguments': {'expression': '6*7',}}</tool_call>";
    world.fake.push(pieces(loose, "stop"));
    let completed = ask(&world, 1).await?;
    ensure!(completed.message.tool_calls.len() == 1, "{completed:?}");
    let repairs = note(&completed)["repairs"].clone();
    ensure!(
        repairs[0]["call"] == 0 && repairs[0]["repair"] == "trailing_comma",
        "{repairs}"
    );
    ensure!(repairs[1]["repair"] == "single_quotes", "{repairs}");

    let cut =
        "So:\n<tool_call>\n{\"name\": \"math_solver\", \"arguments\": {\"expression\": \"6*7\"";
    world.fake.push(pieces(cut, "length"));
    let completed = ask(&world, 2).await?;
    ensure!(completed.message.tool_calls.is_empty(), "{completed:?}");
    ensure!(
        completed.finish_reason == FinishReason::Length,
        "{completed:?}"
    );
    ensure!(completed.message.content == cut, "{completed:?}");
    ensure!(
        note(&completed)["refusals"][0]["code"] == "cut_off",
        "{completed:?}"
    );
    ensure!(world.fake.received().len() == 2, "asked once each");
    Ok(())
}

const WRONG: &str = "Let me see.\n<tool_call>\n{\"name\": \"math_slover\", \"arguments\": {\"expression\": \"6*7\"}}\n</tool_call>";
const RIGHT: &str = "<tool_call>\n{\"name\": \"math_solver\", \"arguments\": {\"expression\": \"6*7\"}}\n</tool_call>";

/// The first `count` usages on the bus.
async fn usages(world: &World, count: usize) -> Result<Vec<UsageRecorded>> {
    let all = async || {
        let read = world.deps.bus.read(channels::USAGE, ReadFrom::Start, 100);
        let entries = read.await?;
        Ok((entries.len() >= count).then_some(entries))
    };
    let entries = wait_for(PATIENCE, &format!("{count} usages"), all).await?;
    let usages = entries.iter();
    let usages = usages.map(|entry| Ok(envelope_of(entry, channels::USAGE)?.decode()?));
    usages.collect()
}

#[tokio::test]
async fn a_call_that_cannot_be_read_is_asked_for_once_more() -> Result<()> {
    let world = it_has("text").await?;
    world.fake.push(pieces(WRONG, "stop").usage(100, 20));
    world
        .fake
        .push(pieces(&format!("Again.\n{RIGHT}"), "stop").usage(130, 25));
    let completed = ask(&world, 1).await?;
    ensure!(
        completed.message.content == "Let me see.\n\nAgain.",
        "{completed:?}"
    );
    ensure!(completed.message.tool_calls.len() == 1, "{completed:?}");
    let before = &note(&completed)["asked_again"];
    ensure!(
        before["refusals"][0]["code"] == "unknown_tool",
        "{completed:?}"
    );
    ensure!(
        before["said"] == WRONG.trim_start_matches("Let me see.\n"),
        "{before}"
    );
    let sent = sent(&world, 1)?;
    ensure!(sent.len() == 4 && sent[2]["content"] == WRONG, "{sent:?}");
    let why = sent[3]["content"].as_str().unwrap_or_default();
    ensure!(why.contains("did you mean `math_solver`?"), "{why}");
    // Both are paid for, and each is told.
    let usage = (completed.usage.input_tokens, completed.usage.output_tokens);
    ensure!(usage == (230, 45), "{completed:?}");
    let usages = usages(&world, 2).await?;
    let told: Vec<_> = usages
        .iter()
        .map(|one| (one.attempt, &*one.outcome))
        .collect();
    ensure!(told == [(1, "completed"), (2, "completed")], "{told:?}");
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_read_twice_is_told_as_it_was_written() -> Result<()> {
    let world = it_has("text").await?;
    world.fake.push(pieces(WRONG, "stop"));
    world
        .fake
        .push(pieces("<tool_call>\n{\"name\": \"math_solver\"", "stop"));
    let completed = ask(&world, 1).await?;
    let text = "Let me see.\n\n<tool_call>\n{\"name\": \"math_solver\"";
    ensure!(completed.message.content == text, "{completed:?}");
    ensure!(completed.message.tool_calls.is_empty(), "{completed:?}");
    ensure!(
        completed.finish_reason == FinishReason::Stop,
        "{completed:?}"
    );
    let note = note(&completed);
    ensure!(note["refusals"][0]["code"] == "cut_off", "{note}");
    ensure!(
        note["asked_again"]["refusals"][0]["code"] == "unknown_tool",
        "{note}"
    );
    ensure!(
        world.fake.received().len() == 2,
        "asked once more and no more"
    );
    Ok(())
}

#[tokio::test]
async fn where_the_second_question_is_not_answered_the_first_answer_is_told() -> Result<()> {
    let world = it_has("text").await?;
    world.fake.push(pieces(WRONG, "stop"));
    world.fake.push(Script::error(500, "oops"));
    let completed = ask(&world, 1).await?;
    ensure!(completed.message.content == WRONG, "{completed:?}");
    ensure!(
        note(&completed)["refusals"][0]["code"] == "unknown_tool",
        "{completed:?}"
    );
    let attempts = completed.extra.get("attempts").context("who failed")?;
    ensure!(attempts[0]["code"] == "provider_failed", "{attempts}");
    ensure!(world.fake.received().len() == 2, "{completed:?}");
    Ok(())
}

#[tokio::test]
async fn a_model_with_tools_of_its_own_may_write_what_it_likes() -> Result<()> {
    let world = it_has("native").await?;
    world.fake.push(pieces(RIGHT, "stop"));
    let completed = ask(&world, 1).await?;
    ensure!(completed.message.content == RIGHT, "{completed:?}");
    ensure!(completed.message.tool_calls.is_empty(), "{completed:?}");
    let body = world.fake.received().first().context("one")?.body.clone();
    ensure!(
        body["tools"][0]["function"]["name"] == "math_solver",
        "{body}"
    );
    Ok(())
}

#[tokio::test]
async fn a_model_without_is_not_asked_where_tools_are_offered() -> Result<()> {
    let world = it_has("none").await?;
    let failed = world.ask(&asks("c1", |_| {})?.0).await?.failed()?;
    ensure!(failed.code == "unsupported", "{failed:?}");
    ensure!(failed.detail.contains("m cannot call tools"), "{failed:?}");
    world.fake.push(Script::text("Hi"));
    let (command, _) = asks("c2", |asked| asked.tools.clear())?;
    world.publish(&command).await?;
    world.answer(2).await?.1.completed()?;
    ensure!(world.fake.received().len() == 1);
    Ok(())
}
