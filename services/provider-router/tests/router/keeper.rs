//! What becomes of conversations is kept and confirmed.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use nexus_bus::{Bus, BusConfig, BusUrl, EntryId, Outgoing, ReadFrom};
use nexus_contracts::events::{ConversationDeleted, ConversationRenamed, Event, ReceiptRecorded};
use nexus_contracts::{
    ConversationId, Envelope, Extra, FieldsContext, MessageId, Metadata, OrgId, Timestamp, channels,
};
use nexus_provider_router::NAME;
use nexus_provider_router::handler::cached::Meanings;
use nexus_provider_router::keeper::Keeper;
use nexus_service_kit::{BatchHandler, Clock, Message, Outcome, envelope_of};
use nexus_store::{Ledger, Store};
use nexus_testkit::wait_for;
use tokio_util::sync::CancellationToken;

use crate::world::{Database, PATIENCE, World, on_every_database};

/// The conversation of a command is gone.
pub(crate) fn deleted(id: &str, of: &Metadata) -> Result<Envelope> {
    let conversation_id = of.conversation_id.context("a command of a conversation")?;
    let event = ConversationDeleted {
        conversation_id,
        extra: Extra::new(),
    };
    event_of(id, of.org_id.context("an organisation")?, &event)
}

fn event_of<E: Event>(id: &str, org: OrgId, event: &E) -> Result<Envelope> {
    let metadata = Metadata {
        org_id: Some(org),
        ..Metadata::default()
    };
    let envelope = Envelope::new(MessageId::new(id)?, Clock::system().now(), event)?;
    Ok(envelope.with_metadata(metadata))
}

/// What this service has confirmed, once it is as many events.
pub(crate) async fn receipts(world: &World, events: usize) -> Result<Vec<ReceiptRecorded>> {
    let bus = &world.deps.bus;
    wait_for(PATIENCE, "receipts", async || {
        let entries = bus.read(channels::RECEIPTS, ReadFrom::Start, 100).await?;
        let receipts = entries.iter().map(|entry| {
            let envelope = envelope_of(entry, channels::RECEIPTS)?;
            Ok(envelope.decode::<ReceiptRecorded>()?)
        });
        let receipts: Vec<_> = receipts.collect::<Result<_>>()?;
        let confirmed: BTreeSet<_> = receipts.iter().flat_map(|one| &one.ids).collect();
        Ok((confirmed.len() >= events).then_some(receipts))
    })
    .await
}

fn message(envelope: Envelope) -> Message {
    Message {
        stored_at: envelope.timestamp,
        envelope,
        entry_id: EntryId { major: 0, minor: 0 },
        channel: channels::CONVERSATIONS.to_owned(),
        attempts: 1,
        lost: CancellationToken::new(),
    }
}

/// The envelopes of everything that is to be published.
fn sent(outcomes: Vec<Outcome>) -> Result<Vec<Envelope>> {
    let records = outcomes.into_iter().flatten().flatten();
    let envelope = |outgoing: Outgoing| {
        assert_eq!(outgoing.channel, channels::RECEIPTS);
        let context = FieldsContext {
            fallback_id: MessageId::new("none")?,
            stored_at: Timestamp::from_millis(0),
        };
        Ok(Envelope::from_fields(
            outgoing.record.into_fields(),
            &context,
        )?)
    };
    records.map(envelope).collect()
}

on_every_database! {
    async fn each_organisation_gets_one_receipt_for_a_batch(database: Database) -> Result<()> {
        let store = Store::open(&database.url.parse()?, NAME, Ledger::MIGRATIONS).await?;
        let clock = Clock::system();
        let folder = tempfile::tempdir()?;
        let [one, other] = [(); 2].map(|()| OrgId(clock.new_id()));
        let conversation_id = ConversationId(clock.new_id());
        let renamed = ConversationRenamed {
            conversation_id,
            title: "Rome".to_owned(),
            automatic: true,
            extra: Extra::new(),
        };
        let gone = ConversationDeleted { conversation_id, extra: Extra::new() };
        let mut nobodys = event_of("nobodys", one, &gone)?;
        nobodys.metadata.org_id = None;
        let mut unknown = event_of("unknown", other, &gone)?;
        unknown.event_type = "conversation.coloured".to_owned();
        let batch = vec![
            event_of("renamed", one, &renamed)?,
            nobodys,
            event_of("gone", one, &gone)?,
            unknown,
            event_of("gone", one, &gone)?,
        ];
        let path = folder.path().join("bus.db");
        let url = BusUrl::Embedded { path, read_only: false };
        let bus = Bus::connect(&BusConfig::new(url, folder.path().join("blobs"))).await?;
        let meanings = Meanings::new(0, [0; 16]);
        let keeper = Keeper { ledger: Ledger::new(store), meanings, bus, clock };
        let batch: Vec<Message> = batch.into_iter().map(message).collect();
        let outcomes = keeper.handle(batch.clone()).await;
        assert!(outcomes.get(1).is_some_and(Result::is_err), "whose is it?");
        let receipts = sent(outcomes)?;
        let wanted = [(one, vec!["gone", "renamed"]), (other, vec!["unknown"])];
        assert_eq!(receipts.len(), wanted.len());
        for (envelope, (org, ids)) in receipts.iter().zip(wanted) {
            assert_eq!(envelope.metadata.org_id, Some(org));
            let receipt: ReceiptRecorded = envelope.decode()?;
            assert_eq!(receipt.by, NAME);
            assert_eq!(receipt.ids.iter().map(MessageId::as_str).collect::<Vec<_>>(), ids);
        }
        let again = sent(keeper.handle(batch).await)?;
        let ids = |all: &[Envelope]| all.iter().map(|one| one.id.clone()).collect::<Vec<_>>();
        assert_eq!(ids(&again), ids(&receipts), "the same batch gives the same receipts");
        Ok(())
    }
}
