//! Perplexity: lists of pages by its Search API, and answers with citations by its models.

use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::http::{endpoint, key_header};
use super::{
    Answer, AnswerEngine, Citation, Freshness, Query, Results, SearchClient, SearchEngine,
    SearchError, hit,
};
use crate::text::{head, line, visible};

const NAME: &str = "perplexity";
/// Longest answer, in bytes.
const ANSWER_BYTES: usize = 32 * 1024;
/// Most citations of an answer.
const MAX_CITATIONS: usize = 50;

/// Perplexity's Search API, at `https://api.perplexity.ai`.
#[derive(Debug)]
pub struct Perplexity {
    client: SearchClient,
    base: Url,
    key: SecretString,
}

/// Perplexity's models, at `https://api.perplexity.ai`.
#[derive(Debug)]
pub struct PerplexityAnswers {
    client: SearchClient,
    base: Url,
    key: SecretString,
    model: String,
}

#[derive(Deserialize)]
struct Found {
    #[serde(default)]
    results: Vec<Source>,
}

#[derive(Deserialize)]
struct Source {
    title: Option<String>,
    url: String,
    snippet: Option<String>,
    date: Option<String>,
}

#[derive(Deserialize)]
struct Completion {
    model: Option<String>,
    #[serde(default)]
    choices: Vec<Choice>,
    citations: Option<Vec<String>>,
    search_results: Option<Vec<Source>>,
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    content: Option<String>,
}

impl Perplexity {
    /// An engine at `base`.
    #[must_use]
    pub const fn new(client: SearchClient, base: Url, key: SecretString) -> Self {
        Self { client, base, key }
    }
}

impl PerplexityAnswers {
    /// A model (`sonar`, `sonar-pro`) at `base`.
    #[must_use]
    pub const fn new(client: SearchClient, base: Url, key: SecretString, model: String) -> Self {
        Self {
            client,
            base,
            key,
            model,
        }
    }
}

#[async_trait::async_trait]
impl SearchEngine for Perplexity {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn search(&self, query: &Query) -> Result<Results, SearchError> {
        let mut body = json!({ "query": query.text(), "max_results": query.count() });
        set(
            &mut body,
            "search_recency_filter",
            query.freshness().map(Freshness::as_str).map(Value::from),
        );
        set(
            &mut body,
            "search_language_filter",
            query.language().map(|code| json!([code])),
        );
        let country = query.country().map(str::to_ascii_uppercase);
        set(&mut body, "country", country.map(Value::from));
        let request = self
            .client
            .http()
            .post(endpoint(&self.base, "search"))
            .headers(key_header(NAME, "authorization", "Bearer ", &self.key)?)
            .json(&body);
        let found: Found = self.client.ask(NAME, request).await?;
        let results = found.results.iter().filter_map(|one| {
            let title = one.title.as_deref().unwrap_or_default();
            let snippet = one.snippet.as_deref().unwrap_or_default();
            hit(title, &one.url, snippet, one.date.as_deref(), NAME)
        });
        Ok(Results {
            engine: NAME.to_owned(),
            results: results.take(query.count().into()).collect(),
        })
    }
}

#[async_trait::async_trait]
impl AnswerEngine for PerplexityAnswers {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn answer(&self, query: &Query) -> Result<Answer, SearchError> {
        let mut body = json!({
            "model": self.model,
            "messages": [{ "role": "user", "content": query.text() }],
            "stream": false,
        });
        set(
            &mut body,
            "search_recency_filter",
            query.freshness().map(Freshness::as_str).map(Value::from),
        );
        set(
            &mut body,
            "search_language_filter",
            query.language().map(|code| json!([code])),
        );
        let country = query.country().map(str::to_ascii_uppercase);
        let country = country.map(|code| json!({ "user_location": { "country": code } }));
        set(&mut body, "web_search_options", country);
        let request = self
            .client
            .http()
            .post(endpoint(&self.base, "chat/completions"))
            .headers(key_header(NAME, "authorization", "Bearer ", &self.key)?)
            .json(&body);
        let answered: Completion = self.client.ask(NAME, request).await?;
        read(answered, &self.model)
    }
}

fn set(body: &mut Value, name: &str, value: Option<Value>) {
    if let (Some(fields), Some(value)) = (body.as_object_mut(), value) {
        fields.insert(name.to_owned(), value);
    }
}

fn read(answered: Completion, asked: &str) -> Result<Answer, SearchError> {
    let citations = citations(&answered);
    let choice = answered.choices.into_iter().next();
    let cut = choice
        .as_ref()
        .is_some_and(|one| one.finish_reason.as_deref() == Some("length"));
    let text = choice
        .and_then(|one| one.message.content)
        .unwrap_or_default();
    let text = visible(text.trim());
    if text.is_empty() {
        return Err(SearchError::BadAnswer {
            engine: NAME,
            reason: "it holds no text".to_owned(),
        });
    }
    let kept = head(&text, ANSWER_BYTES);
    Ok(Answer {
        engine: NAME.to_owned(),
        model: line(answered.model.as_deref().unwrap_or(asked), 100),
        truncated: cut || kept.len() < text.len(),
        text: kept.to_owned(),
        citations,
    })
}

/// `[n]` in the text counts into `citations` where that is there, and into `search_results`
/// otherwise; titles and dates are only in the latter. A number keeps its meaning, so what is no
/// URL is left out without moving the others.
fn citations(answered: &Completion) -> Vec<Citation> {
    let sources = answered.search_results.as_deref().unwrap_or_default();
    let urls: Vec<&str> = match answered.citations.as_deref() {
        Some(urls) if !urls.is_empty() => urls.iter().map(String::as_str).collect(),
        _ => sources.iter().map(|source| source.url.as_str()).collect(),
    };
    let cited = (1..)
        .zip(urls)
        .take(MAX_CITATIONS)
        .filter_map(|(number, url)| {
            let source = sources.iter().find(|source| source.url == url);
            let title = source
                .and_then(|source| source.title.as_deref())
                .unwrap_or_default();
            let date = source.and_then(|source| source.date.as_deref());
            let hit = hit(title, url, "", date, NAME)?;
            Some(Citation {
                number,
                url: hit.url,
                title: Some(hit.title).filter(|title| !title.is_empty()),
                date: hit.date,
            })
        });
    cited.collect()
}
