//! What an agent remembers of a person, across conversations.

use std::fmt;
use std::str::FromStr;

use nexus_contracts::settings::Privacy;
use nexus_contracts::{ConversationId, OrgId, RunId, Timestamp, UserId, derive_id};
use nexus_store::{Row, StoreError, TenantRef, Value};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::chunk::Chunk;
use crate::index::{Fused, Within};
use crate::ingest::{Outcome, TOLD_AT_ONCE, check, within};
use crate::model::{Kind, Page, count, privacy};
use crate::remove::Which;
use crate::rows::{self, Change, Draft, optional_uuid, plain, uuid};
use crate::search::Mode;
use crate::{Deleted, Error, Retrieval};

/// Something remembered: derived from organisation, person and text, so that the same is
/// remembered once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemoryId(pub Uuid);

impl fmt::Display for MemoryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for MemoryId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(text).map(Self)
    }
}

/// What is to be remembered.
#[derive(Clone, Debug)]
pub struct Remember {
    /// The text. NUL becomes a blank.
    pub text: String,
    /// The run it is from.
    pub run: Option<RunId>,
    /// The conversation it is from.
    pub conversation: Option<ConversationId>,
    /// Whether it is from something that may be somebody's attempt to give orders.
    pub untrusted: bool,
    /// How private the conversation is that it is from: it is recalled only in those that are no more
    /// open, and its vector is asked of nobody further away.
    pub privacy: Privacy,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// Its id.
    pub id: MemoryId,
    /// Whether the same was remembered before, as far as this conversation may know.
    pub merged: bool,
    /// Why it cannot be recalled by meaning yet.
    pub not_embedded: Option<String>,
}

/// Something remembered, and where it is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its id.
    pub id: MemoryId,
    /// The text.
    pub text: String,
    /// Whether it is from something that may be somebody's attempt to give orders.
    pub untrusted: bool,
    /// How private the most open conversation was in which it was said.
    pub privacy: Privacy,
    /// The run it is from.
    pub run: Option<RunId>,
    /// The conversation it is from, unless that was deleted.
    pub conversation: Option<ConversationId>,
    /// When it was first remembered.
    pub created_at: Timestamp,
}

/// Something recalled, and how well it fits; see [`Hit`](crate::Hit).
#[derive(Clone, Debug, PartialEq)]
pub struct Recalled {
    /// What it is.
    pub item: Item,
    /// What it is ordered by.
    pub score: f64,
    /// Its score by words.
    pub bm25: Option<f64>,
    /// The cosine of its vector and the query's.
    pub cosine: Option<f64>,
}

/// What was recalled.
#[derive(Clone, Debug, PartialEq)]
pub struct Recall {
    /// By what it was searched.
    pub mode: Mode,
    /// Why not, or not of all, by meaning.
    pub reason: Option<String>,
    /// Best first.
    pub memories: Vec<Recalled>,
    /// How many memories of this person were left out because they are stricter than the conversation,
    /// whatever was asked for.
    pub withheld: usize,
}

/// What is remembered of each person, by nobody found but them.
#[derive(Clone)]
pub struct Memory {
    retrieval: Retrieval,
}

const EXISTING: &str =
    "SELECT untrusted, privacy FROM retrieval_document WHERE org_id = $1 AND id = $2";
const COUNT: &str = "SELECT COUNT(*) AS n FROM retrieval_document WHERE org_id = $1 \
     AND owner = $2 AND kind = 'memory'";
const LIST: &str = "SELECT d.id, c.text, d.untrusted, d.privacy, d.run_id, d.conversation_id, \
     d.added_at FROM retrieval_document AS d JOIN retrieval_chunk AS c ON c.org_id = d.org_id \
     AND c.document_id = d.id WHERE d.org_id = $1 AND d.owner = $2 AND d.kind = 'memory' \
     AND (d.added_at < $3 OR (d.added_at = $3 AND d.id > $4)) \
     ORDER BY d.added_at DESC, d.id LIMIT $5";
const UNNAME: &str = "UPDATE retrieval_document SET conversation_id = NULL, run_id = NULL \
     WHERE org_id = $1 AND conversation_id = $2";

/// Where a memory is kept.
struct Place {
    outcome: Outcome,
    /// Whether the same was known to a conversation of this privacy.
    was_known: bool,
    /// Of the most open conversation in which it was said.
    privacy: Privacy,
}

