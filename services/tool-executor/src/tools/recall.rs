//! `recall`: what is known of a person from other conversations.

use nexus_contracts::tool::{Capabilities, Taint};
use nexus_retrieval::Memory;
use nexus_store::EffectClass;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::search_documents::{refused, withheld};
use crate::parts::Parts;
use crate::tool::{Tool, ToolContext, ToolError};

/// Most memories of one recall.
const MOST: usize = 8;

/// Recalls what fits.
pub struct Recall {
    memory: Memory,
}

impl Recall {
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
    /// What is looked for, in words.
    pub query: String,
}

/// What was recalled.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Recalled {
    /// The best first.
    memories: Vec<Known>,
    /// That some were left out, and why. Tell the person when it matters.
    #[serde(skip_serializing_if = "Option::is_none")]
    withheld: Option<String>,
}

/// Something known of a person.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Known {
    /// What `forget` takes.
    memory: String,
    /// What is known.
    text: String,
    /// Since when, in RFC 3339.
    since: String,
    /// Whether it was remembered after a stranger's words were read.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    untrusted: bool,
}

impl Tool for Recall {
    const NAME: &'static str = "recall";
    const DESCRIPTION: &'static str = "Recalls what is known of this person from other \
        conversations. Use it when something they said before would help, such as preferences, \
        names and plans.";
    const EFFECT: EffectClass = EffectClass::ReadOnly;
    type Args = Args;
    type Output = Recalled;

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            brings: Taint::PRIVATE,
            sources: vec!["memory".to_owned()],
            ..Capabilities::default()
        }
    }

    fn taint_of(&self, recalled: &Recalled) -> Taint {
        Taint {
            untrusted: recalled.memories.iter().any(|known| known.untrusted),
            private: false,
        }
    }

    async fn call(&self, args: Args, ctx: &ToolContext) -> Result<Recalled, ToolError> {
        let question = (args.query.as_str(), ctx.privacy);
        let recalled = self
            .memory
            .recall(ctx.org_id, ctx.person()?, question, MOST)
            .await;
        let recalled = recalled.map_err(|error| refused(&error))?;
        let withheld = withheld("memories of this person", recalled.withheld);
        let memories = recalled.memories.into_iter().map(|one| Known {
            memory: one.item.id.to_string(),
            text: one.item.text,
            since: one.item.created_at.to_string(),
            untrusted: one.item.untrusted,
        });
        Ok(Recalled {
            memories: memories.collect(),
            withheld,
        })
    }
}
