//! The inbox over HTTP.

use anyhow::{Context, Result, ensure};
use nexus_contracts::principal::Principal;
use nexus_contracts::{Extra, OrgId, UserId, tables};
use nexus_provider_router::inbox::{Api, router};
use nexus_service_kit::put_table;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{answered, people, settled, waiting};
use crate::world::{World, asking};

/// The inbox of one organisation, over HTTP.
struct Desk {
    http: reqwest::Client,
    base: String,
}

impl Desk {
    async fn open(world: &World, org: OrgId) -> Result<Self> {
        let local = Principal {
            org_id: org,
            user_id: UserId(world.deps.clock.new_id()),
            roles: vec!["owner".to_owned()],
            extra: Extra::new(),
        };
        let bus = &world.deps.bus;
        put_table(bus, tables::PRINCIPALS, "client:local", &local).await?;
        let api = Api::of(&world.deps).await;
        api.principals.ready().await;
        let routes = router(api);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let base = format!("http://{}/v1/inbox", listener.local_addr()?);
        // Ends with the runtime of the test.
        world.deps.tasks.spawn("desk", async move {
            drop(axum::serve(listener, routes).await);
        });
        Ok(Self {
            http: reqwest::Client::builder().no_proxy().build()?,
            base,
        })
    }

    async fn get(&self, path: &str) -> Result<(StatusCode, Value)> {
        let response = self.http.get(format!("{}{path}", self.base)).send().await?;
        Ok((response.status(), response.json().await?))
    }

    async fn post(&self, path: &str, body: &Value) -> Result<(StatusCode, Value)> {
        let post = self.http.post(format!("{}{path}", self.base)).json(body);
        let response = post.send().await?;
        Ok((response.status(), response.json().await?))
    }
}

#[tokio::test]
async fn a_person_reads_and_answers_over_http() -> Result<()> {
    let world = people("", &[]).await?;
    let (question, _) = asking("c/1", "Why?", Some("people"), |_| {})?;
    let org = question.metadata.org_id.context("an organisation")?;
    let desk = Desk::open(&world, org).await?;
    ensure!(desk.get("").await?.1 == json!({ "questions": [] }));
    world.publish(&question).await?;
    waiting(&world).await?;
    let (_, list) = desk.get("").await?;
    let item = &list["questions"][0];
    ensure!(item["id"] == "c/1" && item["question"] == "Why?", "{list}");
    let (status, shown) = desk.get("/c%2F1").await?;
    ensure!(
        status == StatusCode::OK && shown["provider"] == "people",
        "{shown}"
    );
    let said = json!([{ "role": "user", "content": "Why?" }]);
    ensure!(shown["conversation"] == said, "{shown}");
    for (body, status) in [
        (json!({ "text": " " }), 422),
        (json!({ "text": "Because.", "of": "that" }), 422),
        (json!({ "text": "x".repeat(70_000) }), 413),
    ] {
        let (found, problem) = desk.post("/c%2F1/answer", &body).await?;
        ensure!(found == status && problem["code"].is_string(), "{problem}");
    }
    let body = json!({ "text": "Because.\n", "by": "Ann" });
    let (status, shown) = desk.post("/c%2F1/answer", &body).await?;
    ensure!(
        status == StatusCode::OK && shown["answer"]["by"] == "Ann",
        "{shown}"
    );
    let completed = world.answer(1).await?.1.completed()?;
    ensure!(completed.message.content == "Because.", "{completed:?}");
    settled(&world).await?;
    ensure!(desk.get("").await?.1 == json!({ "questions": [] }));
    let reason = json!({ "reason": "too late" });
    let (status, problem) = desk.post("/c%2F1/decline", &reason).await?;
    ensure!(
        status == 409 && problem["detail"] == "Ann has answered: Because.",
        "{problem}"
    );
    for odd in ["/c2", "/%00", "/c%20d"] {
        let (status, problem) = desk.get(odd).await?;
        ensure!(
            status == 404 && problem["code"] == "unknown_question",
            "{odd}: {problem}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn of_two_people_the_second_is_told_what_the_first_one_said() -> Result<()> {
    let world = people("", &[]).await?;
    let (question, _) = asking("c1", "Why?", Some("people"), |_| {})?;
    let org = question.metadata.org_id.context("an organisation")?;
    let desk = Desk::open(&world, org).await?;
    world.publish(&question).await?;
    let (mut entry, _) = waiting(&world).await?;
    // Of a call that is gone, so that nobody takes the answer away.
    entry.id = "c2".to_owned();
    entry.close(&answered("Because.", Some("Ann")));
    let key = entry.key();
    put_table(&world.deps.bus, tables::INBOX, &key, &entry).await?;
    let body = json!({ "text": "No idea.", "by": "Bob" });
    let (status, problem) = desk.post("/c2/answer", &body).await?;
    ensure!(
        status == 409 && problem["code"] == "already_answered",
        "{problem}"
    );
    ensure!(problem["detail"] == "Ann has answered: Because.");
    ensure!(problem["said"] == json!({ "text": "Because.", "by": "Ann" }));
    let (_, list) = desk.get("").await?;
    let only = list["questions"].as_array().map(Vec::len);
    ensure!(only == Some(1), "the answered one waits no more: {list}");
    Ok(())
}

#[tokio::test]
async fn nobody_sees_what_another_organisation_asks() -> Result<()> {
    let world = people("", &[]).await?;
    let stranger = OrgId(world.deps.clock.new_id());
    let desk = Desk::open(&world, stranger).await?;
    let (question, _) = asking("c1", "Secret?", Some("people"), |_| {})?;
    world.publish(&question).await?;
    waiting(&world).await?;
    ensure!(desk.get("").await?.1 == json!({ "questions": [] }));
    for (path, body) in [
        ("/c1/answer", json!({ "text": "Mine!" })),
        ("/c1/decline", json!({ "reason": "Mine!" })),
    ] {
        let (status, problem) = desk.post(path, &body).await?;
        ensure!(
            status == 404 && problem["code"] == "unknown_question",
            "{problem}"
        );
    }
    ensure!(desk.get("/c1").await?.0 == StatusCode::NOT_FOUND);
    ensure!(waiting(&world).await?.0.closed().is_none());
    Ok(())
}
