//! The past of a conversation: its journal, folded from the nearest snapshot.

use std::collections::HashMap;

use nexus_contracts::{ConversationId, RunId, Timestamp};
use nexus_store::{Row, TenantRef, Value};

use super::uuid;
use crate::core::checkpoint::{decode_environment, decode_input, decode_state};
use crate::core::replay::{Past, advance, before_run as state_before_run};
use crate::core::{Environment, State};
use crate::error::Error;

/// Events that are read at once.
const PAGE: u32 = 100;

/// A conversation as it is folded.
pub struct Folding<'a, 'tx> {
    tx: &'a TenantRef<'tx>,
    conversation: ConversationId,
    environments: HashMap<String, Environment>,
    /// How many events it has seen.
    pub version: i64,
    /// What is remembered of it.
    pub state: State,
}

impl<'a, 'tx> Folding<'a, 'tx> {
    /// Begins at the snapshot nearest before `seq`, or at the beginning.
    ///
    /// # Errors
    /// When the database refuses, or a row cannot be read.
    pub async fn before(
        tx: &'a TenantRef<'tx>,
        conversation: ConversationId,
        seq: i64,
    ) -> Result<Self, Error> {
        let sql = "SELECT seq, state FROM snapshot WHERE org_id = $1 AND conversation_id = $2 \
                   AND seq < $3 ORDER BY seq DESC LIMIT 1";
        let values = vec![uuid(tx.org().0), uuid(conversation.0), Value::from(seq)];
        let rows = tx.query(sql, values).await?;
        let (version, state) = match rows.first() {
            None => (0, State::new(conversation)),
            Some(row) => {
                let state: Vec<u8> = row.get("state")?;
                (row.get("seq")?, decode_state(&state)?)
            }
        };
        Ok(Self {
            tx,
            conversation,
            environments: HashMap::new(),
            version,
            state,
        })
    }

    /// Folds the next events; false when there are none.
    ///
    /// # Errors
    /// When the database refuses, a row cannot be read, or the journal does not fold.
    pub async fn go_on(&mut self, mut each: impl FnMut(&State) -> bool) -> Result<bool, Error> {
        let sql = format!(
            "SELECT seq, payload, environment, at FROM journal WHERE org_id = $1 \
             AND conversation_id = $2 AND seq > $3 ORDER BY seq LIMIT {PAGE}"
        );
        let values = vec![
            uuid(self.tx.org().0),
            uuid(self.conversation.0),
            Value::from(self.version),
        ];
        let rows = self.tx.query(&sql, values).await?;
        for row in &rows {
            let hash: Option<String> = row.get("environment")?;
            let hash = hash.ok_or_else(|| Error::Row {
                row: "journal",
                reason: "it is of version 1, which cannot be folded".to_owned(),
            })?;
            self.learn(&hash).await?;
            let Some(environment) = self.environments.get(&hash) else {
                return Ok(false);
            };
            let past = past(row, environment)?;
            self.state = advance(self.version, &self.state, &past)?;
            self.version = past.seq;
            if each(&self.state) {
                return Ok(false);
            }
        }
        Ok(!rows.is_empty())
    }

    async fn learn(&mut self, hash: &str) -> Result<(), Error> {
        if self.environments.contains_key(hash) {
            return Ok(());
        }
        let sql = "SELECT body FROM environment WHERE org_id = $1 AND hash = $2";
        let values = vec![uuid(self.tx.org().0), Value::from(hash.to_owned())];
        let rows = self.tx.query(sql, values).await?;
        let row = rows.first().ok_or_else(|| Error::Row {
            row: "environment",
            reason: format!("there is none with the hash {hash}"),
        })?;
        let body: Vec<u8> = row.get("body")?;
        self.environments
            .insert(hash.to_owned(), decode_environment(&body)?);
        Ok(())
    }
}

fn past<'a>(row: &Row, environment: &'a Environment) -> Result<Past<'a>, Error> {
    let payload: Vec<u8> = row.get("payload")?;
    Ok(Past {
        seq: row.get("seq")?,
        at: Timestamp::from_millis(row.get("at")?),
        input: decode_input(&payload)?,
        environment,
    })
}

/// What a conversation was just before a run of its started; `None` when it has no such run, or
/// does not remember it any more.
///
/// # Errors
/// When the database refuses, a row cannot be read, or the journal does not fold.
pub async fn before_run(
    tx: &TenantRef<'_>,
    conversation: ConversationId,
    run: RunId,
) -> Result<Option<State>, Error> {
    let sql = "SELECT MIN(seq) AS seq, MIN(environment) AS environment FROM journal \
               WHERE org_id = $1 AND conversation_id = $2 AND run_id = $3";
    let values = vec![uuid(tx.org().0), uuid(conversation.0), uuid(run.0)];
    let rows = tx.query(sql, values).await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let (seq, environment): (Option<i64>, Option<String>) =
        (row.get("seq")?, row.get("environment")?);
    let (Some(seq), Some(_)) = (seq, environment) else {
        return Ok(None);
    };
    let mut folding = Folding::before(tx, conversation, seq).await?;
    if folding.version + 1 < seq && !connected(tx, conversation, folding.version).await? {
        return Ok(None);
    }
    let mut found = None;
    while folding
        .go_on(|state| {
            found = state_before_run(state, run);
            found.is_some()
        })
        .await?
    {}
    Ok(found)
}

/// Whether the journal still has the event that follows a version, and can be folded from there.
async fn connected(
    tx: &TenantRef<'_>,
    conversation: ConversationId,
    version: i64,
) -> Result<bool, Error> {
    let sql = "SELECT environment FROM journal WHERE org_id = $1 AND conversation_id = $2 \
               AND seq = $3";
    let values = vec![
        uuid(tx.org().0),
        uuid(conversation.0),
        Value::from(version + 1),
    ];
    let rows = tx.query(sql, values).await?;
    let Some(row) = rows.first() else {
        return Ok(false);
    };
    Ok(row.get::<Option<String>>("environment")?.is_some())
}

/// The stored state of a conversation, and the one its journal folds to. They are equal, or
/// something is broken.
#[derive(Debug)]
pub struct Compared {
    /// How many events it has seen.
    pub version: i64,
    /// What is stored.
    pub stored: State,
    /// What its events lead to.
    pub folded: State,
}

/// Folds a whole conversation, as far back as its journal goes, and compares.
///
/// # Errors
/// When the database refuses, a row cannot be read, or the journal does not fold.
pub async fn compare(
    tx: &TenantRef<'_>,
    conversation: ConversationId,
) -> Result<Option<Compared>, Error> {
    let sql = "SELECT state, version, (SELECT MIN(seq) FROM journal WHERE \
               journal.org_id = conversation.org_id \
               AND journal.conversation_id = conversation.id) AS first \
               FROM conversation WHERE org_id = $1 AND id = $2";
    let values = vec![uuid(tx.org().0), uuid(conversation.0)];
    let rows = tx.query(sql, values).await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let state: Vec<u8> = row.get("state")?;
    let (version, first): (i64, Option<i64>) = (row.get("version")?, row.get("first")?);
    let from = first.unwrap_or(version + 1);
    let mut folding = Folding::before(tx, conversation, from).await?;
    while folding.go_on(|_| false).await? {}
    if folding.version != version {
        return Err(Error::Row {
            row: "journal",
            reason: format!(
                "it ends at version {}, the state at {version}",
                folding.version
            ),
        });
    }
    Ok(Some(Compared {
        version,
        stored: decode_state(&state)?,
        folded: folding.state,
    }))
}
