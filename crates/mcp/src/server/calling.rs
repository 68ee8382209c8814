//! Calling a tool.

use std::sync::Arc;
use std::time::Duration;

use rmcp::ServiceError;
use rmcp::model::{
    CallToolRequest, CallToolRequestParams, CallToolResult, ClientRequest, JsonObject,
    ProgressToken, RequestId, ServerResult,
};
use rmcp::service::PeerRequestOptions;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use super::{Entry, Live, Shared};
use crate::call::{CallError, LONGEST_WORDS, Meta, near};
use crate::content::CallResult;
use crate::pins::Verdict;
use crate::schema::Refusal;
use crate::text;

/// Longest arguments, in bytes as JSON.
const LONGEST_ARGUMENTS: usize = 256 << 10;

impl Shared {
    /// Calls the tool offered as `name`.
    pub(crate) async fn call(
        &self,
        name: &str,
        arguments: Value,
        meta: Meta,
    ) -> Result<CallResult, CallError> {
        let listing = self.listing().ok_or_else(|| self.not_ready())?;
        let entry = listing
            .entries
            .get(name)
            .ok_or_else(|| CallError::UnknownTool {
                name: name.to_owned(),
                near: near(name, listing.approved().map(|(name, _)| name)),
            })?;
        usable(name, entry, &meta)?;
        let arguments = checked(name, entry, arguments).await?;
        let wait = meta
            .timeout
            .unwrap_or(self.config.call_timeout)
            .min(self.config.call_timeout);
        let until = Instant::now() + wait;
        let late = |sent| CallError::Timeout {
            server: self.name.clone(),
            waited: wait,
            sent,
        };
        let permit = timeout_at(until, Arc::clone(&self.calls).acquire_owned()).await;
        // Both mean that there was no turn; the semaphore is never closed.
        let Ok(Ok(_permit)) = permit else {
            return Err(late(false));
        };
        // Waiting for a turn, the server may have ended or the tool changed.
        let now = self.listing();
        let still = now.as_ref().and_then(|now| now.entries.get(name));
        if still.is_none_or(|still| still.verdict != Verdict::Approved || still.pin != entry.pin) {
            return Err(CallError::Moved {
                name: name.to_owned(),
            });
        }
        let live = self.live().ok_or_else(|| self.not_ready())?;
        let params =
            CallToolRequestParams::new(entry.definition.name.clone()).with_arguments(arguments);
        match timeout_at(until, self.ask(&live, params, meta)).await {
            Ok(outcome) => self.result(outcome?),
            Err(_) => Err(late(true)),
        }
    }

    /// Dropped before it is done, the server is told that nobody waits.
    async fn ask(
        &self,
        live: &Live,
        params: CallToolRequestParams,
        meta: Meta,
    ) -> Result<CallToolResult, CallError> {
        let lost = || CallError::Lost {
            server: self.name.clone(),
        };
        let request = ClientRequest::CallToolRequest(CallToolRequest::new(params));
        let options = PeerRequestOptions::no_options();
        let sent = live.peer.send_request_with_option(request, options).await;
        let mut handle = sent.ok().ok_or_else(lost)?;
        if let Some(listener) = meta.progress {
            live.listeners.add(handle.progress_token.clone(), listener);
        }
        let mut open = OpenCall {
            call: Some((handle.id.clone(), handle.progress_token.clone())),
            live: live.clone(),
        };
        let answer = (&mut handle.rx).await;
        open.answered();
        match answer {
            Ok(Ok(ServerResult::CallToolResult(result))) => Ok(result),
            // A result without content: some servers send it for tools that return nothing.
            Ok(Ok(ServerResult::EmptyResult(_))) => Ok(CallToolResult::default()),
            Ok(Ok(ServerResult::InputRequiredResult(_))) => {
                Err(self.protocol("it asks for more input"))
            }
            Ok(Ok(_)) => Err(self.protocol("an answer to something else")),
            Ok(Err(ServiceError::McpError(error))) => Err(CallError::Refused {
                server: self.name.clone(),
                code: error.code.0,
                words: text::clean(&error.message, LONGEST_WORDS),
            }),
            Ok(Err(ServiceError::UnexpectedResponse)) => {
                Err(self.protocol("an answer of another kind"))
            }
            Ok(Err(_)) | Err(_) => Err(lost()),
        }
    }

    fn result(&self, result: CallToolResult) -> Result<CallResult, CallError> {
        let failed = result.is_error == Some(true);
        let most = self.config.limits.result_bytes;
        let result_parts = CallResult::of(result.content, result.structured_content, most);
        if failed {
            return Err(CallError::failed(&self.name, &result_parts.text()));
        }
        Ok(result_parts)
    }

    pub(crate) fn not_ready(&self) -> CallError {
        CallError::NotReady {
            server: self.name.clone(),
            state: self.health().to_string(),
        }
    }

    fn protocol(&self, what: &str) -> CallError {
        CallError::Protocol {
            server: self.name.clone(),
            what: what.to_owned(),
        }
    }

    pub(crate) const fn patience(&self) -> Duration {
        self.config.call_timeout
    }
}

fn usable(name: &str, entry: &Entry, meta: &Meta) -> Result<(), CallError> {
    let why = match entry.verdict {
        Verdict::Approved => None,
        Verdict::Changed(_) => Some("what its server says of it changed since it was approved"),
        Verdict::New | Verdict::Gone => Some("it is new"),
    };
    if let Some(why) = why {
        return Err(CallError::NotApproved {
            name: name.to_owned(),
            why,
        });
    }
    match &meta.pin {
        Some(pin) if *pin != entry.pin => Err(CallError::Moved {
            name: name.to_owned(),
        }),
        _ => Ok(()),
    }
}

async fn checked(name: &str, entry: &Entry, arguments: Value) -> Result<JsonObject, CallError> {
    let unfit = |problems| CallError::Arguments {
        name: name.to_owned(),
        problems,
    };
    let size = serde_json::to_vec(&arguments).map_or(usize::MAX, |bytes| bytes.len());
    if size > LONGEST_ARGUMENTS {
        return Err(unfit(vec![format!(
            "they take {size} bytes; at most {LONGEST_ARGUMENTS} are sent"
        )]));
    }
    let arguments = match arguments {
        Value::Null => Value::Object(JsonObject::new()),
        other => other,
    };
    entry
        .checker
        .check(&arguments)
        .await
        .map_err(|refusal| match refusal {
            Refusal::Arguments(problems) => unfit(problems),
            Refusal::Schema(reason) => CallError::Schema {
                name: name.to_owned(),
                reason,
            },
        })?;
    match arguments {
        Value::Object(arguments) => Ok(arguments),
        _ => Err(unfit(vec!["they are not an object".to_owned()])),
    }
}

/// A call that is not answered yet.
struct OpenCall {
    call: Option<(RequestId, ProgressToken)>,
    live: Live,
}

impl OpenCall {
    fn answered(&mut self) {
        if let Some((_, token)) = self.call.take() {
            self.live.listeners.remove(&token);
        }
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        if let Some(call) = self.call.take() {
            // A supervisor that is gone has nobody to tell.
            let _ = self.live.dropped.send(call);
        }
    }
}
