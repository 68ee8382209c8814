//! What an organisation knows: documents that are searched, and what is remembered of people.
//!
//! Vectors come from the provider router over the bus, so that routes, limits, privacy and accounting
//! hold; where none come, searching goes on by words and says so.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use nexus_contracts::events::{EmbeddingCompleted, EmbeddingFailed, EmbeddingRequested, Event};
use nexus_contracts::settings::Privacy;
use nexus_contracts::{Envelope, Extra, MessageId, Metadata, OrgId, channels};
use nexus_retrieval::{
    Chroma, ChromaConfig, EmbedError, Embedder, Embeddings, Limits, Memory, Retrieval, TextKind,
    VectorIndex,
};
use nexus_service_kit::{ConfigSource, Deps, RequestTiming, request};
use nexus_store::Store;
use serde::Deserialize;

use crate::error::Error;

/// How long vectors are waited for. Searching must not hang on a provider that does.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a Chroma may take.
const CHROMA_PATIENCE: Duration = Duration::from_secs(10);

/// See `config.default.yaml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnowledgeConfig {
    /// Who makes vectors.
    pub embeddings: EmbeddingsConfig,
    /// A Chroma that searches them; in memory when absent.
    #[serde(default)]
    pub chroma: Option<ChromaSection>,
    /// How much is taken, kept and given.
    #[serde(default)]
    pub limits: Limits,
}

/// Who makes vectors.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmbeddingsConfig {
    /// Whether any are made.
    pub enabled: bool,
    /// The provider or route; the router's choice when absent.
    #[serde(default)]
    pub provider: Option<String>,
    /// The model; the provider's choice when absent.
    #[serde(default)]
    pub model: Option<String>,
    /// Where documents and questions may go, at the most: what they say themselves may be stricter.
    #[serde(default)]
    pub privacy: Privacy,
}

/// A Chroma server.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChromaSection {
    /// `http://host:8000`.
    pub url: String,
    /// The tenant.
    #[serde(default = "default_tenant")]
    pub tenant: String,
    /// The database.
    #[serde(default = "default_database")]
    pub database: String,
    /// What the names of all collections begin with.
    #[serde(default = "default_prefix")]
    pub prefix: String,
    /// The environment variable with a bearer token.
    #[serde(default)]
    pub token_env: Option<String>,
}

fn default_tenant() -> String {
    "default_tenant".to_owned()
}

fn default_database() -> String {
    "default_database".to_owned()
}

fn default_prefix() -> String {
    "nexus".to_owned()
}

/// Documents and memories of all organisations.
#[derive(Clone)]
pub struct Knowledge {
    retrieval: Retrieval,
}

impl Knowledge {
    /// Over this database, which must have the tables of [`Retrieval::MIGRATIONS`].
    ///
    /// # Errors
    /// When the Chroma that is configured cannot be talked to by this configuration.
    pub fn new(deps: &Deps, config: &KnowledgeConfig, store: Store) -> Result<Self, Error> {
        let embedder = config.embeddings.enabled.then(|| {
            let embedder = BusEmbedder {
                deps: deps.clone(),
                config: config.embeddings.clone(),
            };
            Arc::new(embedder) as Arc<dyn Embedder>
        });
        let external = config
            .chroma
            .as_ref()
            .map(ChromaSection::open)
            .transpose()?;
        Ok(Self {
            retrieval: Retrieval::new(store, config.limits.clone(), embedder, external),
        })
    }

    /// Documents.
    #[must_use]
    pub const fn documents(&self) -> &Retrieval {
        &self.retrieval
    }

    /// Makes vectors of what has none yet, of every organisation, so many chunks of each: each text goes
    /// no further than is kept with it.
    ///
    /// # Errors
    /// When the database fails; that nobody makes vectors is no error.
    pub async fn backfill(
        &self,
        store: &Store,
        budget: usize,
    ) -> Result<(), nexus_retrieval::Error> {
        for org in store.organisations().await? {
            let filled = self.retrieval.backfill(org, budget).await?;
            if filled.embedded > 0 {
                tracing::info!(%org, embedded = filled.embedded, left = filled.left, "vectors were made");
            }
        }
        Ok(())
    }

    /// What is remembered of people.
    #[must_use]
    pub fn memory(&self) -> Memory {
        self.retrieval.memory()
    }
}

impl ChromaSection {
    fn open(&self) -> Result<Arc<dyn VectorIndex>, Error> {
        let bad = |reason: String| Error::Chroma { reason };
        let token = match &self.token_env {
            None => None,
            Some(name) => Some(
                ConfigSource::env_secret(name)
                    .ok_or_else(|| bad(format!("the variable {name} is not set")))?,
            ),
        };
        let chroma = Chroma::new(ChromaConfig {
            url: self.url.clone(),
            tenant: self.tenant.clone(),
            database: self.database.clone(),
            prefix: self.prefix.clone(),
            token,
            timeout: CHROMA_PATIENCE,
        });
        let chroma = chroma.map_err(|error| bad(error.to_string()))?;
        Ok(Arc::new(chroma))
    }
}

/// Asks the provider router.
struct BusEmbedder {
    deps: Deps,
    config: EmbeddingsConfig,
}

#[async_trait]
impl Embedder for BusEmbedder {
    async fn embed(
        &self,
        org: OrgId,
        texts: Vec<String>,
        _: TextKind,
        privacy: Privacy,
    ) -> Result<Embeddings, EmbedError> {
        let event = EmbeddingRequested {
            input: texts,
            provider: self.config.provider.clone(),
            model: self.config.model.clone(),
            dimensions: None,
            privacy: self.config.privacy.max(privacy),
            extra: Extra::new(),
        };
        let unavailable = |reason: String| EmbedError::Unavailable(reason);
        let clock = &self.deps.clock;
        let metadata = Metadata {
            org_id: Some(org),
            ..Metadata::default()
        };
        let envelope = Envelope::new(MessageId::from(clock.new_id()), clock.now(), &event)
            .map_err(|error| unavailable(error.to_string()))?
            .with_metadata(metadata);
        let timing = RequestTiming {
            deadline: PATIENCE,
            ..RequestTiming::default()
        };
        let bus = &self.deps.bus;
        let answer = request(bus, clock, channels::INFERENCE_REQUEST, envelope, timing).await;
        let answer = answer.map_err(|error| unavailable(error.to_string()))?;
        read(&answer)
    }
}

fn read(answer: &Envelope) -> Result<Embeddings, EmbedError> {
    let malformed =
        |error: nexus_contracts::ContractError| EmbedError::Malformed(error.to_string());
    if answer.event_type == EmbeddingFailed::TYPE {
        let failed: EmbeddingFailed = answer.decode().map_err(malformed)?;
        let reason = format!("{} ({})", failed.detail, failed.code);
        return Err(EmbedError::Unavailable(reason));
    }
    let completed: EmbeddingCompleted = answer.decode().map_err(malformed)?;
    Ok(Embeddings {
        // Models of the same name at two providers need not be the same.
        model: format!("{}/{}", completed.provider, completed.model),
        dimensions: completed.embeddings.first().map_or(0, Vec::len),
        vectors: completed.embeddings,
    })
}
