//! What is deleted is gone.

use anyhow::Result;
use nexus_bus::Bus;
use nexus_contracts::events::{ConversationRenamed, Event, MessageCompleted};
use nexus_contracts::{ConversationId, Envelope, Extra, MessageId, Metadata, Timestamp, channels};
use nexus_service_kit::outgoing;
use nexus_testkit::wait_until;
use reqwest::Method;
use serde_json::{Value, json};

use crate::node::{PATIENCE, Setup, accepted, good, problem};
use crate::orchestrator::{org, user};
use nexus_entry_api::view::Accepted;

async fn delete(setup: &Setup, conversation: impl std::fmt::Display) -> Result<Value> {
    let path = format!("/v1/conversations/{conversation}");
    good(setup.send(Method::DELETE, &path, None).await?, 200).await
}

/// Waits until nothing of the message is left.
async fn until_gone(setup: &Setup, id: &str) -> Result<()> {
    wait_until(PATIENCE, "the message to be erased", async || {
        let response = setup.get(&format!("/v1/messages/{id}")).await?;
        Ok(response.status().as_u16() == 404)
    })
    .await
}

async fn publish(bus: &Bus, channel: String, envelope: &Envelope) -> Result<()> {
    bus.publish(vec![outgoing(channel, envelope)]).await?;
    Ok(())
}

fn metadata() -> Metadata {
    Metadata {
        org_id: Some(org()),
        user_id: Some(user()),
        ..Metadata::default()
    }
}

pub(crate) async fn a_deleted_conversation_leaves_nothing(setup: Setup) -> Result<()> {
    let kept = setup.say("kept").await?;
    setup.ended(&kept.correlation_id).await?;
    let first = setup.say("approve this").await?;
    let conversation = first.conversation_id;
    setup.open_approvals(1).await?;
    setup
        .delete(&first.correlation_id)
        .await?
        .error_for_status()?;
    setup.ended(&first.correlation_id).await?;
    let more = json!({ "text": "never answered", "conversation_id": conversation });
    let more = accepted(setup.post(&more).await?).await?;
    setup
        .seen
        .until(|seen| seen.texts().iter().any(|text| text == "never answered"))
        .await?;
    let gone = MessageDeleted::of(ConversationId(conversation));
    publish(setup.bus(), channels::CONVERSATIONS.to_owned(), &gone.0).await?;
    for id in [&first.correlation_id, &more.correlation_id] {
        until_gone(&setup, id).await?;
    }
    setup.open_approvals(0).await?;
    setup.ended(&kept.correlation_id).await?;
    for (table, rows) in [
        ("message", 1),
        ("answer", 1),
        ("approval", 0),
        ("dispatch", 0),
    ] {
        assert_eq!(setup.rows(table).await?, rows, "{table}");
    }
    setup
        .seen
        .until(|seen| seen.receipts().contains(&gone.0.id))
        .await?;
    // Nor is it published any more.
    let times = setup.seen.texts().len();
    let after = setup.say("after").await?;
    setup.ended(&after.correlation_id).await?;
    assert_eq!(setup.seen.texts().len(), times + 1);
    setup.stop().await?;
    Ok(())
}

/// The fact, without an orchestrator that was asked for it.
struct MessageDeleted(Envelope);

impl MessageDeleted {
    fn of(conversation_id: ConversationId) -> Self {
        let event = nexus_contracts::events::ConversationDeleted {
            conversation_id,
            extra: Extra::new(),
        };
        let id = MessageId::from(uuid::Uuid::now_v7());
        let envelope = Envelope::new(id, Timestamp::from_millis(0), &event).unwrap();
        Self(envelope.with_metadata(metadata()))
    }
}

