//! Taking documents in.

use nexus_contracts::settings::Privacy;
use nexus_contracts::{OrgId, Timestamp, UserId};
use nexus_store::{Row, StoreError, TenantRef, Value};
use sha2::{Digest, Sha256};

use crate::chunk::chunks;
use crate::embed::TextKind;
use crate::external;
use crate::model::{Kind, count, privacy};
use crate::rows::{self, Change, Draft, Meanings, plain};
use crate::{DocumentId, Error, Limits, Retrieval, spaces};

/// Longest title, collection, source and content type, in bytes.
const MOST_TITLE: usize = 500;
const MOST_COLLECTION: usize = 200;
const MOST_SOURCE: usize = 2_000;
const MOST_CONTENT_TYPE: usize = 200;

/// How many documents another database of vectors hears of right after a change. The others wait for
/// [`Retrieval::backfill`].
pub(crate) const TOLD_AT_ONCE: usize = 64;

/// A document as it is taken in. The text of what is no text (HTML, PDF) was extracted before.
#[derive(Clone, Debug)]
pub struct Ingest {
    /// Whose it is; none: all of the organisation may find it.
    pub owner: Option<UserId>,
    /// What it belongs to.
    pub collection: String,
    /// What people call it. Found with every part of it.
    pub title: String,
    /// Where it is from: an address, or the name of a file. The same source again is the same
    /// document.
    pub source: String,
    /// What it is: `text/markdown`, `text/csv`, `text/html` … decides where it is cut.
    pub content_type: String,
    /// The text. NUL becomes a blank.
    pub text: String,
    /// Whether what it says may be somebody's attempt to give orders: a page of the web, a mail.
    /// Said again with every part of it that is found.
    pub untrusted: bool,
    /// Where it may go: who may be asked for its vectors, and which conversations find it. None: where
    /// the version before it may, so that it is opened only by who asks for that; `open` if it is the
    /// first.
    pub privacy: Option<Privacy>,
    /// Whether the same source is another document for each privacy, so that none takes the place of
    /// another, or tells by that that there was one: for whoever keeps it without seeing all that is kept.
    pub apart: bool,
}

/// What came of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The same was there already; nothing was changed.
    Unchanged,
    /// There was none from this source.
    Added,
    /// It took the place of another version.
    Replaced,
}

/// A document that was taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ingested {
    /// Its id.
    pub id: DocumentId,
    /// What came of it.
    pub outcome: Outcome,
    /// How many chunks it has.
    pub chunks: usize,
    /// SHA-256 of its text, in hexadecimal.
    pub sha256: String,
    /// Where it may go now.
    pub privacy: Privacy,
    /// Why it cannot be found by meaning yet; [`Retrieval::backfill`] makes up for it.
    pub not_embedded: Option<String>,
    /// Why another database of vectors has not heard of it yet; [`Retrieval::backfill`] makes up
    /// for that too.
    pub not_told: Option<String>,
}

const EXISTING: &str = "SELECT sha256, title, content_type, untrusted, privacy, chunks FROM \
     retrieval_document WHERE org_id = $1 AND id = $2";
const ALL_CHUNKS: &str = "SELECT COUNT(*) AS documents, CAST(COALESCE(SUM(chunks), 0) AS BIGINT) \
     AS chunks FROM retrieval_document WHERE org_id = $1 AND kind = 'document' AND id <> $2";

