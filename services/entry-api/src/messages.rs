//! What is kept: messages, answers, approvals, and what the orchestrator has not answered yet.

mod approvals;
mod forget;
mod rows;

use std::collections::{BTreeMap, BTreeSet};

use nexus_contracts::{OrgId, RunId, Timestamp};
use nexus_service_kit::crash_point;
use nexus_store::{SharedTx, Store, StoreKind, TenantRef, Value};

use crate::Error;
use crate::admission::{Admission, Facts, decide};
use crate::answer::{Answer, Asked, Ending, Final, Heard};
use crate::outbox::Key;
use crate::submission::{Kind, Submission};
pub use approvals::{Approval, Before};
use rows::{FIND, among, id, key, kind, known, list, message_row, settle, text};

/// A message as it is known now.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    /// The message.
    pub submission: Submission,
    /// Whether the orchestrator has not taken it yet.
    pub queued: bool,
    /// What became of it, once that is known.
    pub last: Option<Final>,
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
        crash_point!("entry-api.before_store", fail => return nexus_service_kit::crash::no_store());
        tx.commit().await?;
        crash_point!("entry-api.stored", fail => return nexus_service_kit::crash::no_store());
        Ok(admissions)
    }

    /// Stores what the orchestrator said in one commit. What is late or repeated changes nothing:
    /// the first end of a message stays.
    ///
    /// # Errors
    /// When the store cannot be written; nothing was stored then.
    pub async fn record(&self, heard: &[Heard], now: Timestamp) -> Result<(), Error> {
        let tx = self.store.begin_shared().await?;
        let settled: BTreeSet<Key> = heard.iter().filter_map(Heard::settles).collect();
        settle(&tx, settled).await?;
        let orgs: BTreeSet<OrgId> = heard.iter().map(Heard::org).collect();
        for org in orgs {
            let ours: Vec<&Heard> = heard.iter().filter(|heard| heard.org() == org).collect();
            let tenant = tx.tenant(org);
            let about = self.about(&tenant, &ours).await?;
            insert_answers(&tenant, &ours, (&about, now)).await?;
            insert_approvals(&tenant, &ours, &about).await?;
        }
        crash_point!(
            "entry-api.before_record",
            fail => return nexus_service_kit::crash::no_store()
        );
        tx.commit().await?;
        crash_point!("entry-api.recorded", fail => return nexus_service_kit::crash::no_store());
        Ok(())
    }

    /// A message of this organisation.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn find(&self, org: OrgId, run: RunId) -> Result<Option<Known>, Error> {
        let tx = self.store.read(org).await?;
        let rows = tx.query(FIND, vec![text(&org), text(&run)]).await?;
        rows.first().map(|row| known(org, row)).transpose()
    }

    /// Everything the orchestrator has not answered, in the order of first storage.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn unanswered(&self) -> Result<Vec<Submission>, Error> {
        let tx = self.store.read_shared().await?;
        let sql = "SELECT org_id, run_id FROM dispatch ORDER BY seq";
        let mut found = Vec::new();
        for row in tx.query(sql, Vec::new()).await? {
            let Key { org, run } = key(&row)?;
            let about = vec![text(&org), text(&run)];
            let rows = tx.tenant(org).query(FIND, about).await?;
            if let Some(row) = rows.first() {
                found.push(known(org, row)?.submission);
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
        let sql = format!("SELECT org_id, run_id FROM dispatch WHERE run_id IN {list}");
        let rows = self.store.read_shared().await?.query(&sql, names).await?;
        rows.iter().map(key).collect()
    }

    /// What was asked in the messages there is news of, and by whom. What is not kept any more
    /// (erased, or long ended) is missing: nothing about it is stored again.
    async fn about(&self, tenant: &TenantRef<'_>, heard: &[&Heard]) -> Result<About, Error> {
        let runs: BTreeSet<RunId> = heard.iter().map(|heard| heard.run()).collect();
        let names: Vec<Value> = runs.iter().map(text).collect();
        let sql = "SELECT run_id, event_type, user_id FROM message WHERE org_id = $1 AND run_id IN";
        // Whoever erases a message waits for this transaction, and then erases its answer too.
        let after = match self.store.kind() {
            StoreKind::Postgres => "FOR SHARE",
            StoreKind::Sqlite => "",
        };
        let rows = among(tenant, (sql, after), &names).await?;
        rows.iter()
            .map(|row| Ok((id(row, "run_id")?, (kind(row)?, row.get("user_id")?))))
            .collect()
    }
}

