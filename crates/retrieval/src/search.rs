//! Finding.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use nexus_contracts::settings::Privacy;
use nexus_contracts::{OrgId, UserId};
use nexus_store::{Row, StoreError, TenantTx, Value, placeholders};

use crate::cache::Place;
use crate::embed::{Space, TextKind};
use crate::external::Scope;
use crate::index::{Fused, Key, Scored, Within, fuse};
use crate::ingest::{NO_EMBEDDER, check};
use crate::model::{Kind, count, rank};
use crate::rows::{self, optional_uuid, uuid};
use crate::{DocumentId, Error, Retrieval, Viewer};

/// How many of each order go into the common one.
const RANKED: usize = 100;
/// How often a search is begun again because what it found was changed meanwhile.
const TRIES: usize = 3;

/// A question about documents.
#[derive(Clone, Debug)]
pub struct Search {
    /// Who asks.
    pub viewer: Viewer,
    /// Only these collections; none: all.
    pub collections: Option<Vec<String>>,
    /// What is looked for, in words.
    pub query: String,
    /// How private the conversation is that it is for: what is stricter is not found, and the query goes
    /// no further than this.
    pub privacy: Privacy,
    /// Most results; [`Limits::results`](crate::Limits::results) at the most.
    pub limit: usize,
}

/// By what was searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// By words alone.
    Bm25,
    /// By words and by meaning.
    Hybrid,
}

impl Mode {
    /// `bm25` or `hybrid`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bm25 => "bm25",
            Self::Hybrid => "hybrid",
        }
    }
}

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// By what it was searched.
    pub mode: Mode,
    /// Why not, or not of all, by meaning.
    pub reason: Option<String>,
    /// Best first.
    pub hits: Vec<Hit>,
    /// How many documents were not searched because they are stricter than [`Search::privacy`]: of all
    /// that the viewer sees, whatever was asked for.
    pub withheld: usize,
}

/// A part of a document, and where it is from.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// The document.
    pub document: DocumentId,
    /// Its title.
    pub title: String,
    /// Its source.
    pub source: String,
    /// Its collection.
    pub collection: String,
    /// What it is.
    pub content_type: String,
    /// SHA-256 of its text: which version of it this is from.
    pub sha256: String,
    /// Whether what it says may be somebody's attempt to give orders.
    pub untrusted: bool,
    /// Which chunk of it, from 0.
    pub ordinal: u32,
    /// Where the chunk stands in the text, in bytes.
    pub range: Range<usize>,
    /// What it stands under; see [`Chunk::context`](crate::Chunk::context).
    pub context: String,
    /// The chunk.
    pub text: String,
    /// What it is ordered by: the sum of 1 / (60 + rank) over both orders.
    pub score: f64,
    /// Its score by words, if it has any of the query's.
    pub bm25: Option<f64>,
    /// The cosine of its vector and the query's, if it was among the nearest 100.
    pub cosine: Option<f64>,
}

/// What a query means, or why that is not known.
type Meaning = Result<(Space, Vec<f32>), String>;

/// What was found, as rows.
pub(crate) struct Finding {
    pub(crate) mode: Mode,
    pub(crate) reason: Option<String>,
    pub(crate) rows: Vec<(Fused, Row)>,
    pub(crate) withheld: usize,
}

impl Retrieval {
    /// Finds parts of documents by their words and, if there are vectors, by their meaning.
    ///
    /// # Errors
    /// When nothing is asked for, or in too many words; when the database fails. An embedder that
    /// fails is no error: see [`Found::reason`].
    pub async fn search(&self, search: Search) -> Result<Found, Error> {
        let within = Within::Documents {
            user: search.viewer.user,
            collections: search.collections,
            privacy: search.privacy,
        };
        let finding = self
            .find(search.viewer.org, &within, &search.query, search.limit)
            .await?;
        let hits: Result<Vec<Hit>, StoreError> = finding.rows.iter().map(hit).collect();
        Ok(Found {
            mode: finding.mode,
            reason: finding.reason,
            hits: hits?,
            withheld: finding.withheld,
        })
    }

