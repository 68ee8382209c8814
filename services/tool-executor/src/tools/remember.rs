//! `remember`: keeps a fact about a person beyond one conversation.

use nexus_contracts::tool::Capabilities;
use nexus_retrieval::{Memory, Remember as Note};
use nexus_store::EffectClass;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::search_documents::refused;
use crate::parts::Parts;
use crate::tool::{Tool, ToolContext, ToolError};

/// Remembers something.
pub struct Remember {
    memory: Memory,
}

impl Remember {
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
    /// What to remember: one fact, in a whole sentence that is understood without this conversation.
    pub text: String,
}

/// What came of it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Remembered {
    /// What `forget` takes.
    memory: String,
    /// Whether the same was known already.
    known: bool,
}

impl Tool for Remember {
    const NAME: &'static str = "remember";
    const DESCRIPTION: &'static str = "Remembers a fact about this person for other conversations. \
        Use it when they ask for that, or tell something lasting about themselves. Never remember \
        passwords or what others are not to know. A more open conversation than this one will not \
        recall it.";
    // The same text again is the same memory.
    const EFFECT: EffectClass = EffectClass::Idempotent;
    type Args = Args;
    type Output = Remembered;

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            sources: vec!["memory".to_owned()],
            ..Capabilities::default()
        }
    }

    async fn call(&self, args: Args, ctx: &ToolContext) -> Result<Remembered, ToolError> {
        let note = Note {
            text: args.text,
            run: ctx.run_id,
            conversation: ctx.conversation_id,
            // What is remembered after a stranger's words were read may be theirs.
            untrusted: ctx.taint.untrusted,
            privacy: ctx.privacy,
        };
        let remembered = self
            .memory
            .remember(ctx.org_id, ctx.person()?, note, ctx.now)
            .await;
        let remembered = remembered.map_err(|error| refused(&error))?;
        Ok(Remembered {
            memory: remembered.id.to_string(),
            known: remembered.merged,
        })
    }
}
