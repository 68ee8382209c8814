//! What must not be left over when every question is answered.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use nexus_bus::{Bus, Entry, ReadFrom};
use nexus_contracts::events::MessageAccepted;
use nexus_contracts::{CorrelationId, Event, MessageId, channels};
use nexus_service_kit::envelope_of;
use rusqlite::{Connection, OpenFlags};

/// Messages the orchestrator still repeats.
///
/// # Errors
/// When its database cannot be read.
pub fn unsettled(folder: &Path) -> Result<i64> {
    let file = folder.join("data/orchestrator.db");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let database = Connection::open_with_flags(&file, flags)
        .with_context(|| format!("open {}", file.display()))?;
    let count = "SELECT count(*) FROM dispatch WHERE kind = 'message'";
    Ok(database.query_row(count, [], |row| row.get(0))?)
}

/// Messages some consumer still has to settle, by consumer as `<group>:<channel>`.
///
/// # Errors
/// When the bus does not answer.
pub async fn pending(bus: &Bus, consumers: &[String]) -> Result<Vec<String>> {
    let mut pending = Vec::new();
    for consumer in consumers {
        let (group, channel) = consumer.split_once(':').context("group:channel")?;
        let backlog = bus.backlog(channel, group).await?;
        if backlog.undelivered + backlog.pending > 0 {
            pending.push(format!("{consumer}: {backlog:?}"));
        }
    }
    Ok(pending)
}

/// That nothing was parked, and that every question has one answer, however often it came.
///
/// # Errors
/// What was found.
pub async fn one_answer_each(bus: &Bus, consumers: &[String]) -> Result<usize> {
    for consumer in consumers {
        let (_, channel) = consumer.split_once(':').context("group:channel")?;
        let dead = all(bus, &format!("{channel}.dead")).await?;
        ensure!(dead.is_empty(), "parked in {channel}.dead: {dead:?}");
    }
    let channel = channels::processed("api");
    let mut answers: BTreeMap<CorrelationId, BTreeSet<MessageId>> = BTreeMap::new();
    for entry in all(bus, &channel).await? {
        let envelope = envelope_of(&entry, &channel)?;
        if envelope.event_type != MessageAccepted::TYPE {
            let question = envelope.correlation_id.context("a correlation id")?;
            answers.entry(question).or_default().insert(envelope.id);
        }
    }
    for (question, ids) in &answers {
        ensure!(ids.len() == 1, "{question} was answered by {ids:?}");
    }
    Ok(answers.len())
}

async fn all(bus: &Bus, channel: &str) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    let mut from = ReadFrom::Start;
    loop {
        let read = bus.read(channel, from, 1000).await?;
        let Some(last) = read.last() else {
            return Ok(entries);
        };
        from = ReadFrom::After(last.id);
        entries.extend(read);
    }
}

#[cfg(test)]
mod tests {
    use nexus_bus::{BusConfig, BusUrl, GroupSpec};
    use nexus_contracts::events::MessageFailed;
    use nexus_contracts::{Envelope, Extra, Timestamp};
    use nexus_service_kit::outgoing;
    use std::time::Duration;

    use super::*;

    async fn bus() -> (Bus, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bus.db");
        let url = BusUrl::Embedded {
            path,
            read_only: false,
        };
        let config = BusConfig::new(url, folder.path().join("blobs"));
        (Bus::connect(&config).await.unwrap(), folder)
    }

    async fn publish(bus: &Bus, channel: &str, id: &str) {
        let event = MessageFailed {
            run_id: None,
            conversation_id: None,
            code: "cancelled".to_owned(),
            detail: String::new(),
            retryable: false,
            metadata: Extra::new(),
            extra: Extra::new(),
        };
        let id = MessageId::new(id).unwrap();
        let envelope = Envelope::new(id, Timestamp::from_millis(1), &event).unwrap();
        let question = Some(CorrelationId::new("question").unwrap());
        let envelope = envelope.correlated(question);
        bus.publish(vec![outgoing(channel, &envelope)])
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn a_second_answer_and_a_parked_message_are_found() {
        let (bus, _folder) = bus().await;
        let answers = channels::processed("api");
        let consumers = [format!("entry-api:{answers}")];
        publish(&bus, &answers, "a").await;
        publish(&bus, &answers, "a").await;
        assert_eq!(one_answer_each(&bus, &consumers).await.unwrap(), 1);
        publish(&bus, &answers, "b").await;
        assert!(one_answer_each(&bus, &consumers).await.is_err());
        let other = ["recorder:receipts".to_owned()];
        publish(&bus, "receipts.dead", "c").await;
        assert!(one_answer_each(&bus, &other).await.is_err());
    }

    #[tokio::test]
    async fn what_nobody_has_settled_is_found() {
        let (bus, _folder) = bus().await;
        let spec = GroupSpec {
            channel: "receipts".to_owned(),
            group: "recorder".to_owned(),
            consumer: "one".to_owned(),
            lease: Duration::from_secs(30),
            max_in_flight: 10,
        };
        let _group = bus.group(spec).await.unwrap();
        let consumers = ["recorder:receipts".to_owned()];
        assert!(pending(&bus, &consumers).await.unwrap().is_empty());
        publish(&bus, "receipts", "a").await;
        assert_eq!(pending(&bus, &consumers).await.unwrap().len(), 1);
    }
}
