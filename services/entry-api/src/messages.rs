//! What is kept: messages, answers, and what the orchestrator has not answered yet.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use nexus_contracts::{ConversationId, MessageId, OrgId, RunId, Timestamp, UserId};
use nexus_store::{Row, SharedTx, Store, StoreError, TenantRef, Value};

use crate::Error;
use crate::admission::{Admission, Facts, decide};
use crate::answer::{Answer, Ending, Final};
use crate::outbox::{Key, Kind};
use crate::submission::Submission;

/// A message as it is known now.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    /// The message.
    pub submission: Submission,
    /// Whether the orchestrator has not taken it yet.
    pub queued: bool,
    /// How its run ended, once it has.
    pub last: Option<Final>,
}

/// One that waits for the orchestrator.
#[derive(Clone, Debug)]
pub struct Unanswered {
    /// Its name.
    pub key: Key,
    /// The message it is or is about.
    pub submission: Submission,
}

/// The tables of this service.
#[derive(Clone)]
pub struct Messages {
    store: Store,
}

impl Messages {
    /// Over an open store.
    #[must_use]
    pub const fn new(store: Store) -> Self {
        Self { store }
    }

    /// Stores a batch in one commit; `first` numbers it. One admission per message, in order.
    ///
    /// # Errors
    /// When the store cannot be written; nothing was taken then.
    pub async fn admit(&self, batch: &[Submission], first: i64) -> Result<Vec<Admission>, Error> {
        let tx = self.store.begin_shared().await?;
        let facts = gather(&tx, batch).await?;
        let admissions = decide(batch, facts);
        let mut taken: BTreeMap<OrgId, Vec<(i64, &Submission)>> = BTreeMap::new();
        for ((number, submission), admission) in (first..).zip(batch).zip(&admissions) {
            if *admission == Admission::Stored {
                taken
                    .entry(submission.org)
                    .or_default()
                    .push((number, submission));
            }
        }
        for (org, rows) in &taken {
            insert(&tx.tenant(*org), rows).await?;
        }
        let rows = taken.values().flatten();
        let rows = rows.flat_map(|(number, row)| dispatch_row(row, Kind::Message, *number));
        insert_dispatch(&tx, rows.collect()).await?;
        tx.commit().await?;
        Ok(admissions)
    }

    /// Stores answers in one commit. Late and repeated ones change nothing: the first end of a run
    /// stays.
    ///
    /// # Errors
    /// When the store cannot be written; nothing was stored then.
    pub async fn record(&self, answers: &[Answer]) -> Result<(), Error> {
        let tx = self.store.begin_shared().await?;
        let mut ends: BTreeMap<OrgId, BTreeMap<RunId, &Final>> = BTreeMap::new();
        let settled: BTreeSet<Key> = answers.iter().flat_map(Answer::settles).collect();
        for answer in answers {
            if let Some(last) = &answer.last {
                ends.entry(answer.org)
                    .or_default()
                    .entry(answer.run)
                    .or_insert(last);
            }
        }
        for (org, rows) in &ends {
            insert_ends(&tx.tenant(*org), rows).await?;
        }
        let values = settled
            .into_iter()
            .flat_map(|key| name(key.org, key.run, key.kind));
        let before = "DELETE FROM dispatch WHERE (org_id, run_id, kind) IN (VALUES";
        tx.execute_rows(before, ")", 3, values.collect()).await?;
        tx.commit().await?;
        Ok(())
    }

