//! The one function that decides.

use nexus_contracts::events::message::MAX_TEXT_BYTES;
use nexus_contracts::events::{InferenceFailed, MessageAccepted, MessageSubmitted};
use nexus_contracts::{MessageId, RunId};

use super::command::Command;
use super::event::{Ctx, Input, Reject, Submission};
use super::run;
use super::state::{Pending, Queued, RunHeader, State};
use super::tools;

/// What an event leads to: the next state and what to do, or why nothing changes.
///
/// # Errors
/// [`Reject::Stale`] for an answer nobody waits for, [`Reject::Refused`] for a message that cannot
/// be taken; the state is then as before.
pub fn step(state: &State, input: &Input, ctx: &Ctx<'_>) -> Result<(State, Vec<Command>), Reject> {
    let mut next = state.clone();
    let commands = match input {
        Input::Submitted(submission) => submitted(&mut next, submission, ctx)?,
        Input::Cancelled { run_id } => cancelled(&mut next, *run_id, ctx)?,
        Input::DeadlinePassed { run_id } => {
            active(&next, *run_id)?;
            let detail = format!(
                "no answer within {} s; ask again, or raise orchestrator.run_timeout",
                ctx.limits.run_timeout_ms / 1000
            );
            run::stop(&mut next, "deadline_exceeded", &detail, ctx)
        }
        Input::Inferred { command, result } => {
            waits_for_model(&next, command)?;
            run::inferred(&mut next, result, ctx)
        }
        Input::InferenceFailed { command, failure } => {
            waits_for_model(&next, command)?;
            inference_failed(&mut next, command, failure, ctx)
        }
        Input::ToolReturned { command, content } => {
            tools::returned(&mut next, command, content, ctx)?
        }
    };
    Ok((next, commands))
}

fn submitted(
    state: &mut State,
    submission: &Submission,
    ctx: &Ctx<'_>,
) -> Result<Vec<Command>, Reject> {
    check(&submission.message, ctx)?;
    let Submission { header, message } = submission;
    let accept = Command::Accept {
        header: header.clone(),
        event: MessageAccepted {
            run_id: header.run_id,
            conversation_id: state.conversation_id,
            extra: nexus_contracts::Extra::new(),
        },
    };
    let mut commands = vec![accept];
    if state.active.is_some() {
        if state.queued.len() >= ctx.limits.max_queued {
            return Err(refused(
                "conversation_busy",
                format!(
                    "{} messages already wait in this conversation; send it again when some are answered",
                    state.queued.len()
                ),
            ));
        }
        state.queued.push_back(Queued {
            header: header.clone(),
            message: message.clone(),
        });
    } else {
        commands.extend(run::start(state, header.clone(), message.clone(), ctx));
    }
    Ok(commands)
}

/// What is wrong with a message itself.
fn check(message: &MessageSubmitted, ctx: &Ctx<'_>) -> Result<(), Reject> {
    if message.text.trim().is_empty() {
        return Err(refused(
            "bad_request",
            "`text` is empty; say something".to_owned(),
        ));
    }
    if message.text.len() > MAX_TEXT_BYTES {
        let detail = format!(
            "`text` has {} bytes, the limit is {MAX_TEXT_BYTES}; send less, or a link",
            message.text.len()
        );
        return Err(refused("bad_request", detail));
    }
    if message.text.contains('\0') {
        return Err(refused(
            "bad_request",
            "`text` contains a NUL character; remove it".to_owned(),
        ));
    }
    let unknown = message
        .tools
        .iter()
        .flatten()
        .find(|name| !ctx.tools.contains_key(name.as_str()));
    match unknown {
        None => Ok(()),
        Some(name) => {
            let known: Vec<&str> = ctx.tools.keys().map(String::as_str).collect();
            let known = if known.is_empty() {
                "none".to_owned()
            } else {
                known.join(", ")
            };
            Err(refused(
                "unknown_tool",
                format!("there is no tool `{name}`; there are: {known}"),
            ))
        }
    }
}

fn refused(code: &'static str, detail: String) -> Reject {
    Reject::Refused { code, detail }
}

fn cancelled(state: &mut State, run_id: RunId, ctx: &Ctx<'_>) -> Result<Vec<Command>, Reject> {
    let detail = "cancelled on request";
    if let Some(at) = state
        .queued
        .iter()
        .position(|queued| queued.header.run_id == run_id)
    {
        let removed = state.queued.remove(at).ok_or(Reject::Stale)?;
        return Ok(vec![run::failure(
            &removed.header,
            "cancelled",
            detail,
            removed.message.metadata,
        )]);
    }
    let header = active(state, run_id)?;
    let until = state.active.as_ref().map_or(ctx.now, |run| run.deadline);
    let mut commands = vec![Command::Cancel {
        run_id: header.run_id,
        until,
    }];
    commands.extend(run::stop(state, "cancelled", detail, ctx));
    Ok(commands)
}

fn inference_failed(
    state: &mut State,
    command: &MessageId,
    failure: &InferenceFailed,
    ctx: &Ctx<'_>,
) -> Vec<Command> {
    let mut commands = vec![Command::Settle {
        commands: vec![command.clone()],
    }];
    commands.extend(run::fail_inference(state, failure, ctx));
    commands
}

/// The header of the run going on, if it is this one.
fn active(state: &State, run_id: RunId) -> Result<RunHeader, Reject> {
    match &state.active {
        Some(run) if run.header.run_id == run_id => Ok(run.header.clone()),
        _ => Err(Reject::Stale),
    }
}

fn waits_for_model(state: &State, answered: &MessageId) -> Result<(), Reject> {
    match state.active.as_ref().map(|run| &run.pending) {
        Some(Pending::Inference { command }) if command == answered => Ok(()),
        _ => Err(Reject::Stale),
    }
}
