//! What an older version stored is found again.

use anyhow::{Context, Result};
use nexus_contracts::{ContractError, MessageId, OrgId, RunId, Timestamp, UserId};
use nexus_entry_api::NAME;
use nexus_entry_api::answer::run_of;
use nexus_entry_api::messages::Messages;
use nexus_entry_api::migrations::{MIGRATIONS, SCHEMA};
use nexus_entry_api::submission::Kind;
use nexus_store::{Migration, Schema, Store, StoreConfig, Value};
use uuid::Uuid;

/// The tables as version 0.1 had them.
const OLD: &[Migration] = MIGRATIONS.split_at(1).0;

/// The organisation and the user of the old rows, and the two messages they sent.
struct Old {
    org: OrgId,
    user: UserId,
    answered: RunId,
    waiting: RunId,
}

/// One message that was answered; one that waits, and is no longer wanted.
async fn an_old_store(config: &StoreConfig) -> Result<Old> {
    let org = OrgId(Uuid::now_v7());
    let run = |name: &str| Ok::<_, ContractError>(run_of(org, &MessageId::new(name)?));
    let old = Old {
        org,
        user: UserId(Uuid::now_v7()),
        answered: run("answered")?,
        waiting: run("waiting")?,
    };
    let store = Store::open(config, NAME, Schema::new(OLD).exempt(&["dispatch"])).await?;
    let conversation = Value::from(Uuid::now_v7().to_string());
    let text = |id: &dyn ToString| Value::from(id.to_string());
    let tx = store.begin(org).await?;
    for (name, run) in [("answered", old.answered), ("waiting", old.waiting)] {
        let sql = "INSERT INTO message (org_id, run_id, message_id, conversation_id, user_id, \
                   fingerprint, payload, created_at) VALUES ($1,$2,$3,$4,$5,$6,$6,$7)";
        let values = vec![
            text(&org),
            text(&run),
            name.into(),
            conversation.clone(),
            text(&old.user),
            Value::from(Vec::<u8>::new()),
            Value::from(1_i64),
        ];
        tx.execute(sql, values).await?;
    }
    let sql = "INSERT INTO answer (org_id, run_id, ending, payload) VALUES ($1,$2,$3,$4)";
    let failed = Value::from(b"{}".to_vec());
    let values = vec![text(&org), text(&old.answered), "failed".into(), failed];
    tx.execute(sql, values).await?;
    for kind in ["message", "cancel"] {
        let sql = "INSERT INTO dispatch (org_id, run_id, kind, conversation_id, seq) \
                   VALUES ($1,$2,$3,$4,$5)";
        let seq = Value::from(1_i64);
        let run = text(&old.waiting);
        let values = vec![text(&org), run, kind.into(), conversation.clone(), seq];
        tx.execute(sql, values).await?;
    }
    tx.commit().await?;
    store.close().await;
    Ok(old)
}

async fn it_is_brought_up_to_date(config: &StoreConfig) -> Result<()> {
    let Old {
        org,
        user,
        answered,
        waiting,
    } = an_old_store(config).await?;
    let messages = Messages::new(Store::open(config, NAME, SCHEMA).await?);
    let found = messages.find(org, answered).await?;
    let found = found.context("the answered message is gone")?;
    assert!(found.last.is_some() && !found.queued);
    assert_eq!(found.submission.kind, Kind::Message);
    assert_eq!(found.submission.user, user);
    let unanswered = messages.unanswered().await?;
    let unanswered: Vec<RunId> = unanswered.iter().map(|one| one.run).collect();
    assert_eq!(unanswered, [waiting]);
    // Old ones are forgotten like new ones.
    assert_eq!(messages.prune(Timestamp::from_millis(2)).await?, 1);
    assert!(messages.find(org, answered).await?.is_none());
    assert!(messages.find(org, waiting).await?.is_some());
    Ok(())
}

#[tokio::test]
async fn an_older_sqlite_store_is_brought_up_to_date() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let config: StoreConfig = format!("sqlite:{}", folder.path().display()).parse()?;
    it_is_brought_up_to_date(&config).await
}

#[tokio::test]
async fn an_older_postgresql_store_is_brought_up_to_date() -> Result<()> {
    let server = nexus_testkit::postgres().await?;
    let roles = server.fresh_database_with_roles().await?;
    let config: StoreConfig = roles.app.parse()?;
    it_is_brought_up_to_date(&config.owned_by(&roles.owner)?).await
}
