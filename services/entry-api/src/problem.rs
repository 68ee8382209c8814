//! Errors as people and programs get them: RFC 9457.

use axum::extract::rejection::QueryRejection;
use axum::http::StatusCode;
use nexus_contracts::ConversationId;
use nexus_service_kit::Problem;

use crate::Error;
use crate::ingress::Unavailable;
use crate::request::{Invalid, MAX_BODY_BYTES};

impl From<Invalid> for Problem {
    fn from(invalid: Invalid) -> Self {
        let status = StatusCode::from_u16(invalid.status).unwrap_or(StatusCode::BAD_REQUEST);
        let title = match status {
            StatusCode::PAYLOAD_TOO_LARGE => "Too long",
            StatusCode::UNPROCESSABLE_ENTITY => "The request cannot be accepted",
            _ => "The request is malformed",
        };
        Self::new(status, invalid.code, title, invalid.detail)
    }
}

impl From<Unavailable> for Problem {
    fn from(reason: Unavailable) -> Self {
        match reason {
            Unavailable::Crowded(waiting) => Self::unavailable(format!(
                "{waiting} messages already wait for the orchestrator; nothing was accepted. Try \
                 again later; `nexus doctor` tells whether the orchestrator runs"
            ))
            .with_code("too_many_waiting", "Too many messages are waiting"),
            Unavailable::Store(reason) => store_unavailable(&reason),
            Unavailable::Stopping => {
                Self::unavailable("this process is stopping; nothing was accepted. Try again")
                    .with_code("stopping", "The process is stopping")
            }
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        tracing::error!(%error, "a request failed");
        store_unavailable(&error.to_string())
    }
}

/// The store cannot be read or written.
fn store_unavailable(reason: &str) -> Problem {
    Problem::unavailable(format!(
        "the message store cannot be used, nothing was accepted: {reason}. Free disk space or mend \
         the store, then try again"
    ))
    .with_code("store_unavailable", "The message store cannot be used")
}

/// There is no such message, or it is another organisation's: the two look alike.
#[must_use]
pub fn unknown_message(id: &str) -> Problem {
    let shown: String = id
        .chars()
        .filter(|letter| !letter.is_control())
        .take(80)
        .collect();
    Problem::not_found(format!("no message has the correlation id `{shown}`"))
        .with_code("unknown_message", "There is no such message")
}

/// There is no such conversation, or it is another organisation's: the two look alike.
#[must_use]
pub fn unknown_conversation(id: ConversationId) -> Problem {
    Problem::not_found(format!(
        "no conversation {id} was opened here; leave `conversation_id` out to open one"
    ))
    .with_code("unknown_conversation", "There is no such conversation")
}

/// An idempotency key came back with another body.
#[must_use]
pub fn key_reused() -> Problem {
    Problem::unprocessable("this Idempotency-Key came with another body before; use a new key")
        .with_code("idempotency_key_reused", "The Idempotency-Key is taken")
}

/// The body ends too late, or not at all.
pub fn unread_body(error: &axum::Error) -> Problem {
    Problem::too_large(format!(
        "the body exceeds {MAX_BODY_BYTES} bytes, or broke off: {error}; send less"
    ))
    .with_code("too_long", "Too long")
}

/// The query does not read.
pub fn unread_query(rejection: &QueryRejection) -> Problem {
    Problem::bad_request(rejection.body_text())
}

/// Nobody said yet for whom requests ask.
#[must_use]
pub fn no_principal(key: &str) -> Problem {
    Problem::unavailable(format!(
        "table control.principals has no `{key}` yet, nothing was accepted: the bus cannot be \
         reached (/readyz on the admin port says so), or no orchestrator runs, or the section \
         `principals` of nexus.yaml does not name it"
    ))
    .with_code("no_principal", "Nobody is known to ask for")
}
