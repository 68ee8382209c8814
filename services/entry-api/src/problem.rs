//! Errors as people and programs get them: RFC 9457.

use axum::extract::rejection::QueryRejection;
use axum::http::StatusCode;
use nexus_contracts::events::MessageFailed;
use nexus_service_kit::Problem;

use crate::Error;
use crate::ingress::Unavailable;
use crate::request::Invalid;

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

/// There is no such message, or it is somebody else's: the two look alike.
#[must_use]
pub fn unknown_message(id: &str) -> Problem {
    Problem::not_found(format!("no message has the correlation id `{}`", shown(id)))
        .with_code("unknown_message", "There is no such message")
}

/// There is no such conversation, or it is somebody else's: the two look alike.
#[must_use]
pub fn unknown_conversation(id: &str) -> Problem {
    let detail = format!(
        "there is no conversation `{}`; GET /v1/conversations lists them",
        shown(id)
    );
    Problem::not_found(detail).with_code(UNKNOWN_CONVERSATION, "There is no such conversation")
}

/// There is no such approval, or it is somebody else's: the two look alike.
#[must_use]
pub fn unknown_approval(id: &str) -> Problem {
    Problem::not_found(format!(
        "no approval `{}` was asked here; one that was asked through another adapter is named by \
         `run_id`, `conversation_id` and `arguments_hash` too",
        shown(id)
    ))
    .with_code("unknown_approval", "There is no such approval")
}

/// There is no such command, or it is somebody else's: the two look alike.
#[must_use]
pub fn unknown_command(id: &str) -> Problem {
    Problem::not_found(format!("no command has the id `{}`", shown(id)))
        .with_code("unknown_command", "There is no such command")
}

const UNKNOWN_CONVERSATION: &str = "unknown_conversation";

/// What the orchestrator said against a command.
#[must_use]
pub fn refused(failed: &MessageFailed) -> Problem {
    let detail = failed.detail.as_str();
    let problem = match failed.code.as_str() {
        "unknown_conversation" => Problem::not_found(detail)
            .with_code(UNKNOWN_CONVERSATION, "There is no such conversation"),
        "unknown_run" => {
            Problem::not_found(detail).with_code("unknown_run", "There is no such run")
        }
        "unknown_approval" => {
            Problem::conflict(detail).with_code("unknown_approval", "The approval is not open")
        }
        "arguments_changed" => {
            Problem::conflict(detail).with_code("arguments_changed", "The arguments are others")
        }
        "bad_request" => {
            Problem::unprocessable(detail).with_code("bad_request", "The command makes no sense")
        }
        _ if failed.retryable => Problem::unavailable(detail),
        _ => Problem::conflict(detail).with_code("refused", "The command was refused"),
    };
    problem.with("reason", failed.code.as_str())
}

/// The event a stream is to go on behind is none.
#[must_use]
pub fn bad_last_event_id(text: &str) -> Problem {
    Problem::bad_request(format!(
        "header `Last-Event-ID` must be the number of an event of this stream, not `{}`; leave it \
         out to begin at the beginning",
        shown(text)
    ))
    .with_code("bad_last_event_id", "The request is malformed")
}

fn shown(text: &str) -> String {
    text.chars()
        .filter(|letter| !letter.is_control())
        .take(80)
        .collect()
}

/// An idempotency key came back with another body.
#[must_use]
pub fn key_reused() -> Problem {
    Problem::unprocessable("this Idempotency-Key came with another body before; use a new key")
        .with_code("idempotency_key_reused", "The Idempotency-Key is taken")
}

/// The body ends too late, or not at all.
pub fn unread_body(error: &axum::Error, most: usize) -> Problem {
    Problem::too_large(format!(
        "the body exceeds {most} bytes, or broke off: {error}; send less"
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
