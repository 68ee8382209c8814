//! `nexus chat`: talks in the terminal.

pub mod screen;

use std::io::{IsTerminal, Write};
use std::time::Duration;

use nexus_contracts::live::LiveEvent;
use nexus_entry_api::view::{MessageView, Status};
use tokio::io::{AsyncBufReadExt, BufReader, Lines, Stdin};
use tokio::time::Instant;

use crate::ask::message;
use crate::cli::{ChatArgs, Choices};
use crate::client::Client;
use crate::exit::{Exit, Failure};
use crate::locate::locate;
use crate::near::nearest;
use crate::settings::Settings;
use crate::steps::tool_line;
use crate::style::{Tone, toned};
use screen::Screen;

/// Longest wait for one answer.
const PATIENCE: Duration = Duration::from_mins(30);

const COMMANDS: [&str; 3] = ["/help", "/new", "/quit"];

const HELP: &str = "/new   starts a new conversation
/help  shows this
/quit  ends (so does Ctrl-D; Ctrl-C stops an answer)";

/// Talks until the input ends.
///
/// # Errors
/// When no node can be found, or the terminal breaks. What goes wrong with one answer is said, and
/// the talk goes on.
pub async fn chat(
    args: &ChatArgs,
    settings: &Settings,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let found = locate(settings, &args.node).await?;
    let lines = BufReader::new(tokio::io::stdin()).lines();
    let talk = Talk {
        client: &found.client,
        choices: args.choices.clone(),
        lines,
        out,
        prompts: std::io::stdin().is_terminal(),
    };
    let result = talk.run().await;
    found.leave().await.and(result)
}

struct Talk<'a, W> {
    client: &'a Client,
    choices: Choices,
    lines: Lines<BufReader<Stdin>>,
    out: &'a mut W,
    prompts: bool,
}

impl<W: Write> Talk<'_, W> {
    async fn run(mut self) -> Result<(), Failure> {
        if self.prompts {
            writeln!(
                self.out,
                "{}",
                toned(Tone::Faint, format!("node {}", self.client.base()))
            )?;
            writeln!(self.out, "{}", toned(Tone::Faint, HELP))?;
        }
        while let Some(line) = self.line().await? {
            match line.trim() {
                "" => {}
                "/quit" => break,
                "/help" => writeln!(self.out, "{HELP}")?,
                "/new" => {
                    self.choices.conversation = None;
                    writeln!(self.out, "{}", toned(Tone::Faint, "a new conversation"))?;
                }
                other if other.starts_with('/') => {
                    writeln!(self.out, "{}", nearest(other, COMMANDS))?;
                }
                text => match self.answer(text).await {
                    Err(failure) if failure.exit == Exit::Done => return Err(failure),
                    Err(failure) => writeln!(self.out, "{}", toned(Tone::Bad, failure))?,
                    Ok(()) => {}
                },
            }
        }
        Ok(())
    }

    async fn line(&mut self) -> Result<Option<String>, Failure> {
        if self.prompts {
            write!(self.out, "{} ", toned(Tone::Strong, ">"))?;
            self.out.flush()?;
        }
        tokio::select! {
            line = self.lines.next_line() => Ok(line?),
            _ = tokio::signal::ctrl_c() => Ok(None),
        }
    }

    async fn answer(&mut self, text: &str) -> Result<(), Failure> {
        let accepted = self.client.submit(&message(text, &self.choices)).await?;
        let id = accepted.correlation_id;
        let mut screen = Screen::default();
        let out = &mut *self.out;
        let follow = self.client.follow(&id, Instant::now() + PATIENCE, |event| {
            draw(out, &mut screen, event)
        });
        let stopped = tokio::select! {
            followed = follow => { followed?; false }
            _ = tokio::signal::ctrl_c() => true,
        };
        self.choices.conversation = Some(accepted.conversation_id.to_string());
        if stopped {
            self.client.cancel(&id).await?;
            writeln!(self.out, "\n{}", toned(Tone::Faint, "(stopped)"))?;
            return Ok(());
        }
        let view = self.client.message(&id).await?;
        self.close(&view, &screen)
    }

    /// What is still missing on the screen, and the end of the line.
    fn close(&mut self, view: &MessageView, screen: &Screen) -> Result<(), Failure> {
        if let Some(text) = view
            .text
            .as_ref()
            .filter(|text| text.as_str() != screen.shown())
        {
            write!(self.out, "\n{text}")?;
        }
        writeln!(self.out)?;
        match (&view.error, view.status) {
            (Some(error), _) => Err(
                Failure::failed(format!("{} ({})", error.detail, error.code))
                    .todo(format!("nexus trace {}", view.correlation_id)),
            ),
            (None, Status::Completed) => Ok(()),
            (None, status) => Err(Failure::failed(format!("the run is still {status:?}"))),
        }
    }
}

fn draw(out: &mut impl Write, screen: &mut Screen, event: &LiveEvent) -> Result<(), Failure> {
    let drawn = screen.apply(event);
    if drawn.line_break {
        writeln!(out)?;
    }
    write!(out, "{}", drawn.text)?;
    if let Some(line) = tool_line(event) {
        writeln!(out, "{line}")?;
    }
    out.flush()?;
    Ok(())
}
