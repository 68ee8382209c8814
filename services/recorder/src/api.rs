//! The read side over HTTP.
//!
//! What is answered is what was recorded when it was read: a moment behind what was accepted, as
//! the README says. Everything is that of whoever asks.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderName, header};
use axum::{Json, Router};
use nexus_contracts::ConversationId;
use nexus_contracts::conversation::ConversationDocument;
use nexus_contracts::principal::Principal;
use nexus_service_kit::{Problem, TableView};
use nexus_store::Store;
use serde::Deserialize;
use utoipa::openapi::OpenApi as Document;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::error::Error;
use crate::read::{self, Before, Reader};
use crate::terms::Terms;
use crate::view::{Conversation, ConversationList, RunTrace, SearchPage};

/// The principal of requests, until there are keys.
const LOCAL_PRINCIPAL: &str = "client:local";

/// Most conversations of one page.
const MOST_LISTED: u32 = 200;

/// Most hits of one page.
const MOST_FOUND: u32 = 100;

/// Most messages of one page.
const MOST_SAID: u32 = 1_000;

/// What the handlers work with.
pub struct Api {
    /// The recorder's database.
    pub store: Store,
    /// Who may ask.
    pub principals: TableView<Principal>,
}

impl Api {
    fn reader(&self) -> Result<Reader, Problem> {
        let principal = self.principals.get(LOCAL_PRINCIPAL).ok_or_else(|| {
            Problem::unavailable(
                "the table of principals has not been read yet; try again, and see `nexus doctor`",
            )
        })?;
        Ok(Reader {
            org: principal.org_id,
            user: principal.user_id,
        })
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

fn described() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(list_conversations))
        .routes(routes!(search_conversations))
        .routes(routes!(get_conversation))
        .routes(routes!(export_conversation))
        .routes(routes!(get_run))
}

fn failed(error: &Error) -> Problem {
    tracing::error!(%error, "a request failed");
    Problem::unavailable("the recorder's store cannot be read; see `nexus doctor`, then try again")
}

/// The same for an id that never was, one that is gone, and one of somebody else.
fn unknown_conversation() -> Problem {
    Problem::not_found("there is no conversation of this id; GET /v1/conversations lists them")
        .with_code("unknown_conversation", "There is no such conversation")
}

/// Which page.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Page {
    /// Most items of the page, at least 1; as many as is usual when absent.
    limit: Option<u32>,
    /// `next` of the page before.
    before: Option<String>,
}

/// What to search for.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Search {
    /// Words, all of which have to occur; `wor*` for words that begin so, `"two words"` for words
    /// that follow each other.
    q: String,
    /// Most hits of the page, 1 to 100; 20 when absent.
    limit: Option<u32>,
    /// `next` of the page before.
    before: Option<String>,
}

fn query<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, Problem> {
    let Query(query) = query.map_err(|error| Problem::bad_request(error.body_text()))?;
    Ok(query)
}

fn before(text: Option<&str>) -> Result<Before, Problem> {
    let Some(text) = text else {
        return Ok(Before::first());
    };
    Before::parse(text)
        .ok_or_else(|| Problem::bad_request("`before` must be `next` of the page before"))
}

/// Lists conversations, the most recent first.
#[utoipa::path(get, path = "/v1/conversations", tag = "conversations", params(Page),
    responses((status = 200, body = ConversationList), (status = 400, description = "A problem")))]
async fn list_conversations(
    State(api): State<Arc<Api>>,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Json<ConversationList>, Problem> {
    let page = query(page)?;
    let before = before(page.before.as_deref())?;
    let limit = page.limit.unwrap_or(50).clamp(1, MOST_LISTED);
    let list = read::conversations(&api.store, api.reader()?, &before, limit).await;
    list.map(Json).map_err(|error| failed(&error))
}

/// Searches what was said and the titles of conversations, the latest first.
#[utoipa::path(get, path = "/v1/conversations/search", tag = "conversations", params(Search),
    responses((status = 200, body = SearchPage), (status = 400, description = "A problem")))]
async fn search_conversations(
    State(api): State<Arc<Api>>,
    search: Result<Query<Search>, QueryRejection>,
) -> Result<Json<SearchPage>, Problem> {
    let search = query(search)?;
    let terms = Terms::parse(&search.q).map_err(Problem::bad_request)?;
    let before = before(search.before.as_deref())?;
    let limit = search.limit.unwrap_or(20).clamp(1, MOST_FOUND);
    let found = read::search(&api.store, api.reader()?, &terms, (&before, limit)).await;
    found.map(Json).map_err(|error| failed(&error))
}

/// A conversation with what was said: its end, or what was said before.
#[utoipa::path(get, path = "/v1/conversations/{id}", tag = "conversations",
    params(("id" = String, Path, description = "The conversation"), Page),
    responses((status = 200, body = Conversation), (status = 400, description = "A problem"),
        (status = 404, description = "A problem")))]
async fn get_conversation(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Json<Conversation>, Problem> {
    let page = query(page)?;
    let before = before(page.before.as_deref())?;
    let limit = page.limit.unwrap_or(MOST_SAID).clamp(1, MOST_SAID);
    let id = known_form(&id)?;
    let found = read::conversation(&api.store, api.reader()?, &id, (&before, limit)).await;
    found
        .map_err(|error| failed(&error))?
        .map(Json)
        .ok_or_else(unknown_conversation)
}

/// A conversation as a document that can be imported elsewhere.
#[utoipa::path(get, path = "/v1/conversations/{id}/export", tag = "conversations",
    params(("id" = String, Path, description = "The conversation")),
    responses((status = 200, description = "A `nexus.conversation` document, version 1",
            body = Object, content_type = "application/json",
            headers(("content-disposition" = String, description = "The name of a file"))),
        (status = 404, description = "A problem")))]
async fn export_conversation(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
) -> Result<([(HeaderName, String); 1], Json<ConversationDocument>), Problem> {
    let id = known_form(&id)?;
    let found = read::export(&api.store, api.reader()?, &id).await;
    let document = found.map_err(|error| failed(&error))?;
    let document = document.ok_or_else(unknown_conversation)?;
    let file = format!("attachment; filename=\"conversation-{id}.json\"");
    Ok(([(header::CONTENT_DISPOSITION, file)], Json(document)))
}

/// An id as it is stored, however it was written.
fn known_form(id: &str) -> Result<String, Problem> {
    let id: Result<ConversationId, _> = id.parse();
    id.map(|id| id.to_string())
        .map_err(|_malformed| unknown_conversation())
}

/// Everything under a correlation id: runs, and every message in order of time.
#[utoipa::path(get, path = "/v1/runs/{correlation_id}", tag = "runs",
    params(("correlation_id" = String, Path, description = "What the messages are grouped by")),
    responses((status = 200, body = RunTrace), (status = 404, description = "A problem")))]
async fn get_run(
    State(api): State<Arc<Api>>,
    Path(correlation_id): Path<String>,
) -> Result<Json<RunTrace>, Problem> {
    let found = read::trace(&api.store, api.reader()?, &correlation_id).await;
    found
        .map_err(|error| failed(&error))?
        .map(Json)
        .ok_or_else(|| {
            Problem::not_found(
                "nothing is recorded under this correlation id; it may just have begun",
            )
            .with_code("unknown_run", "There is no such run")
        })
}
