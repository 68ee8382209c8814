//! What can be wrong with a message.

/// Why a message could not be read or written. All of these are permanent: the same bytes fail
/// again, so a consumer rejects and never retries.
#[derive(Debug, thiserror::Error)]
pub enum ContractError {
    /// An id is empty, longer than 128 bytes, or not visible ASCII.
    #[error("{what} must be 1 to 128 bytes of visible ASCII")]
    BadId {
        /// Which id.
        what: &'static str,
    },
    /// A field that every message needs is missing.
    #[error("field `{field}` is missing; a message needs at least `type` and `payload`")]
    MissingField {
        /// The field's name.
        field: &'static str,
    },
    /// A field does not hold what its name promises.
    #[error("field `{field}` is not readable: {reason}")]
    BadField {
        /// The field's name.
        field: &'static str,
        /// What was wrong with it.
        reason: String,
    },
    /// The payload is not an event of the stated type.
    #[error("payload of `{event}` is not readable: {reason}")]
    BadPayload {
        /// The event type.
        event: String,
        /// What was wrong with it.
        reason: String,
    },
    /// The envelope carries another event than the one asked for.
    #[error("expected an event of type `{expected}`, found `{found}`")]
    WrongType {
        /// The type asked for.
        expected: &'static str,
        /// The type in the envelope.
        found: String,
    },
    /// An event could not be written.
    #[error("event `{event}` cannot be written: {reason}")]
    Encode {
        /// The event type.
        event: &'static str,
        /// What was wrong with it.
        reason: String,
    },
}
