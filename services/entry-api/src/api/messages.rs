//! `/v1/messages`: saying something, asking how it goes, no longer wanting it.

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header as names};
use axum::response::sse::{KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use nexus_service_kit::Problem;

use super::{Api, Shared, Taken, WaitQuery, header, read_body, read_headers};
use crate::messages::Known;
use crate::problem::{self, unknown_message};
use crate::request::{self, MAX_BODY_BYTES};
use crate::stream::{EventStream, Start};
use crate::submission::{Kind, Subject, Submission};
use crate::view::{Accepted, MessageView, NewMessage};

/// Says something to the agent.
///
/// The message is stored before this returns. The answer follows on
/// `/v1/messages/{correlation_id}` and, while it is written, on `…/events`.
#[utoipa::path(
    post, path = "/v1/messages", tag = "messages", request_body = NewMessage,
    params(("Idempotency-Key" = Option<String>, Header,
        description = "The same key and body give the same answer, and one message.")),
    responses(
        (status = 202, body = Accepted, description = "Stored; see `Location`."),
        (status = 400, description = "Not readable as JSON."),
        (status = 404, description = "The conversation was deleted."),
        (status = 413, description = "Too long."),
        (status = 422, description = "Readable, but not acceptable; `detail` says why."),
        (status = 503, description = "Nothing was accepted; try again."),
    )
)]
pub async fn post_message(
    State(api): Shared,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let principal = api.principal().await?;
    let headers = read_headers(&headers)?;
    let event = request::parse(&read_body(body, MAX_BODY_BYTES).await?)?;
    api.check_names(&event.settings)?;
    let subject = Subject {
        conversation: event.conversation_id,
        ..Subject::default()
    };
    let sender = api.sender(principal, headers);
    api.accept(Submission::new(sender, Kind::Message, subject, &event)?)
        .await
}

/// Tells how far a message is, and its answer.
#[utoipa::path(
    get, path = "/v1/messages/{correlation_id}", tag = "messages",
    params(("correlation_id" = String, Path),
        ("wait" = Option<String>, Query,
            description = "Answer only when the message is, or after this long: `30s`, `500ms`.")),
    responses(
        (status = 200, body = MessageView),
        (status = 404, description = "There is no such message."),
        (status = 422, description = "`wait` does not read."),
        (status = 503, description = "The store cannot be read; try again."),
    )
)]
pub async fn get_message(
    State(api): Shared,
    Path(id): Path<String>,
    query: Result<Query<WaitQuery>, QueryRejection>,
) -> Result<Json<MessageView>, Problem> {
    let Query(query) = query.map_err(|rejection| problem::unread_query(&rejection))?;
    let wait = api.wait(&query)?;
    let known = api.message(&id).await?;
    let known = if known.last.is_none() && !wait.is_zero() {
        let of = Taken::of(&known.submission);
        let known = api.until_ended(of, wait).await?;
        known.ok_or_else(|| unknown_message(&id))?
    } else {
        known
    };
    Ok(Json(api.view(&known).await?))
}

/// Reports what goes on while a message is answered, as server-sent events.
///
/// Events are named `delta`, `snapshot`, `status`, `tool`, `approval`, `completed` and `failed`;
/// the last two end the stream. `delta` appends to the text and `snapshot` replaces it, both within
/// their `step`; a later step starts over; `completed` carries the whole text. An `approval` may
/// come again after a reconnect, under the same `approval_id`. `Last-Event-ID` goes on where a
/// connection broke.
#[utoipa::path(
    get, path = "/v1/messages/{correlation_id}/events", tag = "messages",
    params(("correlation_id" = String, Path),
        ("Last-Event-ID" = Option<u64>, Header, description = "Go on behind this event.")),
    responses(
        (status = 200, content_type = "text/event-stream", body = String),
        (status = 400, description = "`Last-Event-ID` is no number."),
        (status = 404, description = "There is no such message."),
        (status = 503, description = "The store cannot be read; try again."),
    )
)]
pub async fn get_events(
    State(api): Shared,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let known = api.message(&id).await?;
    let after = header(&headers, "last-event-id").unwrap_or_default();
    let after = match after.trim() {
        "" => 0,
        text => text
            .parse()
            .map_err(|_not_a_number| problem::bad_last_event_id(text))?,
    };
    let start = Start {
        org: known.submission.org,
        run: known.submission.run,
        after,
    };
    let heartbeat = KeepAlive::new()
        .interval(api.config.heartbeat)
        .text("still here");
    let events = EventStream::open(api, start).into_stream();
    let headers = [
        (names::CACHE_CONTROL, "no-cache"),
        (X_ACCEL_BUFFERING, "no"),
    ];
    Ok((headers, Sse::new(events).keep_alive(heartbeat)).into_response())
}

/// Tells nginx and its kin not to collect events before passing them on.
const X_ACCEL_BUFFERING: names::HeaderName = names::HeaderName::from_static("x-accel-buffering");

/// Ends a run that is no longer wanted.
///
/// The wish is stored before this returns; the run then ends as `failed` with code `cancelled`,
/// unless it ends by itself first.
#[utoipa::path(
    delete, path = "/v1/messages/{correlation_id}", tag = "messages",
    params(("correlation_id" = String, Path)),
    responses(
        (status = 200, body = MessageView, description = "It had ended already; nothing was done."),
        (status = 202, body = MessageView, description = "As it stands; the end follows."),
        (status = 404, description = "There is no such message."),
        (status = 503, description = "The wish could not be stored; try again."),
    )
)]
pub async fn delete_message(
    State(api): Shared,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let known = api.message(&id).await?;
    let view = Json(api.view(&known).await?);
    if known.last.is_some() {
        return Ok(view.into_response());
    }
    let cancel = known.submission.cancel(api.deps.clock.now())?;
    api.take(cancel).await?;
    Ok((StatusCode::ACCEPTED, view).into_response())
}

impl Api {
    /// A message that gets an answer.
    async fn message(&self, id: &str) -> Result<Known, Problem> {
        let known = self.known(id, unknown_message).await?;
        if known.submission.kind.starts_run() {
            Ok(known)
        } else {
            Err(unknown_message(id))
        }
    }

    async fn view(&self, known: &Known) -> Result<MessageView, Problem> {
        if known.last.is_some() {
            return Ok(MessageView::of(known, &[]));
        }
        let Submission { org, run, .. } = known.submission;
        let now = self.deps.clock.now();
        let approvals = self.messages.approvals_of(org, run, now).await?;
        Ok(MessageView::of(known, &approvals))
    }

    /// Stores what gets an answer, and says where to find it.
    pub(super) async fn accept(&self, submission: Submission) -> Result<Response, Problem> {
        let accepted = Accepted::of(&submission);
        let taken = self.take(submission).await?;
        let location = format!("/v1/messages/{}", taken.run);
        let headers = [(names::LOCATION, location)];
        Ok((StatusCode::ACCEPTED, headers, Json(accepted)).into_response())
    }
}
