//! What an agent remembers of a person, across conversations.

mod draft;

use std::fmt;
use std::str::FromStr;

use nexus_contracts::settings::Privacy;
use nexus_contracts::{ConversationId, OrgId, RunId, Timestamp, UserId};
use nexus_store::{Row, StoreError, TenantRef, Value};
use uuid::Uuid;

use crate::index::{Fused, Within};
use crate::ingest::{Outcome, TOLD_AT_ONCE, check, within};
use crate::model::{Page, count, privacy, rank};
use crate::remove::Which;
use crate::rows::{self, Change, Draft, optional_uuid, uuid};
use crate::search::Mode;
use crate::{Deleted, Error, Retrieval};

/// Something remembered: derived from organisation, person, privacy and text, so that the same is
/// remembered once in conversations as private.
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
    /// How private the conversation was that it is from.
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

const EXISTING: &str = "SELECT id, untrusted, privacy FROM retrieval_document WHERE org_id = $1 \
     AND id IN ($2, $3, $4, $5) AND privacy <= $6 ORDER BY privacy, id LIMIT 1";
const COUNT: &str = "SELECT COUNT(*) AS n FROM retrieval_document WHERE org_id = $1 \
     AND owner = $2 AND kind = 'memory'";
const LIST: &str = "SELECT d.id, c.text, d.untrusted, d.privacy, d.run_id, d.conversation_id, \
     d.added_at FROM retrieval_document AS d JOIN retrieval_chunk AS c ON c.org_id = d.org_id \
     AND c.document_id = d.id WHERE d.org_id = $1 AND d.owner = $2 AND d.kind = 'memory' \
     AND (d.added_at < $3 OR (d.added_at = $3 AND d.id > $4)) \
     ORDER BY d.added_at DESC, d.id LIMIT $5";
const UNNAME: &str = "UPDATE retrieval_document SET conversation_id = NULL, run_id = NULL \
     WHERE org_id = $1 AND conversation_id = $2";

/// Where a memory is kept, and whether another is there that makes room, or stays.
struct Place {
    id: Uuid,
    outcome: Outcome,
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
    /// What is known from a stricter conversation only is here as if it were not: this is kept beside it,
    /// and nothing that a conversation like this one sees, now or later, tells that it is there. Stricter
    /// ones recall both.
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
        let (mut draft, same) = draft::draft(org, user, &remember, now);
        let tx = retrieval.inner.store.read(org).await?;
        let place = self.place(&tx.as_ref(), &draft, &same).await?;
        if place.outcome == Outcome::Unchanged {
            return Ok(place.remembered(None));
        }
        drop(tx);
        let (meanings, not_embedded) = retrieval.meanings(org, &draft).await;
        let tx = retrieval.inner.store.begin(org).await?;
        let tenant = tx.as_ref();
        let revision = rows::bump(&tenant, Change::Adds).await?;
        let place = self.place(&tenant, &draft, &same).await?;
        if place.outcome == Outcome::Unchanged {
            return Ok(place.remembered(None));
        }
        (draft.id, draft.privacy) = (place.id, place.privacy);
        let change = (place.outcome, revision);
        retrieval
            .write(&tenant, &draft, meanings.as_ref(), change)
            .await?;
        tx.commit().await?;
        retrieval.tell(org, TOLD_AT_ONCE).await?;
        Ok(place.remembered(not_embedded))
    }

    async fn place(
        &self,
        tx: &TenantRef<'_>,
        draft: &Draft,
        same: &[Uuid; 4],
    ) -> Result<Place, Error> {
        let mut values = vec![rows::org(tx)];
        values.extend(same.iter().map(|id| Value::from(id.to_string())));
        values.push(Value::from(rank(draft.privacy)));
        if let Some(row) = tx.query(EXISTING, values).await?.first() {
            let was_untrusted = row.get::<i64>("untrusted")? != 0;
            return Ok(Place {
                id: uuid(row, "id")?,
                outcome: match was_untrusted && !draft.untrusted {
                    true => Outcome::Replaced,
                    false => Outcome::Unchanged,
                },
                privacy: privacy(row)?,
            });
        }
        let values = vec![rows::org(tx), crate::model::user(draft.owner)];
        let rows = tx.query(COUNT, values).await?;
        let there = rows.first().map_or(Ok(0), |row| row.get("n").map(count))?;
        within(
            "memories of one person",
            there + 1,
            self.retrieval.limits().memories_per_user,
            "forget some, or raise `memories_per_user`",
        )?;
        Ok(Place {
            id: draft.id,
            outcome: Outcome::Added,
            privacy: draft.privacy,
        })
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

impl Place {
    const fn remembered(&self, not_embedded: Option<String>) -> Remembered {
        Remembered {
            id: MemoryId(self.id),
            merged: !matches!(self.outcome, Outcome::Added),
            not_embedded,
        }
    }
}

fn of(org: OrgId, user: UserId) -> Vec<Value> {
    vec![rows::org_value(org), Value::from(user.to_string())]
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