    pub(crate) async fn find(
        &self,
        org: OrgId,
        within: &Within,
        query: &str,
        limit: usize,
    ) -> Result<Finding, Error> {
        let limits = self.limits();
        check("the query", query, limits.query_bytes, "ask for less")?;
        let limit = limit.clamp(1, limits.results.max(1));
        let tx = self.inner.store.read(org).await?;
        let place = self.refresh(&tx).await?;
        // The embedder may take long, and others wait for connections.
        drop(tx);
        let meaning = self.meaning(org, &place, within, query).await;
        let (meaning, elsewhere) = self.elsewhere(org, meaning, within).await;
        let mut tries = 1;
        loop {
            let tx = self.inner.store.read(org).await?;
            let place = self.refresh(&tx).await?;
            let question = Question {
                within: within.clone(),
                query: query.to_owned(),
                meaning: meaning.clone(),
                elsewhere: elsewhere.clone(),
                limit,
            };
            let work = move || question.ask(&place);
            let asked = tokio::task::spawn_blocking(work).await;
            let asked = asked.map_err(|error| Error::Interrupted(error.to_string()))?;
            let rows = read(&tx, &asked.fused, within).await?;
            if rows.len() == asked.fused.len() || tries == TRIES {
                return Ok(Finding {
                    mode: asked.mode,
                    reason: asked.reason,
                    rows,
                    withheld: asked.withheld,
                });
            }
            tries += 1;
        }
    }

    async fn meaning(&self, org: OrgId, place: &Place, within: &Within, query: &str) -> Meaning {
        if self.inner.embedder.is_none() {
            return Err(NO_EMBEDDER.to_owned());
        }
        if !place.index.read().has_vectors(within) {
            return Err("nothing that is searched has a vector yet".to_owned());
        }
        let vectors = self
            .vectors(
                org,
                vec![query.to_owned()],
                (TextKind::Query, within.privacy()),
            )
            .await;
        let (space, mut vectors) = vectors.map_err(|error| error.to_string())?;
        let vector = vectors.pop().ok_or_else(|| "no vector came".to_owned())?;
        Ok((space, vector))
    }

    /// What another database of vectors finds, if there is one.
    async fn elsewhere(
        &self,
        org: OrgId,
        meaning: Meaning,
        within: &Within,
    ) -> (Meaning, Option<Vec<Scored>>) {
        let (Some(external), Ok((space, vector))) = (&self.inner.external, &meaning) else {
            return (meaning, None);
        };
        let found = external
            .nearest(org, (space, vector), &within.scope(), RANKED)
            .await;
        match found {
            Err(error) => (Err(error.to_string()), None),
            Ok(near) => {
                let scored = near.into_iter().map(|near| Scored {
                    key: Key {
                        document: near.document.0,
                        ordinal: near.ordinal,
                    },
                    revision: near.revision,
                    score: near.cosine,
                });
                (meaning, Some(scored.collect()))
            }
        }
    }
}

impl Within {
    fn scope(&self) -> Scope {
        match self.clone() {
            Self::Documents {
                user,
                collections,
                privacy,
            } => Scope::Documents {
                user,
                collections,
                privacy,
            },
            Self::Memories { user, privacy } => Scope::Memories { user, privacy },
        }
    }
}

/// All that is needed to look into an index.
struct Question {
    within: Within,
    query: String,
    meaning: Meaning,
    elsewhere: Option<Vec<Scored>>,
    limit: usize,
}

struct Asked {
    mode: Mode,
    reason: Option<String>,
    fused: Vec<Fused>,
    withheld: usize,
}

