//! A talk: what is typed, what is answered.

use std::collections::BTreeSet;
use std::io::Write;
use std::time::Duration;

use nexus_contracts::live::LiveEvent;
use nexus_entry_api::view::{Accepted, MessageView, Status};
use serde_json::Value;
use tokio::time::Instant;

use super::screen::Screen;
use crate::ask::{agreement, message};
use crate::cli::Choices;
use crate::client::Client;
use crate::deciding::{self, Call, Typed};
use crate::exit::{Exit, Failure};
use crate::near::nearest;
use crate::steps::tool_line;
use crate::style::{Tone, toned};

/// Longest wait for one answer, without the time a person takes to decide.
const PATIENCE: Duration = Duration::from_mins(30);

const COMMANDS: [&str; 5] = ["/help", "/new", "/title", "/branch", "/quit"];

const HELP: &str = "/new              starts a new conversation
/title TEXT       names this one
/branch N TEXT    says TEXT instead of your Nth message, in a new conversation
/help             shows this
/quit             ends (so does Ctrl-D; Ctrl-C stops an answer)";

/// A talk that goes on.
pub(super) struct Talk<'a, W> {
    client: &'a Client,
    choices: Choices,
    typed: Typed,
    out: &'a mut W,
    is_terminal: bool,
    /// What was said in this talk and is remembered: conversation and run of each message.
    said: Vec<(String, String)>,
    asked: usize,
    failed: usize,
}

