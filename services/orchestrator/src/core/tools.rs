//! Tool calls of a run: offered, called side by side, and handed back in the model's order.

use nexus_contracts::chat::{ChatMessage, ToolCall, ToolSpec};
use nexus_contracts::events::{Clarification, InferenceCompleted, ToolRequested};
use nexus_contracts::settings::{Privacy, ToolPolicy};
use nexus_contracts::tool::{ListedTool, Taint};
use nexus_contracts::{ConversationId, Extra, MessageId, Timestamp};

use super::command::{Command, command_id};
use super::event::{Ctx, Reject};
use super::resolve::Resolved;
use super::run::{ask_model, clarification};
use super::state::{Pending, PendingCall, Run, State};
use super::taint::{self, Holds, Objection};
use super::{aliases, approvals, clarify};

/// The tools a model may ask for in this run.
#[must_use]
pub fn offered(conversation: ConversationId, settings: &Resolved, ctx: &Ctx<'_>) -> Vec<ToolSpec> {
    let tools = ctx.environment.tools.values();
    let allowed = tools.filter(|tool| is_offered(conversation, settings, tool, ctx));
    allowed.map(ListedTool::spec).collect()
}

fn is_offered(
    conversation: ConversationId,
    settings: &Resolved,
    tool: &ListedTool,
    ctx: &Ctx<'_>,
) -> bool {
    let off = &ctx.environment.off;
    settings.offers(tool)
        && tool.stopped.is_none()
        && !off.contains(&tool.name)
        && !off.contains(&format!("{conversation}/{}", tool.name))
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
    let meant = match meant(state, &run, asked, ctx) {
        Ok(meant) => meant,
        Err(missing) => return clarification(state, &run, (result, missing), ctx),
    };
    let mut commands = Vec::new();
    let mut calls = Vec::with_capacity(meant.len());
    for (ordinal, (tool_call, brings)) in meant.iter().enumerate() {
        let mut call = PendingCall {
            command: tool_command(&run, ordinal),
            call_id: tool_call.id.clone(),
            approval: None,
            taint: Taint::default(),
            content: None,
        };
        match verdict(state, &run, (ordinal, tool_call, *brings), ctx) {
            Verdict::Refuse(why) => call.content = Some(why),
            Verdict::Ask(tool, why) => {
                call.taint = tool.capabilities.brings;
                let about = (ordinal, tool_call, why);
                commands.extend(approvals::ask(&run, &mut call, about, ctx));
            }
            Verdict::Call(tool) => {
                call.taint = tool.capabilities.brings;
                let request = (tool_call.name.clone(), tool_call.arguments.clone());
                let holds = (state.taint, state.privacy);
                commands.push(request_tool(&run, &call, request, (run.deadline, holds)));
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

/// The calls with every alias resolved, or what a person has to be asked first.
fn meant(
    state: &State,
    run: &Run,
    asked: &[ToolCall],
    ctx: &Ctx<'_>,
) -> Result<Vec<(ToolCall, Taint)>, Clarification> {
    let mut meant = Vec::with_capacity(asked.len());
    for call in asked {
        let (mut call, mut brings) = (call.clone(), Taint::default());
        let tool = ctx.environment.tools.get(&call.name);
        let offered =
            |tool: &&ListedTool| is_offered(state.conversation_id, &run.settings, tool, ctx);
        if let Some(tool) = tool.filter(offered) {
            if run.settings.clarify
                && let Some(missing) = clarify::missing(tool, &call)
            {
                return Err(missing);
            }
            match aliases::resolved(tool, &call, &run.settings.aliases) {
                // What a name stands for is the person's own.
                Ok(arguments) if arguments != call.arguments => {
                    call.arguments = arguments;
                    brings = Taint::PRIVATE;
                }
                Ok(_) => {}
                Err(missing) if run.settings.clarify => return Err(missing),
                // The tool says what it cannot do with the word.
                Err(_) => {}
            }
        }
        meant.push((call, brings));
    }
    Ok(meant)
}

/// What becomes of a call.
enum Verdict<'a> {
    /// It is made.
    Call(&'a ListedTool),
    /// A person is asked, for this reason.
    Ask(&'a ListedTool, String),
    /// It is not made; the model is told this.
    Refuse(String),
}

fn verdict<'a>(
    state: &State,
    run: &Run,
    (ordinal, call, brings): (usize, &ToolCall, Taint),
    ctx: &Ctx<'a>,
) -> Verdict<'a> {
    let most = ctx.environment.bounds.max_parallel_tools;
    let tool = ctx.environment.tools.get(&call.name);
    let offered = |tool: &&ListedTool| is_offered(state.conversation_id, &run.settings, tool, ctx);
    let Some(tool) = tool.filter(offered) else {
        return Verdict::Refuse(format!(
            "error: the tool `{}` is not available in this run",
            call.name
        ));
    };
    if ordinal >= most {
        return Verdict::Refuse(format!(
            "error: at most {most} tool calls at a time; ask again for this one"
        ));
    }
    let holds = Holds {
        taint: state.taint.with(brings),
        privacy: state.privacy,
        said: &state.messages,
    };
    match taint::objection(holds, tool, &call.arguments) {
        Some(Objection::Refuse(why)) => Verdict::Refuse(why),
        Some(Objection::Ask(why)) => Verdict::Ask(tool, why),
        None if run.settings.policy_of(tool) == ToolPolicy::Ask => {
            Verdict::Ask(tool, format!("the policy of `{}` is `ask`", tool.name))
        }
        None => Verdict::Call(tool),
    }
}

/// The command that has a tool called.
pub fn request_tool(
    run: &Run,
    call: &PendingCall,
    (name, arguments): (String, String),
    (deadline, (taint, privacy)): (Timestamp, (Taint, Privacy)),
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
            taint,
            privacy,
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
    (content, taint): (&str, Taint),
    ctx: &Ctx<'_>,
) -> Result<Vec<Command>, Reject> {
    let mut run = state.active.take().ok_or(Reject::Stale)?;
    let Pending::Tools { calls } = &mut run.pending else {
        return Err(Reject::Stale);
    };
    let open = calls
        .iter_mut()
        .find(|call| call.command == *command && call.content.is_none() && call.approval.is_none());
    let open = open.ok_or(Reject::Stale)?;
    open.content = Some(content.to_owned());
    // Whatever came of it: words of a failure may be a stranger's, too.
    state.taint = state.taint.with(open.taint).with(taint);
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
