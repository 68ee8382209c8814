//! Resources and prompts of MCP servers over HTTP: for people and programs, who choose them.
//!
//! What a server gives is the server's: data, never instructions.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use nexus_mcp::{CallResult, PromptInfo, PromptText, ResourceInfo};
use nexus_service_kit::Problem;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::mcp::refused;
use super::{Api, Shared, read};

pub(super) fn described() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(list_resources))
        .routes(routes!(read_resource))
        .routes(routes!(list_prompts))
        .routes(routes!(fill_prompt))
}

/// The resources of a server.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ResourceList {
    /// In the server's order.
    pub resources: Vec<ResourceView>,
}

/// A resource.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ResourceView {
    /// Its name at the server: what is read.
    pub uri: String,
    /// What the server calls it.
    pub name: String,
    /// The server's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Media type, as the server says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mime: Option<String>,
}

impl From<ResourceInfo> for ResourceView {
    fn from(info: ResourceInfo) -> Self {
        let ResourceInfo {
            uri,
            name,
            description,
            mime,
        } = info;
        Self {
            uri,
            name,
            description,
            mime,
        }
    }
}

/// What a server gave.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Given {
    /// The text of it.
    pub text: String,
    /// What was left out or cut.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl From<CallResult> for Given {
    fn from(result: CallResult) -> Self {
        Self {
            text: result.text(),
            notes: result.notes,
        }
    }
}

/// The prompts of a server.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct PromptList {
    /// In the server's order.
    pub prompts: Vec<PromptView>,
}

/// A prompt that can be filled in.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct PromptView {
    /// The server's name for it.
    pub name: String,
    /// The server's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Arguments that must be given.
    pub required: Vec<String>,
    /// Arguments that may be given.
    pub optional: Vec<String>,
}

impl From<PromptInfo> for PromptView {
    fn from(info: PromptInfo) -> Self {
        let (required, optional): (Vec<_>, Vec<_>) =
            info.arguments.into_iter().partition(|(_, must)| *must);
        let names = |arguments: Vec<(String, bool)>| arguments.into_iter().map(|(name, _)| name);
        Self {
            name: info.name,
            description: info.description,
            required: names(required).collect(),
            optional: names(optional).collect(),
        }
    }
}

/// Filling a prompt in.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ToFill {
    /// The arguments, by name.
    #[serde(default)]
    pub arguments: Map<String, Value>,
}

/// A prompt, filled in.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Filled {
    /// Its messages.
    pub messages: Vec<FilledMessage>,
}

/// A message of a prompt.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct FilledMessage {
    /// `user` or `assistant`.
    pub role: String,
    /// What it says.
    #[serde(flatten)]
    pub given: Given,
}

impl From<PromptText> for FilledMessage {
    fn from(text: PromptText) -> Self {
        Self {
            role: if text.assistant { "assistant" } else { "user" }.to_owned(),
            given: text.content.into(),
        }
    }
}

/// Which resource.
#[derive(Debug, Deserialize)]
struct Which {
    /// Its name at the server.
    uri: String,
}

/// Lists the resources of an MCP server.
#[utoipa::path(get, path = "/v1/mcp/servers/{server}/resources", tag = "mcp",
    params(("server" = String, Path, description = "The server's name")),
    responses((status = 200, body = ResourceList), (status = 404, description = "A problem")))]
async fn list_resources(
    State(api): Shared,
    Path(server): Path<String>,
) -> Result<Json<ResourceList>, Problem> {
    api.principal()?;
    let resources = api.fleet.resources(&server).await;
    let resources = resources.map_err(|error| refused(&error))?;
    let resources = resources.into_iter().map(ResourceView::from).collect();
    Ok(Json(ResourceList { resources }))
}

/// Reads a resource of an MCP server.
#[utoipa::path(get, path = "/v1/mcp/servers/{server}/resource", tag = "mcp",
    params(("server" = String, Path, description = "The server's name"),
        ("uri" = String, Query, description = "The resource's name at the server")),
    responses((status = 200, body = Given), (status = 404, description = "A problem")))]
async fn read_resource(
    State(api): Shared,
    Path(server): Path<String>,
    which: Result<Query<Which>, QueryRejection>,
) -> Result<Json<Given>, Problem> {
    let Query(which) = which.map_err(|error| Problem::bad_request(error.body_text()))?;
    api.principal()?;
    let given = api.fleet.read_resource(&server, &which.uri).await;
    Ok(Json(given.map_err(|error| refused(&error))?.into()))
}

/// Lists the prompts of an MCP server.
#[utoipa::path(get, path = "/v1/mcp/servers/{server}/prompts", tag = "mcp",
    params(("server" = String, Path, description = "The server's name")),
    responses((status = 200, body = PromptList), (status = 404, description = "A problem")))]
async fn list_prompts(
    State(api): Shared,
    Path(server): Path<String>,
) -> Result<Json<PromptList>, Problem> {
    api.principal()?;
    let prompts = api.fleet.prompts(&server).await;
    let prompts = prompts.map_err(|error| refused(&error))?;
    let prompts = prompts.into_iter().map(PromptView::from).collect();
    Ok(Json(PromptList { prompts }))
}

/// Fills a prompt of an MCP server in.
#[utoipa::path(post, path = "/v1/mcp/servers/{server}/prompts/{prompt}", tag = "mcp",
    request_body = ToFill,
    params(("server" = String, Path, description = "The server's name"),
        ("prompt" = String, Path, description = "The prompt's name")),
    responses((status = 200, body = Filled), (status = 400, description = "A problem"),
        (status = 404, description = "A problem")))]
async fn fill_prompt(
    State(api): Shared,
    Path((server, prompt)): Path<(String, String)>,
    body: Result<Json<ToFill>, JsonRejection>,
) -> Result<Json<Filled>, Problem> {
    let body = read(body)?;
    api.principal()?;
    let filled = api.fleet.prompt(&server, &prompt, body.arguments).await;
    let filled = filled.map_err(|error| refused(&error))?;
    let messages = filled.into_iter().map(FilledMessage::from).collect();
    Ok(Json(Filled { messages }))
}