impl<'a, W: Write> Talk<'a, W> {
    pub(super) fn new(
        client: &'a Client,
        choices: &Choices,
        (typed, out, is_terminal): (Typed, &'a mut W, bool),
    ) -> Self {
        Self {
            client,
            choices: choices.clone(),
            typed,
            out,
            is_terminal,
            said: Vec::new(),
            asked: 0,
            failed: 0,
        }
    }

    /// Talks until nothing is typed any more.
    pub(super) async fn run(mut self) -> Result<(), Failure> {
        if self.is_terminal {
            self.note(&format!("node {}", self.client.base()))?;
            self.note(HELP)?;
        }
        while let Some(line) = self.line().await? {
            let line = line.trim();
            if line == "/quit" {
                break;
            }
            match self.heed(line).await {
                Err(failure) if failure.exit == Exit::Done => return Err(failure),
                Err(failure) => {
                    self.failed += 1;
                    writeln!(self.out, "{}", toned(Tone::Bad, failure))?;
                }
                Ok(()) => {}
            }
        }
        // A person has seen it; a script has not.
        if self.failed > 0 && !self.is_terminal {
            let what = format!("{} of {} lines failed", self.failed, self.asked);
            return Err(Failure::failed(what));
        }
        Ok(())
    }

    async fn line(&mut self) -> Result<Option<String>, Failure> {
        if self.is_terminal {
            write!(self.out, "{} ", toned(Tone::Strong, ">"))?;
            self.out.flush()?;
        }
        tokio::select! {
            line = self.typed.next_line() => Ok(line?),
            _ = tokio::signal::ctrl_c() => Ok(None),
        }
    }

    async fn heed(&mut self, line: &str) -> Result<(), Failure> {
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim();
        if !line.is_empty() {
            self.asked += 1;
        }
        match word {
            "" => Ok(()),
            "/help" => Ok(writeln!(self.out, "{HELP}")?),
            "/new" => {
                self.choices.conversation = None;
                self.said.clear();
                self.note("a new conversation")
            }
            "/title" => self.rename(rest).await,
            "/branch" => self.branch(rest).await,
            other if other.starts_with('/') => {
                let what = format!("`{other}` is nothing this chat knows");
                Err(Failure::usage(what).todo(nearest(other, COMMANDS)))
            }
            _ => self.say(line).await,
        }
    }

    async fn rename(&mut self, title: &str) -> Result<(), Failure> {
        let Some(id) = &self.choices.conversation else {
            return Err(Failure::usage(
                "nothing was said yet that could have a title",
            ));
        };
        self.client.rename(id, title).await?;
        self.note("renamed")
    }

    async fn branch(&mut self, rest: &str) -> Result<(), Failure> {
        let (number, text) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let at = number.parse().ok().and_then(|n: usize| n.checked_sub(1));
        let place = at.and_then(|at| Some((at, self.said.get(at)?.clone())));
        let Some((at, (conversation, run))) = place else {
            let count = self.said.len();
            let what = format!("`{number}` is none of the {count} messages of this talk");
            return Err(Failure::usage(what).todo("Write it as /branch 2 and what to say instead"));
        };
        let mut body = message(text.trim(), &self.choices.preferences);
        put(&mut body, "run_id", &run);
        let accepted = self.client.branch(&conversation, &body).await?;
        self.said.truncate(at);
        self.answer(accepted).await
    }

    async fn say(&mut self, text: &str) -> Result<(), Failure> {
        let mut body = message(text, &self.choices.preferences);
        if let Some(id) = &self.choices.conversation {
            put(&mut body, "conversation_id", id);
        }
        let accepted = self.client.submit(&body).await?;
        self.answer(accepted).await
    }

    async fn answer(&mut self, accepted: Accepted) -> Result<(), Failure> {
        let (id, conversation) = (
            accepted.correlation_id,
            accepted.conversation_id.to_string(),
        );
        let mut screen = Screen::default();
        let stopped = tokio::select! {
            followed = self.follow(&id, &mut screen) => { followed?; false }
            _ = tokio::signal::ctrl_c() => true,
        };
        if stopped {
            self.client.cancel(&id).await?;
            self.keep(conversation, accepted.run_id.to_string());
            writeln!(self.out)?;
            return self.note("(stopped)");
        }
        let view = self.client.message(&id).await?;
        // A conversation that does not exist is not gone on with.
        let refused = view.error.as_ref().map(|error| error.code.as_str());
        if refused != Some("unknown_conversation") {
            self.keep(conversation, accepted.run_id.to_string());
        }
        self.close(&view, &screen)
    }

    fn keep(&mut self, conversation: String, run: String) {
        self.said.push((conversation.clone(), run));
        self.choices.conversation = Some(conversation);
    }

    async fn follow(&mut self, id: &str, screen: &mut Screen) -> Result<(), Failure> {
        let mut events = self.client.events(id, Instant::now() + PATIENCE);
        let mut seen = BTreeSet::new();
        while let Some(event) = events.next().await? {
            self.draw(screen, &event)?;
            let LiveEvent::Approval { request, .. } = &event else {
                continue;
            };
            if let Some(call) = Call::read(request)
                && seen.insert(call.approval_id.clone())
            {
                events.extend(self.decide(&call).await?);
            }
        }
        Ok(())
    }

    /// How long it took.
    async fn decide(&mut self, call: &Call) -> Result<Duration, Failure> {
        let asked_at = Instant::now();
        writeln!(self.out, "{}", call.lines())?;
        let decision = if self.is_terminal {
            deciding::ask(&mut self.typed, self.out).await?
        } else {
            None
        };
        let said = match decision {
            Some(decision) => deciding::tell(self.client, call, decision).await?,
            None => call.todo(self.client.base()),
        };
        writeln!(self.out, "{said}")?;
        self.out.flush()?;
        Ok(asked_at.elapsed())
    }

    fn draw(&mut self, screen: &mut Screen, event: &LiveEvent) -> Result<(), Failure> {
        let drawn = screen.apply(event);
        if drawn.line_break {
            writeln!(self.out)?;
        }
        write!(self.out, "{}", drawn.text)?;
        if let Some(line) = tool_line(event) {
            writeln!(self.out, "{line}")?;
        }
        Ok(self.out.flush()?)
    }

    /// What is still missing on the screen, and the end of the line.
    fn close(&mut self, view: &MessageView, screen: &Screen) -> Result<(), Failure> {
        let missing = view.text.as_deref().filter(|text| *text != screen.shown());
        if let Some(text) = missing {
            write!(self.out, "\n{text}")?;
        }
        writeln!(self.out)?;
        if let Some(words) = agreement(view) {
            self.note(&format!("({words})"))?;
        }
        match (&view.error, view.status) {
            (Some(error), _) => Err(
                Failure::failed(format!("{} ({})", error.detail, error.code))
                    .todo(format!("nexus trace {}", view.correlation_id)),
            ),
            (None, Status::Completed) => Ok(()),
            (None, status) => Err(Failure::failed(format!("the run is still {status:?}"))),
        }
    }

    fn note(&mut self, text: &str) -> Result<(), Failure> {
        Ok(writeln!(self.out, "{}", toned(Tone::Faint, text))?)
    }
}

fn put(message: &mut Value, name: &str, value: &str) {
    if let Some(fields) = message.as_object_mut() {
        fields.insert(name.to_owned(), value.into());
    }
}
