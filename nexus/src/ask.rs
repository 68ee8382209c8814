//! `nexus ask`: one question, one answer.

use std::io::{Read, Write};

use indicatif::ProgressBar;
use nexus_contracts::live::LiveEvent;
use nexus_entry_api::view::{MessageView, Status};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::cli::{AskArgs, Choices};
use crate::client::Client;
use crate::exit::{Exit, Failure};
use crate::locate::locate;
use crate::progress;
use crate::settings::Settings;
use crate::steps::{status_word, tool_line};
use crate::style::{Tone, toned};

/// Asks, and prints the answer: its text, or all of it as JSON.
///
/// # Errors
/// When there is no answer; the failure says why.
pub async fn ask(args: &AskArgs, settings: &Settings, out: &mut impl Write) -> Result<(), Failure> {
    let text = question(&args.text)?;
    let until = Instant::now() + args.timeout;
    let bar = progress::spinner("looking for a node");
    let found = locate(settings, &args.node).await?;
    if found.own.is_some() {
        let note = format!(
            "no node runs at {}; this one ends with the answer",
            settings.url()
        );
        bar.suspend(|| anstream::eprintln!("{}", toned(Tone::Faint, note)));
    }
    let message = message(&text, &args.choices);
    let result = tokio::select! {
        result = converse(&found.client, &message, until, &bar) => result,
        _ = tokio::signal::ctrl_c() => Err(Failure::new(Exit::Interrupted, "interrupted")),
    };
    bar.finish_and_clear();
    let printed = result.and_then(|view| print(&view, args, out));
    let left = found.leave().await;
    printed.and(left)
}

async fn converse(
    client: &Client,
    message: &Value,
    until: Instant,
    bar: &ProgressBar,
) -> Result<MessageView, Failure> {
    bar.set_message("asking");
    let accepted = client.submit(message).await?;
    client
        .follow(&accepted.correlation_id, until, |event| show(event, bar))
        .await?;
    client.message(&accepted.correlation_id).await
}

#[expect(clippy::unnecessary_wraps, reason = "the signature of a report")]
fn show(event: &LiveEvent, bar: &ProgressBar) -> Result<(), Failure> {
    match event {
        LiveEvent::Status { status, .. } => bar.set_message(status_word(status).to_owned()),
        LiveEvent::Delta { .. } => bar.set_message("answering"),
        LiveEvent::Tool { .. } => {
            if let Some(line) = tool_line(event) {
                bar.suspend(|| anstream::eprintln!("{line}"));
            }
        }
        LiveEvent::Snapshot { .. } | LiveEvent::Completed { .. } | LiveEvent::Failed { .. } => {}
    }
    Ok(())
}

fn question(text: &str) -> Result<String, Failure> {
    if text != "-" {
        return Ok(text.to_owned());
    }
    let mut read = String::new();
    std::io::stdin()
        .read_to_string(&mut read)
        .map_err(|error| Failure::usage(format!("standard input does not read: {error}")))?;
    Ok(read)
}

/// The body of `POST /v1/messages`.
#[must_use]
pub fn message(text: &str, choices: &Choices) -> Value {
    let mut message = json!({ "text": text });
    let chosen = [
        ("provider", &choices.provider),
        ("model", &choices.model),
        ("conversation_id", &choices.conversation),
    ];
    for (name, value) in chosen {
        if let (Some(value), Some(fields)) = (value, message.as_object_mut()) {
            fields.insert(name.to_owned(), value.clone().into());
        }
    }
    message
}

fn print(view: &MessageView, args: &AskArgs, out: &mut impl Write) -> Result<(), Failure> {
    if args.json {
        let text = serde_json::to_string(view).map_err(Failure::failed)?;
        writeln!(out, "{text}")?;
    }
    if let (Status::Completed, Some(text)) = (view.status, &view.text) {
        if !args.json {
            writeln!(out, "{text}")?;
            anstream::eprintln!("{}", toned(Tone::Faint, signature(view)));
        }
        return Ok(());
    }
    let detail = view.error.as_ref().map_or_else(
        || "the run has not ended".to_owned(),
        |error| format!("{} ({})", error.detail, error.code),
    );
    Err(Failure::failed(detail).todo(format!("nexus trace {}", view.correlation_id)))
}

/// Who answered, and how to go on.
#[must_use]
pub fn signature(view: &MessageView) -> String {
    let demo = view.metadata.get("provider.demo") == Some(&Value::Bool(true));
    let demo = if demo {
        " (demo: no model behind it)"
    } else {
        ""
    };
    format!(
        "{}/{}{demo} · nexus trace {} · nexus ask --conversation {} \"…\"",
        view.provider.as_deref().unwrap_or("?"),
        view.model.as_deref().unwrap_or("?"),
        view.correlation_id,
        view.conversation_id
    )
}
