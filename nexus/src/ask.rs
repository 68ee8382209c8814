//! `nexus ask`: one question, one answer.

use std::collections::BTreeSet;
use std::io::{IsTerminal, Read, Write};
use std::time::Duration;

use indicatif::ProgressBar;
use nexus_contracts::live::LiveEvent;
use nexus_entry_api::view::{Accepted, MessageView, Status};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::cli::{AskArgs, Preferences};
use crate::client::Client;
use crate::deciding::{self, Call, Typed};
use crate::exit::{Exit, Failure};
use crate::locate::{Found, locate};
use crate::progress;
use crate::settings::Settings;
use crate::steps::{status_word, tool_line};
use crate::style::{Tone, json_line, toned};

/// Asks, and prints the answer: its text, or all of it as JSON.
///
/// # Errors
/// When there is no answer; the failure says why.
pub async fn ask(args: &AskArgs, settings: &Settings, out: &mut impl Write) -> Result<(), Failure> {
    let text = question(&args.text)?;
    let until = Instant::now() + args.timeout;
    let mut wait = Waiting::new("looking for a node", until);
    // A person whose standard input was the question cannot be asked anything.
    if args.text == "-" {
        wait.nobody_types();
    }
    let found = locate(settings, &args.node).await?;
    wait.note_own(&found, settings);
    let mut message = message(&text, &args.choices.preferences);
    if let (Some(id), Some(fields)) = (&args.choices.conversation, message.as_object_mut()) {
        fields.insert("conversation_id".to_owned(), id.clone().into());
    }
    let asking = async {
        let accepted = found.client.submit(&message).await?;
        wait.answer(&found.client, &accepted).await
    };
    let result = tokio::select! {
        result = asking => result,
        _ = tokio::signal::ctrl_c() => Err(Failure::new(Exit::Interrupted, "interrupted")),
    };
    wait.over();
    let printed = result.and_then(|view| print(&view, Form::of(args), out));
    let left = found.leave().await;
    printed.and(left)
}

/// Waiting for one answer, with something that moves meanwhile.
pub struct Waiting {
    bar: ProgressBar,
    until: Instant,
    somebody_types: bool,
}

impl Waiting {
    /// Begins.
    #[must_use]
    pub fn new(word: &'static str, until: Instant) -> Self {
        Self {
            bar: progress::spinner(word),
            until,
            somebody_types: std::io::stdin().is_terminal() && std::io::stderr().is_terminal(),
        }
    }

    /// There is nobody to be asked.
    pub const fn nobody_types(&mut self) {
        self.somebody_types = false;
    }

    /// Says that there was no node to ask.
    pub fn note_own(&self, found: &Found, settings: &Settings) {
        if found.own.is_some() {
            let url = settings.url();
            let note = format!("no node runs at {url}; this one ends with the answer");
            self.say(&toned(Tone::Faint, note));
        }
        self.bar.set_message("asking");
    }

    /// Nothing moves any more.
    pub fn over(&self) {
        self.bar.finish_and_clear();
    }

    /// Waits for the answer; a tool call that needs a person is shown, and asked about where
    /// somebody is there.
    ///
    /// # Errors
    /// No answer in time, or a node that is gone.
    pub async fn answer(
        &self,
        client: &Client,
        accepted: &Accepted,
    ) -> Result<MessageView, Failure> {
        let id = &accepted.correlation_id;
        let mut events = client.events(id, self.until);
        let mut typed = self.somebody_types.then(deciding::typed);
        let mut seen = BTreeSet::new();
        while let Some(event) = events.next().await? {
            self.show(&event);
            let LiveEvent::Approval { request, .. } = &event else {
                continue;
            };
            if let Some(call) = Call::read(request)
                && seen.insert(call.approval_id.clone())
            {
                let waited = self.decide(client, &call, typed.as_mut()).await?;
                events.extend(waited);
            }
        }
        client.message(id).await
    }

