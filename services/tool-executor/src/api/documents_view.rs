//! What is said of documents and memories over HTTP.

use nexus_contracts::Timestamp;
use nexus_contracts::settings::Privacy;
use nexus_retrieval::{DocumentInfo, Hit, Ingested, Item, Outcome, Page};
use nexus_service_kit::Problem;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// What is said of a document that is kept.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct DocumentToAdd {
    /// Where it is from: an address, or the name of a file. The same source again is the same document.
    pub source: String,
    /// What people call it; what it calls itself, or its source, when absent.
    pub title: Option<String>,
    /// What it belongs to; `documents` when absent.
    pub collection: Option<String>,
    /// Whether all of the organisation may find it, instead of whoever keeps it alone.
    #[serde(default)]
    pub shared: bool,
    /// Whether what it says may be somebody's attempt to give orders; for HTML and PDF yes when absent.
    pub untrusted: Option<bool>,
    /// Where it may go: `open`, `sensitive` or `local_only`; when absent, where the version before it may, or
    /// `open` if it is the first. Found only in conversations that are no more open, and by searches that say so.
    #[param(value_type = Option<String>)]
    pub privacy: Option<Privacy>,
}

/// A document that was kept.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct AddedDocument {
    /// Its id.
    pub id: String,
    /// `added`, `replaced` or `unchanged`.
    pub outcome: String,
    /// In how many parts it is found.
    pub parts: usize,
    /// Where it may go now: `open`, `sensitive` or `local_only`.
    #[schema(value_type = String)]
    pub privacy: Privacy,
    /// Why it is not found by meaning yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_embedded: Option<String>,
}

impl AddedDocument {
    pub(super) fn of(added: Ingested) -> Self {
        let outcome = match added.outcome {
            Outcome::Added => "added",
            Outcome::Replaced => "replaced",
            Outcome::Unchanged => "unchanged",
        };
        Self {
            id: added.id.to_string(),
            outcome: outcome.to_owned(),
            parts: added.chunks,
            privacy: added.privacy,
            not_embedded: added.not_embedded,
        }
    }
}

/// A part of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ToList {
    /// Only this collection.
    pub collection: Option<String>,
    /// `next` of the page before.
    pub before: Option<String>,
}

impl ToList {
    pub(super) fn page(&self, most: usize) -> Result<Page, Problem> {
        let behind = match &self.before {
            None => None,
            Some(text) => Some(place(text).ok_or_else(|| {
                Problem::bad_request("`before` must be `next` of the page before")
            })?),
        };
        Ok(Page {
            behind,
            limit: Some(most),
        })
    }
}

fn place(text: &str) -> Option<(Timestamp, uuid::Uuid)> {
    let (millis, id) = text.split_once('.')?;
    Some((
        Timestamp::from_millis(millis.parse().ok()?),
        id.parse().ok()?,
    ))
}

/// The place behind the last of a full page.
fn next(last: (Timestamp, uuid::Uuid)) -> String {
    let (at, id) = last;
    format!("{}.{id}", at.as_millis())
}

/// Documents.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct DocumentList {
    /// The newest first.
    pub documents: Vec<DocumentView>,
    /// `before` of the next page, where there may be one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl DocumentList {
    pub(super) fn of(listed: Vec<DocumentInfo>, most: usize) -> Self {
        let last = listed.last().map(|info| (info.added_at, info.id.0));
        Self {
            next: last.filter(|_| listed.len() >= most).map(next),
            documents: listed.into_iter().map(DocumentView::of).collect(),
        }
    }
}

/// A document.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct DocumentView {
    /// Its id.
    pub id: String,
    /// What people call it.
    pub title: String,
    /// Where it is from.
    pub source: String,
    /// What it belongs to.
    pub collection: String,
    /// Whether all of the organisation may find it.
    pub shared: bool,
    /// Where it may go: `open`, `sensitive` or `local_only`.
    #[schema(value_type = String)]
    pub privacy: Privacy,
    /// Its size, in bytes of text.
    pub bytes: usize,
    /// In how many parts it is found.
    pub parts: usize,
    /// SHA-256 of its text.
    pub sha256: String,
    /// When this version was kept, in RFC 3339.
    pub added_at: String,
}

impl DocumentView {
    fn of(info: DocumentInfo) -> Self {
        Self {
            id: info.id.to_string(),
            title: info.title,
            source: info.source,
            collection: info.collection,
            shared: info.owner.is_none(),
            privacy: info.privacy,
            bytes: info.bytes,
            parts: info.chunks,
            sha256: info.sha256,
            added_at: info.added_at.to_string(),
        }
    }
}

/// What to find.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ToFind {
    /// What is looked for, in words.
    pub q: String,
    /// Only in this collection.
    pub collection: Option<String>,
    /// Most parts, 1 to 50; 10 when absent.
    pub limit: Option<usize>,
    /// How strict the documents may be that are searched: `open`, `sensitive` or `local_only`; `open` when
    /// absent. The query goes no further than that.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    pub privacy: Privacy,
}

/// What was found.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct FoundParts {
    /// `hybrid` by words and meaning, `bm25` by words alone.
    pub mode: String,
    /// Why not by meaning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The best first.
    pub parts: Vec<PartView>,
    /// How many documents were not searched because they are stricter than `privacy`, whether they fit or not.
    #[serde(default)]
    pub withheld: usize,
}

/// A part of a document.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct PartView {
    /// The document's id.
    pub document: String,
    /// Its title.
    pub title: String,
    /// Where it is from.
    pub source: String,
    /// Its collection.
    pub collection: String,
    /// SHA-256 of the version it is from.
    pub sha256: String,
    /// Where the part begins in the document's text, in bytes.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
    /// What it says.
    pub text: String,
    /// What it is ordered by.
    pub score: f64,
}

impl PartView {
    pub(super) fn of(hit: Hit) -> Self {
        Self {
            document: hit.document.to_string(),
            title: hit.title,
            source: hit.source,
            collection: hit.collection,
            sha256: hit.sha256,
            start: hit.range.start,
            end: hit.range.end,
            text: hit.text,
            score: hit.score,
        }
    }
}

/// How much was deleted.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Deleted {
    /// How many.
    pub deleted: usize,
}

/// What is remembered of a person.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct MemoryList {
    /// The newest first.
    pub memories: Vec<MemoryView>,
    /// `before` of the next page, where there may be one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl MemoryList {
    pub(super) fn of(listed: Vec<Item>, most: usize) -> Self {
        let last = listed.last().map(|item| (item.created_at, item.id.0));
        Self {
            next: last.filter(|_| listed.len() >= most).map(next),
            memories: listed.into_iter().map(MemoryView::of).collect(),
        }
    }
}

/// Something remembered.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct MemoryView {
    /// Its id.
    pub id: String,
    /// What it is.
    pub text: String,
    /// When it was first remembered, in RFC 3339.
    pub created_at: String,
    /// The conversation it is from, unless that was deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<String>,
    /// Whether it was remembered after a stranger's words were read.
    pub untrusted: bool,
    /// How private the conversation was that it is from: `open`, `sensitive` or `local_only`.
    #[schema(value_type = String)]
    pub privacy: Privacy,
}

impl MemoryView {
    fn of(item: Item) -> Self {
        Self {
            id: item.id.to_string(),
            text: item.text,
            created_at: item.created_at.to_string(),
            conversation_id: item.conversation.map(|id| id.to_string()),
            untrusted: item.untrusted,
            privacy: item.privacy,
        }
    }
}
