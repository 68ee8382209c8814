//! Serper: Google's results.

use secrecy::SecretString;
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::http::{endpoint, key_header};
use super::{Freshness, Query, Results, SearchClient, SearchEngine, SearchError, hit};

const NAME: &str = "serper";

/// Serper, at `https://google.serper.dev`.
#[derive(Debug)]
pub struct Serper {
    client: SearchClient,
    base: Url,
    key: SecretString,
}

#[derive(Deserialize)]
struct Found {
    #[serde(default)]
    organic: Vec<Organic>,
}

#[derive(Deserialize)]
struct Organic {
    #[serde(default)]
    title: String,
    link: String,
    #[serde(default)]
    snippet: String,
    date: Option<String>,
}

impl Serper {
    /// An engine at `base`.
    #[must_use]
    pub const fn new(client: SearchClient, base: Url, key: SecretString) -> Self {
        Self { client, base, key }
    }
}

#[async_trait::async_trait]
impl SearchEngine for Serper {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn search(&self, query: &Query) -> Result<Results, SearchError> {
        let mut body = json!({ "q": query.text(), "num": query.count() });
        if let Some(fields) = body.as_object_mut() {
            let window = query.freshness().map(|freshness| match freshness {
                Freshness::Day => "qdr:d",
                Freshness::Week => "qdr:w",
                Freshness::Month => "qdr:m",
                Freshness::Year => "qdr:y",
            });
            let optional = [
                ("tbs", window),
                ("hl", query.language()),
                ("gl", query.country()),
            ];
            for (name, value) in optional {
                if let Some(value) = value {
                    fields.insert(name.to_owned(), value.into());
                }
            }
        }
        let request = self
            .client
            .http()
            .post(endpoint(&self.base, "search"))
            .headers(key_header(NAME, "x-api-key", "", &self.key)?)
            .json(&body);
        let found: Found = self.client.ask(NAME, request).await?;
        let results = found.organic.iter().filter_map(|one| {
            hit(
                &one.title,
                &one.link,
                &one.snippet,
                one.date.as_deref(),
                NAME,
            )
        });
        Ok(Results {
            engine: NAME.to_owned(),
            results: results.take(query.count().into()).collect(),
        })
    }
}
