//! What is done with a conversation as a whole.

use nexus_contracts::Extra;
use nexus_contracts::chat::{ChatMessage, Role};
use nexus_contracts::conversation::{ConversationDocument, FORMAT, SaidMessage, Speaker};
use nexus_contracts::events::{
    ConversationBranched, ConversationDeleted, ConversationImported, ConversationRenamed,
};
use nexus_contracts::tool::Taint;

use super::command::{Command, Fact, Timer};
use super::event::{Branch, Ctx, Reject};
use super::requests;
use super::run::failure;
use super::state::{Parent, RunHeader, State, Title};
use super::summary::{MOST_TITLE, tell};

/// Most messages of a conversation that is imported.
pub const MOST_IMPORTED: usize = 10_000;

/// Gives it another title.
///
/// # Errors
/// [`Reject::Refused`] when the title is empty or too long.
pub fn rename(state: &mut State, header: &RunHeader, title: &str) -> Result<Vec<Command>, Reject> {
    let title = checked_title(title)?;
    state.title = Some(Title {
        text: title.clone(),
        automatic: false,
    });
    let fact = Fact::Renamed(ConversationRenamed {
        conversation_id: state.conversation_id,
        title,
        automatic: false,
        extra: Extra::new(),
    });
    Ok(vec![tell(header, "renamed", fact)])
}

fn checked_title(title: &str) -> Result<String, Reject> {
    let title = title.trim();
    let count = title.chars().count();
    if count == 0 || count > MOST_TITLE || title.contains(char::is_control) {
        return Err(Reject::refused(
            "bad_request",
            format!("a title has 1 to {MOST_TITLE} characters and no line breaks"),
        ));
    }
    Ok(title.to_owned())
}

/// Leaves another conversation at an earlier point, and goes on with another message.
///
/// # Errors
/// [`Reject::Refused`] when the parent has no such run, is somebody else's, or the message cannot
/// be taken.
pub fn branch(
    state: &mut State,
    header: &RunHeader,
    branch: &Branch,
    ctx: &Ctx<'_>,
) -> Result<Vec<Command>, Reject> {
    // Somebody else's conversation is told from none at all by nobody.
    let base = branch.base.as_deref();
    let base = base.filter(|base| base.owner == Some(header.user_id));
    let base = base.ok_or_else(|| {
        Reject::refused(
            "unknown_run",
            format!(
                "the conversation {} has no message that started the run {}, or its history is \
                 not kept any more",
                branch.parent, branch.run_id
            ),
        )
    })?;
    *state = State {
        owner: base.owner,
        parent: Some(Parent {
            conversation_id: branch.parent,
            run_id: branch.run_id,
        }),
        title: base.title.clone(),
        settings: base.settings.clone(),
        summary: base.summary.clone(),
        messages: base.messages.clone(),
        privacy: base.privacy,
        taint: base.taint,
        ..State::new(state.conversation_id)
    };
    let fact = Fact::Branched(ConversationBranched {
        conversation_id: state.conversation_id,
        parent: branch.parent,
        run_id: branch.run_id,
        title: base.title.as_ref().map(|title| title.text.clone()),
        extra: Extra::new(),
    });
    let mut commands = requests::submit(state, header, &branch.message, ctx)?;
    commands.push(tell(header, "branched", fact));
    Ok(commands)
}

/// Opens a conversation with what was said elsewhere.
///
/// # Errors
/// [`Reject::Refused`] when the document cannot be taken.
pub fn import(
    state: &mut State,
    header: &RunHeader,
    document: &ConversationDocument,
    ctx: &Ctx<'_>,
) -> Result<Vec<Command>, Reject> {
    check(document)?;
    let title = document.title.as_deref().map(checked_title).transpose()?;
    let messages = document.messages.iter().map(|message| {
        let role = match message.role {
            Speaker::User => Role::User,
            Speaker::Assistant => Role::Assistant,
        };
        ChatMessage::text(role, message.text.clone())
    });
    *state = State {
        owner: Some(header.user_id),
        title: title.map(|text| Title {
            text,
            automatic: false,
        }),
        messages: messages.collect(),
        // Anybody may have written the document.
        taint: Taint::UNTRUSTED,
        ..State::new(state.conversation_id)
    };
    let most = ctx.environment.bounds.max_messages;
    super::context::trim(&mut state.messages, most, u64::MAX);
    let fact = Fact::Imported(ConversationImported {
        conversation_id: state.conversation_id,
        conversation: document.clone(),
        extra: Extra::new(),
    });
    Ok(vec![tell(header, "imported", fact)])
}

fn check(document: &ConversationDocument) -> Result<(), Reject> {
    let bad = |detail: String| Err(Reject::refused("bad_request", detail));
    if document.format != FORMAT || document.version != 1 {
        return bad(format!(
            "the document is `{}` version {}; this takes `{FORMAT}` version 1",
            document.format, document.version
        ));
    }
    let count = document.messages.len();
    if count == 0 || count > MOST_IMPORTED {
        return bad(format!(
            "the document has {count} messages; this takes 1 to {MOST_IMPORTED}"
        ));
    }
    // An agent may have said nothing; what was exported must be taken.
    let empty = |message: &SaidMessage| {
        message.role == Speaker::Assistant && message.text.trim().is_empty()
    };
    let said = document.messages.iter().enumerate();
    for (at, message) in said.filter(|(_, message)| !empty(message)) {
        if let Err(Reject::Refused { detail, .. }) = requests::check_text(&message.text) {
            return bad(format!("messages[{at}]: {detail}"));
        }
    }
    Ok(())
}

/// Erases it. What is going on in it ends.
pub fn delete(state: &mut State, header: &RunHeader) -> Vec<Command> {
    let mut commands = vec![Command::Erase];
    let detail = "the conversation was deleted";
    if let Some(run) = state.active.take() {
        let run_id = run.header.run_id;
        let asked = run.pending.approvals().into_iter();
        let timers = asked.map(|approval| Timer::Approval(run_id, approval));
        let timers = timers.chain([Timer::Deadline(run_id)]);
        commands.push(Command::Cancel {
            run_id,
            until: run.deadline,
        });
        commands.push(Command::Settle {
            commands: run.pending.commands(),
        });
        commands.extend(timers.map(|timer| Command::ClearTimer { timer }));
        commands.push(failure(&run.header, "cancelled", detail, run.metadata));
    }
    for queued in std::mem::take(&mut state.queued) {
        let metadata = queued.message.metadata;
        commands.push(failure(&queued.header, "cancelled", detail, metadata));
    }
    let asked = state.summarizing.take();
    commands.push(Command::Settle {
        commands: asked.map(|one| one.command).into_iter().collect(),
    });
    *state = State {
        owner: state.owner,
        deleted: true,
        ..State::new(state.conversation_id)
    };
    let fact = Fact::Deleted(ConversationDeleted {
        conversation_id: state.conversation_id,
        extra: Extra::new(),
    });
    commands.push(tell(header, "deleted", fact));
    commands
}