pub(crate) async fn what_was_deleted_does_not_come_back(setup: Setup) -> Result<()> {
    let body = json!({ "text": "hello" });
    let asked = accepted(setup.post_with(&body, Some("key")).await?).await?;
    setup.ended(&asked.correlation_id).await?;
    let done = delete(&setup, asked.conversation_id).await?;
    assert_eq!(
        (&done["type"], &done["status"]),
        (&json!("conversation.delete"), &json!("accepted"))
    );
    until_gone(&setup, &asked.correlation_id).await?;

    a_late_answer_is_confirmed_and_not_kept(&setup, &asked).await?;

    // Nor is anything taken for it, and a key does not bring it back.
    let more = json!({ "text": "more", "conversation_id": asked.conversation_id });
    let branch = json!({ "text": "more", "run_id": asked.run_id });
    let place = format!("/v1/conversations/{}", asked.conversation_id);
    for response in [
        setup.post(&more).await?,
        setup.post_with(&body, Some("key")).await?,
        setup
            .post_to(&format!("{place}/branch"), &branch, None)
            .await?,
        setup.send(Method::DELETE, &place, None).await?,
    ] {
        let (status, said) = problem(response).await?;
        assert_eq!(
            (status, &said["code"]),
            (404, &json!("unknown_conversation"))
        );
    }
    assert_eq!(setup.seen.texts(), ["hello"]);
    let setup = setup.stop().await?.start().await?;
    until_gone(&setup, &asked.correlation_id).await?;
    setup.stop().await?;
    Ok(())
}

async fn a_late_answer_is_confirmed_and_not_kept(setup: &Setup, asked: &Accepted) -> Result<()> {
    let late = MessageCompleted {
        run_id: nexus_contracts::RunId(asked.run_id),
        conversation_id: ConversationId(asked.conversation_id),
        text: "late".into(),
        provider: "demo".into(),
        model: "demo-1".into(),
        usage: nexus_contracts::chat::Usage::of(1, 1),
        finish_reason: nexus_contracts::chat::FinishReason::Stop,
        steps: 1,
        agreement: None,
        clarification: None,
        metadata: Extra::new(),
        extra: Extra::new(),
    };
    let id = MessageId::new("late")?;
    let envelope = Envelope::new(id.clone(), Timestamp::from_millis(0), &late)?;
    publish(
        setup.bus(),
        channels::processed("api"),
        &envelope.with_metadata(metadata()),
    )
    .await?;
    setup
        .seen
        .until(|seen| seen.receipts().contains(&id))
        .await?;
    assert_eq!(
        setup.rows("answer").await?,
        1,
        "that of the wish to delete alone"
    );
    Ok(())
}

pub(crate) async fn every_fact_about_a_conversation_is_confirmed(setup: Setup) -> Result<()> {
    let event = ConversationRenamed {
        conversation_id: ConversationId(uuid::Uuid::now_v7()),
        title: "Sums".into(),
        automatic: false,
        extra: Extra::new(),
    };
    let named = Envelope::new(
        MessageId::new("renamed")?,
        Timestamp::from_millis(0),
        &event,
    )?;
    let named = named.with_metadata(metadata());
    // A fact of a later version is no reason to keep its publisher waiting.
    let mut unknown = named.clone();
    unknown.id = MessageId::new("unknown")?;
    unknown.event_type = "conversation.archived".to_owned();
    for envelope in [&named, &unknown, &named] {
        publish(
            setup.bus(),
            ConversationRenamed::CHANNEL.to_owned(),
            envelope,
        )
        .await?;
    }
    setup
        .seen
        .until(|seen| {
            let receipts = seen.receipts();
            receipts.contains(&named.id) && receipts.contains(&unknown.id)
        })
        .await?;
    setup.stop().await?;
    Ok(())
}

pub(crate) async fn a_reader_of_what_is_deleted_hears_an_end(setup: Setup) -> Result<()> {
    let asked = setup.say("wait").await?;
    let response = setup
        .events(&asked.correlation_id, None)
        .await?
        .error_for_status()?;
    setup.seen.until(|seen| !seen.texts().is_empty()).await?;
    delete(&setup, asked.conversation_id).await?;
    let text = tokio::time::timeout(PATIENCE, response.text()).await??;
    assert!(
        text.contains("event: failed") && text.contains("was deleted"),
        "{text}"
    );
    setup.stop().await?;
    Ok(())
}
