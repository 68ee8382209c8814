//! What the router does between a command and the wire, without bus and database: plan, admission, the
//! body, the retry loop, reading the events, the tally, the metrics, the reply.

use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use async_trait::async_trait;
use nexus_bus::{Bus, BusConfig, BusUrl};
use nexus_contracts::OrgId;
use nexus_contracts::chat::ChatMessage;
use nexus_contracts::events::InferenceRequested;
use nexus_provider_router::call::{self, Means, Question};
use nexus_provider_router::command::Reply;
use nexus_provider_router::complexity::{self, Complexity, Estimator, Heuristic};
use nexus_provider_router::health::Health;
use nexus_provider_router::limits::shared::SharedLimits;
use nexus_provider_router::metrics;
use nexus_provider_router::plan::{self, Need, Plan, Size};
use nexus_provider_router::provider::{ChatRequest, DeltaSink, Origin};
use nexus_provider_router::registry::Registry;
use nexus_provider_router::registry::file::ProvidersFile;
use nexus_provider_router::registry::models::Task;
use nexus_provider_router::reply::{self, Ended};
use nexus_provider_router::retry::RetryPolicy;
use nexus_provider_router::tally::Tally;
use nexus_provider_router::{Config, DEFAULT_CONFIG, NAME};
use nexus_service_kit::{Clock, ConfigSource};
use tempfile::TempDir;
use tokio::time::Instant;

use super::asker::{Asker, Prompt, Sample, check};
use super::wanted::Wanted;

/// Longest wait for an answer: of thousands at once too.
const PATIENCE: Duration = Duration::from_secs(240);

/// `providers.yaml` with the upstream as the only provider.
pub(super) fn providers_yaml(base_url: &str) -> String {
    format!(
        "default: mock\nproviders:\n  mock:\n    type: openai\n    base_url: {base_url}\n    model: mock\n"
    )
}

/// The core, with one provider.
pub(super) struct Core {
    registry: Registry,
    health: Health,
    limits: SharedLimits,
    policy: RetryPolicy,
    clock: Clock,
    org: OrgId,
    prompt: Prompt,
    asked: InferenceRequested,
    // Last: fields drop in order.
    _folder: TempDir,
}

impl Core {
    /// With the upstream as its provider, and the router's own defaults.
    pub(super) async fn new(base_url: &str, prompt: &Prompt) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("bus.db");
        let url = BusUrl::Embedded {
            path,
            read_only: false,
        };
        // Limits are shared over a bus; without any in the file it is never asked.
        let bus = Bus::connect(&BusConfig::new(url, folder.path().join("blobs"))).await?;
        let file = ProvidersFile::parse(&providers_yaml(base_url), "providers.yaml")?;
        let config: Config = ConfigSource::default().section(NAME, DEFAULT_CONFIG)?;
        // As a node has it: what is counted costs something.
        nexus_service_kit::telemetry::install_metrics();
        let clock = Clock::system();
        Ok(Self {
            registry: Registry::build(&file, &|_| None)?,
            health: Health::default(),
            limits: SharedLimits::new(bus, clock.clone()),
            policy: config.retries,
            org: OrgId(clock.new_id()),
            clock,
            prompt: prompt.clone(),
            asked: serde_json::from_value(serde_json::json!({ "messages": [] }))?,
            _folder: folder,
        })
    }

    fn plan(&self, seed: &str, messages: &[ChatMessage], sized: &Size) -> Result<Plan> {
        let need = Need::of(&self.asked, messages, sized, (self.org, seed));
        let complexity = if self.registry.weighs_complexity() {
            let tools = &self.asked.tools;
            Heuristic.estimate(&complexity::Question { messages, tools })
        } else {
            Complexity::of(Vec::new())
        };
        plan::plan(&self.registry, &need, &complexity, &self.health)
            .map_err(|failure| anyhow!("{failure}"))
    }

    /// As the router's handler calls it.
    async fn call(
        &self,
        id: &str,
        messages: Vec<ChatMessage>,
        heard: &mut Heard,
    ) -> Result<String> {
        let sized = Size::of(&self.asked, &messages);
        let plan = self.plan(id, &messages, &sized)?;
        let first = plan.candidates.first();
        let request = ChatRequest {
            id: id.to_owned(),
            model: first.map(|one| one.model.to_string()).unwrap_or_default(),
            messages,
            tools: self.asked.tools.clone(),
            parameters: self.asked.parameters.clone(),
            origin: Origin::default(),
        };
        let tally = Tally::default();
        let question = Question {
            plan: &plan,
            request: &request,
            prompt_tokens: sized.prompt,
            answer_tokens: sized.answer,
            policy: &self.policy,
            until: Instant::now() + PATIENCE,
            quiet: false,
        };
        let means = Means {
            health: &self.health,
            limits: &self.limits,
            tally: &tally,
        };
        let answered = call::ask(&question, means, heard).await;
        let took = tally.close();
        took.iter().for_each(metrics::attempted);
        let Ended::Done(mut done) = reply::ended(answered, &plan, heard.began.elapsed()) else {
            bail!("nobody may be asked now");
        };
        done.reply.take_note(&took, Task::Chat);
        match done.reply {
            Reply::Completed(completed) => Ok(completed.message.content),
            Reply::Embedded(_) => bail!("vectors for a question"),
            Reply::Failed(failed) => bail!("{}: {}", failed.code, failed.detail),
        }
    }
}

#[async_trait]
impl Asker for Core {
    async fn ask(&self, wanted: Wanted) -> Result<Sample> {
        let id = self.clock.new_id().to_string();
        let messages = self.prompt.messages(wanted);
        let mut heard = Heard {
            began: Instant::now(),
            first: None,
        };
        let answer = self.call(&id, messages, &mut heard).await?;
        let whole = heard.began.elapsed();
        check(wanted, &answer)?;
        let first = heard.first;
        Ok(Sample { first, whole })
    }
}

/// When the first piece of text came.
struct Heard {
    began: Instant,
    first: Option<Duration>,
}

#[async_trait]
impl DeltaSink for Heard {
    async fn delta(&mut self, _text: &str) {
        self.first.get_or_insert_with(|| self.began.elapsed());
    }
}
