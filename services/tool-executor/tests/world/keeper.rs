//! What becomes of conversations is kept and confirmed.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use nexus_bus::{EntryId, Outgoing, ReadFrom};
use nexus_contracts::events::{ConversationDeleted, ConversationRenamed, Event, ReceiptRecorded};
use nexus_contracts::{
    ConversationId, Envelope, Extra, FieldsContext, MessageId, Metadata, OrgId, Timestamp, channels,
};
use nexus_retrieval::{Limits, Retrieval};
use nexus_service_kit::{BatchHandler, Clock, Message, Outcome, Stores, envelope_of, outgoing};
use nexus_store::Ledger;
use nexus_testkit::{wait_for, wait_until};
use nexus_tool_executor::NAME;
use nexus_tool_executor::keeper::Keeper;
use nexus_tool_executor::migrations::{MIGRATIONS, SET};
use nexus_tool_executor::switches::Switches;
use tokio_util::sync::CancellationToken;

use crate::fixtures::{PATIENCE, World, completed, kill, on_every_database};

fn event_of<E: Event>(id: &str, org: OrgId, event: &E) -> Result<Envelope> {
    let metadata = Metadata {
        org_id: Some(org),
        ..Metadata::default()
    };
    let envelope = Envelope::new(MessageId::new(id)?, Clock::system().now(), event)?;
    Ok(envelope.with_metadata(metadata))
}

const fn deleted(conversation_id: ConversationId) -> ConversationDeleted {
    ConversationDeleted {
        conversation_id,
        extra: Extra::new(),
    }
}

/// Says that the conversation of a command is gone, and waits until that is confirmed.
async fn delete(world: &World, command: &Envelope) -> Result<()> {
    let conversation = command
        .metadata
        .conversation_id
        .context("of a conversation")?;
    let event = event_of("gone", world.org, &deleted(conversation))?;
    let published = vec![outgoing(channels::CONVERSATIONS, &event)];
    world.bus.publish(published).await?;
    wait_for(PATIENCE, "a receipt", async || {
        let entries = world
            .bus
            .read(channels::RECEIPTS, ReadFrom::Start, 10)
            .await?;
        let Some(entry) = entries.first() else {
            return Ok(None);
        };
        let envelope = envelope_of(entry, channels::RECEIPTS)?;
        let receipt: ReceiptRecorded = envelope.decode()?;
        assert_eq!(
            (receipt.by.as_str(), receipt.ids),
            (NAME, vec![event.id.clone()])
        );
        assert_eq!(envelope.metadata.org_id, Some(world.org));
        Ok(Some(()))
    })
    .await
}

/// Waits until every command is done with.
async fn all_settled(world: &World) -> Result<()> {
    wait_until(PATIENCE, "every command to be settled", async || {
        let backlog = world.bus.backlog(channels::TOOLS_EXECUTE, NAME).await?;
        Ok(backlog.undelivered + backlog.pending == 0)
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
    async fn nothing_of_a_deleted_conversation_is_kept_or_run_again(world: World) -> Result<()> {
        let worker = world.worker(&[]).await?;
        world.stage.gate.add_permits(10);
        let command = world.command("1", "gated", "{}")?;
        completed(&world.ask(&command).await?)?;
        delete(&world, &command).await?;
        world.send(&command).await?;
        all_settled(&world).await?;
        assert_eq!(world.results(1).await?.len(), 1);
        assert_eq!(world.stage.effects(), 1);
        kill(worker).await;
        Ok(())
    }

    async fn what_runs_while_its_conversation_is_deleted_is_answered_no_more(
        world: World
    ) -> Result<()> {
        let worker = world.worker(&[]).await?;
        let command = world.command("1", "once", "{}")?;
        world.send(&command).await?;
        world.effects(1).await?;
        delete(&world, &command).await?;
        world.stage.gate.add_permits(10);
        all_settled(&world).await?;
        assert!(world.entries(channels::TOOLS_RESULTS).await?.is_empty());
        assert_eq!(world.stage.effects(), 1);
        kill(worker).await;
        Ok(())
    }

    async fn each_organisation_gets_one_receipt_for_a_batch(world: World) -> Result<()> {
        let clock = Clock::system();
        let store = Stores::new(&world.store)?.open(NAME, Ledger::MIGRATIONS).await?;
        let (one, other) = (world.org, OrgId(clock.new_id()));
        let gone = deleted(ConversationId(clock.new_id()));
        let renamed = ConversationRenamed {
            conversation_id: gone.conversation_id,
            title: "Rome".to_owned(),
            automatic: true,
            extra: Extra::new(),
        };
        let mut nobodys = event_of("nobodys", one, &gone)?;
        nobodys.metadata.org_id = None;
        let mut unknown = event_of("unknown", other, &gone)?;
        unknown.event_type = "conversation.coloured".to_owned();
        let batch = [
            event_of("renamed", one, &renamed)?,
            nobodys,
            event_of("gone", one, &gone)?,
            unknown,
            event_of("gone", one, &gone)?,
        ];
        let batch: Vec<Message> = batch.into_iter().map(message).collect();
        store.migrate(SET, MIGRATIONS).await?;
        let switches = Switches::new(store.clone(), world.bus.clone());
        store.migrate("retrieval", Retrieval::MIGRATIONS).await?;
        let memory = Retrieval::new(store.clone(), Limits::default(), None, None).memory();
        let keeper = Keeper { ledger: Ledger::new(store), switches, memory, clock };
        let outcomes = keeper.handle(batch.clone()).await;
        assert!(outcomes[1].is_err(), "whose conversation is it?");
        let receipts = sent(outcomes)?;
        let told: BTreeSet<_> = receipts
            .iter()
            .map(|envelope| {
                let ids = envelope.decode::<ReceiptRecorded>()?.ids;
                let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
                Ok((envelope.metadata.org_id, ids.join(" ")))
            })
            .collect::<Result<_>>()?;
        let wanted = [
            (Some(one), "gone renamed".to_owned()),
            (Some(other), "unknown".to_owned()),
        ];
        assert_eq!((receipts.len(), told), (2, wanted.into()));
        let again = sent(keeper.handle(batch).await)?;
        let ids = |all: &[Envelope]| all.iter().map(|one| one.id.clone()).collect::<BTreeSet<_>>();
        assert_eq!(ids(&again), ids(&receipts), "the same batch gives the same receipts");
        Ok(())
    }
}
