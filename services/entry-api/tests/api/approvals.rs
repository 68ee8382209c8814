//! Tool calls that wait for a person.

use anyhow::Result;
use nexus_contracts::CorrelationId;
use nexus_contracts::events::Decision;
use nexus_entry_api::view::{ApprovalList, ApprovalView, MessageView, Status};
use reqwest::Method;
use serde_json::{Value, json};

use crate::node::{Setup, good, problem};
use crate::orchestrator::{COLLEAGUE, STRANGER};

fn path(id: &str) -> String {
    format!("/v1/approvals/{id}")
}

pub(crate) async fn a_tool_call_waits_until_a_person_decides(setup: Setup) -> Result<()> {
    let asked = setup.say("approve this").await?;
    let open = setup.open_approvals(1).await?;
    let approval = &open[0];
    assert_eq!(approval.run_id, asked.run_id);
    assert_eq!(
        (approval.tool.as_str(), approval.arguments.as_str()),
        ("mail", "{\"to\":\"x\"}")
    );
    let view: MessageView = setup
        .get(&format!("/v1/messages/{}", asked.correlation_id))
        .await?
        .json()
        .await?;
    assert_eq!((view.status, &view.approvals), (Status::Running, &open));
    setup.seen.until(|seen| seen.receipts().len() == 1).await?;

    // It waits across a restart, too.
    let setup = setup.stop().await?.start().await?;
    assert_eq!(setup.open_approvals(1).await?, open);
    let yes = json!({ "decision": "approve", "comment": "fine" });
    let decided = setup
        .post_to(&path(&approval.approval_id), &yes, None)
        .await?;
    let decided = good(decided, 200).await?;
    assert_eq!(decided["status"], "accepted");
    assert_eq!(decided["type"], "approval.decided");
    let view = setup.ended(&asked.correlation_id).await?;
    assert_eq!(view.text.as_deref(), Some("mailed"));
    assert!(view.approvals.is_empty());
    setup.open_approvals(0).await?;
    check_decision(&setup, approval);
    setup.stop().await?;
    Ok(())
}

/// What the orchestrator was told.
fn check_decision(setup: &Setup, approval: &ApprovalView) {
    let told = setup.seen.decisions();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].arguments_hash, approval.arguments_hash);
    assert_eq!(
        (told[0].decision, told[0].comment.as_deref()),
        (Decision::Approve, Some("fine"))
    );
    // It shows where the run shows.
    let envelope = &setup.seen.of_type("approval.decided")[0];
    let run = approval.run_id.to_string();
    assert_eq!(
        envelope.correlation_id.as_ref().map(CorrelationId::as_str),
        Some(run.as_str())
    );
}

pub(crate) async fn a_decision_is_made_once(setup: Setup) -> Result<()> {
    setup.say("approve this").await?;
    let id = setup.open_approvals(1).await?[0].approval_id.clone();
    let no = json!({ "decision": "deny", "comment": "go on" });
    let yes = json!({ "decision": "approve" });
    let first = good(setup.post_to(&path(&id), &no, Some("key")).await?, 200).await?;
    // Decided, though the run goes on.
    setup.open_approvals(0).await?;
    let again = good(setup.post_to(&path(&id), &no, Some("key")).await?, 200).await?;
    assert_eq!(first, again, "the same key, the same answer");
    let (status, said) = problem(setup.post_to(&path(&id), &yes, None).await?).await?;
    assert_eq!(
        (status, &said["code"]),
        (409, &json!("unknown_approval")),
        "{said}"
    );
    let (status, said) = problem(setup.post_to(&path(&id), &yes, Some("key")).await?).await?;
    assert_eq!(
        (status, &said["code"]),
        (422, &json!("idempotency_key_reused"))
    );
    setup.stop().await?;
    Ok(())
}

