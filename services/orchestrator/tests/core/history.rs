//! What must hold of every history of a conversation.

use std::collections::BTreeSet;

use nexus_contracts::chat::{ChatMessage, Role};
use nexus_contracts::events::InferenceFailed;
use nexus_contracts::tool::Taint;
use nexus_contracts::{ConversationId, Extra, MessageId, RunId};
use nexus_orchestrator::core::{Command, Input, Request, State};
use uuid::Uuid;

use crate::world::{calling, inferred};

/// What happens next in a history.
pub(crate) enum Next {
    Input(Input),
    Answer(usize, Reply),
}

/// How a command is answered.
#[derive(Clone, Copy)]
pub(crate) enum Reply {
    Text,
    Tools(u8),
    Failure,
    Result,
}

/// Everything that happened so far, and what was found wrong with it.
pub(crate) struct History {
    pub(crate) state: State,
    pub(crate) wrong: String,
    issued: Vec<MessageId>,
    ended: BTreeSet<RunId>,
    submitted: BTreeSet<RunId>,
}

impl Default for History {
    fn default() -> Self {
        Self {
            state: State::new(ConversationId(Uuid::nil())),
            wrong: String::new(),
            issued: Vec::new(),
            ended: BTreeSet::new(),
            submitted: BTreeSet::new(),
        }
    }
}

impl History {
    /// The next event; `None` where there is nothing to answer yet, or a message would come twice
    /// (which the inbox, not the core, recognises).
    pub(crate) fn input(&mut self, next: &Next) -> Option<Input> {
        match next {
            Next::Input(Input::Asked(asked)) if matches!(asked.request, Request::Submit(_)) => {
                let new = self.submitted.insert(asked.header.run_id);
                new.then(|| Input::Asked(asked.clone()))
            }
            Next::Input(input) => Some(input.clone()),
            Next::Answer(at, reply) => {
                let count = self.issued.len();
                let command = self.issued.get(at.checked_rem(count)?)?.clone();
                Some(answer_with(command, *reply))
            }
        }
    }

    pub(crate) fn advance(&mut self, state: State, commands: &[Command]) -> Result<(), ()> {
        for command in commands {
            match command {
                Command::Infer { id, event, .. } => {
                    self.check_calls(&event.messages)?;
                    self.issue(id)?;
                }
                Command::CallTool { id, .. } => self.issue(id)?,
                Command::Complete { header, .. } | Command::Fail { header, .. } => {
                    let once = self.ended.insert(header.run_id);
                    self.holds(once, "a run ended twice")?;
                }
                _ => {}
            }
        }
        let idle_queue = state.active.is_none() && !state.queued.is_empty();
        self.holds(!idle_queue, "messages wait behind nothing")?;
        self.state = state;
        Ok(())
    }

    fn issue(&mut self, id: &MessageId) -> Result<(), ()> {
        self.holds(!self.issued.contains(id), "a command was issued twice")?;
        self.issued.push(id.clone());
        Ok(())
    }

    fn check_calls(&mut self, messages: &[ChatMessage]) -> Result<(), ()> {
        self.holds(
            calls_are_closed(messages),
            "a tool call without exactly one result",
        )
    }

    #[expect(
        clippy::fn_params_excessive_bools,
        reason = "a condition and what it means when it fails"
    )]
    fn holds(&mut self, holds: bool, wrong: &str) -> Result<(), ()> {
        if !holds {
            self.wrong = wrong.to_owned();
        }
        holds.then_some(()).ok_or(())
    }
}

/// Whether every call of the messages has exactly one result, directly behind it.
pub(crate) fn calls_are_closed(messages: &[ChatMessage]) -> bool {
    let mut open: Vec<&str> = Vec::new();
    let mut fine = true;
    for message in messages {
        match message.role {
            Role::Tool => {
                let id = message.tool_call_id.as_deref().unwrap_or_default();
                let before = open.len();
                open.retain(|call| *call != id);
                fine &= open.len() + 1 == before;
            }
            _ => {
                fine &= open.is_empty();
                open.extend(message.tool_calls.iter().map(|call| call.id.as_str()));
            }
        }
    }
    fine && open.is_empty()
}

fn answer_with(command: MessageId, reply: Reply) -> Input {
    match reply {
        Reply::Text => inferred(command, ChatMessage::text(Role::Assistant, "done")),
        Reply::Tools(count) => {
            let names = [
                "math_solver",
                "current_time",
                "nonsense",
                "math_solver",
                "math_solver",
            ];
            inferred(
                command,
                calling(names.into_iter().take(usize::from(count) + 1)),
            )
        }
        Reply::Failure => {
            let failure = InferenceFailed {
                code: "provider_failed".to_owned(),
                detail: "for tests".to_owned(),
                retryable: false,
                provider: None,
                extra: Extra::new(),
            };
            Input::InferenceFailed { command, failure }
        }
        Reply::Result => Input::ToolReturned {
            command,
            content: "1".to_owned(),
            taint: Taint::default(),
        },
    }
}
