//! What the databases and the bus hold when everything had its time.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use nexus_bus::{Bus, ReadFrom};
use nexus_orchestrator::db::schema::SCHEMA;
use nexus_orchestrator::db::verify::verify;
use nexus_store::{Store, StoreConfig};

use crate::client::{CLIENTS, HTTP};
use crate::deployment::Deployment;
use crate::history::{ConversationRow, EffectRow, History, JournalRow, Leftovers};
use crate::http::Http;
use crate::log::Log;
use crate::raw::GROUP;

/// Longest look at the bus.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is left over now.
///
/// # Errors
/// When the bus or the database cannot be read.
pub async fn leftovers(deployment: &Deployment) -> Result<Leftovers> {
    // Opened anew: a file that was wiped is another file.
    let look = async {
        let bus = deployment.open_bus().await?;
        let left = left(deployment, &bus).await;
        bus.close().await;
        left
    };
    tokio::time::timeout(PATIENCE, look)
        .await
        .context("no answer from the bus or the database")?
}

async fn left(deployment: &Deployment, bus: &Bus) -> Result<Leftovers> {
    let mut left = Leftovers::default();
    let sql = "SELECT id FROM dispatch WHERE kind = 'message'";
    let database = deployment.database.lock().await;
    let rows = database.rows("orchestrator", sql).await?;
    left.outbox = rows.into_iter().flatten().collect();
    for channel in bus.channels().await? {
        for group in channel.groups.iter().filter(|group| *group != GROUP) {
            let backlog = bus.backlog(&channel.name, group).await?;
            let count = backlog.undelivered + backlog.pending;
            if count > 0 {
                left.backlogs
                    .push((channel.name.clone(), group.clone(), count));
            }
        }
        if channel.name.ends_with(".dead") {
            for entry in bus.read(&channel.name, ReadFrom::Start, 100).await? {
                let id = entry.record.text("id").unwrap_or_default().to_owned();
                left.dead.push((channel.name.clone(), id));
            }
        }
    }
    Ok(left)
}

/// Reads what the services stored. The workers must have ended.
///
/// # Errors
/// When the database cannot be read.
pub async fn stored(deployment: &Deployment, history: &mut History) -> Result<()> {
    let database = deployment.database.lock().await;
    let sql = "SELECT org_id, conversation_id, seq, message_id FROM journal";
    for row in database.rows("orchestrator", sql).await? {
        if let [org, conversation, seq, message] = row.as_slice() {
            history.journal.push(JournalRow {
                org: org.clone(),
                conversation: conversation.clone(),
                seq: seq.parse()?,
                message: message.clone(),
            });
        }
    }
    let sql = "SELECT org_id, id, version FROM conversation";
    for row in database.rows("orchestrator", sql).await? {
        if let [org, conversation, version] = row.as_slice() {
            history.conversations.push(ConversationRow {
                org: org.clone(),
                conversation: conversation.clone(),
                version: version.parse()?,
            });
        }
    }
    for row in database.overwritten().await? {
        if let [conversation, was, became] = row.as_slice() {
            let what = format!("version {became} over {was}");
            history.overwritten.push((conversation.clone(), what));
        }
    }
    for service in ["provider-router", "tool-executor"] {
        let sql = "SELECT id, class, attempt, CASE WHEN completed_at IS NULL THEN 0 ELSE 1 END \
                   FROM effect";
        for row in database.rows(service, sql).await? {
            if let [id, class, attempt, done] = row.as_slice() {
                history.effects.push(EffectRow {
                    service: service.to_owned(),
                    id: id.clone(),
                    class: class.clone(),
                    attempt: attempt.parse()?,
                    done: done == "1",
                });
            }
        }
    }
    Ok(())
}

/// Folds every journal and compares it with the stored state. The workers must have ended.
///
/// # Errors
/// When the database cannot be read.
pub async fn folded(deployment: &Deployment, history: &mut History) -> Result<()> {
    let url = deployment.database.lock().await.url_at(None);
    let config = StoreConfig::new(url.parse()?);
    let store = Store::open(&config, nexus_orchestrator::NAME, SCHEMA).await?;
    let verified = verify(&store).await?;
    store.close().await;
    let wrong = verified.wrong.into_iter();
    history
        .misfolded
        .extend(wrong.map(|(org, id, how)| (id.to_string(), format!("{org}: {how}"))));
    history.folded = verified.conversations;
    Ok(())
}

/// Most conversations of others that are tried.
const TRIED: usize = 25;

/// Tries to see over HTTP what belongs to others, and asks again for what was answered.
///
/// # Errors
/// When the interface does not answer.
pub async fn look_around(http: &Http, log: &Arc<Log>) -> Result<()> {
    let home = [HTTP, CLIENTS[0].configured()];
    let owned = log.owned();
    let (ours, others): (Vec<_>, Vec<_>) = owned
        .iter()
        .partition(|owned| home.contains(&owned.client.as_str()));
    let (_, listed) = http.get("/v1/conversations?limit=200").await?;
    for other in others.iter().rev().take(TRIED) {
        if listed.contains(&other.conversation) {
            log.leaked(format!("{} of {} is listed", other.label, other.client));
        }
        for path in [
            format!("/v1/conversations/{}", other.conversation),
            format!("/v1/runs/{}", other.run),
            format!("/v1/messages/{}", other.run),
        ] {
            let (status, body) = http.get(&path).await?;
            if status.is_success() {
                log.leaked(format!("GET {path} of {} says {body}", other.client));
            }
        }
    }
    for own in ours.iter().filter(|own| own.client == HTTP) {
        if let Some((ending, text)) = http.outcome(&own.run, Duration::ZERO).await? {
            let heard = crate::log::Heard {
                reply: format!("run {}", own.run),
                ending,
                text,
                conversation: None,
            };
            log.replied_again(heard);
        }
    }
    Ok(())
}
