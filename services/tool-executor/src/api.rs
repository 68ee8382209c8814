//! Tools over HTTP: what there is, switching off and on, and calling one.

mod documents;
pub mod documents_view;
mod mcp;
pub mod mcp_reading;
pub mod mcp_view;
pub mod view;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::{Json, Router};
use nexus_contracts::events::{Event, ToolCompleted, ToolFailed, ToolRequested};
use nexus_contracts::principal::Principal;
use nexus_contracts::settings::Privacy;
use nexus_contracts::tool::{Taint, ToolSwitch};
use nexus_contracts::{Envelope, Extra, MessageId, Metadata, OrgId, channels};
use nexus_mcp::Fleet;
use nexus_service_kit::{Deps, Problem, RequestError, RequestTiming, TableView, request};
use nexus_web::page::Reader;
use utoipa::openapi::OpenApi as Document;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::handler::Executor;
use crate::knowledge::Knowledge;
use crate::registry::Entry;
use crate::switches::SwitchError;

use view::{Called, ToCall, ToSwitch, ToolList, ToolView};

/// The principal of requests, until there are keys.
const LOCAL_PRINCIPAL: &str = "client:local";

/// How much longer than its tool a call is waited for.
const SLACK: Duration = Duration::from_secs(5);

/// What the handlers work with.
pub struct Api {
    /// The tools, and how they fare.
    pub executor: Arc<Executor>,
    /// MCP servers.
    pub fleet: Fleet,
    /// What is known.
    pub knowledge: Shelf,
    /// Bus and clock.
    pub deps: Deps,
    /// Who may ask.
    pub principals: TableView<Principal>,
}

/// Documents and memories, and what makes text of what is none.
pub struct Shelf {
    /// What is known.
    pub all: Knowledge,
    /// Reads HTML and PDF.
    pub reader: Reader,
}

type Shared = State<Arc<Api>>;

impl Api {
    fn principal(&self) -> Result<Principal, Problem> {
        self.principals.get(LOCAL_PRINCIPAL).ok_or_else(|| {
            Problem::unavailable(
                "the table of principals has not been read yet; try again, and see `nexus doctor`",
            )
        })
    }

    async fn off(&self, org: OrgId) -> Result<Vec<ToolSwitch>, Problem> {
        let off = self.executor.switches.of(org).await;
        off.map_err(|error| view::unread(&error))
    }

    fn known(&self, name: &str) -> Result<Arc<Entry>, Problem> {
        self.executor.registry.get(name).ok_or_else(|| {
            let known = self.executor.registry.names();
            Problem::not_found(format!("there is no tool `{name}`; there are: {known}"))
                .with_code("unknown_tool", "There is no such tool")
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
        .routes(routes!(list_tools))
        .routes(routes!(get_tool, switch_tool))
        .routes(routes!(call_tool))
        .merge(documents::described())
        .merge(mcp::described())
        .merge(mcp_reading::described())
}

/// Lists the tools, and how they fare here.
#[utoipa::path(get, path = "/v1/tools", tag = "tools",
    responses((status = 200, body = ToolList)))]
async fn list_tools(State(api): Shared) -> Result<Json<ToolList>, Problem> {
    let principal = api.principal()?;
    let off = api.off(principal.org_id).await?;
    let mut tools = Vec::new();
    for listed in api.executor.registry.listed() {
        tools.push(ToolView::of(&api, (principal.org_id, &off), listed).await?);
    }
    Ok(Json(ToolList { tools }))
}

/// Shows one tool.
#[utoipa::path(get, path = "/v1/tools/{name}", tag = "tools",
    params(("name" = String, Path, description = "The tool's name")),
    responses((status = 200, body = ToolView), (status = 404, description = "A problem")))]
async fn get_tool(State(api): Shared, Path(name): Path<String>) -> Result<Json<ToolView>, Problem> {
    let principal = api.principal()?;
    let entry = api.known(&name)?;
    let off = api.off(principal.org_id).await?;
    let view = ToolView::of(&api, (principal.org_id, &off), entry.listed.clone()).await?;
    Ok(Json(view))
}

