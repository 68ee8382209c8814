//! `search_documents`: what an organisation's own documents say.

use nexus_contracts::tool::{Capabilities, Taint};
use nexus_retrieval::{Search, Viewer};
use nexus_store::EffectClass;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::knowledge::Knowledge;
use crate::parts::Parts;
use crate::tool::{Tool, ToolContext, ToolError};

/// Results when the model does not say how many.
const COUNT: usize = 6;

/// Searches documents.
pub struct SearchDocuments {
    knowledge: Knowledge,
}

impl SearchDocuments {
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
    /// What is looked for, in words.
    pub query: String,
    /// Only in this collection.
    #[serde(default)]
    pub collection: Option<String>,
    /// How many parts, 1 to 20. 6 without it.
    #[serde(default)]
    pub count: Option<usize>,
}

/// What was found.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Found {
    /// `hybrid` by words and meaning, `bm25` by words alone.
    mode: String,
    /// Why not by meaning.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The best first.
    parts: Vec<Part>,
    /// That some documents were left out, and why. Tell the person when it matters.
    #[serde(skip_serializing_if = "Option::is_none")]
    withheld: Option<String>,
}

/// A part of a document.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Part {
    /// The document's title.
    title: String,
    /// Where it is from. Cite this.
    source: String,
    /// The document's id.
    document: String,
    /// Where the part begins and ends in the document's text, in bytes.
    bytes: [usize; 2],
    /// What it says.
    text: String,
    /// Whether a stranger wrote it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    untrusted: bool,
}

impl Tool for SearchDocuments {
    const NAME: &'static str = "search_documents";
    const DESCRIPTION: &'static str = "Searches the documents of this organisation and returns the \
        parts that fit, with their sources. Use it for whatever may stand in them, and cite the \
        sources you used.";
    const EFFECT: EffectClass = EffectClass::ReadOnly;
    const EXAMPLE: Option<&'static str> = Some(r#"{"query": "welcome"}"#);
    type Args = Args;
    type Output = Found;

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            brings: Taint::PRIVATE,
            sources: vec!["documents".to_owned()],
            ..Capabilities::default()
        }
    }

    fn taint_of(&self, found: &Found) -> Taint {
        Taint {
            untrusted: found.parts.iter().any(|part| part.untrusted),
            private: false,
        }
    }

    async fn call(&self, args: Args, ctx: &ToolContext) -> Result<Found, ToolError> {
        let search = Search {
            viewer: Viewer {
                org: ctx.org_id,
                user: ctx.user_id,
            },
            collections: args.collection.map(|name| vec![name]),
            query: args.query,
            privacy: ctx.privacy,
            limit: args.count.unwrap_or(COUNT).clamp(1, 20),
        };
        let found = self.knowledge.documents().search(search).await;
        let found = found.map_err(|error| refused(&error))?;
        let parts = found.hits.into_iter().map(|hit| Part {
            title: hit.title,
            source: hit.source,
            document: hit.document.to_string(),
            bytes: [hit.range.start, hit.range.end],
            text: hit.text,
            untrusted: hit.untrusted,
        });
        Ok(Found {
            mode: found.mode.as_str().to_owned(),
            reason: found.reason,
            parts: parts.collect(),
            withheld: withheld("documents", found.withheld),
        })
    }
}

/// What a model is told of what it must not see. Not how many: that would tell it when another is kept.
pub(super) fn withheld(what: &str, count: usize) -> Option<String> {
    (count > 0).then(|| {
        format!(
            "some {what} were not looked at, because they are kept more private than this \
             conversation is; a conversation with a stricter `privacy` may see them"
        )
    })
}

/// What a model can do about it.
pub(super) fn refused(error: &nexus_retrieval::Error) -> ToolError {
    match error {
        nexus_retrieval::Error::Store(_) => ToolError::Unavailable(error.to_string()),
        _ => ToolError::Failed(error.to_string()),
    }
}
