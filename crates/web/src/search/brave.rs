//! Brave Search: an index of its own.

use reqwest::header::ACCEPT;
use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use super::http::{endpoint, key_header};
use super::{Freshness, Query, Results, SearchClient, SearchEngine, SearchError, hit};

const NAME: &str = "brave";

/// Brave, at `https://api.search.brave.com/res/v1`.
#[derive(Debug)]
pub struct Brave {
    client: SearchClient,
    base: Url,
    key: SecretString,
}

#[derive(Deserialize)]
struct Found {
    web: Option<Web>,
}

#[derive(Deserialize)]
struct Web {
    #[serde(default)]
    results: Vec<One>,
}

#[derive(Deserialize)]
struct One {
    #[serde(default)]
    title: String,
    url: String,
    #[serde(default)]
    description: String,
    page_age: Option<String>,
    age: Option<String>,
}

impl Brave {
    /// An engine at `base`.
    #[must_use]
    pub const fn new(client: SearchClient, base: Url, key: SecretString) -> Self {
        Self { client, base, key }
    }

    fn url(&self, query: &Query) -> Url {
        let mut url = endpoint(&self.base, "web/search");
        let mut pairs = url.query_pairs_mut();
        pairs.append_pair("q", query.text());
        pairs.append_pair("count", &query.count().to_string());
        pairs.append_pair("result_filter", "web");
        // Otherwise the words of the query come in tags.
        pairs.append_pair("text_decorations", "false");
        if let Some(freshness) = query.freshness() {
            let window = match freshness {
                Freshness::Day => "pd",
                Freshness::Week => "pw",
                Freshness::Month => "pm",
                Freshness::Year => "py",
            };
            pairs.append_pair("freshness", window);
        }
        if let Some(language) = query.language() {
            pairs.append_pair("search_lang", language);
        }
        if let Some(country) = query.country() {
            pairs.append_pair("country", &country.to_ascii_uppercase());
        }
        drop(pairs);
        url
    }
}

#[async_trait::async_trait]
impl SearchEngine for Brave {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn search(&self, query: &Query) -> Result<Results, SearchError> {
        let request = self
            .client
            .http()
            .get(self.url(query))
            .header(ACCEPT, "application/json")
            .headers(key_header(NAME, "x-subscription-token", "", &self.key)?);
        let found: Found = self.client.ask(NAME, request).await?;
        let found = found.web.map(|web| web.results).unwrap_or_default();
        let results = found.iter().filter_map(|one| {
            let date = one.page_age.as_deref().or(one.age.as_deref());
            hit(&one.title, &one.url, &one.description, date, NAME)
        });
        Ok(Results {
            engine: NAME.to_owned(),
            results: results.take(query.count().into()).collect(),
        })
    }
}
