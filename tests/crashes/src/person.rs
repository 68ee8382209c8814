//! What a person does: asks, and wishes that a conversation were gone.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use nexus_e2e::http;
use nexus_e2e::questions::ask_over_http;
use nexus_testkit::{wait_for, wait_until};
use reqwest::{Client, StatusCode};
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;
use tokio::time::Instant;

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(25);

/// Services that keep results about conversations.
const LEDGERS: [&str; 2] = ["provider-router", "tool-executor"];

/// Somebody at the HTTP interface, who tries again until it works.
#[derive(Clone, Debug)]
pub struct Person {
    client: Client,
    url: String,
}

/// What came of a question.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What was said.
    pub text: String,
    /// The conversation.
    pub conversation: String,
}

impl Person {
    /// Somebody at this interface.
    #[must_use]
    pub const fn new(client: Client, url: String) -> Self {
        Self { client, url }
    }

    /// Asks about a number, in a conversation of its own.
    ///
    /// # Errors
    /// When there is no answer in time.
    pub async fn ask(&self, number: usize) -> Result<Answer> {
        let until = Instant::now() + PATIENCE;
        let (id, text) = ask_over_http(&self.url, number, until).await?;
        let conversation = wait_for(PATIENCE, "the conversation's id", async || {
            let message = http::message(&self.client, &self.url, &id).await?;
            let conversation = message.get("conversation_id").and_then(Value::as_str);
            Ok(conversation.map(str::to_owned))
        })
        .await?;
        Ok(Answer { text, conversation })
    }

    /// Deletes the conversation of an answer, under one key until that is done.
    ///
    /// # Errors
    /// When it is not done in time.
    pub async fn delete(&self, answer: Answer) -> Result<Answer> {
        let id = &answer.conversation;
        let url = format!("{}/v1/conversations/{id}", self.url);
        wait_until(PATIENCE, "the deletion", async || {
            let wish = self.client.delete(&url).header("idempotency-key", id);
            let wish = wish.send().await?;
            Ok(wish.status() == StatusCode::OK)
        })
        .await?;
        Ok(answer)
    }

    /// Waits until nobody can read the conversation of an answer and no ledger in this folder
    /// holds a result about it.
    ///
    /// # Errors
    /// What is still there.
    pub async fn finds_nothing_of(&self, answer: &Answer, folder: &Path) -> Result<()> {
        let id = &answer.conversation;
        let url = format!("{}/v1/conversations/{id}", self.url);
        wait_until(PATIENCE, "nothing to be kept", async || {
            let status = self.client.get(&url).send().await?.status();
            ensure!(status == StatusCode::NOT_FOUND, "reading it gives {status}");
            for service in LEDGERS {
                let kept = results(&folder.join(format!("data/{service}.db")), id)?;
                ensure!(kept == 0, "{service} keeps {kept} results");
            }
            Ok(true)
        })
        .await
    }
}

fn results(database: &Path, conversation: &str) -> Result<i64> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let database = Connection::open_with_flags(database, flags)?;
    let count = "SELECT count(*) FROM effect WHERE about = ?1 AND length(result) > 0";
    Ok(database.query_row(count, [conversation], |row| row.get(0))?)
}
