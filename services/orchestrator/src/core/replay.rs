//! Folding a conversation again from what the journal kept.

use nexus_contracts::chat::Role;
use nexus_contracts::{RunId, Timestamp};

use super::event::{Ctx, Environment, Input, Reject};
use super::state::State;
use super::step::step;

/// An event as the journal kept it.
#[derive(Clone, Debug)]
pub struct Past<'a> {
    /// The version it led to.
    pub seq: i64,
    /// When it was decided.
    pub at: Timestamp,
    /// What happened.
    pub input: Input,
    /// What the decision depended on.
    pub environment: &'a Environment,
}

/// Why a journal cannot be folded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// An event is missing, or there twice.
    #[error("after version {after} comes version {found}")]
    Gap {
        /// The version before.
        after: i64,
        /// The version found.
        found: i64,
    },
    /// An event that was taken is refused now: the core is not what it was.
    #[error("the event of version {seq} is refused: {reject:?}")]
    Refused {
        /// Its version.
        seq: i64,
        /// Why.
        reject: Reject,
    },
}

/// The state after these events, beginning with a state at a version.
///
/// # Errors
/// [`ReplayError`].
pub fn fold<'a>(
    (mut version, mut state): (i64, State),
    events: impl IntoIterator<Item = Past<'a>>,
) -> Result<(i64, State), ReplayError> {
    for past in events {
        state = advance(version, &state, &past)?;
        version = past.seq;
    }
    Ok((version, state))
}

/// The state after one more event.
///
/// # Errors
/// [`ReplayError`].
pub fn advance(version: i64, state: &State, past: &Past<'_>) -> Result<State, ReplayError> {
    if past.seq != version + 1 {
        return Err(ReplayError::Gap {
            after: version,
            found: past.seq,
        });
    }
    let ctx = Ctx {
        now: past.at,
        environment: past.environment,
    };
    let stepped = step(state, &past.input, &ctx);
    let refused = |reject| ReplayError::Refused {
        seq: past.seq,
        reject,
    };
    stepped.map(|(state, _)| state).map_err(refused)
}

/// What the conversation was just before a run started, if this state is the one in which it did.
#[must_use]
pub fn before_run(state: &State, run: RunId) -> Option<State> {
    let started = state.active.as_ref()?;
    if started.header.run_id != run || started.step != 1 {
        return None;
    }
    let asked = state
        .messages
        .iter()
        .rposition(|message| message.role == Role::User)?;
    let mut before = state.clone();
    before.messages.truncate(asked);
    before.active = None;
    before.queued.clear();
    before.summarizing = None;
    Some(before)
}