impl Memory {
    pub(crate) const fn new(retrieval: Retrieval) -> Self {
        Self { retrieval }
    }

    /// Remembers something. What differs from something remembered only in case, in blanks, or in a
    /// full stop or exclamation mark at the end is the same: it is kept once, with what was known of it
    /// first. Only when that was untrusted and this is not, this takes its place, as open as that was.
    /// Anything else that means the same is remembered beside it: whether two texts say the same is no
    /// question of letters, and of vectors only by chance.
    ///
    /// What is known from a stricter conversation only is here as if it were not: this takes its place,
    /// with all that is known of it, and nothing in the answer tells that it was there.
    ///
    /// # Errors
    /// When it is empty, too long, or one too many; when the database fails.
    pub async fn remember(
        &self,
        org: OrgId,
        user: UserId,
        remember: Remember,
        now: Timestamp,
    ) -> Result<Remembered, Error> {
        let retrieval = &self.retrieval;
        let most = retrieval.limits().memory_bytes;
        let advice = "remember the gist of it, or keep it as a document";
        check("the memory", &remember.text, most, advice)?;
        let mut draft = draft(org, user, &remember, now);
        let id = MemoryId(draft.id);
        let merged = |merged, not_embedded| Remembered {
            id,
            merged,
            not_embedded,
        };
        let tx = retrieval.inner.store.read(org).await?;
        if self.place(&tx.as_ref(), &draft).await?.is_none() {
            return Ok(merged(true, None));
        }
        drop(tx);
        let (meanings, not_embedded) = retrieval.meanings(org, &draft).await;
        let tx = retrieval.inner.store.begin(org).await?;
        let tenant = tx.as_ref();
        let revision = rows::bump(&tenant, Change::Adds).await?;
        let Some(place) = self.place(&tenant, &draft).await? else {
            return Ok(merged(true, None));
        };
        draft.privacy = place.privacy;
        retrieval
            .write(
                &tenant,
                &draft,
                meanings.as_ref(),
                (place.outcome, revision),
            )
            .await?;
        tx.commit().await?;
        retrieval.tell(org, TOLD_AT_ONCE).await?;
        Ok(merged(place.was_known, not_embedded))
    }

    /// Where it is kept; none where another stays.
    async fn place(&self, tx: &TenantRef<'_>, draft: &Draft) -> Result<Option<Place>, Error> {
        let values = vec![rows::org(tx), Value::from(draft.id.to_string())];
        let existing = tx.query(EXISTING, values).await?;
        let existing = existing.first();
        let outcome = match existing {
            None => Outcome::Added,
            Some(_) => Outcome::Replaced,
        };
        if let Some(row) = existing
            && privacy(row)? <= draft.privacy
        {
            let was_untrusted = row.get::<i64>("untrusted")? != 0;
            let place = Place {
                outcome,
                was_known: true,
                privacy: privacy(row)?,
            };
            return Ok((was_untrusted && !draft.untrusted).then_some(place));
        }
        // Asked also where a stricter one makes room: an answer that differs would tell of it.
        let values = vec![rows::org(tx), crate::model::user(draft.owner)];
        let rows = tx.query(COUNT, values).await?;
        let there = rows.first().map_or(Ok(0), |row| row.get("n").map(count))?;
        within(
            "memories of one person",
            there + 1,
            self.retrieval.limits().memories_per_user,
            "forget some, or raise `memories_per_user`",
        )?;
        Ok(Some(Place {
            outcome,
            was_known: false,
            privacy: draft.privacy,
        }))
    }

    /// Recalls what fits a question, of this person alone, and from conversations that were no more
    /// private than `privacy`. The question goes no further than that either.
    ///
    /// # Errors
    /// When nothing is asked for, or in too many words; when the database fails.
    pub async fn recall(
        &self,
        org: OrgId,
        user: UserId,
        (query, privacy): (&str, Privacy),
        limit: usize,
    ) -> Result<Recall, Error> {
        let within = Within::Memories { user, privacy };
        let finding = self.retrieval.find(org, &within, query, limit).await?;
        let memories: Result<Vec<_>, StoreError> = finding.rows.iter().map(recalled).collect();
        Ok(Recall {
            mode: finding.mode,
            reason: finding.reason,
            memories: memories?,
            withheld: finding.withheld,
        })
    }

