//! Asking over HTTP, as a careful program does: the same idempotency key until it is accepted, then
//! until there is an outcome.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use crate::client::HTTP;
use crate::history::Ending;
use crate::log::{Heard, Log, Owned};
use crate::talk::Question;

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(150);
/// How long one request to the interface may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A client that waits at most this long for each answer.
///
/// # Errors
/// When it cannot be made.
pub fn client(timeout: Duration) -> Result<Client> {
    // Once per process; whoever comes second finds it installed.
    let _installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
    Ok(Client::builder().timeout(timeout).build()?)
}

/// The interface.
pub struct Http {
    client: Client,
    url: String,
}

/// What became of a submission.
enum Submitted {
    Accepted { run: String, conversation: String },
    Refused(String),
}

impl Http {
    /// At this address.
    ///
    /// # Errors
    /// When no client can be made.
    pub fn new(url: String) -> Result<Self> {
        Ok(Self {
            client: client(PATIENCE)?,
            url,
        })
    }

    /// Asks until there is an outcome.
    pub async fn ask(&self, log: &Log, question: &Question) -> Heard {
        let submitted = loop {
            match self.submit(question).await {
                Ok(submitted) => break submitted,
                // Not reachable, or not able: nothing was promised, so it is asked again.
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        };
        let (run, conversation) = match submitted {
            Submitted::Accepted { run, conversation } => (run, conversation),
            Submitted::Refused(text) => return refused(log, question, text),
        };
        log.accepted(&question.id);
        log.owns(Owned {
            client: HTTP.to_owned(),
            label: question.label.clone(),
            conversation: conversation.clone(),
            run: run.clone(),
        });
        loop {
            match self.outcome(&run, Duration::from_secs(4)).await {
                Ok(Some((ending, text))) => {
                    let heard = Heard {
                        reply: format!("run {run}"),
                        ending,
                        text,
                        conversation: Some(conversation),
                    };
                    log.replied(HTTP, &question.id, heard.clone());
                    return heard;
                }
                Ok(None) => {}
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    async fn submit(&self, question: &Question) -> Result<Submitted> {
        let mut body = json!({ "text": question.text });
        if let (Some(conversation), Some(body)) = (&question.conversation, body.as_object_mut()) {
            body.insert("conversation_id".to_owned(), conversation.as_str().into());
        }
        let request = self.client.post(format!("{}/v1/messages", self.url));
        let request = request.header("idempotency-key", &question.id).json(&body);
        let response = request.send().await?;
        let status = response.status();
        let body: Value = response.json().await?;
        if status == StatusCode::ACCEPTED {
            return Ok(Submitted::Accepted {
                run: text(&body, "/run_id").context("no run_id")?,
                conversation: text(&body, "/conversation_id").context("no conversation_id")?,
            });
        }
        ensure!(status.is_client_error(), "{status}: {body}");
        let code = text(&body, "/code").unwrap_or_default();
        Ok(Submitted::Refused(format!("{code}: {status} {body}")))
    }

    /// How a run ended, if it has; waits a while for it.
    ///
    /// # Errors
    /// When the interface does not answer, or does not know the run.
    pub async fn outcome(&self, run: &str, wait: Duration) -> Result<Option<(Ending, String)>> {
        let url = format!("{}/v1/messages/{run}?wait={}ms", self.url, wait.as_millis());
        let response = self.client.get(url).send().await?;
        let status = response.status();
        let body: Value = response.json().await?;
        ensure!(status.is_success(), "{status}: {body}");
        Ok(match text(&body, "/status").as_deref() {
            Some("completed") => {
                Some((Ending::Completed, text(&body, "/text").unwrap_or_default()))
            }
            Some("failed") => {
                let code = text(&body, "/error/code").unwrap_or_default();
                let detail = text(&body, "/error/detail").unwrap_or_default();
                Some((Ending::Failed, format!("{code}: {detail}")))
            }
            _ => None,
        })
    }

    /// The status of a GET, and what it says.
    ///
    /// # Errors
    /// When the interface does not answer.
    pub async fn get(&self, path: &str) -> Result<(StatusCode, String)> {
        let response = self
            .client
            .get(format!("{}{path}", self.url))
            .send()
            .await?;
        Ok((response.status(), response.text().await?))
    }
}

fn refused(log: &Log, question: &Question, text: String) -> Heard {
    let heard = Heard {
        reply: format!("refusal of {}", question.id),
        ending: Ending::Failed,
        text,
        conversation: None,
    };
    log.accepted(&question.id);
    log.replied(HTTP, &question.id, heard.clone());
    heard
}

fn text(body: &Value, pointer: &str) -> Option<String> {
    body.pointer(pointer)?.as_str().map(str::to_owned)
}
