//! A small world around the core: two tools and small limits.

use std::collections::BTreeSet;

use nexus_contracts::chat::{ChatMessage, FinishReason, Role, ToolCall, ToolSpec, Usage};
use nexus_contracts::events::{InferenceCompleted, MessageSubmitted};
use nexus_contracts::settings::{RunLimits, Settings};
use nexus_contracts::{
    ConversationId, CorrelationId, Extra, MessageId, OrgId, RunId, Timestamp, UserId,
};
use nexus_orchestrator::core::{
    Asked, Bounds, Command, Ctx, Environment, Input, Reject, Request, RunHeader, State, step,
};
use uuid::Uuid;

/// When everything happens that says no other time.
pub(crate) const NOW: i64 = 1_000;

pub(crate) struct World {
    pub(crate) environment: Environment,
}

impl Default for World {
    fn default() -> Self {
        let tool = |name: &str| ToolSpec {
            name: name.to_owned(),
            description: "for tests".to_owned(),
            parameters: serde_json::json!({ "type": "object" }),
            extra: Extra::new(),
        };
        let named = |name: &str| (name.to_owned(), tool(name).into());
        let tools = ["math_solver", "current_time"].map(named);
        let global = Settings {
            instructions: Some("be brief".to_owned()),
            limits: Some(RunLimits {
                steps: Some(4),
                seconds: Some(60),
                ..RunLimits::default()
            }),
            summary_after: Some(0),
            ..Settings::default()
        };
        let environment = Environment {
            bounds: Bounds {
                max_parallel_tools: 3,
                max_queued: 2,
                max_messages: 12,
            },
            tools: tools.into_iter().collect(),
            off: BTreeSet::new(),
            settings: [("global".to_owned(), global)].into(),
        };
        Self { environment }
    }
}

impl World {
    /// The settings of everybody.
    pub(crate) fn global(&mut self) -> &mut Settings {
        let settings = &mut self.environment.settings;
        settings.entry("global".to_owned()).or_default()
    }

    pub(crate) fn ctx(&self) -> Ctx<'_> {
        self.ctx_at(NOW)
    }

    pub(crate) fn ctx_at(&self, millis: i64) -> Ctx<'_> {
        Ctx {
            now: Timestamp::from_millis(millis),
            environment: &self.environment,
        }
    }

    pub(crate) fn apply(&self, state: &State, input: &Input) -> (State, Vec<Command>) {
        self.apply_at(NOW, state, input)
    }

    pub(crate) fn apply_at(
        &self,
        millis: i64,
        state: &State,
        input: &Input,
    ) -> (State, Vec<Command>) {
        step(state, input, &self.ctx_at(millis)).expect("the event is taken")
    }

    /// Why an event is refused, in one word.
    pub(crate) fn refused(&self, state: &State, input: &Input) -> &'static str {
        match step(state, input, &self.ctx()) {
            Err(Reject::Refused { code, .. }) => code,
            Err(Reject::Stale) => "stale",
            Ok(_) => "taken",
        }
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
        is_command: false,
    }
}

pub(crate) fn submitted(n: u8, text: &str) -> Input {
    let message = MessageSubmitted {
        text: text.to_owned(),
        ..MessageSubmitted::default()
    };
    asked(n, Request::Submit(Box::new(message)))
}

/// What the person of run `n` asks for.
pub(crate) fn asked(n: u8, request: Request) -> Input {
    let header = RunHeader {
        is_command: !matches!(request, Request::Submit(_) | Request::Branch(_)),
        ..header(n)
    };
    Input::Asked(Box::new(Asked { header, request }))
}

/// The person of run `by` no longer wants the answer of run `of`.
pub(crate) fn cancel(by: u8, of: u8) -> Input {
    let run_id = header(of).run_id;
    asked(by, Request::Cancel { run_id })
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

/// A model asks for one tool with these arguments.
pub(crate) fn asks_for(commands: &[Command], tool: &str, arguments: &str) -> Input {
    let mut message = calling([tool].into_iter());
    for call in &mut message.tool_calls {
        arguments.clone_into(&mut call.arguments);
    }
    inferred(inference(commands), message)
}

pub(crate) fn calling<'a>(tools: impl Iterator<Item = &'a str>) -> ChatMessage {
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

pub(crate) fn inferred(command: MessageId, message: ChatMessage) -> Input {
    let result = InferenceCompleted {
        message,
        finish_reason: FinishReason::Stop,
        usage: Usage::of(1, 1),
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
