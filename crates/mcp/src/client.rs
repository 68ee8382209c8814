//! What a server may ask of us: nothing, unless the operator allows it.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use rmcp::ClientHandler;
use rmcp::model::{
    ClientCapabilities, ClientConfig, ElicitRequestParams, ElicitResult, ErrorCode, ErrorData,
    Implementation, ProgressNotificationParam, ProgressToken,
};
#[expect(
    deprecated,
    reason = "sampling is being retired from the protocol; servers of today ask for it"
)]
use rmcp::model::{CreateMessageRequestParams, CreateMessageResult, ListRootsResult};
use rmcp::service::{NotificationContext, RequestContext, RoleClient};
use serde_json::Value;
use tokio::sync::{Notify, Semaphore};

use crate::call::Progress;
use crate::text;

/// Longest words of a server about its progress, in bytes.
const LONGEST_PROGRESS: usize = 500;
/// Longest refusal of a sampler passed on to the server, in bytes.
const LONGEST_REFUSAL: usize = 500;

/// Answers servers that may ask for completions of our models (`sampling: true`).
///
/// What a server asks is untrusted: the implementation accounts for it and shows it to a person
/// where policy says so.
#[async_trait]
pub trait Sampler: Send + Sync {
    /// `request` and the answer are the `params` and `result` of `sampling/createMessage`.
    ///
    /// # Errors
    /// Why not, in words the server is told.
    async fn sample(&self, server: &str, request: Value) -> Result<Value, String>;
}

type Listener = Arc<dyn Fn(Progress) + Send + Sync>;

/// Who wants to hear of which call's progress.
#[derive(Clone, Default)]
pub(crate) struct Listeners(Arc<Mutex<HashMap<ProgressToken, Listener>>>);

impl Listeners {
    pub(crate) fn add(&self, token: ProgressToken, listener: Listener) {
        self.0.lock().insert(token, listener);
    }

    pub(crate) fn remove(&self, token: &ProgressToken) {
        self.0.lock().remove(token);
    }

    fn tell(&self, params: ProgressNotificationParam) {
        let listener = self.0.lock().get(&params.progress_token).cloned();
        if let Some(listener) = listener {
            listener(Progress {
                done: params.progress,
                total: params.total,
                message: params.message.map(|it| text::line(&it, LONGEST_PROGRESS)),
            });
        }
    }
}

/// Our side of one connection.
pub(crate) struct Handler {
    server: String,
    sampler: Option<Arc<dyn Sampler>>,
    /// One completion at a time: a server cannot spend faster than that.
    sampling: Semaphore,
    pub(crate) listeners: Listeners,
    /// Its tools changed.
    pub(crate) changed: Arc<Notify>,
}

impl Handler {
    pub(crate) fn new(server: &str, sampler: Option<Arc<dyn Sampler>>) -> Self {
        Self {
            server: server.to_owned(),
            sampler,
            sampling: Semaphore::new(1),
            listeners: Listeners::default(),
            changed: Arc::default(),
        }
    }
}

fn refused(what: &'static str) -> ErrorData {
    ErrorData::new(ErrorCode::METHOD_NOT_FOUND, what, None)
}

#[expect(
    deprecated,
    reason = "sampling and roots are being retired from the protocol; servers of today ask for them"
)]
impl ClientHandler for Handler {
    fn get_info(&self) -> ClientConfig {
        let mut capabilities = ClientCapabilities::default();
        capabilities.sampling = self.sampler.as_ref().map(|_| Default::default());
        let us = Implementation::new("nexus", env!("CARGO_PKG_VERSION"));
        ClientConfig::new(capabilities, us)
    }

    async fn create_message(
        &self,
        params: CreateMessageRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<CreateMessageResult, ErrorData> {
        let Some(sampler) = &self.sampler else {
            return Err(refused("this client answers no sampling requests"));
        };
        let Ok(_permit) = self.sampling.try_acquire() else {
            return Err(ErrorData::internal_error(
                "one sampling request at a time",
                None,
            ));
        };
        let broken = |_| ErrorData::invalid_params("not a sampling request", None);
        let request = serde_json::to_value(&params).map_err(broken)?;
        let answer = sampler.sample(&self.server, request).await;
        let answer = answer
            .map_err(|why| ErrorData::internal_error(text::line(&why, LONGEST_REFUSAL), None))?;
        serde_json::from_value(answer)
            .ok()
            .ok_or_else(|| ErrorData::internal_error("the answer is no sampling result", None))
    }

    async fn list_roots(
        &self,
        _: RequestContext<RoleClient>,
    ) -> Result<ListRootsResult, ErrorData> {
        Err(refused("this client has no roots"))
    }

    async fn create_elicitation(
        &self,
        _: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        Err(refused("this client asks its user nothing for servers"))
    }

    async fn on_progress(
        &self,
        params: ProgressNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        self.listeners.tell(params);
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.changed.notify_one();
    }
}
