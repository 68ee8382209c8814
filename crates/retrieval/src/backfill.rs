//! Making up for vectors that are missing.

use std::collections::{BTreeMap, BTreeSet};

use nexus_contracts::OrgId;
use nexus_contracts::settings::Privacy;
use nexus_store::{InList, Row, StoreError, TenantRef, Value};

use crate::embed::{Space, TextKind, to_bytes};
use crate::external;
use crate::ingest::NO_EMBEDDER;
use crate::model::{count, number, privacy, rank};
use crate::rows::{self, Change, searched};
use crate::{Error, Retrieval, spaces};

/// What was made up for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backfilled {
    /// How many chunks were embedded.
    pub embedded: usize,
    /// How many are still without a vector of the model that the embedder has for texts of their
    /// privacy, as far as it said which that is.
    pub left: usize,
    /// Of how many documents another database of vectors was told.
    pub told: usize,
    /// Why it ended before all was done, other than because the budget was spent.
    pub reason: Option<String>,
}

/// A chunk without the vector it should have.
struct Missing {
    document: String,
    ordinal: i64,
    revision: i64,
    text: String,
}

const MISSING: &str = "SELECT c.document_id, c.ordinal, c.context, c.text, d.title, d.revision \
     FROM retrieval_chunk AS c JOIN retrieval_document AS d ON d.org_id = c.org_id \
     AND d.id = c.document_id WHERE c.org_id = $1 \
     AND (c.model IS NULL OR c.model <> $2 OR c.dimensions <> $3) AND d.privacy = $4 \
     ORDER BY c.document_id, c.ordinal LIMIT $5";
const LEFT: &str = "SELECT COUNT(*) AS n FROM retrieval_chunk AS c JOIN retrieval_document AS d \
     ON d.org_id = c.org_id AND d.id = c.document_id WHERE c.org_id = $1 \
     AND (c.model IS NULL OR c.model <> $2 OR c.dimensions <> $3) AND d.privacy = $4";
const PRIVACIES: &str = "SELECT DISTINCT privacy FROM retrieval_document WHERE org_id = $1";
const FILL: &str = "UPDATE retrieval_chunk SET model = $4, dimensions = $5, vector = $6 \
     WHERE org_id = $1 AND document_id = $2 AND ordinal = $3";

impl Retrieval {
    /// Embeds at most `budget` chunks that have no vector of the embedder's model: stored while it
    /// did not answer, or with another model. Texts of each privacy are asked for by themselves, so that
    /// none goes further than it may. Then has another database of vectors, if there is one, drop those of
    /// models by which nothing is kept any more, and tells it what it has not heard of. Meant to be called
    /// again and again.
    ///
    /// # Errors
    /// When the database fails. An embedder that fails is no error: see [`Backfilled::reason`].
    pub async fn backfill(&self, org: OrgId, budget: usize) -> Result<Backfilled, Error> {
        let mut done = Backfilled::default();
        if self.inner.embedder.is_none() {
            done.reason = Some(NO_EMBEDDER.to_owned());
        } else {
            let mut tries = budget;
            for privacy in self.privacies(org).await? {
                let embedded = &mut done.embedded;
                match self
                    .embed_missing(org, privacy, &mut tries, embedded)
                    .await?
                {
                    Ok(space) => done.left += self.left(org, (&space, privacy)).await?,
                    // That nobody may be told what must not leave is no reason to leave out the rest.
                    Err(reason) => done.reason = done.reason.or(Some(reason)),
                }
            }
        }
        // Before it is told: whatever was in one of them when it went is then told again.
        let not_dropped = self.drop_old_spaces(org).await?;
        let (told, not_told) = self.tell(org, budget.max(1)).await?;
        done.told = told;
        done.reason = done.reason.or(not_dropped).or(not_told);
        Ok(done)
    }

    /// The privacies of what there is, each once.
    async fn privacies(&self, org: OrgId) -> Result<Vec<Privacy>, Error> {
        let tx = self.inner.store.read(org).await?;
        let rows = tx.query(PRIVACIES, vec![rows::org_value(org)]).await?;
        let privacies: Result<BTreeSet<_>, StoreError> = rows.iter().map(privacy).collect();
        Ok(privacies?.into_iter().collect())
    }

