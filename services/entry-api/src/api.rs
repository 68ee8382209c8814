//! The HTTP interface: what all requests have in common.

pub mod approvals;
pub mod commands;
pub mod conversations;
pub mod messages;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use bytes::Bytes;
use futures::FutureExt;
use nexus_contracts::principal::Principal;
use nexus_contracts::settings::Settings;
use nexus_contracts::tool::ToolList;
use nexus_contracts::{ConversationId, OrgId, RunId};
use nexus_service_kit::{Deps, Problem, TableView};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Config;
use crate::admission::Admission;
use crate::ingress::Ingress;
use crate::messages::{Known, Messages};
use crate::metrics::Metrics;
use crate::problem;
use crate::request;
use crate::submission::{Headers, Sender, Submission};
use crate::wait;
use crate::waiters::Waiters;

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
    pub tools: TableView<ToolList>,
    /// Counts.
    pub metrics: Arc<Metrics>,
}

type Shared = State<Arc<Api>>;

/// How long a request waits to learn for whom it asks.
const FIRST_PRINCIPAL: Duration = Duration::from_secs(2);

/// The query of whatever can be waited for.
#[derive(Debug, serde::Deserialize)]
pub struct WaitQuery {
    /// How long to wait: `30s`, `500ms`, `1m`.
    pub wait: Option<String>,
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

    fn sender(&self, principal: Principal, headers: Headers) -> Sender {
        Sender {
            principal,
            headers,
            fresh: self.deps.clock.new_id(),
            at: self.deps.clock.now(),
        }
    }

    /// Stores a message, unless it is there already.
    async fn take(&self, submission: Submission) -> Result<Taken, Problem> {
        let taken = Taken::of(&submission);
        let conversation = submission.parent.unwrap_or(submission.conversation);
        match self.ingress.submit(submission).await? {
            Admission::Stored | Admission::Repeated => Ok(taken),
            Admission::KeyReused => Err(problem::key_reused()),
            Admission::Erased => Err(problem::unknown_conversation(&conversation.to_string())),
        }
    }

    /// A message of whoever asks; to anyone else it looks like one that never was.
    async fn known(&self, id: &str, unknown: fn(&str) -> Problem) -> Result<Known, Problem> {
        let principal = self.principal().await?;
        let run: RunId = id.parse().map_err(|_not_an_id| unknown(id))?;
        let known = self.messages.find(principal.org_id, run).await?;
        known
            .filter(|known| known.submission.user == principal.user_id)
            .ok_or_else(|| unknown(id))
    }

    /// What became of a message, at the latest after this long; `None` when it is erased.
    async fn until_ended(&self, of: Taken, wait: Duration) -> Result<Option<Known>, Problem> {
        let mut waiting = self.waiters.register(of.run);
        let until = tokio::time::Instant::now() + wait;
        loop {
            let known = self.messages.find(of.org, of.run).await?;
            let left = until.saturating_duration_since(tokio::time::Instant::now());
            let goes_on = known.as_ref().is_some_and(|known| known.last.is_none());
            if !goes_on || left == Duration::ZERO {
                return Ok(known);
            }
            tokio::select! {
                () = waiting.news() => {}
                () = tokio::time::sleep(left.min(self.config.recheck)) => {}
                () = self.deps.shutdown.cancelled() => return Ok(known),
            }
        }
    }

    /// How long `?wait=` asks for, at most as long as the configuration allows.
    fn wait(&self, query: &WaitQuery) -> Result<Duration, Problem> {
        let wait = query.wait.as_deref().map(wait::parse).transpose()?;
        Ok(wait.unwrap_or_default().min(self.config.max_wait))
    }

    fn check_names(&self, settings: &Settings) -> Result<(), Problem> {
        let names_tools = settings.tools.as_ref().is_some_and(|list| !list.is_empty());
        if settings.provider.is_none() && !names_tools && settings.tool_policy.is_none() {
            return Ok(());
        }
        let known = request::Known {
            providers: listed(&self.providers, |all| all.into_keys().collect()),
            tools: listed(&self.tools, |all| {
                ToolList::by_name(all).into_keys().collect()
            }),
        };
        Ok(request::check_names(settings, &known)?)
    }
}

/// Names a message that was stored.
#[derive(Clone, Copy, Debug)]
struct Taken {
    org: OrgId,
    run: RunId,
    conversation: ConversationId,
}

impl Taken {
    const fn of(submission: &Submission) -> Self {
        Self {
            org: submission.org,
            run: submission.run,
            conversation: submission.conversation,
        }
    }
}

/// What a table lists, once it is known to be complete.
fn listed<T: DeserializeOwned + Clone + Send + Sync + 'static>(
    table: &TableView<T>,
    names: impl Fn(BTreeMap<String, T>) -> Vec<String>,
) -> Option<Vec<String>> {
    table.ready().now_or_never()?;
    let names = names(table.all());
    (!names.is_empty()).then_some(names)
}

/// The header of this name as text.
fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = headers.get(name)?;
    Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
}

fn read_headers(headers: &HeaderMap) -> Result<Headers, Problem> {
    let headers = Headers {
        idempotency_key: header(headers, "idempotency-key"),
        traceparent: header(headers, "traceparent"),
    };
    Ok(headers.check()?)
}

async fn read_body(body: Body, most: usize) -> Result<Bytes, Problem> {
    let body = axum::body::to_bytes(body, most).await;
    body.map_err(|error| problem::unread_body(&error, most))
}
