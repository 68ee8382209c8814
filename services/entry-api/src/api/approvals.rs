//! `/v1/approvals`: tool calls that wait for a person.

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use nexus_contracts::events::{ApprovalDecided, ApprovalRequested};
use nexus_contracts::{Extra, MessageId};
use nexus_service_kit::Problem;
use serde::Deserialize;

use super::{Shared, read_body, read_headers};
use crate::messages::Before;
use crate::problem::{self, unknown_approval};
use crate::request::{self, Decided, MAX_BODY_BYTES};
use crate::submission::{Kind, Subject, Submission};
use crate::view::{ApprovalList, ApprovalView, CommandView, NewDecision};

/// Most approvals of one page.
const MOST_LISTED: u32 = 200;

/// Which page.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub struct Page {
    /// Most approvals, 1 to 200; 50 when absent.
    limit: Option<u32>,
    /// `next` of the page before.
    after: Option<String>,
}

/// Lists the tool calls that wait for a decision, the oldest first.
#[utoipa::path(
    get, path = "/v1/approvals", tag = "approvals", params(Page),
    responses(
        (status = 200, body = ApprovalList),
        (status = 400, description = "`limit` or `after` does not read."),
        (status = 503, description = "The store cannot be read; try again."),
    )
)]
pub async fn list_approvals(
    State(api): Shared,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Json<ApprovalList>, Problem> {
    let Query(page) = page.map_err(|rejection| problem::unread_query(&rejection))?;
    let behind = match &page.after {
        None => Before::first(),
        Some(text) => Before::parse(text)
            .ok_or_else(|| Problem::bad_request("`after` must be `next` of the page before"))?,
    };
    let limit = page.limit.unwrap_or(50).clamp(1, MOST_LISTED);
    let principal = api.principal().await?;
    let whose = (principal.org_id, principal.user_id);
    let now = api.deps.clock.now();
    let found = api
        .messages
        .open_approvals(whose, now, (&behind, limit))
        .await?;
    let is_full = found.len() as u64 == u64::from(limit);
    let last = found.last().filter(|_| is_full);
    Ok(Json(ApprovalList {
        next: last.map(|last| Before::behind(last).to_string()),
        approvals: found.iter().map(ApprovalView::of).collect(),
    }))
}

/// Decides about a tool call.
///
/// What is decided about is the call with exactly the arguments that were shown. An approval that
/// was asked through another adapter can be decided here when `run_id`, `conversation_id` and
/// `arguments_hash` say which one it is.
#[utoipa::path(
    post, path = "/v1/approvals/{approval_id}", tag = "approvals", request_body = NewDecision,
    params(("approval_id" = String, Path),
        ("Idempotency-Key" = Option<String>, Header,
            description = "The same key and body give the same answer, and one decision.")),
    responses(
        (status = 200, body = CommandView, description = "It is decided."),
        (status = 202, body = CommandView, description = "Stored; ask again at `Location`."),
        (status = 404, description = "There is no such approval."),
        (status = 409, description = "It is no longer open, or the arguments are others."),
        (status = 422, description = "Readable, but not acceptable; `detail` says why."),
        (status = 503, description = "Nothing was accepted; try again."),
    )
)]
pub async fn decide_approval(
    State(api): Shared,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let headers = read_headers(&headers)?;
    let principal = api.principal().await?;
    let decided = request::parse_decision(&read_body(body, MAX_BODY_BYTES).await?)?;
    let approval_id = MessageId::new(&id).map_err(|_no_id| unknown_approval(&id))?;
    let whose = (principal.org_id, principal.user_id);
    let found = api.messages.approval(whose, &approval_id).await?;
    let found = found.map(|approval| approval.request);
    let event = event(approval_id.clone(), decided, found.as_ref());
    let event = event.ok_or_else(|| unknown_approval(&id))?;
    let subject = Subject {
        run: Some(event.run_id),
        approval: Some(approval_id),
        ..Subject::of(event.conversation_id)
    };
    let sender = api.sender(principal, headers);
    let outcome = api
        .command(Submission::new(sender, Kind::Decision, subject, &event)?)
        .await?;
    Ok(outcome.into_response())
}

/// The decision, with what the client says about the approval, and what is known for the rest.
fn event(
    approval_id: MessageId,
    decided: Decided,
    known: Option<&ApprovalRequested>,
) -> Option<ApprovalDecided> {
    Some(ApprovalDecided {
        approval_id,
        run_id: decided.run_id.or_else(|| known.map(|known| known.run_id))?,
        conversation_id: decided
            .conversation_id
            .or_else(|| known.map(|known| known.conversation_id))?,
        arguments_hash: decided
            .arguments_hash
            .or_else(|| known.map(|known| known.arguments_hash.clone()))?,
        decision: decided.decision,
        comment: decided.comment,
        extra: Extra::new(),
    })
}
