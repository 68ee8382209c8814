//! The one function that decides.

use nexus_contracts::events::{InferenceCompleted, InferenceFailed, MessageFailed};
use nexus_contracts::{MessageId, RunId};

use super::command::Command;
use super::event::{Ctx, Input, Reject};
use super::state::{Drawn, Pending, State};
use super::{approvals, requests, run, summary, tools};

/// What an event leads to: the next state and what to do, or why nothing changes.
///
/// # Errors
/// [`Reject::Stale`] for an answer nobody waits for, [`Reject::Refused`] for a request that cannot
/// be carried out; the state is then as before.
pub fn step(state: &State, input: &Input, ctx: &Ctx<'_>) -> Result<(State, Vec<Command>), Reject> {
    let mut next = state.clone();
    let commands = match input {
        Input::Asked(asked) => requests::asked(&mut next, asked, ctx)?,
        Input::DeadlinePassed { run_id } => deadline_passed(&mut next, *run_id, ctx)?,
        Input::ApprovalExpired {
            run_id,
            approval_id,
        } => approvals::expired(&mut next, *run_id, approval_id, ctx)?,
        Input::Inferred { command, result } => {
            if summary::awaits(&next, command) {
                summary::take(&mut next, result)
            } else {
                drawn(&mut next, command, Ok(result), ctx)?
            }
        }
        Input::InferenceFailed { command, failure } => {
            if summary::awaits(&next, command) {
                summary::give_up(&mut next)
            } else {
                drawn(&mut next, command, Err(failure), ctx)?
            }
        }
        Input::ToolReturned {
            command,
            content,
            taint,
        } => tools::returned(&mut next, command, (content, *taint), ctx)?,
    };
    Ok((next, commands))
}

fn deadline_passed(
    state: &mut State,
    run_id: RunId,
    ctx: &Ctx<'_>,
) -> Result<Vec<Command>, Reject> {
    let active = state.active.as_ref().ok_or(Reject::Stale)?;
    // The clock may have stood still since the timer was set.
    if active.header.run_id != run_id || active.deadline > ctx.now {
        return Err(Reject::Stale);
    }
    let detail = format!(
        "no answer within {} s; ask again, or raise `limits.seconds`",
        active.settings.seconds
    );
    Ok(run::stop(state, ("deadline_exceeded", &detail), ctx))
}

/// One of the answers that are drawn is there, or will not be. With the last one the step is over.
fn drawn(
    state: &mut State,
    command: &MessageId,
    outcome: Result<&InferenceCompleted, &InferenceFailed>,
    ctx: &Ctx<'_>,
) -> Result<Vec<Command>, Reject> {
    let mut active = state.active.take().ok_or(Reject::Stale)?;
    let Pending::Inference { samples } = &mut active.pending else {
        return Err(Reject::Stale);
    };
    let mut open = samples.iter_mut().filter(|one| one.outcome == Drawn::Open);
    let sample = open.find(|one| one.command == *command);
    let sample = sample.ok_or(Reject::Stale)?;
    let mut commands = vec![Command::Settle {
        commands: vec![command.clone()],
    }];
    match outcome {
        Ok(result) => {
            sample.outcome = Drawn::Answered(Box::new(result.clone()));
            active.usage = active.usage.plus(result.usage);
        }
        Err(_) => sample.outcome = Drawn::Failed,
    }
    if samples.iter().any(|sample| sample.outcome == Drawn::Open) {
        state.active = Some(active);
        return Ok(commands);
    }
    let samples = std::mem::take(samples);
    let answers = samples.iter().filter_map(|sample| match &sample.outcome {
        Drawn::Answered(result) => Some(result.as_ref()),
        Drawn::Open | Drawn::Failed => None,
    });
    let answers: Vec<&InferenceCompleted> = answers.collect();
    match (answers.as_slice(), outcome) {
        // All failed; the last one says why.
        ([], Err(failure)) => {
            let event = MessageFailed {
                retryable: failure.retryable,
                ..run::failed(
                    &active.header,
                    &failure.code,
                    &failure.detail,
                    active.metadata.clone(),
                )
            };
            commands.extend(run::fail_with(state, &active, event, ctx));
        }
        (answers, _) => commands.extend(run::inferred(state, active, answers, ctx)),
    }
    Ok(commands)
}