/// Kind and user of messages, by their runs.
type About = BTreeMap<RunId, (Kind, String)>;

async fn gather(tx: &SharedTx, batch: &[Submission]) -> Result<Facts, Error> {
    let mut facts = Facts::default();
    let orgs: BTreeSet<OrgId> = batch.iter().map(|submission| submission.org).collect();
    for org in orgs {
        let tenant = tx.tenant(org);
        let ours = || batch.iter().filter(move |submission| submission.org == org);
        let keyed: Vec<Value> = ours()
            .filter(|one| one.keyed)
            .map(|one| text(&one.run))
            .collect();
        let sql = "SELECT run_id, fingerprint FROM message WHERE org_id = $1 AND run_id IN";
        for row in among(&tenant, (sql, ""), &keyed).await? {
            facts
                .taken
                .insert((org, id(&row, "run_id")?), row.get("fingerprint")?);
        }
        let about: BTreeSet<String> = ours()
            .flat_map(|one| [Some(one.conversation), one.parent])
            .flatten()
            .map(|conversation| conversation.to_string())
            .collect();
        let names: Vec<Value> = about.into_iter().map(Value::from).collect();
        let sql = "SELECT user_id, conversation_id FROM erased \
                   WHERE org_id = $1 AND user_id IS NOT NULL AND conversation_id IN";
        for row in among(&tenant, (sql, ""), &names).await? {
            facts
                .erased
                .insert((org, id(&row, "user_id")?, id(&row, "conversation_id")?));
        }
    }
    Ok(facts)
}

async fn insert(tenant: &TenantRef<'_>, rows: &[(i64, &Submission)]) -> Result<(), Error> {
    let values = rows.iter().flat_map(|(_, row)| message_row(row)).collect();
    let before = "INSERT INTO message (org_id, run_id, message_id, event_type, conversation_id, \
                  parent_id, about_run, approval_id, user_id, fingerprint, payload, created_at) \
                  VALUES";
    tenant.execute_rows(before, "", 12, values).await?;
    let waiting = rows
        .iter()
        .flat_map(|(number, row)| [text(&row.org), text(&row.run), Value::from(*number)])
        .collect();
    let before = "INSERT INTO dispatch (org_id, run_id, seq) VALUES";
    tenant
        .execute_rows(before, "ON CONFLICT DO NOTHING", 3, waiting)
        .await?;
    Ok(())
}

async fn insert_answers(
    tenant: &TenantRef<'_>,
    heard: &[&Heard],
    (about, now): (&About, Timestamp),
) -> Result<(), Error> {
    let is_end = |answer: &Answer| {
        about
            .get(&answer.run)
            .is_some_and(|(kind, _)| answer.says.ending != Ending::Accepted || !kind.starts_run())
    };
    let answers = heard.iter().filter_map(|heard| match heard {
        Heard::Answer(answer) if is_end(answer) => Some(answer),
        _ => None,
    });
    let values = answers.flat_map(|answer| {
        [
            text(&answer.org),
            text(&answer.run),
            Value::from(answer.says.ending.as_str()),
            Value::from(answer.says.payload.to_vec()),
            Value::from(now.as_millis()),
        ]
    });
    let before = "INSERT INTO answer (org_id, run_id, ending, payload, stored_at) VALUES";
    tenant
        .execute_rows(before, "ON CONFLICT DO NOTHING", 5, values.collect())
        .await?;
    Ok(())
}

async fn insert_approvals(
    tenant: &TenantRef<'_>,
    heard: &[&Heard],
    about: &About,
) -> Result<(), Error> {
    let asked = heard.iter().filter_map(|heard| match heard {
        Heard::Asked(asked) => Some((asked.as_ref(), &about.get(&asked.request.run_id)?.1)),
        Heard::Answer(_) => None,
    });
    let mut values = Vec::new();
    for (
        Asked {
            org, at, request, ..
        },
        user,
    ) in asked
    {
        let payload = serde_json::to_vec(request).map_err(Error::Approval)?;
        values.extend([
            text(org),
            text(&request.approval_id),
            Value::from(user.as_str()),
            text(&request.run_id),
            text(&request.conversation_id),
            Value::from(payload),
            Value::from(at.as_millis()),
            Value::from(request.expires_at.as_millis()),
        ]);
    }
    let before = "INSERT INTO approval (org_id, approval_id, user_id, run_id, conversation_id, \
                  payload, asked_at, expires_at) VALUES";
    tenant
        .execute_rows(before, "ON CONFLICT DO NOTHING", 8, values)
        .await?;
    Ok(())
}
