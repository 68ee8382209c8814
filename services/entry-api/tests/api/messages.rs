//! Saying something, asking how it goes, no longer wanting it.

use anyhow::Result;
use nexus_contracts::{ConversationId, RunId};
use nexus_entry_api::view::{MessageView, Status};
use serde_json::{Value, json};

use crate::node::{Setup, accepted, good, problem};
use crate::orchestrator::{COLLEAGUE, STRANGER};

pub(crate) async fn a_message_is_stored_answered_and_confirmed(setup: Setup) -> Result<()> {
    let response = setup.post(&json!({ "text": "hello" })).await?;
    let location = response
        .headers()
        .get("location")
        .map(|at| at.to_str().unwrap().to_owned());
    let first = accepted(response).await?;
    assert_eq!(
        location,
        Some(format!("/v1/messages/{}", first.correlation_id))
    );
    assert_eq!(first.correlation_id, first.run_id.to_string());
    assert_eq!(
        first.conversation_id,
        ConversationId::opened_by(RunId(first.run_id)).0
    );

    let view = setup.ended(&first.correlation_id).await?;
    assert_eq!(
        (view.status, view.text.as_deref()),
        (Status::Completed, Some("hello"))
    );
    assert_eq!(
        (view.provider.as_deref(), view.model.as_deref()),
        (Some("demo"), Some("demo-1"))
    );
    assert_eq!(view.agreement.map(|votes| votes.agreeing), Some(2));
    assert_eq!(view.usage.map(|usage| usage.output_tokens), Some(4));

    let body = json!({ "text": "more", "conversation_id": first.conversation_id });
    let second = accepted(setup.post(&body).await?).await?;
    assert_eq!(second.conversation_id, first.conversation_id);
    setup.ended(&second.correlation_id).await?;
    // Both answers, and neither acceptance.
    setup.seen.until(|seen| seen.receipts().len() == 2).await?;
    setup.stop().await?;
    Ok(())
}

pub(crate) async fn the_first_end_of_a_run_stays(setup: Setup) -> Result<()> {
    let asked = setup.say("twice").await?;
    let view = setup.ended(&asked.correlation_id).await?;
    assert_eq!(view.text.as_deref(), Some("first"));
    setup.seen.until(|seen| seen.receipts().len() == 2).await?;
    let view = setup.ended(&asked.correlation_id).await?;
    assert_eq!(
        (view.status, view.text.as_deref()),
        (Status::Completed, Some("first"))
    );
    setup.stop().await?;
    Ok(())
}

pub(crate) async fn a_failure_says_why(setup: Setup) -> Result<()> {
    let asked = setup.say("fail").await?;
    let view = setup.ended(&asked.correlation_id).await?;
    assert_eq!(view.status, Status::Failed);
    assert_eq!(
        view.error.map(|error| error.code).as_deref(),
        Some("provider_failed")
    );
    setup.stop().await?;
    Ok(())
}

pub(crate) async fn an_idempotency_key_stands_for_one_message(setup: Setup) -> Result<()> {
    let body = json!({ "text": "once", "metadata": { "a": 1 } });
    let (one, two) = tokio::join!(
        setup.post_with(&body, Some("key 1")),
        setup.post_with(&body, Some("key 1")),
    );
    let (one, two) = (accepted(one?).await?, accepted(two?).await?);
    assert_eq!(one, two, "two at once");
    setup.ended(&one.correlation_id).await?;
    let three = accepted(setup.post_with(&body, Some("key 1")).await?).await?;
    assert_eq!(one, three, "and one later");
    assert_eq!(setup.seen.texts(), ["once"]);

    let other = json!({ "text": "twice", "metadata": { "a": 1 } });
    let (status, said) = problem(setup.post_with(&other, Some("key 1")).await?).await?;
    assert_eq!(
        (status, &said["code"]),
        (422, &json!("idempotency_key_reused"))
    );
    let fresh = accepted(setup.post_with(&body, Some("key 2")).await?).await?;
    assert_ne!(fresh.correlation_id, one.correlation_id);

    let setup = setup.stop().await?.start().await?;
    let four = accepted(setup.post_with(&body, Some("key 1")).await?).await?;
    assert_eq!(one, four, "and one after a restart");
    setup.stop().await?;
    Ok(())
}

