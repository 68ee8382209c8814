#![doc = include_str!("../README.md")]

pub mod catalogue;
pub mod chat;
pub mod conversation;
pub mod envelope;
pub mod error;
pub mod events;
pub mod ids;
pub mod live;
pub mod metadata;
pub mod principal;
pub mod schema;
pub mod settings;
pub mod timestamp;
pub mod tokens;
pub mod tool;

pub use catalogue::{CATALOGUE, EventSpec};
pub use envelope::{ContentType, Envelope, FieldsContext};
pub use error::ContractError;
pub use events::Event;
pub use ids::{ConversationId, CorrelationId, MessageId, OrgId, RunId, UserId, derive_id};
pub use metadata::{Extra, Metadata};
pub use timestamp::Timestamp;

/// Names of the channels that carry events between services.
pub mod channels {
    /// What people and programs ask. Adapters and clients append their name: `requests.incoming.api`.
    pub const REQUESTS_INCOMING: &str = "requests.incoming";
    /// What comes back to them. One durable channel per adapter or client.
    pub const REQUESTS_PROCESSED: &str = "requests.processed";
    /// Calls of a model, to the provider router.
    pub const INFERENCE_REQUEST: &str = "inference.request";
    /// What the provider router answered.
    pub const INFERENCE_RESPONSE: &str = "inference.response";
    /// Calls of a model that runs here, from the provider router to an inference worker.
    pub const INFERENCE_LOCAL: &str = "inference.local";
    /// What the inference workers answered.
    pub const INFERENCE_LOCAL_RESULTS: &str = "inference.local.results";
    /// Embeddings the provider router has had made.
    pub const EMBEDDING_RESPONSE: &str = "embedding.response";
    /// What every attempt at a provider took and cost.
    pub const USAGE: &str = "usage.recorded";
    /// Calls of a tool, to the tool executor.
    pub const TOOLS_EXECUTE: &str = "tools.execute";
    /// What the tools returned.
    pub const TOOLS_RESULTS: &str = "tools.results";
    /// What became of conversations as a whole; read by everybody who stores content.
    pub const CONVERSATIONS: &str = "conversations";
    /// Proof that a durable message reached whoever had to keep it.
    pub const RECEIPTS: &str = "receipts";

    /// The channel an adapter or client called `name` writes to. The local client has no name.
    #[must_use]
    pub fn incoming(name: &str) -> String {
        join(REQUESTS_INCOMING, name)
    }

    /// The channel an adapter or client called `name` reads its answers from.
    #[must_use]
    pub fn processed(name: &str) -> String {
        join(REQUESTS_PROCESSED, name)
    }

    fn join(base: &str, name: &str) -> String {
        if name.is_empty() {
            base.to_owned()
        } else {
            format!("{base}.{name}")
        }
    }
}

/// Names of the tables that carry control state to workers.
pub mod tables {
    /// Who may write on which channel: key `client:<name>`, value [`crate::principal::Principal`].
    pub const PRINCIPALS: &str = "control.principals";
    /// How agents are to work: keys `global`, `org:<org>` and `user:<org>/<user>`, value
    /// [`crate::settings::Settings`].
    pub const SETTINGS: &str = "control.settings";
    /// Runs a person has cancelled: key is the run id, value [`crate::live::Cancelled`].
    pub const RUNS_CANCELLED: &str = "runs.cancelled";
    /// Which workers are alive: key is the worker id.
    pub const WORKERS: &str = "workers";
    /// Which providers are configured: key is the provider's name.
    pub const PROVIDERS: &str = "control.providers";
    /// How providers fare: key is `<worker>.<provider>`.
    pub const PROVIDERS_HEALTH: &str = "providers.health";
    /// What is left of the limits of providers: key is the provider's name.
    pub const PROVIDERS_LIMITS: &str = "providers.limits";
    /// Questions that wait for a person: key is `<org>/<command id>`. The provider router owns it.
    pub const INBOX: &str = "inbox";
    /// Which tools exist: key is where they come from, value [`crate::tool::ToolList`].
    pub const TOOLS: &str = "control.tools";
    /// Which tools are switched off, for whom: value and key are [`crate::tool::ToolSwitch`].
    pub const TOOLS_OFF: &str = "control.tools.off";
    /// How tools fare: key is `<worker>.<tool>`.
    pub const TOOLS_HEALTH: &str = "tools.health";
}