    /// What is remembered of a person, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn list(&self, org: OrgId, user: UserId, page: Page) -> Result<Vec<Item>, Error> {
        let tx = self.retrieval.inner.store.read(org).await?;
        let mut values = of(org, user);
        values.extend(page.values(self.retrieval.limits().results));
        let rows = tx.query(LIST, values).await?;
        let items: Result<Vec<_>, StoreError> = rows
            .iter()
            .map(|row| item(row, MemoryId(uuid(row, "id")?)))
            .collect();
        Ok(items?)
    }

    /// Forgets one thing, for good.
    ///
    /// # Errors
    /// When the database fails; nothing was forgotten then.
    pub async fn forget(&self, org: OrgId, user: UserId, id: MemoryId) -> Result<Deleted, Error> {
        let which = Which {
            condition: "kind = 'memory' AND owner = $2 AND id = $3",
            values: vec![Value::from(user.to_string()), Value::from(id.to_string())],
        };
        self.retrieval.remove(org, which).await
    }

    /// Forgets all of a person, for good.
    ///
    /// # Errors
    /// As [`Memory::forget`].
    pub async fn forget_all(&self, org: OrgId, user: UserId) -> Result<Deleted, Error> {
        let which = Which {
            condition: "kind = 'memory' AND owner = $2",
            values: vec![Value::from(user.to_string())],
        };
        self.retrieval.remove(org, which).await
    }

    /// A conversation was deleted: what was remembered from it stays, but not where it is from.
    /// Gives how many memories it was.
    ///
    /// # Errors
    /// When the database fails; nothing was changed then.
    pub async fn conversation_deleted(
        &self,
        org: OrgId,
        conversation: ConversationId,
    ) -> Result<u64, Error> {
        let tx = self.retrieval.inner.store.begin(org).await?;
        let tenant = tx.as_ref();
        let values = vec![rows::org(&tenant), Value::from(conversation.to_string())];
        let changed = tenant.erasing(tenant.execute(UNNAME, values)).await?;
        tx.commit().await?;
        Ok(changed)
    }
}

fn of(org: OrgId, user: UserId) -> Vec<Value> {
    vec![rows::org_value(org), Value::from(user.to_string())]
}

fn draft(org: OrgId, user: UserId, remember: &Remember, at: Timestamp) -> Draft {
    let text = plain(&remember.text).trim().to_owned();
    let normalised = normalised(&text);
    let parts = [
        b"memory".as_slice(),
        org.0.as_bytes(),
        user.0.as_bytes(),
        normalised.as_bytes(),
    ];
    let chunk = Chunk {
        range: 0..text.len(),
        context: String::new(),
    };
    Draft {
        id: derive_id(parts),
        kind: Kind::Memory,
        owner: Some(user),
        collection: String::new(),
        title: String::new(),
        source: String::new(),
        content_type: "text/plain".to_owned(),
        sha256: hex::encode(Sha256::digest(text.as_bytes())),
        untrusted: remember.untrusted,
        privacy: remember.privacy,
        run: remember.run,
        conversation: remember.conversation,
        text,
        chunks: vec![chunk],
        at,
    }
}

/// What makes two memories the same.
fn normalised(text: &str) -> String {
    let lower = text.to_lowercase();
    let words: Vec<&str> = lower.split_whitespace().collect();
    words.join(" ").trim_end_matches(['.', '!', ' ']).to_owned()
}

fn recalled((fused, row): &(Fused, Row)) -> Result<Recalled, StoreError> {
    Ok(Recalled {
        item: item(row, MemoryId(fused.key.document))?,
        score: fused.score,
        bm25: fused.bm25,
        cosine: fused.cosine,
    })
}

fn item(row: &Row, id: MemoryId) -> Result<Item, StoreError> {
    Ok(Item {
        id,
        text: row.get("text")?,
        untrusted: row.get::<i64>("untrusted")? != 0,
        privacy: privacy(row)?,
        run: optional_uuid(row, "run_id")?.map(RunId),
        conversation: optional_uuid(row, "conversation_id")?.map(ConversationId),
        created_at: Timestamp::from_millis(row.get("added_at")?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_blanks_and_the_end_make_no_difference_and_signs_do() {
        assert_eq!(normalised(" Likes\n  TEA. "), normalised("likes tea!"));
        assert_ne!(normalised("Writes C++"), normalised("Writes C#"));
        assert_ne!(normalised("Likes tea?"), normalised("Likes tea"));
    }
}
