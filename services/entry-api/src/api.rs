//! The HTTP interface: `/v1/messages`.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::sse::{KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use nexus_contracts::events::MessageSubmitted;
use nexus_contracts::principal::Principal;
use nexus_contracts::{ConversationId, RunId};
use nexus_service_kit::{Deps, Problem, TableView};
use serde::Deserialize;
use serde_json::Value;

use crate::admission::Admission;
use crate::ingress::Ingress;
use crate::messages::{Known, Messages};
use crate::metrics::Metrics;
use crate::problem::{self, unknown_message};
use crate::request::{self, MAX_BODY_BYTES};
use crate::stream::{EventStream, Start};
use crate::submission::{Headers, Submission};
use crate::view::{Accepted, MessageView, NewMessage};
use crate::waiters::Waiters;
use crate::{Config, wait};

/// What every request needs.
pub struct Api {
    /// Bus, clock, shutdown.
    pub deps: Deps,
    /// Limits and pauses.
    pub config: Config,
    /// Takes messages.
    pub ingress: Ingress,
    /// Knows messages.
    pub messages: Messages,
    /// Wakes whoever waits.
    pub waiters: Arc<Waiters>,
    /// Who may ask.
    pub principals: TableView<Principal>,
    /// Which providers there are.
    pub providers: TableView<Value>,
    /// Which tools there are.
    pub tools: TableView<Value>,
    /// Counts.
    pub metrics: Arc<Metrics>,
}

type Shared = State<Arc<Api>>;

/// How long a request waits to learn for whom it asks.
const FIRST_PRINCIPAL: Duration = Duration::from_secs(2);

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
        (status = 404, description = "There is no such conversation."),
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
    let body = axum::body::to_bytes(body, MAX_BODY_BYTES).await;
    let body = body.map_err(|error| problem::unread_body(&error))?;
    let event = request::parse(&body)?;
    api.check_names(&event)?;
    let fresh = (api.deps.clock.new_id(), api.deps.clock.now());
    let submission = Submission::new(&principal, headers, fresh, &event)
        .map_err(|error| Problem::from(crate::Error::Contract(error)))?;
    let accepted = Accepted::of(&submission);
    match api.ingress.submit(submission).await? {
        Admission::Stored | Admission::Repeated => {
            let location = format!("/v1/messages/{}", accepted.correlation_id);
            let headers = [(header::LOCATION, location)];
            Ok((StatusCode::ACCEPTED, headers, Json(accepted)).into_response())
        }
        Admission::KeyReused => Err(problem::key_reused()),
        Admission::UnknownConversation => Err(problem::unknown_conversation(ConversationId(
            accepted.conversation_id,
        ))),
    }
}

/// The query of `GET /v1/messages/{correlation_id}`.
#[derive(Debug, Deserialize)]
pub struct WaitQuery {
    /// How long to wait for the answer: `30s`, `500ms`, `1m`.
    pub wait: Option<String>,
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
    let wait = query
        .wait
        .as_deref()
        .map(wait::parse)
        .transpose()?
        .unwrap_or_default();
    let wait = wait.min(api.config.max_wait);
    let run: RunId = id.parse().map_err(|_not_an_id| unknown_message(&id))?;
    let mut waiting = api.waiters.register(run);
    let until = tokio::time::Instant::now() + wait;
    loop {
        let view = MessageView::of(&api.known(&id).await?);
        let left = until.saturating_duration_since(tokio::time::Instant::now());
        if view.status.is_final() || left == Duration::ZERO {
            return Ok(Json(view));
        }
        tokio::select! {
            () = waiting.news() => {}
            () = tokio::time::sleep(left.min(api.config.recheck)) => {}
            () = api.deps.shutdown.cancelled() => return Ok(Json(view)),
        }
    }
}

