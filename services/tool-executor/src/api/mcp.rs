//! MCP servers over HTTP: how they are, and approving what they offer.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use nexus_mcp::{Error, Pin};
use nexus_service_kit::Problem;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::mcp_view::{PendingList, PendingView, ServerList, ServerView, ToApprove};
use super::{Api, Shared, read};

pub(super) fn described() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(list_servers))
        .routes(routes!(list_pending, approve))
}

/// Lists the MCP servers, and how they are.
#[utoipa::path(get, path = "/v1/mcp/servers", tag = "mcp",
    responses((status = 200, body = ServerList)))]
async fn list_servers(State(api): Shared) -> Result<Json<ServerList>, Problem> {
    api.principal()?;
    let servers = api.fleet.statuses().into_iter().map(ServerView::of);
    Ok(Json(ServerList {
        servers: servers.collect(),
    }))
}

/// Lists tools that wait for approval: new ones, and those whose definition changed.
#[utoipa::path(get, path = "/v1/mcp/pending", tag = "mcp",
    responses((status = 200, body = PendingList)))]
async fn list_pending(State(api): Shared) -> Result<Json<PendingList>, Problem> {
    api.principal()?;
    let pending = api.fleet.pending();
    Ok(Json(PendingList {
        pending: pending.iter().map(PendingView::of).collect(),
    }))
}

/// Approves a tool as its hash says it is.
#[utoipa::path(post, path = "/v1/mcp/pending", tag = "mcp", request_body = ToApprove,
    responses((status = 200, body = PendingList), (status = 400, description = "A problem"),
        (status = 404, description = "A problem"), (status = 409, description = "A problem")))]
async fn approve(
    State(api): Shared,
    body: Result<Json<ToApprove>, JsonRejection>,
) -> Result<Json<PendingList>, Problem> {
    let body = read(body)?;
    api.principal()?;
    let pin = Pin::try_from(body.pin).map_err(Problem::bad_request)?;
    let approved = api.fleet.approve(&body.server, &body.tool, &pin).await;
    approved.map_err(|error| refused(&error))?;
    list_pending(State(api)).await
}

pub(super) fn refused(error: &Error) -> Problem {
    match error {
        Error::UnknownServer { .. } | Error::UnknownTool { .. } => {
            Problem::not_found(error.to_string())
        }
        Error::Pins { .. } => Problem::unavailable(error.to_string()),
        _ => Problem::bad_request(error.to_string()),
    }
}
