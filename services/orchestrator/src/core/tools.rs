//! Tool calls of a run: offered, called side by side, and handed back in the model's order.

use nexus_contracts::chat::{ChatMessage, ToolCall, ToolSpec};
use nexus_contracts::events::{Clarification, InferenceCompleted, ToolRequested};
use nexus_contracts::settings::ToolPolicy;
use nexus_contracts::{Extra, MessageId, Timestamp};

use super::approvals;
use super::clarify;
use super::command::{Command, command_id};
use super::event::{Ctx, Reject};
use super::resolve::Resolved;
use super::run::{ask_model, clarification};
use super::state::{Pending, PendingCall, Run, State};

/// The tools a model may ask for in this run.
#[must_use]
pub fn offered(settings: &Resolved, ctx: &Ctx<'_>) -> Vec<ToolSpec> {
    let tools = ctx.environment.tools.values();
    let allowed = tools.filter(|tool| settings.offers(&tool.name));
    allowed.cloned().collect()
}

/// Calls every tool the model asked for.
///
/// A call that is not allowed is answered at once, in words the model can act on, and never reaches
/// the executor; one that needs a person waits for them; one that lacks something ends the run with
/// a question.
pub fn call(
    state: &mut State,
    mut run: Run,
    result: &InferenceCompleted,
    ctx: &Ctx<'_>,
) -> Vec<Command> {
    let asked = &result.message.tool_calls;
    if run.settings.clarify
        && let Some(missing) = lacking(&run, asked, ctx)
    {
        return clarification(state, &run, (result, missing), ctx);
    }
    let mut commands = Vec::new();
    let mut calls = Vec::with_capacity(asked.len());
    for (ordinal, tool_call) in asked.iter().enumerate() {
        let mut call = PendingCall {
            command: tool_command(&run, ordinal),
            call_id: tool_call.id.clone(),
            approval: None,
            content: refusal(&run, ordinal, tool_call, ctx),
        };
        if call.content.is_none() {
            if run.settings.policy_of(&tool_call.name) == ToolPolicy::Ask {
                commands.extend(approvals::ask(&run, &mut call, (ordinal, tool_call), ctx));
            } else {
                let request = (tool_call.name.clone(), tool_call.arguments.clone());
                commands.push(request_tool(&run, &call, request, run.deadline));
            }
        }
        calls.push(call);
    }
    run.pending = Pending::Tools { calls };
    commands.extend(approvals::pause(&mut run, ctx));
    if commands.is_empty() {
        return go_on(state, run, ctx);
    }
    state.active = Some(run);
    commands
}

fn lacking(run: &Run, asked: &[ToolCall], ctx: &Ctx<'_>) -> Option<Clarification> {
    let offered = asked.iter().filter(|call| run.settings.offers(&call.name));
    let specs = offered.filter_map(|call| Some((ctx.environment.tools.get(&call.name)?, call)));
    specs
        .filter_map(|(tool, call)| clarify::missing(tool, call))
        .next()
}

/// Why a call is not made at all.
fn refusal(run: &Run, ordinal: usize, call: &ToolCall, ctx: &Ctx<'_>) -> Option<String> {
    let most = ctx.environment.bounds.max_parallel_tools;
    if !run.settings.offers(&call.name) {
        return Some(format!(
            "error: the tool `{}` is not available in this run",
            call.name
        ));
    }
    (ordinal >= most)
        .then(|| format!("error: at most {most} tool calls at a time; ask again for this one"))
}

/// The command that has a tool called.
pub fn request_tool(
    run: &Run,
    call: &PendingCall,
    (name, arguments): (String, String),
    deadline: Timestamp,
) -> Command {
    Command::CallTool {
        id: call.command.clone(),
        header: run.header.clone(),
        step: run.step,
        deadline,
        event: ToolRequested {
            call_id: call.call_id.clone(),
            name,
            arguments,
            extra: Extra::new(),
        },
    }
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
        .find(|call| call.command == *command && call.content.is_none() && call.approval.is_none());
    open.ok_or(Reject::Stale)?.content = Some(content.to_owned());
    let mut commands = vec![Command::Settle {
        commands: vec![command.clone()],
    }];
    commands.extend(go_on_if_done(state, run, ctx));
    Ok(commands)
}

/// Asks the model again once every call of the step has its result.
pub fn go_on_if_done(state: &mut State, run: Run, ctx: &Ctx<'_>) -> Vec<Command> {
    let done = match &run.pending {
        Pending::Tools { calls } => calls.iter().all(|call| call.content.is_some()),
        Pending::Inference { .. } => false,
    };
    if done {
        return go_on(state, run, ctx);
    }
    state.active = Some(run);
    Vec::new()
}

fn go_on(state: &mut State, run: Run, ctx: &Ctx<'_>) -> Vec<Command> {
    close(state, &run.pending, "");
    ask_model(state, run, ctx)
}

/// Hands the results of a step to the model; calls without one get `otherwise`: a call without a
/// result would make the conversation unusable with every provider.
pub fn close(state: &mut State, pending: &Pending, otherwise: &str) {
    let Pending::Tools { calls } = pending else {
        return;
    };
    for call in calls {
        let content = call.content.clone();
        let content = content.unwrap_or_else(|| otherwise.to_owned());
        state
            .messages
            .push(ChatMessage::tool_result(&call.call_id, content));
    }
}

/// The id of the tool command at this place of the run.
#[must_use]
pub fn tool_command(run: &Run, ordinal: usize) -> MessageId {
    let ordinal = u32::try_from(ordinal).unwrap_or(u32::MAX);
    command_id(run.header.run_id, run.step, ordinal, "tool")
}
