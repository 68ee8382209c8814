//! How tools reach the web: `web` of the configuration.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nexus_service_kit::ConfigSource;
use nexus_web::guard::Reach;
use nexus_web::page::{PageLimits, PdfWorker, Reader};
use nexus_web::request::{AllowedHost, RequestPolicy, Requester};
use nexus_web::search::{
    AnswerEngine, Brave, Perplexity, PerplexityAnswers, SearXng, SearchClient, SearchEngine,
    SearchLimits, Serper,
};
use nexus_web::{Fetcher, FetcherConfig, Identity, RobotsPolicy};
use reqwest::Url;
use secrecy::SecretString;
use serde::Deserialize;

use crate::error::Error;
use crate::programs;

/// The program that reads PDFs.
const PDF: &str = "nexus-web-pdf";

/// How long reading a PDF may take.
const PDF_TIME: Duration = Duration::from_secs(20);

/// See `config.default.yaml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebConfig {
    /// Who is asked, in this order, until one answers.
    pub search: Vec<EngineConfig>,
    /// Who answers `perplexity_search`.
    pub answers: AnswersConfig,
    /// What may be reached beside the public web.
    pub reach: Reach,
    /// Where `http_request` may go.
    pub requests: RequestPolicy,
    /// Whether `robots.txt` is asked first.
    pub robots: bool,
    /// The program `nexus-web-pdf`; looked for when empty.
    pub pdf_program: PathBuf,
}

/// A search engine.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EngineConfig {
    /// Which.
    pub engine: Engine,
    /// Where it is; its usual address when absent.
    #[serde(default)]
    pub base_url: Option<String>,
    /// The environment variable with its key; its usual one when absent.
    #[serde(default)]
    pub key_env: Option<String>,
}

/// The search engines there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// Serper (Google).
    Serper,
    /// Brave.
    Brave,
    /// `SearXNG`, of one's own.
    Searxng,
    /// Perplexity's Search API.
    Perplexity,
}

/// An engine that answers.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswersConfig {
    /// Where it is.
    pub base_url: String,
    /// The environment variable with its key.
    pub key_env: String,
    /// The model.
    pub model: String,
}

/// What tools reach the web with.
#[derive(Clone)]
pub struct Web {
    /// Loads documents.
    pub fetcher: Fetcher,
    /// Makes text of them.
    pub reader: Reader,
    /// Sends requests of models.
    pub requester: Requester,
    /// Where those may go, as they are listed.
    pub hosts: Vec<String>,
    /// Search engines that have what they need.
    pub engines: Vec<Arc<dyn SearchEngine>>,
    /// Who answers, or why nobody does.
    pub answers: Result<Arc<dyn AnswerEngine>, String>,
    /// What is missing of search engines that are not asked.
    pub missing: Vec<String>,
}

impl Web {
    /// As it is configured; keys come from the environment.
    ///
    /// # Errors
    /// When TLS cannot be set up, or an engine has no address.
    pub fn new(config: &WebConfig) -> Result<Self, Error> {
        let setup = |error: nexus_web::Error| Error::Web {
            reason: error.to_string(),
        };
        let identity = Identity::default();
        let robots = if config.robots {
            RobotsPolicy::Respect
        } else {
            RobotsPolicy::Ignore
        };
        let fetcher = Fetcher::new(FetcherConfig {
            reach: config.reach.clone(),
            robots,
            ..FetcherConfig::default()
        })
        .map_err(setup)?;
        let client = SearchClient::new(SearchLimits::default(), &identity).map_err(setup)?;
        let (mut engines, mut missing) = (Vec::new(), Vec::new());
        for engine in &config.search {
            match engine.build(&client)? {
                Ok(engine) => engines.push(engine),
                Err(lacks) => missing.push(lacks),
            }
        }
        let pdf = programs::find(PDF, &config.pdf_program, "tool-executor.web.pdf_program");
        let pdf = pdf.inspect_err(|why| tracing::info!(%why, "PDFs are not read"));
        let pdf = pdf
            .ok()
            .map(|path| PdfWorker::new(path, Vec::new(), PDF_TIME));
        Ok(Self {
            reader: Reader::new(PageLimits::default(), pdf),
            requester: Requester::new(fetcher.clone(), config.requests.clone()),
            hosts: config
                .requests
                .hosts
                .iter()
                .map(AllowedHost::host)
                .collect(),
            fetcher,
            engines,
            answers: config.answers.build(&client)?,
            missing,
        })
    }
}

impl EngineConfig {
    /// The engine, or what it lacks.
    fn build(&self, client: &SearchClient) -> Result<Result<Arc<dyn SearchEngine>, String>, Error> {
        let client = client.clone();
        let (usual, variable) = match self.engine {
            Engine::Serper => ("https://google.serper.dev", "SERPER_API_KEY"),
            Engine::Brave => ("https://api.search.brave.com/res/v1", "BRAVE_API_KEY"),
            Engine::Perplexity => ("https://api.perplexity.ai", "PERPLEXITY_API_KEY"),
            Engine::Searxng => ("", ""),
        };
        let base = address(self.base_url.as_deref().unwrap_or(usual))?;
        if self.engine == Engine::Searxng {
            return Ok(Ok(Arc::new(SearXng::new(client, base))));
        }
        let variable = self.key_env.as_deref().unwrap_or(variable);
        let key = match key(variable) {
            Ok(key) => key,
            Err(lacks) => return Ok(Err(lacks)),
        };
        Ok(Ok(match self.engine {
            Engine::Brave => Arc::new(Brave::new(client, base, key)) as Arc<dyn SearchEngine>,
            Engine::Perplexity => Arc::new(Perplexity::new(client, base, key)),
            Engine::Serper | Engine::Searxng => Arc::new(Serper::new(client, base, key)),
        }))
    }
}

impl AnswersConfig {
    /// The engine, or what it lacks.
    fn build(&self, client: &SearchClient) -> Result<Result<Arc<dyn AnswerEngine>, String>, Error> {
        let (client, base, model) = (client.clone(), address(&self.base_url)?, self.model.clone());
        Ok(key(&self.key_env).map(|key| {
            let engine = PerplexityAnswers::new(client, base, key, model);
            Arc::new(engine) as Arc<dyn AnswerEngine>
        }))
    }
}

fn address(text: &str) -> Result<Url, Error> {
    Url::parse(text).map_err(|error| Error::Web {
        reason: format!("`{text}` is no address of a search engine: {error}"),
    })
}

fn key(variable: &str) -> Result<SecretString, String> {
    ConfigSource::env_secret(variable).ok_or_else(|| format!("the variable {variable} is not set"))
}