/// Reports what goes on while a message is answered, as server-sent events.
///
/// Events are named `delta`, `snapshot`, `status`, `tool`, `completed` and `failed`; the last two
/// end the stream. `delta` appends to the text and `snapshot` replaces it, both within their
/// `step`; a later step starts over; `completed` carries the whole text. `Last-Event-ID` goes on
/// where a connection broke.
#[utoipa::path(
    get, path = "/v1/messages/{correlation_id}/events", tag = "messages",
    params(("correlation_id" = String, Path),
        ("Last-Event-ID" = Option<u64>, Header, description = "Go on behind this event.")),
    responses(
        (status = 200, content_type = "text/event-stream", body = String),
        (status = 404, description = "There is no such message."),
        (status = 503, description = "The store cannot be read; try again."),
    )
)]
pub async fn get_events(
    State(api): Shared,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let known = api.known(&id).await?;
    let after = headers
        .get("last-event-id")
        .and_then(|value| value.to_str().ok());
    let after = after.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
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
        (header::CACHE_CONTROL, "no-cache"),
        (X_ACCEL_BUFFERING, "no"),
    ];
    Ok((headers, Sse::new(events).keep_alive(heartbeat)).into_response())
}

/// Tells nginx and its kin not to collect events before passing them on.
const X_ACCEL_BUFFERING: header::HeaderName = header::HeaderName::from_static("x-accel-buffering");

/// Ends a run that is no longer wanted.
///
/// The wish is stored before this returns; the run then ends as `failed` with code `cancelled`,
/// unless it has ended already.
#[utoipa::path(
    delete, path = "/v1/messages/{correlation_id}", tag = "messages",
    params(("correlation_id" = String, Path)),
    responses(
        (status = 202, body = MessageView, description = "As it stands; the end follows."),
        (status = 404, description = "There is no such message."),
        (status = 503, description = "The wish could not be stored; try again."),
    )
)]
pub async fn delete_message(
    State(api): Shared,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let known = api.known(&id).await?;
    if known.last.is_none() {
        api.ingress.cancel(&known.submission).await?;
    }
    Ok((StatusCode::ACCEPTED, Json(MessageView::of(&known))).into_response())
}

impl Api {
    /// For whom a request asks: as long as there is no authentication, the local client's.
    /// A node that has just started may hear of it a moment later: that moment is waited for.
    async fn principal(&self) -> Result<Principal, Problem> {
        let key = &self.config.principal;
        let mut changed = self.principals.changed();
        let heard = async {
            loop {
                if let Some(principal) = self.principals.get(key) {
                    return Some(principal);
                }
                changed.changed().await.ok()?;
            }
        };
        let heard = tokio::time::timeout(FIRST_PRINCIPAL, heard).await;
        heard
            .ok()
            .flatten()
            .ok_or_else(|| problem::no_principal(key))
    }

    async fn known(&self, id: &str) -> Result<Known, Problem> {
        let org = self.principal().await?.org_id;
        let run: RunId = id.parse().map_err(|_not_an_id| unknown_message(id))?;
        self.messages
            .find(org, run)
            .await?
            .ok_or_else(|| unknown_message(id))
    }

    fn check_names(&self, event: &MessageSubmitted) -> Result<(), Problem> {
        if event.provider.is_none() && event.tools.as_ref().is_none_or(Vec::is_empty) {
            return Ok(());
        }
        let known = request::Known {
            providers: names(&self.providers),
            tools: names(&self.tools),
        };
        Ok(request::check_names(event, &known)?)
    }
}

/// What a table lists, once it is known to be complete.
fn names(table: &TableView<Value>) -> Option<Vec<String>> {
    table.ready().now_or_never()?;
    let names: Vec<String> = table.all().into_keys().collect();
    (!names.is_empty()).then_some(names)
}

fn read_headers(headers: &HeaderMap) -> Result<Headers, Problem> {
    let text = |name: &str| {
        headers
            .get(name)
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let headers = Headers {
        idempotency_key: text("idempotency-key"),
        traceparent: text("traceparent"),
    };
    Ok(headers.check()?)
}
