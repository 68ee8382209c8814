//! `nexus tools`: what agents can do here, and trying it.

mod show;

use std::io::{Read, Write};

use nexus_contracts::ConversationId;
use nexus_tool_executor::api::view::{Called, ToSwitch, ToolView};
use serde::Serialize;
use serde_json::{Value, json};

use crate::cli::tools::{
    CallArgs, ListArgs, NameArgs, SwitchArgs, TestArgs, ToolsAction, ToolsArgs,
};
use crate::client::Client;
use crate::exit::Failure;
use crate::locate::locate;
use crate::settings::Settings;
use crate::style::{Tone, column, cut, json_line, toned};

/// Longest description in a list, in characters.
const ABOUT: usize = 90;

/// Longest reason that is shown.
const REASON: usize = 500;

/// Lists tools, shows, calls or tests one, switches one off or on.
///
/// # Errors
/// When no node can be found, what it says against it, or that a tool failed.
pub async fn tools(
    args: &ToolsArgs,
    settings: &Settings,
    out: &mut impl Write,
) -> Result<(), Failure> {
    match &args.action {
        None => list(&args.list, settings, out).await,
        Some(ToolsAction::List(args)) => list(args, settings, out).await,
        Some(ToolsAction::Show(args)) => shown(args, settings, out).await,
        Some(ToolsAction::Call(args)) => call(args, settings, out).await,
        Some(ToolsAction::Test(args)) => test(args, settings, out).await,
        Some(ToolsAction::Disable(args)) => switch(args, Switch::Off, settings, out).await,
        Some(ToolsAction::Enable(args)) => switch(args, Switch::On, settings, out).await,
    }
}

async fn list(args: &ListArgs, settings: &Settings, out: &mut impl Write) -> Result<(), Failure> {
    let found = locate(settings, &args.node).await?;
    let tools = found.client.tools().await;
    found.leave().await?;
    let tools = tools?;
    if args.print.json {
        return json_line(&json!({ "tools": tools }), out);
    }
    for tool in &tools {
        let line = [
            column(tone(tool), &tool.state, 10),
            column(Tone::Name, &tool.tool.name, 24),
            cut(first_sentence(&tool.tool.description), ABOUT),
        ];
        writeln!(out, "{}", line.join("  ").trim_end())?;
        for note in notes(tool) {
            writeln!(out, "  → {}", cut(&note, REASON))?;
        }
    }
    Ok(())
}

/// What there is to say besides.
fn notes(tool: &ToolView) -> Vec<String> {
    let mut notes: Vec<String> = tool.reason.iter().cloned().collect();
    if let Some(quota) = &tool.quota {
        notes.push(format!("{} of {} calls used", quota.calls, quota.of));
    }
    match tool.off_in.len() {
        0 => {}
        1 => notes.push("off in one conversation".to_owned()),
        many => notes.push(format!("off in {many} conversations")),
    }
    notes
}

fn first_sentence(text: &str) -> &str {
    text.split_once(". ").map_or(text, |(first, _)| first)
}

fn tone(tool: &ToolView) -> Tone {
    match tool.state.as_str() {
        "ready" => Tone::Good,
        "off" => Tone::Faint,
        _ => Tone::Bad,
    }
}

