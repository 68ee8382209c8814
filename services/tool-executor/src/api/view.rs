//! What is said of tools over HTTP.

use nexus_contracts::events::{ToolCompleted, ToolFailed};
use nexus_contracts::tool::{ListedTool, ToolSwitch};
use nexus_contracts::{ConversationId, OrgId};
use nexus_service_kit::Problem;
use nexus_service_kit::breaker::State;
use nexus_store::StoreError;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::Api;
use crate::quota::Used;

/// The tools there are.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ToolList {
    /// By name.
    pub tools: Vec<ToolView>,
}

/// A tool, and how it fares.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ToolView {
    /// What it is.
    #[schema(value_type = Object)]
    pub tool: ListedTool,
    /// `ready`, `off`, `stopped`, or what its breaker does: `open`, `half_open`, `resting`.
    pub state: String,
    /// Why, where it is not ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The conversations for which it is switched off.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub off_in: Vec<ConversationId>,
    /// What is used of its quota, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<Used>,
}

impl ToolView {
    /// `off` is what is switched off in the organisation.
    pub(super) async fn of(
        api: &Api,
        (org, off): (OrgId, &[ToolSwitch]),
        tool: ListedTool,
    ) -> Result<Self, Problem> {
        let executor = &api.executor;
        let now = executor.clock.now();
        let used = executor.quotas.used(org, &tool.name, now).await;
        let quota = used.map_err(|error| unread(&error))?;
        let off: Vec<&ToolSwitch> = off.iter().filter(|one| one.tool == tool.name).collect();
        let (state, reason) = state(api, &tool, &off);
        Ok(Self {
            tool,
            state,
            reason,
            off_in: off.iter().filter_map(|one| one.conversation_id).collect(),
            quota,
        })
    }
}

pub(super) fn unread(error: &StoreError) -> Problem {
    tracing::error!(%error, "quotas and switches cannot be read");
    Problem::unavailable("the tool executor's store cannot be read; see `nexus doctor`")
}

fn state(api: &Api, tool: &ListedTool, off: &[&ToolSwitch]) -> (String, Option<String>) {
    if off.iter().any(|switch| switch.conversation_id.is_none()) {
        return ("off".to_owned(), None);
    }
    if let Some(why) = &tool.stopped {
        return ("stopped".to_owned(), Some(why.clone()));
    }
    let now = api.executor.clock.now();
    let seen = api.executor.health.all(now).into_iter();
    let mut seen = seen.filter(|health| health.tool == tool.name);
    match seen.next() {
        Some(health) if health.breaker != State::Closed => {
            let word = serde_json::to_value(health.breaker).unwrap_or_default();
            let word = word.as_str().unwrap_or("open").to_owned();
            (word, health.last_failure)
        }
        _ => ("ready".to_owned(), None),
    }
}

/// Switching a tool off or on.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ToSwitch {
    /// Whether it may be used.
    pub enabled: bool,
    /// In this conversation alone; in all of the organisation's when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub conversation_id: Option<ConversationId>,
}

/// Calling a tool.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ToCall {
    /// The arguments.
    #[serde(default)]
    pub arguments: Value,
}

/// How a call ended.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Called {
    /// Whether it gave a result.
    pub ok: bool,
    /// The result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// What went wrong, as one of the codes of `tool.failed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// What went wrong, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Where the rest of a long result is: an argument of `read_result`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// How long it ran, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
}

impl Called {
    pub(super) fn completed(event: ToolCompleted) -> Self {
        Self {
            ok: true,
            result: Some(event.result),
            code: None,
            detail: None,
            reference: event.whole.map(|whole| whole.reference),
            duration_ms: Some(event.duration_ms),
        }
    }

    pub(super) fn failed(event: ToolFailed) -> Self {
        Self {
            ok: false,
            result: None,
            code: Some(event.code),
            detail: Some(event.detail),
            reference: None,
            duration_ms: None,
        }
    }
}
