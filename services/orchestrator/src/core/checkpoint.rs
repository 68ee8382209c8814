//! How states and inputs are written, and how those of every past version are read: the one
//! migration path.
//!
//! A checkpoint is a byte that no `MessagePack` begins with, a version, and `MessagePack` with names.
//! Version 1 had neither byte nor number.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::event::{Environment, Input};
use super::state::State;

mod v1;

/// Never used by `MessagePack`.
const MARK: u8 = 0xc1;

/// The version that is written.
pub const VERSION: u8 = 2;

/// Why a checkpoint cannot be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// A newer program wrote it.
    #[error("it has version {found}, and this program knows {VERSION}: run the newer program")]
    Newer {
        /// Its version.
        found: u8,
    },
    /// It is damaged.
    #[error("it does not read: {reason}")]
    Damaged {
        /// What is wrong.
        reason: String,
    },
}

fn damaged(error: &dyn std::fmt::Display) -> CheckpointError {
    CheckpointError::Damaged {
        reason: error.to_string(),
    }
}

fn write<T: Serialize>(value: &T) -> Result<Vec<u8>, CheckpointError> {
    let mut bytes = vec![MARK, VERSION];
    rmp_serde::encode::write_named(&mut bytes, value).map_err(|error| damaged(&error))?;
    Ok(bytes)
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CheckpointError> {
    rmp_serde::from_slice(bytes).map_err(|error| damaged(&error))
}

/// Version and body of what was written; version 1 has no mark.
fn parts(bytes: &[u8]) -> Result<(u8, &[u8]), CheckpointError> {
    match bytes {
        [MARK, version, body @ ..] if *version <= VERSION => Ok((*version, body)),
        [MARK, version, ..] => Err(CheckpointError::Newer { found: *version }),
        [MARK] => Err(damaged(&"it ends after its first byte")),
        body => Ok((1, body)),
    }
}

/// Writes a state.
///
/// # Errors
/// [`CheckpointError::Damaged`] when it cannot be written.
pub fn encode_state(state: &State) -> Result<Vec<u8>, CheckpointError> {
    write(state)
}

/// Reads a state of any version.
///
/// # Errors
/// [`CheckpointError`].
pub fn decode_state(bytes: &[u8]) -> Result<State, CheckpointError> {
    match parts(bytes)? {
        (1, body) => Ok(read::<v1::State>(body)?.into()),
        (_, body) => read(body),
    }
}

/// What the journal keeps of an event.
#[derive(Debug, Serialize)]
pub struct EntryRef<'a> {
    /// What happened.
    pub input: &'a Input,
}

/// What the journal kept of an event.
#[derive(Debug, Deserialize)]
pub struct Entry {
    /// What happened.
    pub input: Input,
}

/// Writes what happened, for the journal.
///
/// # Errors
/// [`CheckpointError::Damaged`] when it cannot be written.
pub fn encode_input(input: &Input) -> Result<Vec<u8>, CheckpointError> {
    write(&EntryRef { input })
}

/// Reads what happened. Version 1 journaled payloads, which cannot be folded.
///
/// # Errors
/// [`CheckpointError`].
pub fn decode_input(bytes: &[u8]) -> Result<Input, CheckpointError> {
    match parts(bytes)? {
        (1, _) => Err(damaged(&"version 1 kept the payload alone")),
        (_, body) => Ok(read::<Entry>(body)?.input),
    }
}

/// Writes an environment.
///
/// # Errors
/// [`CheckpointError::Damaged`] when it cannot be written.
pub fn encode_environment(environment: &Environment) -> Result<Vec<u8>, CheckpointError> {
    write(environment)
}

/// Reads an environment.
///
/// # Errors
/// [`CheckpointError`].
pub fn decode_environment(bytes: &[u8]) -> Result<Environment, CheckpointError> {
    read(parts(bytes)?.1)
}
