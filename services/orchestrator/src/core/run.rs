//! The life of a run: it starts, asks a model, and ends; then the next one starts.

use nexus_contracts::chat::{ChatMessage, Role};
use nexus_contracts::events::{
    InferenceCompleted, InferenceFailed, InferenceRequested, MessageCompleted, MessageFailed,
    MessageSubmitted, ModelParameters,
};
use nexus_contracts::{Extra, MessageId};

use super::command::{Command, command_id};
use super::context;
use super::event::Ctx;
use super::state::{Pending, Run, RunHeader, RunOptions, State};
use super::tools;

/// Starts a run: its deadline is set and a model is asked.
pub fn start(
    state: &mut State,
    header: RunHeader,
    message: MessageSubmitted,
    ctx: &Ctx<'_>,
) -> Vec<Command> {
    state
        .messages
        .push(ChatMessage::text(Role::User, message.text));
    let deadline = ctx.now.plus_millis(ctx.limits.run_timeout_ms);
    let run_id = header.run_id;
    let run = Run {
        header,
        options: RunOptions {
            provider: message.provider,
            model: message.model,
            tools: message.tools,
            metadata: message.metadata,
        },
        step: 0,
        deadline,
        usage: nexus_contracts::chat::Usage::default(),
        pending: Pending::Tools { calls: Vec::new() },
    };
    let mut commands = vec![Command::SetTimer {
        run_id,
        at: deadline,
    }];
    commands.push(ask_model(state, run, ctx));
    commands
}

/// Asks a model for the next step and puts the run back as the active one.
pub fn ask_model(state: &mut State, mut run: Run, ctx: &Ctx<'_>) -> Command {
    context::trim(&mut state.messages, ctx.limits.max_context_messages);
    run.step += 1;
    let id = command_id(run.header.run_id, run.step, 0, "inference");
    run.pending = Pending::Inference {
        command: id.clone(),
    };
    let event = InferenceRequested {
        messages: context::prompt(ctx.system_prompt, &state.messages),
        tools: tools::offered(&run.options, ctx),
        provider: run.options.provider.clone(),
        model: run.options.model.clone(),
        parameters: ModelParameters::default(),
        extra: Extra::new(),
    };
    let command = Command::Infer {
        id,
        header: run.header.clone(),
        step: run.step,
        deadline: run.deadline,
        event: Box::new(event),
    };
    state.active = Some(run);
    command
}

/// A model answered: tools are called, or the answer is delivered.
pub fn inferred(state: &mut State, result: &InferenceCompleted, ctx: &Ctx<'_>) -> Vec<Command> {
    let Some(mut run) = state.active.take() else {
        return Vec::new();
    };
    let mut commands = vec![Command::Settle {
        commands: run.pending.commands(),
    }];
    run.usage = run.usage.plus(result.usage);
    if result.message.tool_calls.is_empty() {
        state.messages.push(result.message.clone());
        commands.push(completion(&run, result));
        commands.extend(end(state, &run, ctx));
        return commands;
    }
    if run.step >= ctx.limits.max_steps {
        let detail = format!(
            "the model still asked for tools after {} steps; ask something smaller, or raise \
             orchestrator.max_steps",
            run.step
        );
        commands.push(failure(
            &run.header,
            "step_limit",
            &detail,
            run.options.metadata.clone(),
        ));
        commands.extend(end(state, &run, ctx));
        return commands;
    }
    state.messages.push(result.message.clone());
    commands.extend(tools::call(state, run, &result.message.tool_calls, ctx));
    commands
}

/// No model answered: the run fails with the router's reason.
pub fn fail_inference(state: &mut State, failed: &InferenceFailed, ctx: &Ctx<'_>) -> Vec<Command> {
    let Some(run) = state.active.take() else {
        return Vec::new();
    };
    let event = MessageFailed {
        retryable: failed.retryable,
        ..failed_event(
            &run.header,
            &failed.code,
            &failed.detail,
            run.options.metadata.clone(),
        )
    };
    let mut commands = vec![Command::Fail {
        header: run.header.clone(),
        event,
    }];
    commands.extend(end(state, &run, ctx));
    commands
}

/// Ends the active run without an answer. Tool calls that have not returned get a result that
/// says so: a call without one would make the conversation unusable with every provider.
pub fn stop(state: &mut State, code: &str, detail: &str, ctx: &Ctx<'_>) -> Vec<Command> {
    let Some(run) = state.active.take() else {
        return Vec::new();
    };
    if let Pending::Tools { calls } = &run.pending {
        for call in calls {
            let content = call
                .content
                .clone()
                .unwrap_or_else(|| format!("error: {detail}"));
            state
                .messages
                .push(ChatMessage::tool_result(&call.call_id, content));
        }
    }
    let mut commands = vec![Command::Settle {
        commands: run.pending.commands(),
    }];
    commands.push(failure(
        &run.header,
        code,
        detail,
        run.options.metadata.clone(),
    ));
    commands.extend(end(state, &run, ctx));
    commands
}

/// Clears the timer and starts the next message that waits.
fn end(state: &mut State, run: &Run, ctx: &Ctx<'_>) -> Vec<Command> {
    let mut commands = vec![Command::ClearTimer {
        run_id: run.header.run_id,
    }];
    context::trim(&mut state.messages, ctx.limits.max_context_messages);
    if let Some(next) = state.queued.pop_front() {
        commands.extend(start(state, next.header, next.message, ctx));
    }
    commands
}

fn completion(run: &Run, result: &InferenceCompleted) -> Command {
    let mut metadata = run.options.metadata.clone();
    metadata.extend(result.metadata.clone());
    let event = MessageCompleted {
        run_id: run.header.run_id,
        conversation_id: run.header.conversation_id,
        text: result.message.content.clone(),
        provider: result.provider.clone(),
        model: result.model.clone(),
        usage: run.usage,
        finish_reason: result.finish_reason,
        steps: run.step,
        metadata,
        extra: Extra::new(),
    };
    Command::Complete {
        header: run.header.clone(),
        event: Box::new(event),
    }
}

/// The command that delivers a failure.
pub fn failure(header: &RunHeader, code: &str, detail: &str, metadata: Extra) -> Command {
    let event = failed_event(header, code, detail, metadata);
    Command::Fail {
        header: header.clone(),
        event,
    }
}

fn failed_event(header: &RunHeader, code: &str, detail: &str, metadata: Extra) -> MessageFailed {
    MessageFailed {
        run_id: Some(header.run_id),
        conversation_id: Some(header.conversation_id),
        code: code.to_owned(),
        detail: detail.to_owned(),
        retryable: false,
        metadata,
        extra: Extra::new(),
    }
}

/// The id of the tool command at this place of the run.
#[must_use]
pub fn tool_command_id(run: &Run, ordinal: usize) -> MessageId {
    command_id(
        run.header.run_id,
        run.step,
        u32::try_from(ordinal).unwrap_or(u32::MAX),
        "tool",
    )
}
