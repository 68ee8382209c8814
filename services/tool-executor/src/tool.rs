//! What a tool is.
//!
//! A tool is one file in [`crate::tools`] that implements [`Tool`], and one line in
//! [`crate::registry`]. Its JSON Schema comes from the Rust type of its arguments, so what a model
//! is told and what is accepted cannot drift apart.

use std::time::Duration;

use async_trait::async_trait;
use nexus_contracts::chat::ToolSpec;
use nexus_contracts::{Extra, MessageId, OrgId, RunId, Timestamp, UserId};
use nexus_store::EffectClass;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// One tool.
///
/// A call is cancelled by dropping its future: a tool that starts something of its own (a thread, a
/// process) must stop it then.
pub trait Tool: Send + Sync + 'static {
    /// Unique name, `[a-z0-9_]`.
    const NAME: &'static str;
    /// What it does and when to use it, for the model.
    const DESCRIPTION: &'static str;
    /// What may happen when a worker dies during a call.
    const EFFECT: EffectClass;
    /// Longest time of a call; the configured default when `None`.
    const TIMEOUT: Option<Duration> = None;
    /// The arguments: a struct whose field documentation the model reads.
    type Args: DeserializeOwned + JsonSchema + Send;

    /// Performs one call.
    fn call(
        &self,
        args: Self::Args,
        ctx: &ToolContext,
    ) -> impl Future<Output = Result<Value, ToolError>> + Send;
}

/// What a call is told besides its arguments.
#[derive(Clone, Debug)]
pub struct ToolContext {
    /// When the call began. A tool has no other clock.
    pub now: Timestamp,
    /// The tenant.
    pub org_id: OrgId,
    /// Whoever asked, where known.
    pub user_id: Option<UserId>,
    /// The run the call belongs to, where known.
    pub run_id: Option<RunId>,
    /// The id of the command: the key under which an idempotent effect is performed.
    pub key: MessageId,
}

/// Why a call gave no result, in words the model can act on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ToolError {
    /// The arguments do not fit: call again with others.
    #[error("{0}")]
    BadArguments(String),
    /// It did not work.
    #[error("{0}")]
    Failed(String),
}

impl ToolError {
    /// The word in `tool.failed`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::BadArguments(_) => "bad_arguments",
            Self::Failed(_) => "failed",
        }
    }
}

/// A [`Tool`] whose type was forgotten, so that many fit in one registry.
#[async_trait]
pub trait AnyTool: Send + Sync + 'static {
    /// [`Tool::NAME`].
    fn name(&self) -> &'static str;
    /// The tool as models are told of it.
    fn spec(&self) -> ToolSpec;
    /// [`Tool::EFFECT`].
    fn effect(&self) -> EffectClass;
    /// [`Tool::TIMEOUT`].
    fn timeout(&self) -> Option<Duration>;
    /// Checks the arguments and performs the call.
    async fn invoke(&self, arguments: &str, ctx: &ToolContext) -> Result<Value, ToolError>;
}

#[async_trait]
impl<T: Tool> AnyTool for T {
    fn name(&self) -> &'static str {
        T::NAME
    }

    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: T::NAME.to_owned(),
            description: T::DESCRIPTION.to_owned(),
            parameters: schema::<T::Args>(),
            extra: Extra::new(),
        }
    }

    fn effect(&self) -> EffectClass {
        T::EFFECT
    }

    fn timeout(&self) -> Option<Duration> {
        T::TIMEOUT
    }

    async fn invoke(&self, arguments: &str, ctx: &ToolContext) -> Result<Value, ToolError> {
        let args = read::<T::Args>(T::NAME, arguments)?;
        self.call(args, ctx).await
    }
}

/// The schema of a type without references, dialect and title: not every provider accepts them.
fn schema<A: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<A>();
    schema.remove("title");
    schema.to_value()
}

/// Reads the arguments as the model wrote them. A model that has none to give may write nothing.
fn read<A: DeserializeOwned + JsonSchema>(tool: &str, arguments: &str) -> Result<A, ToolError> {
    let text = match arguments.trim() {
        "" | "null" => "{}",
        text => text,
    };
    let mut json = serde_json::Deserializer::from_str(text);
    let read = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let place = if path == "." {
            String::new()
        } else {
            format!("`{path}`: ")
        };
        format!("{place}{}", error.inner())
    });
    let read = read.and_then(|args| json.end().map(|()| args).map_err(|error| error.to_string()));
    read.map_err(|reason| {
        ToolError::BadArguments(format!(
            "the arguments of {tool} do not fit: {reason}. Call it again with one JSON object of \
             this schema: {}",
            schema::<A>()
        ))
    })
}
