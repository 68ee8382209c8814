//! The inbox over HTTP: people read what waits for them, and answer or decline it.
//!
//! Here and not beside the table, because only the process that owns an embedded bus can write to
//! it. An answer is written with compare-and-set: of two people, the second is told what the first
//! one said.

pub mod closing;
pub mod view;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::{Json, Router};
use nexus_bus::{Bus, BusError, Expect, PutOutcome};
use nexus_contracts::principal::Principal;
use nexus_contracts::{MessageId, OrgId, tables};
use nexus_service_kit::{Clock, Deps, Problem, ProblemJson, TableView};
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi as Document;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::provider::human::entry::key;
use crate::provider::human::{Closed, InboxEntry, table};
use closing::{open, unknown_question};
use view::{InboxItem, InboxList, InboxQuestion, NewInboxAnswer, NewInboxRefusal};

/// The principal of requests, until there are keys.
const LOCAL_PRINCIPAL: &str = "client:local";

/// How often an answer is written anew when the entry changes at the same moment.
const TRIES: u32 = 8;

/// How often questions that are over are looked for.
const LOOK_OVER: Duration = Duration::from_mins(1);

/// What the handlers work with.
pub struct Api {
    /// Where the inbox is.
    pub bus: Bus,
    /// The time.
    pub clock: Clock,
    /// Who may ask.
    pub principals: TableView<Principal>,
}

impl Api {
    /// Of this node.
    pub async fn of(deps: &Deps) -> Self {
        Self {
            bus: deps.bus.clone(),
            clock: deps.clock.clone(),
            principals: TableView::watch(deps, tables::PRINCIPALS).await,
        }
    }

    /// For whom a request asks: nobody sees what another organisation asks.
    fn org(&self) -> Result<OrgId, Problem> {
        let principal = self.principals.get(LOCAL_PRINCIPAL).ok_or_else(|| {
            Problem::unavailable(
                "the table of principals has not been read yet; try again, and see `nexus doctor`",
            )
        })?;
        Ok(principal.org_id)
    }

    /// The key of a question of whoever asks; what is no id names none.
    fn key(&self, id: &str) -> Result<String, Problem> {
        let org = self.org()?;
        let id = MessageId::new(id).map_err(|_no_id| unknown_question())?;
        Ok(key(org, id.as_str()))
    }

    /// A person has dealt with a question.
    async fn close(&self, id: &str, closed: &Closed) -> Result<InboxQuestion, Problem> {
        let key = self.key(id)?;
        for _ in 0..TRIES {
            let found = self.bus.table_get(tables::INBOX, &key).await;
            let found = found.map_err(|error| away(&error))?;
            let found = found.ok_or_else(unknown_question)?;
            let mut entry = open(InboxEntry::read(&found.value), self.clock.now())?;
            entry.close(closed);
            let value = table::value(&entry).map_err(|error| away(&error))?;
            let expect = Expect::Version(found.version);
            let put = self.bus.table_put(tables::INBOX, &key, value, expect).await;
            if let PutOutcome::Stored(_) = put.map_err(|error| away(&error))? {
                return Ok(InboxQuestion::of(&entry));
            }
            // Somebody else was quicker, or another worker goes on waiting: look which.
        }
        Err(Problem::unavailable(
            "the question changes all the time; try again",
        ))
    }
}

/// The routes.
pub fn router(api: Api) -> Router {
    described().split_for_parts().0.with_state(Arc::new(api))
}

/// The description of the routes (`OpenAPI` 3.1).
#[must_use]
pub fn openapi() -> Document {
    described().into_openapi()
}

#[derive(utoipa::OpenApi)]
#[openapi(tags((name = "inbox", description = "Questions that wait for a person's answer.")))]
struct Base;

fn described() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::with_openapi(Base::openapi())
        .routes(routes!(list_inbox))
        .routes(routes!(get_question))
        .routes(routes!(answer_question))
        .routes(routes!(decline_question))
}