    /// A message of this organisation.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn find(&self, org: OrgId, run: RunId) -> Result<Option<Known>, Error> {
        let tx = self.store.read(org).await?;
        let rows = tx.query(FIND, vec![text(&org), text(&run)]).await?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let ending: Option<String> = row.get("ending")?;
        let payload: Option<Vec<u8>> = row.get("answer")?;
        let last =
            ending
                .as_deref()
                .and_then(Ending::parse)
                .zip(payload)
                .map(|(ending, payload)| Final {
                    ending,
                    payload: Bytes::from(payload),
                });
        let queued: Option<String> = row.get("waiting")?;
        Ok(Some(Known {
            submission: submission(org, row)?,
            queued: queued.is_some(),
            last,
        }))
    }

    /// Stores the wish to end a run; a repeated one changes nothing.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn cancel(&self, message: &Submission, number: i64) -> Result<(), Error> {
        let tx = self.store.begin_shared().await?;
        insert_dispatch(&tx, dispatch_row(message, Kind::Cancel, number).into()).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Everything the orchestrator has not answered, in the order of first storage.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn unanswered(&self) -> Result<Vec<Unanswered>, Error> {
        let tx = self.store.read_shared().await?;
        let sql = "SELECT org_id, run_id, kind FROM dispatch ORDER BY seq";
        let mut found = Vec::new();
        for row in tx.query(sql, Vec::new()).await? {
            let key = key(&row)?;
            let about = vec![text(&key.org), text(&key.run)];
            let rows = tx.tenant(key.org).query(FIND, about).await?;
            if let Some(row) = rows.first() {
                found.push(Unanswered {
                    key,
                    submission: submission(key.org, row)?,
                });
            }
        }
        Ok(found)
    }

    /// Of these, the ones still unanswered: another replica may have taken the answer.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn still_unanswered(&self, keys: &[Key]) -> Result<BTreeSet<Key>, Error> {
        let runs: BTreeSet<RunId> = keys.iter().map(|key| key.run).collect();
        let (list, names) = list(1, runs.iter().map(text).collect());
        let sql = format!("SELECT org_id, run_id, kind FROM dispatch WHERE run_id IN {list}");
        let rows = self.store.read_shared().await?.query(&sql, names).await?;
        rows.iter().map(key).collect()
    }
}

const FIND: &str = "SELECT m.run_id, m.message_id, m.conversation_id, m.user_id, m.payload, \
    m.created_at, a.ending AS ending, a.payload AS answer, d.kind AS waiting \
    FROM message m \
    LEFT JOIN answer a ON a.org_id = m.org_id AND a.run_id = m.run_id \
    LEFT JOIN dispatch d ON d.org_id = m.org_id AND d.run_id = m.run_id AND d.kind = 'message' \
    WHERE m.org_id = $1 AND m.run_id = $2";

async fn gather(tx: &SharedTx, batch: &[Submission]) -> Result<Facts, Error> {
    let mut facts = Facts::default();
    let orgs: BTreeSet<OrgId> = batch.iter().map(|submission| submission.org).collect();
    for org in orgs {
        let tenant = tx.tenant(org);
        let ours = || batch.iter().filter(move |submission| submission.org == org);
        let keyed = ours()
            .filter(|one| one.keyed)
            .map(|one| text(&one.run))
            .collect();
        let sql = "SELECT run_id, fingerprint FROM message WHERE org_id = $1 AND run_id IN ";
        for row in among(&tenant, sql, keyed).await? {
            facts
                .taken
                .insert((org, id(&row, "run_id")?), row.get("fingerprint")?);
        }
        let named = ours()
            .filter(|one| !one.opens)
            .map(|one| text(&one.conversation))
            .collect();
        let sql = "SELECT conversation_id FROM conversation \
                   WHERE org_id = $1 AND conversation_id IN ";
        for row in among(&tenant, sql, named).await? {
            facts
                .conversations
                .insert((org, id(&row, "conversation_id")?));
        }
    }
    Ok(facts)
}

async fn among(
    tenant: &TenantRef<'_>,
    sql: &str,
    names: Vec<Value>,
) -> Result<Vec<Row>, StoreError> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let (list, names) = list(2, names);
    let values = std::iter::once(text(&tenant.org())).chain(names).collect();
    tenant.query(&format!("{sql}{list}"), values).await
}

/// `($2,$3,…)` and the values for it. The last one fills up to a power of two, so that there are
/// few texts and the database remembers how it reads them.
fn list(first: usize, mut values: Vec<Value>) -> (String, Vec<Value>) {
    if let Some(last) = values.last().cloned() {
        values.resize(values.len().next_power_of_two(), last);
    }
    let places: Vec<String> = (first..first + values.len())
        .map(|number| format!("${number}"))
        .collect();
    (format!("({})", places.join(",")), values)
}

