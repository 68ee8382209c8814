//! What people and programs ask for.

use nexus_contracts::RunId;
use nexus_contracts::events::MessageSubmitted;
use nexus_contracts::events::message::MAX_TEXT_BYTES;
use nexus_contracts::settings::OnBusy;

use super::command::Command;
use super::event::{Asked, Ctx, Reject, Request};
use super::state::{Queued, RunHeader, State};
use super::{approvals, conversation, run};

/// Carries out a request.
///
/// # Errors
/// [`Reject::Refused`] when it cannot be; the state is then of no use.
pub fn asked(state: &mut State, asked: &Asked, ctx: &Ctx<'_>) -> Result<Vec<Command>, Reject> {
    let Asked { header, request } = asked;
    if state.deleted || state.owner.is_some_and(|owner| owner != header.user_id) {
        return Err(Reject::unknown_conversation(state.conversation_id));
    }
    let mut commands = vec![Command::Accept {
        header: header.clone(),
        event: asked.accepted(state.conversation_id),
    }];
    commands.extend(match request {
        Request::Submit(message) => submit(state, header, message, ctx)?,
        Request::Cancel { run_id } => cancel(state, *run_id, ctx)?,
        Request::Decide(decision) => approvals::decided(state, decision, ctx)?,
        Request::Rename { title } => conversation::rename(state, header, title)?,
        Request::Configure(settings) => {
            state.settings = settings.as_ref().clone();
            Vec::new()
        }
        Request::Branch(branch) => conversation::branch(state, header, branch, ctx)?,
        Request::Delete => conversation::delete(state, header),
        Request::Import(document) => conversation::import(state, header, document, ctx)?,
    });
    Ok(commands)
}

/// Takes a message: it starts a run, waits for the one going on, or ends it.
///
/// # Errors
/// [`Reject::Refused`] when it cannot be taken.
pub fn submit(
    state: &mut State,
    header: &RunHeader,
    message: &MessageSubmitted,
    ctx: &Ctx<'_>,
) -> Result<Vec<Command>, Reject> {
    check(message, ctx)?;
    state.owner = Some(header.user_id);
    let mut commands = Vec::new();
    let (header, message) = (header.clone(), message.clone());
    let Some(active) = &state.active else {
        commands.extend(run::start(state, header, message, ctx));
        return Ok(commands);
    };
    match run::settings_of(state, &header, &message, ctx).on_busy {
        OnBusy::Reject => return Err(busy("another message is being answered")),
        OnBusy::Queue if state.queued.len() >= ctx.environment.bounds.max_queued => {
            let waiting = state.queued.len();
            return Err(busy(&format!("{waiting} messages already wait")));
        }
        OnBusy::Queue => state.queued.push_back(Queued { header, message }),
        OnBusy::Interrupt => {
            commands.push(Command::Cancel {
                run_id: active.header.run_id,
                until: active.deadline,
            });
            state.queued.push_front(Queued { header, message });
            let why = ("interrupted", "another message came and took its place");
            commands.extend(run::stop(state, why, ctx));
        }
    }
    Ok(commands)
}

fn busy(why: &str) -> Reject {
    let detail = format!("{why} in this conversation; send it again when that has ended");
    Reject::refused("conversation_busy", detail)
}

/// What is wrong with a message itself.
fn check(message: &MessageSubmitted, ctx: &Ctx<'_>) -> Result<(), Reject> {
    check_text(&message.text)?;
    let known = &ctx.environment.tools;
    let asked = message.settings.tools.iter().flatten();
    match asked
        .into_iter()
        .find(|name| !known.contains_key(name.as_str()))
    {
        None => Ok(()),
        Some(name) => {
            let known: Vec<&str> = known.keys().map(String::as_str).collect();
            let known = if known.is_empty() {
                "none".to_owned()
            } else {
                known.join(", ")
            };
            Err(Reject::refused(
                "unknown_tool",
                format!("there is no tool `{name}`; there are: {known}"),
            ))
        }
    }
}

/// What is wrong with something that was said.
///
/// # Errors
/// [`Reject::Refused`] when it is empty, too long, or contains NUL.
pub fn check_text(text: &str) -> Result<(), Reject> {
    let bad = |detail: String| Err(Reject::refused("bad_request", detail));
    if text.trim().is_empty() {
        return bad("`text` is empty; say something".to_owned());
    }
    if text.len() > MAX_TEXT_BYTES {
        return bad(format!(
            "`text` has {} bytes, the limit is {MAX_TEXT_BYTES}; send less, or a link",
            text.len()
        ));
    }
    if text.contains('\0') {
        return bad("`text` contains a NUL character; remove it".to_owned());
    }
    Ok(())
}

/// Ends a run, or takes its message out of the queue.
fn cancel(state: &mut State, run_id: RunId, ctx: &Ctx<'_>) -> Result<Vec<Command>, Reject> {
    let why = ("cancelled", "cancelled on request");
    let queued = state.queued.iter();
    let queued = queued.map(|queued| queued.header.run_id);
    if let Some(at) = queued.into_iter().position(|queued| queued == run_id) {
        let removed = state.queued.remove(at).ok_or(Reject::Stale)?;
        let metadata = removed.message.metadata;
        let failed = run::failure(&removed.header, why.0, why.1, metadata);
        return Ok(vec![failed]);
    }
    let active = state
        .active
        .as_ref()
        .filter(|run| run.header.run_id == run_id);
    let until = active.map(|run| run.deadline).ok_or_else(|| {
        Reject::refused(
            "unknown_run",
            format!("no run {run_id} is going on in this conversation; it may have ended"),
        )
    })?;
    let mut commands = vec![Command::Cancel { run_id, until }];
    commands.extend(run::stop(state, why, ctx));
    Ok(commands)
}