/// Switches a tool off or on, for the organisation or for one conversation; at once, also for calls
/// that were asked for already.
#[utoipa::path(patch, path = "/v1/tools/{name}", tag = "tools", request_body = ToSwitch,
    params(("name" = String, Path, description = "The tool's name")),
    responses((status = 200, body = ToolView), (status = 400, description = "A problem"),
        (status = 404, description = "A problem")))]
async fn switch_tool(
    State(api): Shared,
    Path(name): Path<String>,
    body: Result<Json<ToSwitch>, JsonRejection>,
) -> Result<Json<ToolView>, Problem> {
    let body = read(body)?;
    let principal = api.principal()?;
    let entry = api.known(&name)?;
    let (org_id, conversation_id) = (principal.org_id, body.conversation_id);
    let moved = if body.enabled {
        api.executor
            .switches
            .on(org_id, conversation_id, &name)
            .await
    } else {
        let switch = ToolSwitch {
            org_id,
            conversation_id,
            tool: name.clone(),
            at: api.deps.clock.now(),
        };
        api.executor.switches.off(switch).await
    };
    moved.map_err(|error: SwitchError| Problem::unavailable(error.to_string()))?;
    let off = api.off(org_id).await?;
    let view = ToolView::of(&api, (org_id, &off), entry.listed.clone()).await?;
    Ok(Json(view))
}

/// Calls a tool, over the bus as a model would, and waits for its result.
#[utoipa::path(post, path = "/v1/tools/{name}/calls", tag = "tools", request_body = ToCall,
    params(("name" = String, Path, description = "The tool's name")),
    responses((status = 200, body = Called), (status = 400, description = "A problem"),
        (status = 404, description = "A problem"), (status = 503, description = "A problem")))]
async fn call_tool(
    State(api): Shared,
    Path(name): Path<String>,
    body: Result<Json<ToCall>, JsonRejection>,
) -> Result<Json<Called>, Problem> {
    let body = read(body)?;
    let principal = api.principal()?;
    let entry = api.known(&name)?;
    let (deps, id) = (&api.deps, MessageId::from(api.deps.clock.new_id()));
    let asked = ToolRequested {
        call_id: id.to_string(),
        name,
        arguments: body.arguments.to_string(),
        taint: Taint::default(),
        privacy: Privacy::Open,
        extra: Extra::new(),
    };
    let metadata = Metadata {
        org_id: Some(principal.org_id),
        user_id: Some(principal.user_id),
        ..Metadata::default()
    };
    let envelope = Envelope::new(id, deps.clock.now(), &asked)
        .map_err(|error| Problem::bad_request(error.to_string()))?
        .with_metadata(metadata);
    let timing = RequestTiming {
        deadline: entry.timeout() + SLACK,
        ..RequestTiming::default()
    };
    let answer = request(
        &deps.bus,
        &deps.clock,
        channels::TOOLS_EXECUTE,
        envelope,
        timing,
    );
    let answer = answer
        .await
        .map_err(|error: RequestError| Problem::unavailable(error.to_string()))?;
    told(&answer).map(Json)
}

fn told(answer: &Envelope) -> Result<Called, Problem> {
    let unreadable =
        |error: nexus_contracts::ContractError| Problem::unavailable(error.to_string());
    if answer.event_type == ToolFailed::TYPE {
        let failed: ToolFailed = answer.decode().map_err(unreadable)?;
        return Ok(Called::failed(failed));
    }
    let completed: ToolCompleted = answer.decode().map_err(unreadable)?;
    Ok(Called::completed(completed))
}

fn read<T>(body: Result<Json<T>, JsonRejection>) -> Result<T, Problem> {
    let Json(body) = body.map_err(|error| Problem::bad_request(error.body_text()))?;
    Ok(body)
}
