//! Changing, branching, deleting and importing conversations.

use anyhow::Result;
use nexus_contracts::events::{ConversationBranch, ConversationConfigure, ConversationRename};
use nexus_contracts::{ConversationId, RunId};
use reqwest::Method;
use serde_json::{Value, json};

use crate::node::{Setup, accepted, good, problem};
use crate::orchestrator::{COLLEAGUE, STRANGER};

fn path(id: impl std::fmt::Display) -> String {
    format!("/v1/conversations/{id}")
}

fn document() -> Value {
    json!({
        "format": "nexus.conversation", "version": 1, "title": "Sums",
        "messages": [
            { "role": "user", "text": "1+1?", "at": "2026-01-31T12:00:00.000Z" },
            { "role": "assistant", "text": "2", "provider": "demo", "model": "demo-1" },
        ],
    })
}

pub(crate) async fn title_and_settings_are_changed(setup: Setup) -> Result<()> {
    let asked = setup.say("hello").await?;
    let id = asked.conversation_id;
    let change = json!({ "title": "Sums", "settings": { "samples": 3, "limits": { "steps": 2 } } });
    let done = setup.send(Method::PATCH, &path(id), Some(&change)).await?;
    let done = good(done, 200).await?;
    assert_eq!(done["status"], "accepted");
    assert_eq!(done["conversation_id"], json!(id));
    let renamed = &setup.seen.of_type("conversation.rename")[0];
    let event: ConversationRename = renamed.decode()?;
    assert_eq!(
        (event.title.as_str(), event.conversation_id.0),
        ("Sums", id)
    );
    assert_eq!(renamed.metadata.conversation_id, Some(ConversationId(id)));
    let configured: ConversationConfigure =
        setup.seen.of_type("conversation.configure")[0].decode()?;
    assert_eq!(configured.settings.samples, Some(3));
    assert_eq!(
        configured.settings.limits.and_then(|limits| limits.steps),
        Some(2)
    );

    for (change, word) in [
        (json!({}), "nothing is to be changed"),
        (json!({ "title": null }), "nothing is to be changed"),
        (
            json!({ "title": " " }),
            "`title` must be 1 to 200 characters",
        ),
        (json!({ "titel": "x" }), "did you mean `title`?"),
        (
            json!({ "settings": { "sampels": 1 } }),
            "did you mean `settings.samples`?",
        ),
        (
            json!({ "settings": { "limits": { "steps": 0 } } }),
            "`settings.limits.steps`",
        ),
        (
            json!({ "settings": { "history_days": 1 } }),
            "`settings.history_days`",
        ),
        (
            json!({ "settings": { "provider": "dmeo" } }),
            "did you mean `demo`?",
        ),
    ] {
        let response = setup.send(Method::PATCH, &path(id), Some(&change)).await?;
        let (status, said) = problem(response).await?;
        assert_eq!(status, 422, "{said}");
        assert!(said["detail"].to_string().contains(word), "{said}");
    }
    setup.stop().await?;
    Ok(())
}

pub(crate) async fn a_conversation_nobody_knows_cannot_be_changed(setup: Setup) -> Result<()> {
    let asked = setup.say("hello").await?;
    let mut place = setup.stop().await?;
    let nothing = "nonsense".to_owned();
    let theirs = asked.conversation_id.to_string();
    for (who, id) in [
        ("client:local", &uuid::Uuid::now_v7().to_string()),
        ("client:local", &nothing),
        (COLLEAGUE, &theirs),
        (STRANGER, &theirs),
    ] {
        let setup = place.start_with(&[("principal", who)]).await?;
        let title = json!({ "title": "x" });
        for response in [
            setup.send(Method::PATCH, &path(id), Some(&title)).await?,
            setup.send(Method::DELETE, &path(id), None).await?,
        ] {
            let (status, said) = problem(response).await?;
            assert_eq!(
                (status, &said["code"]),
                (404, &json!("unknown_conversation")),
                "{who} {id}"
            );
        }
        place = setup.stop().await?;
    }
    let setup = place.start().await?;
    good(setup.send(Method::DELETE, &path(&theirs), None).await?, 200).await?;
    setup.stop().await?;
    Ok(())
}

