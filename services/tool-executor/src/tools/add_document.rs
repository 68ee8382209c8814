//! `add_document`: keeps a text among the organisation's documents.

use nexus_retrieval::Ingest;
use nexus_store::EffectClass;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::search_documents::refused;
use crate::knowledge::Knowledge;
use crate::parts::Parts;
use crate::tool::{Tool, ToolContext, ToolError};

/// The collection of documents that agents keep.
const COLLECTION: &str = "notes";

/// Keeps documents.
pub struct AddDocument {
    knowledge: Knowledge,
}

impl AddDocument {
    /// Over what is known.
    #[must_use]
    pub fn new(parts: &Parts) -> Self {
        Self {
            knowledge: parts.knowledge.clone(),
        }
    }
}

/// The arguments.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Args {
    /// What people call it.
    pub title: String,
    /// The text, as Markdown.
    pub text: String,
    /// Where it is from, such as an address. The same source again replaces what was kept before, in
    /// conversations as private as this one; the title when left out.
    #[serde(default)]
    pub source: Option<String>,
}

/// What was kept.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Kept {
    /// The document's id.
    document: String,
    /// In how many parts it is found.
    parts: usize,
    /// Why it is not found by meaning yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl Tool for AddDocument {
    const NAME: &'static str = "add_document";
    const DESCRIPTION: &'static str = "Keeps a text as a document of this person, to be found with \
        search_documents later, in conversations that are no more open than this one. Use it when \
        asked to keep or file something longer than a note.";
    // The same source and text again change nothing.
    const EFFECT: EffectClass = EffectClass::Idempotent;
    type Args = Args;
    type Output = Kept;

    async fn call(&self, args: Args, ctx: &ToolContext) -> Result<Kept, ToolError> {
        let user = ctx.person()?;
        let ingest = Ingest {
            owner: Some(user),
            // A collection of its own: what people filed is not an agent's to replace. Nor is what was
            // kept in a conversation that this one is not to know of.
            collection: COLLECTION.to_owned(),
            source: args.source.unwrap_or_else(|| args.title.clone()),
            title: args.title,
            content_type: "text/markdown".to_owned(),
            text: args.text,
            // What a model writes after it read a stranger's words may be theirs.
            untrusted: ctx.taint.untrusted,
            privacy: Some(ctx.privacy),
            apart: true,
        };
        let documents = self.knowledge.documents();
        let kept = documents.ingest(ctx.org_id, ingest, ctx.now).await;
        let kept = kept.map_err(|error| refused(&error))?;
        Ok(Kept {
            document: kept.id.to_string(),
            parts: kept.chunks,
            reason: kept.not_embedded,
        })
    }
}
