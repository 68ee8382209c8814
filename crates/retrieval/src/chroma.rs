//! Chroma, over version 2 of its HTTP interface. Tested with 1.5.9.
//!
//! It is given vectors and what they are of, and no text: a search reads texts from the service's own
//! database anyway, and what was never given need not be deleted. It searches by meaning only; a server
//! that one runs oneself refuses `search`, where BM25 would be (501, "not implemented for local
//! executor"), so words are searched in memory as without it.

mod wire;

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use nexus_contracts::{OrgId, derive_id};
use parking_lot::Mutex;
use reqwest::{Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::external::{Entry, Near, Scope, VectorError, VectorIndex};
use crate::{DocumentId, Space};
use wire::{QueryResponse, filter, metadata, near};

/// Most vectors of one request: some 4 MB of digits with 1,024 numbers each. The server itself says
/// that it takes 5,461.
const MOST_ENTRIES: usize = 250;
/// Longest answer, in bytes.
const MOST_BYTES: usize = 8 << 20;
/// How much of a refusal is shown.
const SHOWN: usize = 300;

/// Where a Chroma is.
#[derive(Clone, Debug)]
pub struct ChromaConfig {
    /// `http://host:8000`.
    pub url: String,
    /// The tenant, which must be there: `default_tenant` of a server that one runs oneself.
    pub tenant: String,
    /// The database, which must be there: `default_database`.
    pub database: String,
    /// What the names of all collections begin with, at least three letters or digits.
    pub prefix: String,
    /// Sent as a bearer token, for the proxy that guards it.
    pub token: Option<SecretString>,
    /// How long an answer may take.
    pub timeout: Duration,
}

/// A Chroma: one collection for each organisation and space, named after both.
pub struct Chroma {
    config: ChromaConfig,
    http: reqwest::Client,
    /// Ids of collections by their names.
    known: Mutex<HashMap<String, String>>,
}

/// What a request came to.
enum Answer {
    Done(Vec<u8>),
    /// There is no such collection.
    Missing,
}

impl Chroma {
    /// A client. The process must have a `rustls` provider installed.
    ///
    /// # Errors
    /// When the client cannot be made.
    pub fn new(config: ChromaConfig) -> Result<Self, VectorError> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(config.timeout)
            .redirect(reqwest::redirect::Policy::none())
            .build();
        let at = config.url.clone();
        let http = client.map_err(|error| failed(&at, &error.to_string()))?;
        Ok(Self {
            config,
            http,
            known: Mutex::default(),
        })
    }

    /// Letters, digits and dashes, as Chroma wants it.
    fn name(&self, org: OrgId, space: &Space) -> String {
        let dimensions = space.dimensions.to_be_bytes();
        let space = derive_id([space.model.as_bytes(), dimensions.as_slice()]);
        format!("{}-{org}-{}", self.config.prefix, space.simple())
    }

    fn refused(&self, reason: &str) -> VectorError {
        failed(&self.config.url, reason)
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, VectorError> {
        let ChromaConfig {
            url,
            tenant,
            database,
            ..
        } = &self.config;
        let base = url.trim_end_matches('/');
        let url = format!("{base}/api/v2/tenants/{tenant}/databases/{database}/collections{path}");
        let mut request = self.http.request(method, url);
        if let Some(token) = &self.config.token {
            request = request.bearer_auth(token.expose_secret());
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        // Without the address: it is in the message already.
        let failed = |error: reqwest::Error| self.refused(&root(&error.without_url()));
        let mut response = request.send().await.map_err(failed)?;
        let status = response.status();
        let mut bytes = Vec::new();
        while let Some(part) = response.chunk().await.map_err(failed)? {
            if bytes.len() + part.len() > MOST_BYTES {
                return Err(self.refused("the answer has more than 8 MiB"));
            }
            bytes.extend_from_slice(&part);
        }
        match status {
            StatusCode::NOT_FOUND => Ok(Answer::Missing),
            status if status.is_success() => Ok(Answer::Done(bytes)),
            status => {
                let said: String = String::from_utf8_lossy(&bytes)
                    .chars()
                    .take(SHOWN)
                    .collect();
                Err(self.refused(&format!("{status}: {said}")))
            }
        }
    }

    /// The id of a collection; with `make`, it is made if there is none.
    async fn collection(&self, name: &str, make: Make) -> Result<Option<String>, VectorError> {
        let known = self.known.lock().get(name).cloned();
        if known.is_some() {
            return Ok(known);
        }
        let answer = match make {
            Make::No => self.request(Method::GET, &format!("/{name}"), None).await?,
            Make::IfMissing => {
                let body = json!({
                    "name": name,
                    "get_or_create": true,
                    "configuration": { "hnsw": { "space": "cosine" } },
                });
                self.request(Method::POST, "", Some(&body)).await?
            }
        };
        let Answer::Done(bytes) = answer else {
            return match make {
                Make::No => Ok(None),
                Make::IfMissing => Err(self.refused("there is no such tenant or database")),
            };
        };
        let collection: wire::Collection = self.read(&bytes)?;
        let mut known = self.known.lock();
        known.insert(name.to_owned(), collection.id.clone());
        Ok(Some(collection.id))
    }

    /// Asks something of a collection; `None` where there is none. One that was dropped and made
    /// again by somebody else has another id: it is looked up again, once.
    async fn ask(
        &self,
        name: &str,
        make: Make,
        what: &str,
        body: &Value,
    ) -> Result<Option<Vec<u8>>, VectorError> {
        for _ in 0..2 {
            let Some(id) = self.collection(name, make).await? else {
                return Ok(None);
            };
            let path = format!("/{id}/{what}");
            match self.request(Method::POST, &path, Some(body)).await? {
                Answer::Done(bytes) => return Ok(Some(bytes)),
                Answer::Missing => self.known.lock().remove(name),
            };
        }
        match make {
            Make::No => Ok(None),
            Make::IfMissing => Err(self.refused("a collection vanishes as soon as it is made")),
        }
    }

    fn read<T: serde::de::DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, VectorError> {
        let read = serde_json::from_slice(bytes);
        read.map_err(|error| self.refused(&format!("the answer is not what it should be: {error}")))
    }
}

#[derive(Clone, Copy)]
enum Make {
    No,
    IfMissing,
}

#[async_trait]
impl VectorIndex for Chroma {
    async fn replace(
        &self,
        org: OrgId,
        space: &Space,
        document: DocumentId,
        entries: Vec<Entry>,
    ) -> Result<(), VectorError> {
        let name = self.name(org, space);
        let body = json!({ "where": { "document": document.to_string() } });
        self.ask(&name, Make::No, "delete", &body).await?;
        for part in entries.chunks(MOST_ENTRIES) {
            let ids: Vec<String> = part
                .iter()
                .map(|entry| format!("{document}:{}", entry.ordinal))
                .collect();
            let vectors: Vec<&[f32]> = part.iter().map(|entry| entry.vector.as_slice()).collect();
            let metadatas: Vec<Value> =
                part.iter().map(|entry| metadata(document, entry)).collect();
            let body = json!({ "ids": ids, "embeddings": vectors, "metadatas": metadatas });
            self.ask(&name, Make::IfMissing, "upsert", &body).await?;
        }
        Ok(())
    }

    async fn drop_space(&self, org: OrgId, space: &Space) -> Result<(), VectorError> {
        let name = self.name(org, space);
        self.known.lock().remove(&name);
        self.request(Method::DELETE, &format!("/{name}"), None)
            .await?;
        Ok(())
    }

    async fn nearest(
        &self,
        org: OrgId,
        (space, query): (&Space, &[f32]),
        scope: &Scope,
        most: usize,
    ) -> Result<Vec<Near>, VectorError> {
        let body = json!({
            "query_embeddings": [query],
            "n_results": most,
            "where": filter(scope),
            "include": ["distances", "metadatas"],
        });
        let name = self.name(org, space);
        match self.ask(&name, Make::No, "query", &body).await? {
            None => Err(self.refused(
                "it has nothing of this organisation; have it rebuilt (`rebuild_external`)",
            )),
            Some(bytes) => Ok(near(self.read::<QueryResponse>(&bytes)?)),
        }
    }
}

fn failed(url: &str, reason: &str) -> VectorError {
    // Without what may stand before an @: a password.
    let at = url.rsplit('@').next().unwrap_or_default();
    VectorError {
        index: "chroma",
        at: at.to_owned(),
        reason: reason.to_owned(),
    }
}

/// The innermost cause: the outer ones only say that there is one.
fn root(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
