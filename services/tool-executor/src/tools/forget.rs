//! `forget`: forgets what is known of a person.

use nexus_contracts::tool::Capabilities;
use nexus_retrieval::{Memory, MemoryId};
use nexus_store::EffectClass;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::search_documents::refused;
use crate::parts::Parts;
use crate::tool::{Tool, ToolContext, ToolError};

/// Forgets something.
pub struct Forget {
    memory: Memory,
}

impl Forget {
    /// Over what is known.
    #[must_use]
    pub fn new(parts: &Parts) -> Self {
        Self {
            memory: parts.knowledge.memory(),
        }
    }
}

/// The arguments.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Args {
    /// The memory, as `recall` gave it.
    pub memory: String,
}

/// What came of it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Forgotten {
    /// Whether there was such a memory.
    forgotten: bool,
}

impl Tool for Forget {
    const NAME: &'static str = "forget";
    const DESCRIPTION: &'static str = "Forgets one memory of this person for good. Use it when they \
        ask for that, with the memory that recall gave.";
    const EFFECT: EffectClass = EffectClass::Idempotent;
    type Args = Args;
    type Output = Forgotten;

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            sources: vec!["memory".to_owned()],
            ..Capabilities::default()
        }
    }

    async fn call(&self, args: Args, ctx: &ToolContext) -> Result<Forgotten, ToolError> {
        let id: MemoryId = args.memory.parse().map_err(|_not_an_id| {
            ToolError::BadArguments(format!("`{}` is no memory; recall gives them", args.memory))
        })?;
        let forgotten = self.memory.forget(ctx.org_id, ctx.person()?, id).await;
        let forgotten = forgotten.map_err(|error| refused(&error))?;
        Ok(Forgotten {
            forgotten: forgotten.count > 0,
        })
    }
}