    /// Gives the space of the embedder, or why it gave no vectors.
    async fn embed_missing(
        &self,
        org: OrgId,
        privacy: Privacy,
        tries: &mut usize,
        embedded: &mut usize,
    ) -> Result<Result<Space, String>, Error> {
        let asked = (TextKind::Document, privacy);
        loop {
            let Some(space) = self.space(privacy) else {
                // Which model it is, is only known from an answer.
                let probe = vec!["probe".to_owned()];
                match self.vectors(org, probe, asked).await {
                    Ok(_) => continue,
                    Err(error) => return Ok(Err(error.to_string())),
                }
            };
            let most = self.limits().embed_batch.clamp(1, (*tries).max(1));
            let missing = match *tries > 0 {
                true => self.missing(org, (&space, privacy), most).await?,
                false => Vec::new(),
            };
            if missing.is_empty() {
                return Ok(Ok(space));
            }
            *tries = tries.saturating_sub(missing.len());
            let texts = missing.iter().map(|missing| missing.text.clone()).collect();
            match self.vectors(org, texts, asked).await {
                Ok((space, vectors)) => {
                    *embedded += self.fill(org, &space, &missing, &vectors).await?;
                }
                Err(error) => return Ok(Err(error.to_string())),
            }
        }
    }

    async fn missing(
        &self,
        org: OrgId,
        of: (&Space, Privacy),
        most: usize,
    ) -> Result<Vec<Missing>, Error> {
        let tx = self.inner.store.read(org).await?;
        let mut values = lacking(org, of);
        values.push(number(most));
        let rows = tx.query(MISSING, values).await?;
        let missing: Result<Vec<_>, StoreError> = rows.iter().map(missing).collect();
        Ok(missing?)
    }

    async fn left(&self, org: OrgId, of: (&Space, Privacy)) -> Result<usize, Error> {
        let tx = self.inner.store.read(org).await?;
        let rows = tx.query(LEFT, lacking(org, of)).await?;
        Ok(rows.first().map_or(Ok(0), |row| row.get("n").map(count))?)
    }

    /// Stores vectors of chunks whose documents are what they were; gives how many.
    async fn fill(
        &self,
        org: OrgId,
        space: &Space,
        missing: &[Missing],
        vectors: &[Vec<f32>],
    ) -> Result<usize, Error> {
        let tx = self.inner.store.begin(org).await?;
        let tenant = tx.as_ref();
        let revision = rows::bump(&tenant, Change::Adds).await?;
        let now = revisions(&tenant, missing).await?;
        let mut filled = 0;
        for (missing, vector) in missing.iter().zip(vectors) {
            if now.get(&missing.document) == Some(&missing.revision) {
                let values = vec![
                    rows::org(&tenant),
                    Value::from(&missing.document),
                    Value::from(missing.ordinal),
                    Value::from(&space.model),
                    number(space.dimensions),
                    Value::from(to_bytes(vector)),
                ];
                tenant.later(FILL, values).await?;
                filled += 1;
            }
        }
        let ids: Vec<String> = now.into_keys().collect();
        for list in InList::chunks(&ids, 3) {
            let sql = format!(
                "UPDATE retrieval_document SET revision = $2 WHERE org_id = $1 AND id IN {}",
                list.text
            );
            let values = [rows::org(&tenant), Value::from(revision)].into_iter();
            tenant
                .later(&sql, values.chain(list.values).collect())
                .await?;
        }
        if self.inner.external.is_some() {
            external::pend(&tenant, &ids, revision).await?;
            spaces::note(&tenant, space).await?;
        }
        tx.commit().await?;
        Ok(filled)
    }
}

/// `$1` to `$4`.
fn lacking(org: OrgId, (space, privacy): (&Space, Privacy)) -> Vec<Value> {
    let mut values = spaces::of(org, space);
    values.push(Value::from(rank(privacy)));
    values
}

fn missing(row: &Row) -> Result<Missing, StoreError> {
    let (title, context): (String, String) = (row.get("title")?, row.get("context")?);
    let text: String = row.get("text")?;
    Ok(Missing {
        document: row.get("document_id")?,
        ordinal: row.get("ordinal")?,
        revision: row.get("revision")?,
        text: searched(&title, &context, &text),
    })
}

/// The revisions of the documents of these chunks, of those that are still what they were.
async fn revisions(
    tx: &TenantRef<'_>,
    missing: &[Missing],
) -> Result<BTreeMap<String, i64>, StoreError> {
    let read: BTreeMap<&String, i64> = missing
        .iter()
        .map(|missing| (&missing.document, missing.revision))
        .collect();
    let ids: Vec<String> = read.keys().map(|id| (*id).clone()).collect();
    let mut now = BTreeMap::new();
    for list in InList::chunks(&ids, 2) {
        let sql = format!(
            "SELECT id, revision FROM retrieval_document WHERE org_id = $1 AND id IN {}",
            list.text
        );
        let values = std::iter::once(rows::org(tx)).chain(list.values).collect();
        for row in tx.query(&sql, values).await? {
            let (id, revision): (String, i64) = (row.get("id")?, row.get("revision")?);
            if read.get(&id) == Some(&revision) {
                now.insert(id, revision);
            }
        }
    }
    Ok(now)
}
