//! Tool calls of a run: offered, called side by side, and handed back in the model's order.

use nexus_contracts::chat::{ChatMessage, ToolCall, ToolSpec};
use nexus_contracts::events::ToolRequested;
use nexus_contracts::{Extra, MessageId};

use super::command::Command;
use super::event::{Ctx, Reject};
use super::run::{ask_model, tool_command_id};
use super::state::{Pending, PendingCall, Run, RunOptions, State};

/// The tools a model may ask for in this run.
#[must_use]
pub fn offered(options: &RunOptions, ctx: &Ctx<'_>) -> Vec<ToolSpec> {
    let allowed = ctx
        .tools
        .values()
        .filter(|tool| may_call(options, &tool.name));
    allowed.cloned().collect()
}

fn may_call(options: &RunOptions, name: &str) -> bool {
    options
        .tools
        .as_ref()
        .is_none_or(|allowed| allowed.iter().any(|tool| tool == name))
}

/// Calls every tool the model asked for. A call that is not allowed is answered at once, in words
/// the model can act on, and never reaches the executor.
pub fn call(state: &mut State, mut run: Run, asked: &[ToolCall], ctx: &Ctx<'_>) -> Vec<Command> {
    let mut commands = Vec::new();
    let mut calls = Vec::new();
    for (ordinal, tool_call) in asked.iter().enumerate() {
        let command = tool_command_id(&run, ordinal);
        let refusal = if !may_call(&run.options, &tool_call.name) {
            Some(format!(
                "error: the tool `{}` is not available in this run",
                tool_call.name
            ))
        } else if ordinal >= ctx.limits.max_parallel_tools {
            let most = ctx.limits.max_parallel_tools;
            Some(format!(
                "error: at most {most} tool calls at a time; ask again for this one"
            ))
        } else {
            None
        };
        if refusal.is_none() {
            commands.push(Command::CallTool {
                id: command.clone(),
                header: run.header.clone(),
                step: run.step,
                deadline: run.deadline,
                event: ToolRequested {
                    call_id: tool_call.id.clone(),
                    name: tool_call.name.clone(),
                    arguments: tool_call.arguments.clone(),
                    extra: Extra::new(),
                },
            });
        }
        calls.push(PendingCall {
            command,
            call_id: tool_call.id.clone(),
            content: refusal,
        });
    }
    run.pending = Pending::Tools { calls };
    if commands.is_empty() {
        return vec![go_on(state, run, ctx)];
    }
    state.active = Some(run);
    commands
}

/// A tool returned. When it was the last of its step, the model gets to see all of them.
///
/// # Errors
/// [`Reject::Stale`] when nobody waits for it.
pub fn returned(
    state: &mut State,
    command: &MessageId,
    content: &str,
    ctx: &Ctx<'_>,
) -> Result<Vec<Command>, Reject> {
    let mut run = state.active.take().ok_or(Reject::Stale)?;
    let Pending::Tools { calls } = &mut run.pending else {
        return Err(Reject::Stale);
    };
    let open = calls
        .iter_mut()
        .find(|call| call.command == *command && call.content.is_none());
    open.ok_or(Reject::Stale)?.content = Some(content.to_owned());
    let done = calls.iter().all(|call| call.content.is_some());
    let mut commands = vec![Command::Settle {
        commands: vec![command.clone()],
    }];
    if done {
        commands.push(go_on(state, run, ctx));
    } else {
        state.active = Some(run);
    }
    Ok(commands)
}

fn go_on(state: &mut State, run: Run, ctx: &Ctx<'_>) -> Command {
    if let Pending::Tools { calls } = &run.pending {
        for call in calls {
            let content = call.content.clone().unwrap_or_default();
            state
                .messages
                .push(ChatMessage::tool_result(&call.call_id, content));
        }
    }
    ask_model(state, run, ctx)
}