pub(crate) async fn a_command_nobody_answers_is_kept_and_can_be_asked_about(
    setup: Setup,
) -> Result<()> {
    let asked = setup.say("hello").await?;
    let setup = setup
        .stop()
        .await?
        .start_with(&[("command_wait", "50ms")])
        .await?;
    let title = json!({ "title": "never mind" });
    let response = setup
        .send(Method::PATCH, &path(asked.conversation_id), Some(&title))
        .await?;
    let place = response
        .headers()
        .get("location")
        .map(|at| at.to_str().map(str::to_owned));
    let place = place.transpose()?.unwrap_or_default();
    let waiting = good(response, 202).await?;
    assert_eq!(
        place,
        format!("/v1/commands/{}", waiting["command_id"].as_str().unwrap())
    );
    assert_eq!(waiting["status"], "queued");
    assert_eq!(good(setup.get(&place).await?, 200).await?, waiting);
    // What comes behind it waits for it: deleting is asked of the orchestrator after renaming.
    let response = setup
        .send(Method::DELETE, &path(asked.conversation_id), None)
        .await?;
    good(response, 202).await?;
    assert!(setup.seen.of_type("conversation.delete").is_empty());

    setup.stop().await?;
    Ok(())
}

pub(crate) async fn a_command_is_no_message_and_nobody_elses(setup: Setup) -> Result<()> {
    let asked = setup.say("hello").await?;
    let title = json!({ "title": "Sums" });
    let response = setup
        .send(Method::PATCH, &path(asked.conversation_id), Some(&title))
        .await?;
    let done = good(response, 200).await?;
    let place = format!("/v1/commands/{}", done["command_id"].as_str().unwrap());
    assert_eq!(good(setup.get(&place).await?, 200).await?, done);
    let as_message = place.replace("commands", "messages");
    let (status, said) = problem(setup.get(&as_message).await?).await?;
    assert_eq!((status, &said["code"]), (404, &json!("unknown_message")));
    let other = format!("/v1/commands/{}", asked.run_id);
    let (status, said) = problem(setup.get(&other).await?).await?;
    assert_eq!((status, &said["code"]), (404, &json!("unknown_command")));
    let setup = setup
        .stop()
        .await?
        .start_with(&[("principal", COLLEAGUE)])
        .await?;
    assert_eq!(
        problem(setup.get(&place).await?).await?.0,
        404,
        "nobody else's"
    );
    setup.stop().await?;
    Ok(())
}

pub(crate) async fn a_branch_is_a_conversation_of_its_own(setup: Setup) -> Result<()> {
    let first = setup.say("hello").await?;
    setup.ended(&first.correlation_id).await?;
    let place = path(first.conversation_id) + "/branch";
    let body =
        json!({ "run_id": first.run_id, "text": "goodbye", "samples": 3, "metadata": { "a": 1 } });
    let branch = accepted(setup.post_to(&place, &body, Some("key")).await?).await?;
    assert_ne!(branch.conversation_id, first.conversation_id);
    assert_eq!(
        branch.conversation_id,
        ConversationId::opened_by(RunId(branch.run_id)).0
    );
    let again = accepted(setup.post_to(&place, &body, Some("key")).await?).await?;
    assert_eq!(branch, again);
    let view = setup.ended(&branch.correlation_id).await?;
    assert_eq!(view.text.as_deref(), Some("goodbye"));
    let event: ConversationBranch = setup.seen.of_type("conversation.branch")[0].decode()?;
    assert_eq!(
        (event.conversation_id.0, event.run_id.0),
        (first.conversation_id, first.run_id)
    );
    assert_eq!((event.settings.samples, event.metadata.len()), (Some(3), 1));

    let more = json!({ "text": "more", "conversation_id": branch.conversation_id });
    let more = accepted(setup.post(&more).await?).await?;
    assert_eq!(
        setup.ended(&more.correlation_id).await?.text.as_deref(),
        Some("more")
    );
    setup.stop().await?;
    Ok(())
}