async fn shown(args: &NameArgs, settings: &Settings, out: &mut impl Write) -> Result<(), Failure> {
    let found = locate(settings, &args.node).await?;
    let tool = found.client.tool(&args.name).await;
    found.leave().await?;
    let tool = tool?;
    if args.print.json {
        return json_line(&tool, out);
    }
    for line in show::lines(&tool) {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

async fn call(args: &CallArgs, settings: &Settings, out: &mut impl Write) -> Result<(), Failure> {
    let arguments = arguments(&args.arguments)?;
    let found = locate(settings, &args.node).await?;
    let called = called(&found.client, &args.name, arguments).await;
    found.leave().await?;
    let called = called?;
    if args.print.json {
        json_line(&called, out)?;
    } else if let Some(result) = &called.result {
        writeln!(out, "{}", readable(result))?;
        if let Some(reference) = &called.reference {
            let more = format!("the rest: nexus tools call read_result, reference {reference}");
            writeln!(out, "{}", toned(Tone::Faint, more))?;
        }
    }
    failure(&called).map_or(Ok(()), |why| Err(Failure::failed(why)))
}

async fn called(client: &Client, name: &str, arguments: Value) -> Result<Called, Failure> {
    let tool = client.tool(name).await?;
    client.call_tool(&tool, arguments).await
}

fn arguments(text: &str) -> Result<Value, Failure> {
    let mut read = String::new();
    let text = if text == "-" {
        let done = std::io::stdin().read_to_string(&mut read);
        done.map_err(|error| Failure::usage(format!("standard input does not read: {error}")))?;
        read.as_str()
    } else {
        text
    };
    serde_json::from_str(text).map_err(|error| {
        Failure::usage(format!("the arguments are no JSON: {error}"))
            .todo(r#"Write them as '{"expression": "1 + 1"}'"#)
    })
}

/// A text as it is, everything else as indented JSON.
fn readable(result: &Value) -> String {
    match result {
        Value::String(text) => text.clone(),
        other => {
            serde_json::to_string_pretty(other).unwrap_or_else(|_unwritable| other.to_string())
        }
    }
}

fn failure(called: &Called) -> Option<String> {
    let code = called.code.as_deref().unwrap_or("failed");
    let detail = called.detail.as_deref().unwrap_or_default();
    (!called.ok).then(|| format!("{code}: {detail}"))
}

/// How one self-test went.
#[derive(Serialize)]
struct Tested {
    tool: String,
    /// `ok`, `failed`, or `skipped` where it cannot be used.
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<u64>,
}

async fn test(args: &TestArgs, settings: &Settings, out: &mut impl Write) -> Result<(), Failure> {
    let found = locate(settings, &args.node).await?;
    let tested = run_tests(&found.client, &args.names).await;
    found.leave().await?;
    let tested = tested?;
    if args.print.json {
        json_line(&json!({ "tests": tested }), out)?;
    } else {
        for one in &tested {
            writeln!(out, "{}", tested_line(one))?;
        }
    }
    let failed = tested.iter().filter(|one| one.outcome == "failed").count();
    match failed {
        0 => Ok(()),
        1 => Err(Failure::failed("one tool does not work")),
        many => Err(Failure::failed(format!("{many} tools do not work"))),
    }
}

fn tested_line(one: &Tested) -> String {
    let tone = match one.outcome {
        "ok" => Tone::Good,
        "failed" => Tone::Bad,
        _ => Tone::Faint,
    };
    let took = one.duration_ms.map(|took| format!("{took} ms"));
    let line = [
        column(tone, one.outcome, 10),
        column(Tone::Name, &one.tool, 24),
        one.detail.clone().or(took).unwrap_or_default(),
    ];
    line.join("  ").trim_end().to_owned()
}

async fn run_tests(client: &Client, names: &[String]) -> Result<Vec<Tested>, Failure> {
    let tools = client.tools().await?;
    if let Some(unknown) = names
        .iter()
        .find(|name| tools.iter().all(|tool| tool.tool.name != **name))
    {
        // Says what there is.
        client.tool(unknown).await?;
    }
    let chosen = tools.iter().filter(|tool| {
        let named = names.contains(&tool.tool.name);
        named || (names.is_empty() && tool.tool.example.is_some())
    });
    let mut tested = Vec::new();
    for tool in chosen {
        tested.push(self_test(client, tool).await?);
    }
    Ok(tested)
}

async fn self_test(client: &Client, tool: &ToolView) -> Result<Tested, Failure> {
    let of = |outcome, detail, duration_ms| Tested {
        tool: tool.tool.name.clone(),
        outcome,
        detail,
        duration_ms,
    };
    let Some(example) = &tool.tool.example else {
        let why = "no harmless call of it is known".to_owned();
        return Ok(of("skipped", Some(why), None));
    };
    if tool.state == "stopped" || tool.state == "off" {
        let why = tool
            .reason
            .clone()
            .unwrap_or_else(|| "switched off".to_owned());
        return Ok(of("skipped", Some(why), None));
    }
    let called = client.call_tool(tool, arguments(example)?).await?;
    Ok(match failure(&called) {
        None => of("ok", None, called.duration_ms),
        Some(why) => of("failed", Some(why), None),
    })
}

/// Which way a switch goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Switch {
    On,
    Off,
}

async fn switch(
    args: &SwitchArgs,
    to: Switch,
    settings: &Settings,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let conversation = args.conversation.as_deref().map(conversation).transpose()?;
    let found = locate(settings, &args.node).await?;
    let enabled = to == Switch::On;
    let switch = ToSwitch {
        enabled,
        conversation_id: conversation,
    };
    let switched = found.client.switch_tool(&args.name, &switch).await;
    found.leave().await?;
    switched?;
    let word = if enabled { "on" } else { "off" };
    let place = match conversation {
        None => "for the whole organisation".to_owned(),
        Some(id) => format!("in conversation {id}"),
    };
    Ok(writeln!(out, "{} is {word} {place}", args.name)?)
}

fn conversation(text: &str) -> Result<ConversationId, Failure> {
    text.parse().map_err(|_not_an_id| {
        Failure::usage(format!("`{text}` is no conversation's id"))
            .todo("`nexus conversations list` shows them")
    })
}