    fn show(&self, event: &LiveEvent) {
        match event {
            LiveEvent::Status { status, .. } => {
                self.bar.set_message(status_word(status).to_owned());
            }
            LiveEvent::Delta { .. } => self.bar.set_message("answering"),
            LiveEvent::Tool { .. } => {
                if let Some(line) = tool_line(event) {
                    self.say(&line);
                }
            }
            LiveEvent::Snapshot { .. }
            | LiveEvent::Approval { .. }
            | LiveEvent::Completed { .. }
            | LiveEvent::Failed { .. } => {}
        }
    }

    /// How long it took.
    async fn decide(
        &self,
        client: &Client,
        call: &Call,
        typed: Option<&mut Typed>,
    ) -> Result<Duration, Failure> {
        self.say(&call.lines());
        let asked_at = Instant::now();
        let decision = match typed {
            None => None,
            Some(typed) => {
                progress::pause(&self.bar);
                let decision = deciding::ask(typed, &mut anstream::stderr()).await;
                progress::go_on(&self.bar);
                decision?
            }
        };
        match decision {
            Some(decision) => self.say(&deciding::tell(client, call, decision).await?),
            None => self.say(&call.todo(client.base())),
        }
        Ok(asked_at.elapsed())
    }

    fn say(&self, line: &str) {
        self.bar.suspend(|| anstream::eprintln!("{line}"));
    }
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

/// A body with what is said, and how it is to be answered.
#[must_use]
pub fn message(text: &str, chosen: &Preferences) -> Value {
    let mut message = json!({ "text": text });
    let mut limits = json!({});
    let put = |object: &mut Value, name: &str, value: Option<Value>| {
        if let (Some(value), Some(fields)) = (value, object.as_object_mut()) {
            fields.insert(name.to_owned(), value);
        }
    };
    for (name, words) in [
        ("provider", &chosen.provider),
        ("model", &chosen.model),
        ("on_busy", &chosen.on_busy),
        ("privacy", &chosen.privacy),
        ("cache", &chosen.cache),
    ] {
        put(&mut message, name, words.clone().map(Value::from));
    }
    put(&mut message, "samples", chosen.samples.map(Value::from));
    put(&mut limits, "steps", chosen.max_steps.map(Value::from));
    put(
        &mut limits,
        "cost_microusd",
        chosen.max_cost.map(Value::from),
    );
    if limits != json!({}) {
        put(&mut message, "limits", Some(limits));
    }
    message
}

/// What is printed of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Its text.
    Text,
    /// All of it.
    Json,
}

impl Form {
    const fn of(args: &AskArgs) -> Self {
        if args.json { Self::Json } else { Self::Text }
    }
}

/// Prints an answer.
///
/// # Errors
/// When it is none.
pub fn print(view: &MessageView, form: Form, out: &mut impl Write) -> Result<(), Failure> {
    if form == Form::Json {
        json_line(view, out)?;
    }
    if let (Status::Completed, Some(text)) = (view.status, &view.text) {
        if form == Form::Text {
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

/// Who answered and how surely, and how to go on.
#[must_use]
pub fn signature(view: &MessageView) -> String {
    let demo = view.metadata.get("provider.demo") == Some(&Value::Bool(true));
    let demo = if demo {
        " (demo: no model behind it)"
    } else {
        ""
    };
    let votes = agreement(view).map_or_else(String::new, |words| format!(" · {words}"));
    format!(
        "{}/{}{demo}{votes} · nexus trace {} · nexus ask --conversation {} \"…\"",
        view.provider.as_deref().unwrap_or("?"),
        view.model.as_deref().unwrap_or("?"),
        view.correlation_id,
        view.conversation_id
    )
}

/// How many answers said the same, where several were drawn.
#[must_use]
pub fn agreement(view: &MessageView) -> Option<String> {
    let votes = view.agreement?;
    Some(format!("{} of {} agree", votes.agreeing, votes.samples))
}
