//! What a tool is.
//!
//! A tool is one file in [`crate::tools`] that implements [`Tool`], and one line in
//! [`crate::registry`]. Its JSON Schemas come from the Rust types of its arguments and its result, so
//! what a model is told and what is accepted cannot drift apart.

use std::time::Duration;

use async_trait::async_trait;
use nexus_contracts::settings::{Privacy, ToolPolicy};
use nexus_contracts::tool::{CallLimits, Capabilities, Effect, ListedTool, Taint};
use nexus_contracts::{ConversationId, Extra, MessageId, OrgId, RunId, Timestamp, UserId};
use nexus_store::EffectClass;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::artefacts::Whose;

/// Where the tools of this crate come from, as [`ListedTool::source`] says it.
pub const OURS: &str = "nexus";

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
    /// Most bytes of a result that a model sees at once; the configured default when `None`.
    const OUTPUT_LIMIT: Option<u64> = None;
    /// Whether it may be called where no setting names it.
    const POLICY: ToolPolicy = ToolPolicy::Auto;
    /// What a call costs, in millionths of a US dollar.
    const COST_MICROUSD: Option<u64> = None;
    /// The arguments of a harmless call that shows whether it works: `nexus tools test`.
    const EXAMPLE: Option<&'static str> = None;
    /// The arguments: a struct whose field documentation the model reads.
    type Args: DeserializeOwned + JsonSchema + Send;
    /// The result.
    type Output: Serialize + JsonSchema + Send;

    /// What it comes in touch with; nothing unless it says so.
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    /// Why it cannot be used as things are, and what to do.
    fn stopped(&self) -> Option<String> {
        None
    }

    /// What this result brings into the conversation besides what [`Tool::capabilities`] say.
    fn taint_of(&self, _: &Self::Output) -> Taint {
        Taint::default()
    }

    /// Performs one call.
    fn call(
        &self,
        args: Self::Args,
        ctx: &ToolContext,
    ) -> impl Future<Output = Result<Self::Output, ToolError>> + Send;
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
    /// The conversation the call belongs to, where known.
    pub conversation_id: Option<ConversationId>,
    /// The run the call belongs to, where known.
    pub run_id: Option<RunId>,
    /// The id of the command: the key under which an idempotent effect is performed.
    pub key: MessageId,
    /// After this moment nobody waits for the result.
    pub deadline: Option<Timestamp>,
    /// What has come into the conversation.
    pub taint: Taint,
    /// Where what is said in the conversation may go.
    pub privacy: Privacy,
}

impl ToolContext {
    /// Whoever asked.
    ///
    /// # Errors
    /// When nobody is known to have.
    pub fn person(&self) -> Result<UserId, ToolError> {
        self.user_id.ok_or_else(|| {
            let why = "nobody is known to have asked, so there is nobody whose it would be";
            ToolError::Failed(why.to_owned())
        })
    }

    /// Whose artefacts a call may use.
    #[must_use]
    pub const fn whose(&self) -> Whose {
        Whose {
            org: self.org_id,
            conversation: self.conversation_id,
        }
    }

    /// A call of nobody in particular, in no conversation, about which nothing is known.
    #[must_use]
    pub const fn new(org_id: OrgId, key: MessageId, now: Timestamp) -> Self {
        Self {
            now,
            org_id,
            user_id: None,
            conversation_id: None,
            run_id: None,
            key,
            deadline: None,
            taint: Taint {
                untrusted: false,
                private: false,
            },
            privacy: Privacy::Open,
        }
    }
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
    /// What it depends on does not answer, or is not set up: other arguments would not help. Enough
    /// of these, and the tool is left alone for a while.
    #[error("{0}")]
    Unavailable(String),
}

impl ToolError {
    /// The word in `tool.failed`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::BadArguments(_) => "bad_arguments",
            Self::Failed(_) => "failed",
            Self::Unavailable(_) => "unavailable",
        }
    }
}

/// What a call gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Returned {
    /// The result.
    pub value: Value,
    /// What it brings into the conversation besides what the tool always brings.
    pub taint: Taint,
}

/// A tool whose type was forgotten, so that many fit in one registry; also one that is only known
/// at run time.
#[async_trait]
pub trait AnyTool: Send + Sync + 'static {
    /// How it is listed, with these limits where it names none of its own.
    fn listed(&self, defaults: CallLimits) -> ListedTool;
    /// Checks the arguments and performs the call.
    async fn invoke(&self, arguments: &str, ctx: &ToolContext) -> Result<Returned, ToolError>;
}

#[async_trait]
impl<T: Tool> AnyTool for T {
    fn listed(&self, defaults: CallLimits) -> ListedTool {
        let timeout = T::TIMEOUT.map(|limit| u64::try_from(limit.as_millis()).unwrap_or(u64::MAX));
        ListedTool {
            name: T::NAME.to_owned(),
            description: T::DESCRIPTION.to_owned(),
            parameters: schema::<T::Args>(),
            // `true` says nothing.
            returns: Some(schema::<T::Output>()).filter(Value::is_object),
            effect: effect(T::EFFECT),
            capabilities: self.capabilities(),
            policy: T::POLICY,
            limits: CallLimits {
                timeout_ms: timeout.unwrap_or(defaults.timeout_ms),
                output_bytes: T::OUTPUT_LIMIT.unwrap_or(defaults.output_bytes),
            },
            cost_microusd: T::COST_MICROUSD,
            example: T::EXAMPLE.map(str::to_owned),
            source: OURS.to_owned(),
            stopped: self.stopped(),
            extra: Extra::new(),
        }
    }

    async fn invoke(&self, arguments: &str, ctx: &ToolContext) -> Result<Returned, ToolError> {
        let args = read::<T::Args>(T::NAME, arguments)?;
        let output = self.call(args, ctx).await?;
        let taint = self.taint_of(&output);
        let value = serde_json::to_value(output)
            .map_err(|error| ToolError::Failed(format!("the result cannot be written: {error}")))?;
        Ok(Returned { value, taint })
    }
}

const fn effect(class: EffectClass) -> Effect {
    match class {
        EffectClass::Inference | EffectClass::ReadOnly => Effect::ReadOnly,
        EffectClass::Idempotent => Effect::Idempotent,
        EffectClass::AtMostOnce => Effect::AtMostOnce,
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