pub(crate) async fn what_is_wrong_is_refused_before_it_is_stored(setup: Setup) -> Result<()> {
    let cases: [(Value, u16, &str); 5] = [
        (json!({ "text": "" }), 422, "empty_text"),
        (
            json!({ "text": "x", "provider": "dmeo" }),
            422,
            "unknown_provider",
        ),
        (json!({ "text": "x", "txet": 1 }), 422, "unknown_field"),
        (json!({ "text": "y".repeat(300_000) }), 413, "too_long"),
        (
            json!({ "text": "x", "limits": { "step": 1 } }),
            422,
            "unknown_field",
        ),
    ];
    for (body, status, code) in cases {
        let (got, said) = problem(setup.post(&body).await?).await?;
        assert_eq!((got, said["code"].as_str()), (status, Some(code)), "{said}");
        assert!(
            said["detail"]
                .as_str()
                .is_some_and(|detail| detail.len() > 10),
            "{said}"
        );
    }
    for body in [b"{".to_vec(), b"{\"text\":\"\xff\"}".to_vec()] {
        let (status, said) = problem(setup.post_raw(body).await?).await?;
        assert_eq!(
            (status, said["code"].as_str()),
            (400, Some("malformed_request")),
            "{said}"
        );
    }
    let (status, _) = problem(setup.post_raw(vec![b' '; 2_000_000]).await?).await?;
    assert_eq!(status, 413);
    let (_, said) = problem(
        setup
            .post(&json!({ "text": "x", "provider": "dmeo" }))
            .await?,
    )
    .await?;
    assert!(
        said["detail"].to_string().contains("did you mean `demo`?"),
        "{said}"
    );
    assert!(setup.seen.texts().is_empty(), "none of it reached the bus");
    setup.stop().await?;
    Ok(())
}

pub(crate) async fn an_unknown_message_is_404_everywhere(setup: Setup) -> Result<()> {
    for id in ["0197a5f0-0000-7000-8000-000000000001", "nonsense"] {
        let path = format!("/v1/messages/{id}");
        for response in [
            setup.get(&path).await?,
            setup.events(id, None).await?,
            setup.delete(id).await?,
        ] {
            let (status, said) = problem(response).await?;
            assert_eq!(
                (status, said["code"].as_str()),
                (404, Some("unknown_message"))
            );
        }
    }
    setup.stop().await?;
    Ok(())
}

pub(crate) async fn waiting_ends_with_the_time_given(setup: Setup) -> Result<()> {
    let asked = setup.say("wait").await?;
    let path = format!("/v1/messages/{}", asked.correlation_id);
    let view: MessageView = setup
        .get(&format!("{path}?wait=50ms"))
        .await?
        .json()
        .await?;
    assert!(!view.status.is_final());
    let (status, said) = problem(setup.get(&format!("{path}?wait=soon")).await?).await?;
    assert_eq!((status, said["code"].as_str()), (422, Some("bad_wait")));
    setup.stop().await?;
    Ok(())
}

pub(crate) async fn a_message_that_is_no_longer_wanted_is_cancelled_once(
    setup: Setup,
) -> Result<()> {
    let asked = setup.say("wait").await?;
    let one = setup.delete(&asked.correlation_id).await?;
    assert_eq!(one.status().as_u16(), 202);
    let view = setup.ended(&asked.correlation_id).await?;
    assert_eq!(
        view.error.map(|error| error.code).as_deref(),
        Some("cancelled")
    );
    // Ended already: nothing more is asked for.
    let again = good(setup.delete(&asked.correlation_id).await?, 200).await?;
    assert_eq!(again["status"], "failed");
    assert_eq!(setup.seen.cancelled(), [RunId(asked.run_id)]);
    setup.stop().await?;
    Ok(())
}

pub(crate) async fn a_conversation_nobody_knows_is_the_orchestrators_to_refuse(
    setup: Setup,
) -> Result<()> {
    let body = json!({ "text": "x", "conversation_id": uuid::Uuid::now_v7() });
    let asked = accepted(setup.post(&body).await?).await?;
    let view = setup.ended(&asked.correlation_id).await?;
    assert_eq!(
        view.error.map(|error| error.code).as_deref(),
        Some("unknown_conversation")
    );
    setup.stop().await?;
    Ok(())
}

pub(crate) async fn nobody_elses_message_can_be_seen(setup: Setup) -> Result<()> {
    let asked = setup.say("secret").await?;
    setup.ended(&asked.correlation_id).await?;
    let mut place = setup.stop().await?;
    for other in [COLLEAGUE, STRANGER] {
        let setup = place.start_with(&[("principal", other)]).await?;
        let id = &asked.correlation_id;
        let path = format!("/v1/messages/{id}");
        for response in [
            setup.get(&path).await?,
            setup.events(id, None).await?,
            setup.delete(id).await?,
        ] {
            let (status, said) = problem(response).await?;
            assert_eq!((status, &said["code"]), (404, &json!("unknown_message")));
        }
        let body = json!({ "text": "more", "conversation_id": asked.conversation_id });
        let more = accepted(setup.post(&body).await?).await?;
        let view = setup.ended(&more.correlation_id).await?;
        assert_eq!(
            view.error.map(|error| error.code).as_deref(),
            Some("unknown_conversation")
        );
        place = setup.stop().await?;
    }
    Ok(())
}

pub(crate) async fn the_interface_describes_itself(setup: Setup) -> Result<()> {
    let document: Value = setup.get("/openapi.json").await?.json().await?;
    assert_eq!(document["info"]["title"], "Nexus");
    for path in [
        "/v1/messages",
        "/v1/messages/{correlation_id}",
        "/v1/approvals/{approval_id}",
        "/v1/conversations/{id}/branch",
        "/v1/commands/{command_id}",
    ] {
        assert!(document["paths"][path].is_object(), "{path}");
    }
    setup.stop().await?;
    Ok(())
}
