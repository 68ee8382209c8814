//! A small world around the core: two tools, small limits, and what must hold of every history.

#![expect(clippy::expect_used, reason = "a helper of tests")]

use std::collections::{BTreeMap, BTreeSet};

use nexus_contracts::chat::{ChatMessage, FinishReason, Role, ToolCall, ToolSpec, Usage};
use nexus_contracts::events::{InferenceCompleted, InferenceFailed, MessageSubmitted};
use nexus_contracts::{
    ConversationId, CorrelationId, Extra, MessageId, OrgId, RunId, Timestamp, UserId,
};
use nexus_orchestrator::core::{Command, Ctx, Input, Limits, RunHeader, State, Submission, step};
use uuid::Uuid;

pub(crate) struct World {
    pub(crate) limits: Limits,
    tools: BTreeMap<String, ToolSpec>,
}

impl Default for World {
    fn default() -> Self {
        let tool = |name: &str| ToolSpec {
            name: name.to_owned(),
            description: "for tests".to_owned(),
            parameters: serde_json::json!({ "type": "object" }),
            extra: Extra::new(),
        };
        let tools = ["math_solver", "current_time"].map(|name| (name.to_owned(), tool(name)));
        let limits = Limits {
            max_steps: 4,
            max_parallel_tools: 3,
            run_timeout_ms: 60_000,
            max_queued: 2,
            max_context_messages: 12,
        };
        Self {
            limits,
            tools: tools.into_iter().collect(),
        }
    }
}

impl World {
    pub(crate) fn ctx(&self) -> Ctx<'_> {
        let now = Timestamp::from_millis(1_000);
        Ctx {
            now,
            limits: &self.limits,
            tools: &self.tools,
            system_prompt: "be brief",
        }
    }

    pub(crate) fn apply(&self, state: &State, input: &Input) -> (State, Vec<Command>) {
        step(state, input, &self.ctx()).expect("the event is taken")
    }

    pub(crate) fn first(&self, text: &str) -> (State, Vec<Command>) {
        self.apply(&State::new(header(1).conversation_id), &submitted(1, text))
    }
}

/// The run number `n`, all in one conversation.
pub(crate) fn header(n: u8) -> RunHeader {
    let id = |kind: u8| Uuid::from_bytes([kind, n, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let run_id = RunId(id(1));
    RunHeader {
        run_id,
        org_id: OrgId(Uuid::nil()),
        user_id: UserId(Uuid::nil()),
        conversation_id: ConversationId(Uuid::nil()),
        correlation_id: CorrelationId::from(run_id),
        message_id: MessageId::from(run_id),
        adapter: String::new(),
        receipts: false,
        traceparent: None,
        replay_of: None,
    }
}

pub(crate) fn submitted(n: u8, text: &str) -> Input {
    let message = MessageSubmitted {
        text: text.to_owned(),
        ..MessageSubmitted::default()
    };
    Input::Submitted(Box::new(Submission {
        header: header(n),
        message,
    }))
}

fn inference(commands: &[Command]) -> MessageId {
    let found = commands.iter().find_map(|command| match command {
        Command::Infer { id, .. } => Some(id.clone()),
        _ => None,
    });
    found.expect("a model was asked")
}

/// A model answers with text what these commands asked.
pub(crate) fn answer(commands: &[Command], text: &str) -> Input {
    let message = ChatMessage::text(Role::Assistant, text);
    inferred(inference(commands), message)
}

/// A model answers with tool calls what these commands asked.
pub(crate) fn asks(commands: &[Command], tools: &[&str]) -> Input {
    inferred(inference(commands), calling(tools.iter().copied()))
}

fn calling<'a>(tools: impl Iterator<Item = &'a str>) -> ChatMessage {
    let calls = tools.enumerate().map(|(at, name)| ToolCall {
        id: format!("call_{at}"),
        name: name.to_owned(),
        arguments: "{}".to_owned(),
    });
    ChatMessage {
        tool_calls: calls.collect(),
        ..ChatMessage::text(Role::Assistant, "")
    }
}

fn inferred(command: MessageId, message: ChatMessage) -> Input {
    let result = InferenceCompleted {
        message,
        finish_reason: FinishReason::Stop,
        usage: Usage {
            input_tokens: 1,
            output_tokens: 1,
        },
        provider: "test".to_owned(),
        model: "test-1".to_owned(),
        duration_ms: 1,
        metadata: Extra::new(),
        extra: Extra::new(),
    };
    Input::Inferred {
        command,
        result: Box::new(result),
    }
}

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
            Next::Input(Input::Submitted(submission)) => {
                let new = self.submitted.insert(submission.header.run_id);
                new.then(|| Input::Submitted(submission.clone()))
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

    /// Every call of the messages has exactly one result, directly behind it.
    fn check_calls(&mut self, messages: &[ChatMessage]) -> Result<(), ()> {
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
        fine &= open.is_empty();
        self.holds(fine, "a tool call without exactly one result")
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
        },
    }
}