impl Retrieval {
    /// Takes a document in, or a new version of it. The text is cut, embedded if there is an
    /// embedder that answers, and stored in one transaction: nobody finds half of it, or half of
    /// two versions. The same text again changes nothing.
    ///
    /// # Errors
    /// When it is empty, too large, or one too many; when the database fails. Nothing was stored
    /// then. An embedder that fails is no error: see [`Ingested::not_embedded`].
    pub async fn ingest(
        &self,
        org: OrgId,
        ingest: Ingest,
        now: Timestamp,
    ) -> Result<Ingested, Error> {
        let (limits, asked) = (self.limits().clone(), ingest.privacy);
        // Cutting megabytes is work for a processor, not for whoever serves others meanwhile.
        let work = move || draft(&limits, org, &ingest, now);
        let draft = tokio::task::spawn_blocking(work).await;
        let mut draft = draft.map_err(|error| Error::Interrupted(error.to_string()))??;
        let tx = self.inner.store.read(org).await?;
        let existing = existing(&tx.as_ref(), &mut draft, asked).await?;
        if existing.as_ref().is_some_and(|row| row.is_same) {
            return Ok(draft.ingested(Outcome::Unchanged));
        }
        self.check_room(&tx.as_ref(), &draft).await?;
        drop(tx);
        let under = draft.privacy;
        let (meanings, mut not_embedded) = self.meanings(org, &draft).await;
        let outcome = self.store(org, &mut draft, asked, meanings).await?;
        if draft.privacy != under {
            not_embedded = not_embedded.or_else(|| Some(MOVED.to_owned()));
        }
        let (_, not_told) = self.tell(org, TOLD_AT_ONCE).await?;
        Ok(Ingested {
            not_embedded,
            not_told,
            ..draft.ingested(outcome)
        })
    }

    /// Vectors of all chunks, or why there are none.
    pub(crate) async fn meanings(
        &self,
        org: OrgId,
        draft: &Draft,
    ) -> (Option<Meanings>, Option<String>) {
        if self.inner.embedder.is_none() {
            return (None, Some(NO_EMBEDDER.to_owned()));
        }
        match self
            .vectors(org, draft.searched(), (TextKind::Document, draft.privacy))
            .await
        {
            Ok(meanings) => (Some(meanings), None),
            Err(error) => {
                tracing::warn!(%org, document = %draft.id, %error, "stored without vectors");
                (None, Some(error.to_string()))
            }
        }
    }

    async fn store(
        &self,
        org: OrgId,
        draft: &mut Draft,
        asked: Option<Privacy>,
        meanings: Option<Meanings>,
    ) -> Result<Outcome, Error> {
        let under = draft.privacy;
        let tx = self.inner.store.begin(org).await?;
        let tenant = tx.as_ref();
        let revision = rows::bump(&tenant, Change::Adds).await?;
        // Looked at again: now nobody else of the organisation writes.
        let outcome = match existing(&tenant, draft, asked).await? {
            Some(existing) if existing.is_same => return Ok(Outcome::Unchanged),
            Some(_) => Outcome::Replaced,
            None => Outcome::Added,
        };
        self.check_room(&tenant, draft).await?;
        // Whoever may be told what it is now was not asked, if somebody changed that meanwhile.
        let meanings = meanings.filter(|_| draft.privacy == under);
        self.write(&tenant, draft, meanings.as_ref(), (outcome, revision))
            .await?;
        tx.commit().await?;
        Ok(outcome)
    }

    pub(crate) async fn write(
        &self,
        tenant: &TenantRef<'_>,
        draft: &Draft,
        meanings: Option<&Meanings>,
        (outcome, revision): (Outcome, i64),
    ) -> Result<(), StoreError> {
        let id = [draft.id.to_string()];
        if outcome == Outcome::Replaced {
            rows::delete(tenant, &id).await?;
        }
        draft.insert(tenant, meanings, revision).await?;
        if self.inner.external.is_some() {
            external::pend(tenant, &id, revision).await?;
            if let Some((space, _)) = meanings {
                spaces::note(tenant, space).await?;
            }
        }
        Ok(())
    }

    async fn check_room(&self, tx: &TenantRef<'_>, draft: &Draft) -> Result<(), Error> {
        let limits = self.limits();
        let values = vec![rows::org(tx), Value::from(draft.id.to_string())];
        let rows = tx.query(ALL_CHUNKS, values).await?;
        let Some(row) = rows.first() else {
            return Ok(());
        };
        within(
            "documents of the organisation",
            count(row.get("documents")?) + 1,
            limits.documents_per_org,
            "delete some, or raise `documents_per_org`",
        )?;
        within(
            "chunks of the organisation's documents",
            count(row.get("chunks")?) + draft.chunks.len(),
            limits.chunks_per_org,
            "delete some documents, or raise `chunks_per_org`",
        )
    }
}