async fn insert(tenant: &TenantRef<'_>, rows: &[(i64, &Submission)]) -> Result<(), Error> {
    let mut values = Vec::with_capacity(rows.len() * 8);
    for (_, row) in rows {
        values.extend([
            text(&row.org),
            text(&row.run),
            text(&row.message_id),
            text(&row.conversation),
            text(&row.user),
            Value::from(if row.keyed {
                row.fingerprint()
            } else {
                Vec::new()
            }),
            Value::from(row.payload.to_vec()),
            Value::from(row.at.as_millis()),
        ]);
    }
    let before = "INSERT INTO message (org_id, run_id, message_id, conversation_id, user_id, \
                  fingerprint, payload, created_at) VALUES";
    tenant.execute_rows(before, "", 8, values).await?;
    let opened = rows.iter().map(|row| row.1).filter(|row| row.opens);
    let values = opened
        .flat_map(|row| [text(&row.org), text(&row.conversation)])
        .collect();
    let before = "INSERT INTO conversation (org_id, conversation_id) VALUES";
    tenant
        .execute_rows(before, "ON CONFLICT DO NOTHING", 2, values)
        .await?;
    Ok(())
}

fn dispatch_row(message: &Submission, kind: Kind, number: i64) -> [Value; 5] {
    let [org, run, kind] = name(message.org, message.run, kind);
    [
        org,
        run,
        kind,
        text(&message.conversation),
        Value::from(number),
    ]
}

async fn insert_dispatch(tx: &SharedTx, values: Vec<Value>) -> Result<(), Error> {
    let before = "INSERT INTO dispatch (org_id, run_id, kind, conversation_id, seq) VALUES";
    tx.execute_rows(before, "ON CONFLICT DO NOTHING", 5, values)
        .await?;
    Ok(())
}

async fn insert_ends(tenant: &TenantRef<'_>, rows: &BTreeMap<RunId, &Final>) -> Result<(), Error> {
    let values = rows.iter().flat_map(|(run, last)| {
        [
            text(&tenant.org()),
            text(run),
            Value::from(last.ending.as_str()),
            Value::from(last.payload.to_vec()),
        ]
    });
    let before = "INSERT INTO answer (org_id, run_id, ending, payload) VALUES";
    tenant
        .execute_rows(before, "ON CONFLICT DO NOTHING", 4, values.collect())
        .await?;
    Ok(())
}

fn name(org: OrgId, run: RunId, kind: Kind) -> [Value; 3] {
    [text(&org), text(&run), Value::from(kind.as_str())]
}

fn key(row: &Row) -> Result<Key, Error> {
    let word: String = row.get("kind")?;
    let kind = if word == Kind::Cancel.as_str() {
        Kind::Cancel
    } else {
        Kind::Message
    };
    Ok(Key {
        org: id(row, "org_id")?,
        run: id(row, "run_id")?,
        kind,
    })
}

fn submission(org: OrgId, row: &Row) -> Result<Submission, Error> {
    let message_id: String = row.get("message_id")?;
    let payload: Vec<u8> = row.get("payload")?;
    let run: RunId = id(row, "run_id")?;
    let conversation: ConversationId = id(row, "conversation_id")?;
    let user: UserId = id(row, "user_id")?;
    Ok(Submission {
        org,
        user,
        message_id: MessageId::new(message_id).map_err(Error::Contract)?,
        run,
        conversation,
        opens: conversation == ConversationId::opened_by(run),
        keyed: false,
        payload: Bytes::from(payload),
        at: Timestamp::from_millis(row.get("created_at")?),
        traceparent: None,
    })
}

fn text(id: &impl ToString) -> Value {
    Value::from(id.to_string())
}

fn id<T: std::str::FromStr>(row: &Row, column: &'static str) -> Result<T, Error> {
    let text: String = row.get(column)?;
    text.parse()
        .map_err(|_unreadable| Error::Corrupt { column, text })
}