impl Question {
    fn ask(self, place: &Arc<Place>) -> Asked {
        let index = place.index.read();
        let withheld = index.withheld(&self.within);
        let lexical = index.lexical(&self.query, &self.within, RANKED);
        let by_words = |reason: String| Asked {
            mode: Mode::Bm25,
            reason: Some(reason),
            fused: fuse(&lexical, &[], self.limit),
            withheld,
        };
        let (space, vector) = match &self.meaning {
            Ok(meaning) => meaning,
            Err(reason) => return by_words(reason.clone()),
        };
        let coverage = index.coverage(&self.within, space);
        let reason = coverage.reason(space);
        if coverage.fit == 0 {
            let nothing = || format!("nothing that is searched has a vector of {space}");
            return by_words(reason.unwrap_or_else(nothing));
        }
        let nearest = match self.elsewhere {
            Some(found) => index.known(found, &self.within),
            None => index.nearest((space, vector), &self.within, RANKED),
        };
        Asked {
            mode: Mode::Hybrid,
            reason,
            fused: fuse(&lexical, &nearest, self.limit),
            withheld,
        }
    }
}

/// What the database says about these chunks: those that are there, in this revision, and may be
/// seen.
async fn read(
    tx: &TenantTx,
    fused: &[Fused],
    within: &Within,
) -> Result<Vec<(Fused, Row)>, StoreError> {
    let Some(last) = fused.last() else {
        return Ok(Vec::new());
    };
    // Filled up to a power of two: so there are few texts of the statement.
    let size = fused.len().next_power_of_two();
    let keys = fused.iter().chain(std::iter::repeat(last)).take(size);
    let mut values: Vec<Value> = Vec::with_capacity(size * 3 + 1);
    values.extend(keys.flat_map(|fused| {
        let Key { document, ordinal } = fused.key;
        [
            rows::org_value(tx.org()),
            Value::from(document.to_string()),
            Value::from(i64::from(ordinal)),
        ]
    }));
    values.push(Value::from(rank(within.privacy())));
    let sql = format!(
        "SELECT c.document_id, c.ordinal, c.start_byte, c.end_byte, c.context, c.text, d.kind, \
         d.title, d.source, d.collection, d.content_type, d.sha256, d.untrusted, d.owner, \
         d.run_id, d.conversation_id, d.added_at, d.privacy, d.revision FROM (VALUES {}) AS k \
         CROSS JOIN retrieval_chunk AS c CROSS JOIN retrieval_document AS d \
         WHERE c.org_id = k.column1 AND c.document_id = k.column2 AND c.ordinal = k.column3 \
         AND d.org_id = c.org_id AND d.id = c.document_id AND d.privacy <= ${}",
        placeholders(size, 3),
        values.len()
    );
    let mut found = HashMap::new();
    for row in tx.query(&sql, values).await? {
        if may_be_seen(&row, within)? {
            let key = Key {
                document: uuid(&row, "document_id")?,
                ordinal: ordinal(&row)?,
            };
            found.insert((key, row.get::<i64>("revision")?), row);
        }
    }
    let pairs = fused.iter().filter_map(|fused| {
        let row = found.remove(&(fused.key, fused.revision))?;
        Some((*fused, row))
    });
    Ok(pairs.collect())
}

/// Asked of the truth as well: the index is only a copy of it.
fn may_be_seen(row: &Row, within: &Within) -> Result<bool, StoreError> {
    let owner = optional_uuid(row, "owner")?.map(UserId);
    let kind = Kind::parse(&row.get::<String>("kind")?);
    Ok(match within {
        Within::Documents { user, .. } => {
            kind == Kind::Document && (owner.is_none() || owner == *user)
        }
        Within::Memories { user, .. } => kind == Kind::Memory && owner == Some(*user),
    })
}

fn ordinal(row: &Row) -> Result<u32, StoreError> {
    Ok(u32::try_from(row.get::<i64>("ordinal")?).unwrap_or(u32::MAX))
}

fn hit((fused, row): &(Fused, Row)) -> Result<Hit, StoreError> {
    Ok(Hit {
        document: DocumentId(fused.key.document),
        title: row.get("title")?,
        source: row.get("source")?,
        collection: row.get("collection")?,
        content_type: row.get("content_type")?,
        sha256: row.get("sha256")?,
        untrusted: row.get::<i64>("untrusted")? != 0,
        ordinal: fused.key.ordinal,
        range: count(row.get("start_byte")?)..count(row.get("end_byte")?),
        context: row.get("context")?,
        text: row.get("text")?,
        score: fused.score,
        bm25: fused.bm25,
        cosine: fused.cosine,
    })
}