/// Removes questions that nobody waits for any more, until the node stops. Several nodes may do so
/// side by side.
pub async fn keep(deps: Deps) {
    loop {
        let pause = tokio::time::sleep(LOOK_OVER);
        if deps.shutdown.run_until_cancelled(pause).await.is_none() {
            return;
        }
        // The bus's health says when it is away; the next round tries again.
        if let Err(error) = table::waiting(&deps.bus, deps.clock.now()).await {
            tracing::debug!(%error, "the inbox could not be looked over");
        }
    }
}

fn away(error: &BusError) -> Problem {
    tracing::error!(%error, "a request about the inbox failed");
    Problem::unavailable("the bus cannot be used; see `nexus doctor`, then try again")
}

/// Lists the questions that wait for a person, the oldest first.
#[utoipa::path(get, path = "/v1/inbox", tag = "inbox",
    responses((status = 200, body = InboxList),
        (status = 503, description = "The bus cannot be read; try again.")))]
async fn list_inbox(State(api): State<Arc<Api>>) -> Result<Json<InboxList>, Problem> {
    let org = api.org()?;
    let waiting = table::waiting(&api.bus, api.clock.now()).await;
    let waiting = waiting.map_err(|error| away(&error))?;
    let ours = waiting.iter().filter(|entry| entry.org == org);
    Ok(Json(InboxList {
        questions: ours.map(InboxItem::of).collect(),
    }))
}

/// A question with the end of its conversation.
#[utoipa::path(get, path = "/v1/inbox/{id}", tag = "inbox",
    params(("id" = String, Path, description = "The question")),
    responses((status = 200, body = InboxQuestion),
        (status = 404, description = "Nobody waits for an answer to it."),
        (status = 503, description = "The bus cannot be read; try again.")))]
async fn get_question(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
) -> Result<Json<InboxQuestion>, Problem> {
    let key = api.key(&id)?;
    let found = api.bus.table_get(tables::INBOX, &key).await;
    let found = found.map_err(|error| away(&error))?;
    let entry = found.and_then(|found| InboxEntry::read(&found.value));
    let now = api.clock.now();
    let entry = entry.filter(|entry| !entry.erased && !entry.is_over(now));
    let entry = entry.ok_or_else(unknown_question)?;
    Ok(Json(InboxQuestion::of(&entry)))
}

/// Answers a question.
///
/// Whoever asked gets the text as the answer of the provider that a person stands behind.
#[utoipa::path(post, path = "/v1/inbox/{id}/answer", tag = "inbox", request_body = NewInboxAnswer,
    params(("id" = String, Path, description = "The question")),
    responses((status = 200, body = InboxQuestion, description = "It is answered."),
        (status = 404, description = "Nobody waits for an answer to it."),
        (status = 409, description = "Somebody else was quicker; `detail` says what they said."),
        (status = 413, description = "The text is too long."),
        (status = 422, description = "Readable, but not acceptable; `detail` says why."),
        (status = 503, description = "The bus cannot be written; try again.")))]
async fn answer_question(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    ProblemJson(said): ProblemJson<NewInboxAnswer>,
) -> Result<Json<InboxQuestion>, Problem> {
    let closed = closing::answer(&said, api.clock.now())?;
    api.close(&id, &closed).await.map(Json)
}

/// Declines to answer a question.
///
/// Whoever asked gets a failure with the reason, or the answer of the next one of the route.
#[utoipa::path(post, path = "/v1/inbox/{id}/decline", tag = "inbox",
    request_body = NewInboxRefusal,
    params(("id" = String, Path, description = "The question")),
    responses((status = 200, body = InboxQuestion, description = "It is declined."),
        (status = 404, description = "Nobody waits for an answer to it."),
        (status = 409, description = "Somebody else was quicker; `detail` says what they said."),
        (status = 413, description = "The reason is too long."),
        (status = 422, description = "Readable, but not acceptable; `detail` says why."),
        (status = 503, description = "The bus cannot be written; try again.")))]
async fn decline_question(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    ProblemJson(said): ProblemJson<NewInboxRefusal>,
) -> Result<Json<InboxQuestion>, Problem> {
    let closed = closing::refusal(&said)?;
    api.close(&id, &closed).await.map(Json)
}
