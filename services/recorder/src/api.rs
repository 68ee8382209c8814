//! The read side over HTTP.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::{Json, Router};
use nexus_contracts::principal::Principal;
use nexus_contracts::{ConversationId, OrgId};
use nexus_service_kit::{Problem, TableView};
use nexus_store::Store;
use serde::Deserialize;
use utoipa::openapi::OpenApi as Document;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::error::Error;
use crate::read::{self, Before};
use crate::view::{Conversation, ConversationList, RunTrace};

/// The principal of requests, until there are keys.
const LOCAL_PRINCIPAL: &str = "client:local";

/// Most conversations of one page.
const MOST_LISTED: u32 = 200;

/// What the handlers work with.
pub struct Api {
    /// The recorder's database.
    pub store: Store,
    /// Who may ask.
    pub principals: TableView<Principal>,
}

impl Api {
    fn org(&self) -> Result<OrgId, Problem> {
        let principal = self.principals.get(LOCAL_PRINCIPAL).ok_or_else(|| {
            Problem::unavailable(
                "the table of principals has not been read yet; try again, and see `nexus doctor`",
            )
        })?;
        Ok(principal.org_id)
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
        .routes(routes!(get_conversation))
        .routes(routes!(get_run))
}

fn failed(error: &Error) -> Problem {
    tracing::error!(%error, "a request failed");
    Problem::unavailable("the recorder's store cannot be read; see `nexus doctor`, then try again")
}

/// Which page.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
struct Page {
    /// Most conversations, 1 to 200; 50 when absent.
    limit: Option<u32>,
    /// `next` of the page before.
    before: Option<String>,
}

/// Lists conversations, the most recent first.
#[utoipa::path(get, path = "/v1/conversations", tag = "conversations", params(Page),
    responses((status = 200, body = ConversationList), (status = 400, description = "A problem")))]
async fn list_conversations(
    State(api): State<Arc<Api>>,
    page: Result<Query<Page>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<ConversationList>, Problem> {
    let Query(page) = page.map_err(|error| Problem::bad_request(error.body_text()))?;
    let before = match &page.before {
        None => Before::first(),
        Some(text) => Before::parse(text)
            .ok_or_else(|| Problem::bad_request("`before` must be `next` of the page before"))?,
    };
    let limit = page.limit.unwrap_or(50).clamp(1, MOST_LISTED);
    let list = read::conversations(&api.store, api.org()?, &before, limit).await;
    list.map(Json).map_err(|error| failed(&error))
}

/// A conversation with what was said.
#[utoipa::path(get, path = "/v1/conversations/{id}", tag = "conversations",
    params(("id" = String, Path, description = "The conversation")),
    responses((status = 200, body = Conversation), (status = 404, description = "A problem")))]
async fn get_conversation(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
) -> Result<Json<Conversation>, Problem> {
    let unknown = || {
        Problem::not_found("there is no conversation of this id; GET /v1/conversations lists them")
            .with_code("unknown_conversation", "There is no such conversation")
    };
    let id: ConversationId = id.parse().map_err(|_malformed| unknown())?;
    let found = read::conversation(&api.store, api.org()?, &id.to_string()).await;
    found
        .map_err(|error| failed(&error))?
        .map(Json)
        .ok_or_else(unknown)
}

/// Everything under a correlation id: runs, and every message in order of time.
#[utoipa::path(get, path = "/v1/runs/{correlation_id}", tag = "runs",
    params(("correlation_id" = String, Path, description = "What the messages are grouped by")),
    responses((status = 200, body = RunTrace), (status = 404, description = "A problem")))]
async fn get_run(
    State(api): State<Arc<Api>>,
    Path(correlation_id): Path<String>,
) -> Result<Json<RunTrace>, Problem> {
    let found = read::trace(&api.store, api.org()?, &correlation_id).await;
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