pub(crate) async fn what_is_wrong_with_a_branch_is_said(setup: Setup) -> Result<()> {
    let first = setup.say("hello").await?;
    let place = path(first.conversation_id) + "/branch";
    let unknown = json!({ "run_id": uuid::Uuid::now_v7(), "text": "x" });
    let lost = accepted(setup.post_to(&place, &unknown, None).await?).await?;
    let view = setup.ended(&lost.correlation_id).await?;
    assert_eq!(
        view.error.map(|error| error.code).as_deref(),
        Some("unknown_run")
    );
    for (body, code) in [
        (json!({ "text": "x" }), "missing_field"),
        (json!({ "run_id": "x", "text": "x" }), "bad_run_id"),
        (json!({ "run_id": first.run_id, "text": "" }), "empty_text"),
        (
            json!({ "run_id": first.run_id, "text": "x", "conversation_id": "y" }),
            "unknown_field",
        ),
    ] {
        let (status, said) = problem(setup.post_to(&place, &body, None).await?).await?;
        assert_eq!((status, said["code"].as_str()), (422, Some(code)), "{said}");
    }
    setup.stop().await?;
    Ok(())
}

pub(crate) async fn a_branch_waits_for_what_was_said_before_in_both(setup: Setup) -> Result<()> {
    let first = setup.say("deaf 0").await?;
    let place = path(first.conversation_id) + "/branch";
    let body = json!({ "run_id": first.run_id, "text": "branch" });
    let branch = accepted(setup.post_to(&place, &body, None).await?).await?;
    let more = json!({ "text": "more", "conversation_id": branch.conversation_id });
    let more = accepted(setup.post(&more).await?).await?;
    setup.ended(&more.correlation_id).await?;
    let mut order = setup.seen.texts();
    order.dedup();
    assert_eq!(order, ["deaf 0", "branch", "more"]);
    setup.stop().await?;
    Ok(())
}

pub(crate) async fn a_document_opens_a_conversation(setup: Setup) -> Result<()> {
    let place = "/v1/conversations/import";
    let response = setup.post_to(place, &document(), Some("key")).await?;
    let at = response
        .headers()
        .get("location")
        .map(|at| at.as_bytes().to_vec());
    let done = good(response, 201).await?;
    let id = done["conversation_id"].as_str().unwrap();
    assert_eq!(at.as_deref(), Some(path(id).as_bytes()));
    let run: RunId = done["command_id"].as_str().unwrap().parse()?;
    assert_eq!(id, ConversationId::opened_by(run).to_string());
    let again = good(setup.post_to(place, &document(), Some("key")).await?, 201).await?;
    assert_eq!(done, again);
    let more = json!({ "text": "and 2+2?", "conversation_id": id });
    let more = accepted(setup.post(&more).await?).await?;
    assert_eq!(
        setup.ended(&more.correlation_id).await?.text.as_deref(),
        Some("and 2+2?")
    );

    // More than a message may have.
    let mut long = document();
    long["messages"][0]["text"] = json!("x".repeat(200_000));
    long["messages"] = json!(vec![long["messages"][0].clone(); 10]);
    good(setup.post_to(place, &long, None).await?, 201).await?;
    setup.stop().await?;
    Ok(())
}

pub(crate) async fn an_idempotency_key_stands_for_one_command(setup: Setup) -> Result<()> {
    let body = json!({ "text": "hello" });
    let asked = accepted(setup.post_with(&body, Some("key")).await?).await?;
    // A key that was a message's is no import's.
    let response = setup
        .post_to("/v1/conversations/import", &document(), Some("key"))
        .await?;
    let (status, said) = problem(response).await?;
    assert_eq!(
        (status, &said["code"]),
        (422, &json!("idempotency_key_reused"))
    );
    let again = accepted(setup.post_with(&body, Some("key")).await?).await?;
    assert_eq!(asked, again);
    setup.stop().await?;
    Ok(())
}
