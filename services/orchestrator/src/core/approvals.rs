//! Tool calls that wait for a person. The run's clock stands still meanwhile.

use nexus_contracts::chat::ToolCall;
use nexus_contracts::events::approval::arguments_hash;
use nexus_contracts::events::{ApprovalDecided, ApprovalRequested, Decision};
use nexus_contracts::{Extra, MessageId, RunId};

use super::command::{Command, Timer, command_id};
use super::event::{Ctx, Reject};
use super::state::{Pending, PendingApproval, PendingCall, Run, RunHeader, State};
use super::tools::{go_on_if_done, request_tool};

/// Asks a person about a call.
pub fn ask(
    run: &Run,
    call: &mut PendingCall,
    (ordinal, tool_call, reason): (usize, &ToolCall, String),
    ctx: &Ctx<'_>,
) -> [Command; 2] {
    let seconds = i64::from(run.settings.approval_seconds);
    let expires_at = ctx.now.plus_millis(seconds * 1000);
    call.approval = Some(PendingApproval {
        tool: tool_call.name.clone(),
        arguments: tool_call.arguments.clone(),
        expires_at,
    });
    let RunHeader {
        run_id,
        conversation_id,
        ..
    } = run.header;
    let event = ApprovalRequested {
        approval_id: call.command.clone(),
        run_id,
        conversation_id,
        call_id: call.call_id.clone(),
        tool: tool_call.name.clone(),
        arguments: tool_call.arguments.clone(),
        arguments_hash: arguments_hash(&tool_call.name, &tool_call.arguments),
        reason,
        expires_at,
        extra: Extra::new(),
    };
    let ordinal = u32::try_from(ordinal).unwrap_or(u32::MAX);
    let asked = Command::AskApproval {
        id: command_id(run_id, run.step, ordinal, "approval"),
        header: run.header.clone(),
        step: run.step,
        event: Box::new(event),
    };
    let timer = Command::SetTimer {
        timer: Timer::Approval(run_id, call.command.clone()),
        at: expires_at,
    };
    [asked, timer]
}

/// Stops the run's clock if a person is asked.
pub fn pause(run: &mut Run, ctx: &Ctx<'_>) -> Option<Command> {
    let Pending::Tools { calls } = &run.pending else {
        return None;
    };
    let waits = calls.iter().filter_map(|call| call.approval.as_ref());
    let latest = waits.map(|approval| approval.expires_at).max()?;
    let left = run.deadline.as_millis() - ctx.now.as_millis();
    run.paused_ms = Some(left);
    run.deadline = latest.plus_millis(left);
    Some(deadline_timer(run))
}

/// Lets the run's clock go on once nobody is asked any more.
fn resume(run: &mut Run, ctx: &Ctx<'_>) -> Option<Command> {
    if !run.pending.approvals().is_empty() {
        return None;
    }
    let left = run.paused_ms.take()?;
    run.deadline = ctx.now.plus_millis(left);
    Some(deadline_timer(run))
}

fn deadline_timer(run: &Run) -> Command {
    Command::SetTimer {
        timer: Timer::Deadline(run.header.run_id),
        at: run.deadline,
    }
}

/// A person decided.
///
/// # Errors
/// [`Reject::Refused`] when nothing waits for this decision, or for one about other arguments.
pub fn decided(
    state: &mut State,
    decision: &ApprovalDecided,
    ctx: &Ctx<'_>,
) -> Result<Vec<Command>, Reject> {
    let call = waiting(state, decision.run_id, &decision.approval_id);
    let call = call.ok_or_else(|| {
        Reject::refused(
            "unknown_approval",
            "nothing waits for this decision; it was made, has expired, or the run has ended",
        )
    })?;
    let hash = |approval: &PendingApproval| arguments_hash(&approval.tool, &approval.arguments);
    if call.approval.as_ref().map(hash).as_ref() != Some(&decision.arguments_hash) {
        return Err(Reject::refused(
            "arguments_changed",
            "`arguments_hash` is not that of the call that waits; decide about what \
             `approval.requested` shows",
        ));
    }
    let refusal = match decision.decision {
        Decision::Approve => None,
        Decision::Deny => Some(match &decision.comment {
            None => "error: a person decided against this call".to_owned(),
            Some(why) => format!("error: a person decided against this call: {why}"),
        }),
    };
    let answer = (decision.run_id, &decision.approval_id, refusal);
    settle(state, answer, ctx)
}

/// Nobody decided in time.
///
/// # Errors
/// [`Reject::Stale`] when nothing waits for a decision, or not until now.
pub fn expired(
    state: &mut State,
    run_id: RunId,
    approval_id: &MessageId,
    ctx: &Ctx<'_>,
) -> Result<Vec<Command>, Reject> {
    let call = waiting(state, run_id, approval_id).ok_or(Reject::Stale)?;
    let expires_at = call.approval.as_ref().map(|approval| approval.expires_at);
    if expires_at.is_none_or(|at| at > ctx.now) {
        return Err(Reject::Stale);
    }
    let refusal = "error: nobody approved this call in time".to_owned();
    settle(state, (run_id, approval_id, Some(refusal)), ctx)
}

/// Makes the call, or hands `refusal` to the model instead.
fn settle(
    state: &mut State,
    (run_id, approval_id, refusal): (RunId, &MessageId, Option<String>),
    ctx: &Ctx<'_>,
) -> Result<Vec<Command>, Reject> {
    let mut run = state.active.take().ok_or(Reject::Stale)?;
    let Pending::Tools { calls } = &mut run.pending else {
        return Err(Reject::Stale);
    };
    let call = calls.iter_mut().find(|call| call.command == *approval_id);
    let call = call.ok_or(Reject::Stale)?;
    let approval = call.approval.take().ok_or(Reject::Stale)?;
    call.content = refusal;
    let call = call.clone();
    let left = run.paused_ms.unwrap_or_default();
    let mut commands = vec![Command::ClearTimer {
        timer: Timer::Approval(run_id, approval_id.clone()),
    }];
    commands.extend(resume(&mut run, ctx));
    if call.content.is_none() {
        let deadline = ctx.now.plus_millis(left);
        let request = (approval.tool, approval.arguments);
        let holds = (state.taint, state.privacy);
        commands.push(request_tool(&run, &call, request, (deadline, holds)));
    }
    commands.extend(go_on_if_done(state, run, ctx));
    Ok(commands)
}

fn waiting<'a>(
    state: &'a State,
    run_id: RunId,
    approval_id: &MessageId,
) -> Option<&'a PendingCall> {
    let run = state.active.as_ref()?;
    let Pending::Tools { calls } = &run.pending else {
        return None;
    };
    let mut open = calls.iter().filter(|call| call.approval.is_some());
    open.find(|call| run.header.run_id == run_id && call.command == *approval_id)
}