pub(crate) async fn an_approval_of_another_adapter_can_be_decided_here(setup: Setup) -> Result<()> {
    setup.say("approve this").await?;
    let mut known = setup.open_approvals(1).await?.remove(0);
    // The same conversation, and a call that another adapter asked about.
    let other = nexus_contracts::MessageId::new("asked-elsewhere")?;
    {
        let mut approvals = setup.seen.approvals.lock();
        let mut request = approvals.values().next().cloned().unwrap();
        request.approval_id = other.clone();
        approvals.insert(other.clone(), request);
    }
    known.approval_id = other.to_string();
    let bare = json!({ "decision": "approve" });
    let (status, said) = problem(setup.post_to(&path(other.as_str()), &bare, None).await?).await?;
    assert_eq!((status, &said["code"]), (404, &json!("unknown_approval")));
    assert!(
        said["detail"].to_string().contains("arguments_hash"),
        "{said}"
    );
    let named = |hash: &str| {
        json!({
            "decision": "approve", "run_id": known.run_id,
            "conversation_id": known.conversation_id, "arguments_hash": hash, "comment": "go on",
        })
    };
    let wrong = setup
        .post_to(&path(other.as_str()), &named("00"), None)
        .await?;
    let (status, said) = problem(wrong).await?;
    assert_eq!((status, &said["code"]), (409, &json!("arguments_changed")));
    let right = named(&known.arguments_hash);
    good(
        setup.post_to(&path(other.as_str()), &right, None).await?,
        200,
    )
    .await?;
    setup.stop().await?;
    Ok(())
}

pub(crate) async fn nobody_else_can_decide(setup: Setup) -> Result<()> {
    setup.say("approve this").await?;
    let open = setup.open_approvals(1).await?.remove(0);
    let mut place = setup.stop().await?;
    for other in [COLLEAGUE, STRANGER] {
        let setup = place.start_with(&[("principal", other)]).await?;
        setup.open_approvals(0).await?;
        let bare = json!({ "decision": "approve" });
        let (status, said) =
            problem(setup.post_to(&path(&open.approval_id), &bare, None).await?).await?;
        assert_eq!((status, &said["code"]), (404, &json!("unknown_approval")));
        let named = json!({
            "decision": "approve", "run_id": open.run_id,
            "conversation_id": open.conversation_id, "arguments_hash": open.arguments_hash,
        });
        let (status, said) = problem(
            setup
                .post_to(&path(&open.approval_id), &named, None)
                .await?,
        )
        .await?;
        assert_eq!(
            (status, &said["code"]),
            (404, &json!("unknown_conversation"))
        );
        place = setup.stop().await?;
    }
    let setup = place.start().await?;
    assert_eq!(setup.open_approvals(1).await?, [open]);
    setup.stop().await?;
    Ok(())
}

pub(crate) async fn open_approvals_come_page_by_page(setup: Setup) -> Result<()> {
    for number in 0..5 {
        setup.say(&format!("approve {number}")).await?;
    }
    let all = setup.open_approvals(5).await?;
    assert!(all.windows(2).all(|two| two[0].asked_at <= two[1].asked_at));
    let mut paged = Vec::new();
    let mut after = String::new();
    for expected in [2, 2, 1] {
        let page: ApprovalList = setup
            .get(&format!("/v1/approvals?limit=2{after}"))
            .await?
            .json()
            .await?;
        assert_eq!(page.approvals.len(), expected);
        assert_eq!(page.next.is_some(), expected == 2);
        after = page
            .next
            .map_or_else(String::new, |next| format!("&after={next}"));
        paged.extend(page.approvals);
    }
    assert_eq!(paged, all);
    for query in ["?after=x", "?limit=x", "?page=2"] {
        let (status, _) = problem(setup.get(&format!("/v1/approvals{query}")).await?).await?;
        assert_eq!(status, 400, "{query}");
    }
    // A run that ends asks for nothing any more.
    let run = all[0].run_id.to_string();
    setup.delete(&run).await?.error_for_status()?;
    assert_eq!(setup.open_approvals(4).await?, all[1..]);
    setup.stop().await?;
    Ok(())
}

pub(crate) async fn what_is_wrong_with_a_decision_is_said(setup: Setup) -> Result<()> {
    let cases: [(Value, &str, &str); 5] = [
        (json!({}), "missing_field", "`decision`"),
        (
            json!({ "decision": "aprove" }),
            "unknown_word",
            "did you mean `approve`?",
        ),
        (json!({ "decision": true }), "wrong_type", "approve, deny"),
        (
            json!({ "decision": "deny", "coment": "x" }),
            "unknown_field",
            "`comment`",
        ),
        (
            json!({ "decision": "deny", "run_id": "x" }),
            "bad_run_id",
            "UUID",
        ),
    ];
    for (body, code, word) in cases {
        let (status, said) =
            problem(setup.send(Method::POST, &path("a"), Some(&body)).await?).await?;
        assert_eq!((status, said["code"].as_str()), (422, Some(code)), "{said}");
        assert!(said["detail"].to_string().contains(word), "{said}");
    }
    assert!(setup.seen.decisions().is_empty());
    setup.stop().await?;
    Ok(())
}