/// Checks a document and cuts it.
fn draft(limits: &Limits, org: OrgId, ingest: &Ingest, at: Timestamp) -> Result<Draft, Error> {
    let advice = "split it, or raise `document_bytes`";
    check("the document", &ingest.text, limits.document_bytes, advice)?;
    let short = "shorten it";
    check(
        "the collection's name",
        &ingest.collection,
        MOST_COLLECTION,
        short,
    )?;
    check("the source", &ingest.source, MOST_SOURCE, short)?;
    at_most("the title", &ingest.title, MOST_TITLE, short)?;
    at_most(
        "the content type",
        &ingest.content_type,
        MOST_CONTENT_TYPE,
        short,
    )?;
    let text = plain(&ingest.text);
    let chunks = chunks(&text, &ingest.content_type, limits.chunk_chars);
    within(
        "chunks of one document",
        chunks.len(),
        limits.chunks_per_document,
        "split it, or raise `chunks_per_document`",
    )?;
    let (collection, source) = (plain(&ingest.collection), plain(&ingest.source));
    let privacy = ingest.privacy.unwrap_or_default();
    let id = match ingest.apart {
        true => DocumentId::apart(org, ingest.owner, privacy, (&collection, &source)),
        false => DocumentId::of(org, ingest.owner, &collection, &source),
    };
    Ok(Draft {
        id: id.0,
        kind: Kind::Document,
        owner: ingest.owner,
        collection,
        title: plain(&ingest.title),
        source,
        content_type: plain(&ingest.content_type),
        sha256: hex::encode(Sha256::digest(text.as_bytes())),
        untrusted: ingest.untrusted,
        privacy,
        run: None,
        conversation: None,
        text,
        chunks,
        at,
    })
}

pub(crate) const NO_EMBEDDER: &str = "no embedder is configured";
const MOVED: &str = "somebody else changed where it may go meanwhile";

struct Existing {
    is_same: bool,
}

/// What is there of the same source. If nobody asked where the draft may go, it goes where that may; and
/// where that is gone by now, no further than it was.
async fn existing(
    tx: &TenantRef<'_>,
    draft: &mut Draft,
    asked: Option<Privacy>,
) -> Result<Option<Existing>, StoreError> {
    let values = vec![rows::org(tx), Value::from(draft.id.to_string())];
    let rows = tx.query(EXISTING, values).await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    if asked.is_none() {
        draft.privacy = privacy(row)?;
    }
    existing_of(row, draft).map(Some)
}

fn existing_of(row: &Row, draft: &Draft) -> Result<Existing, StoreError> {
    let sha256: String = row.get("sha256")?;
    let title: String = row.get("title")?;
    let content_type: String = row.get("content_type")?;
    let untrusted: bool = row.get::<i64>("untrusted")? != 0;
    let is_same = sha256 == draft.sha256
        && title == draft.title
        && content_type == draft.content_type
        && untrusted == draft.untrusted
        && privacy(row)? == draft.privacy
        && count(row.get("chunks")?) == draft.chunks.len();
    Ok(Existing { is_same })
}

impl Draft {
    fn ingested(&self, outcome: Outcome) -> Ingested {
        Ingested {
            id: DocumentId(self.id),
            outcome,
            chunks: self.chunks.len(),
            sha256: self.sha256.clone(),
            privacy: self.privacy,
            not_embedded: None,
            not_told: None,
        }
    }
}

/// Some text, and not too much.
pub(crate) fn check(
    what: &'static str,
    text: &str,
    most: usize,
    advice: &'static str,
) -> Result<(), Error> {
    if text.trim().is_empty() {
        return Err(Error::Empty { what });
    }
    at_most(what, text, most, advice)
}

fn at_most(what: &'static str, text: &str, most: usize, advice: &'static str) -> Result<(), Error> {
    let bytes = text.len();
    match bytes > most {
        true => Err(Error::TooLong {
            what,
            bytes,
            most,
            advice,
        }),
        false => Ok(()),
    }
}

pub(crate) fn within(
    what: &'static str,
    count: usize,
    most: usize,
    advice: &'static str,
) -> Result<(), Error> {
    match count > most {
        true => Err(Error::TooMany {
            what,
            count,
            most,
            advice,
        }),
        false => Ok(()),
    }
}
