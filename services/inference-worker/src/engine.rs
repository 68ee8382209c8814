//! One model in this process. Everything known to go wrong in the engine beneath is kept from its
//! callers here; `tests/worker/traps.rs` has a test for each.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mistralrs::{
    Constraint, Device, Model, ModelGenerationDefaults, NormalRequest, Request, RequestMessage,
    Response, SamplingParams, ToolChoice,
};
use nexus_contracts::chat::{ChatMessage, Role, Usage};
use nexus_contracts::events::ModelParameters;
use nexus_service_kit::Tasks;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

mod answer;
mod control;
mod files;
mod load;
mod noise;
mod pump;
mod question;
mod shape;
mod stops;

pub use answer::{Answer, Embedded, Question, Refusal};

use crate::config::{DeviceChoice, Kind, ModelConfig};
use crate::error::Error;
use control::Progress;
use files::Source;
use load::Order;
use pump::{About, Pump};
use question::{Prepared, prepare};
use stops::Stops;

/// How many chunks of an answer may wait to be read; they are read at once.
const CHUNKS: usize = 64;

/// A model that is loaded.
pub struct Engine {
    name: String,
    kind: Kind,
    device: &'static str,
    model: Arc<Model>,
    eos: Option<u32>,
    defaults: Option<ModelGenerationDefaults>,
    most: usize,
    batch: usize,
    slots: Arc<Semaphore>,
    generated: Arc<AtomicUsize>,
    tasks: Tasks,
}

/// A place among the answers that are made at once. Given back when the engine has let go.
pub struct Slot {
    _permit: OwnedSemaphorePermit,
}

impl Engine {
    /// Whether a model's files are there, without loading them.
    ///
    /// # Errors
    /// [`Error`].
    pub fn check(name: &str, config: &ModelConfig) -> Result<(), Error> {
        Source::find(name, config).map(drop)
    }

    /// Loads a model and warms it up. What it does later runs on `tasks`.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn load(
        name: &str,
        config: &ModelConfig,
        device: DeviceChoice,
        tasks: Tasks,
    ) -> Result<Self, Error> {
        let source = Source::find(name, config)?;
        let eos = source.eos();
        let order = Order {
            source,
            config: config.clone(),
            device,
        };
        let wrong = |reason: String| Error::model(name, reason);
        let model = load::load(order).await.map_err(wrong)?;
        let about = model.config().map_err(|error| wrong(error.to_string()))?;
        let device = match about.device {
            Device::Cpu => "cpu",
            Device::Cuda(_) => "cuda",
            Device::Metal(_) => "metal",
        };
        // A build for GPUs may find none: what holds on a CPU holds then too.
        let batch = if device == "cpu" {
            1
        } else {
            config.max_batch.0
        };
        let engine = Self {
            name: name.to_owned(),
            kind: config.kind,
            device,
            model: Arc::new(model),
            eos,
            defaults: about.generation_defaults,
            most: config.max_tokens.0.min(config.context.0),
            batch,
            slots: Arc::new(Semaphore::new(batch)),
            generated: Arc::default(),
            tasks,
        };
        engine.warm_up().await.map_err(|refusal| {
            Error::model(name, format!("it was loaded, but does not work: {refusal}"))
        })?;
        Ok(engine)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it does.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Where it runs: `cpu`, `cuda` or `metal`.
    #[must_use]
    pub const fn device(&self) -> &'static str {
        self.device
    }

    /// Tokens of all answers so far, of those that nobody waited for too.
    #[must_use]
    pub fn generated(&self) -> usize {
        self.generated.load(Ordering::Acquire)
    }

    /// A place, if one is free now.
    #[must_use]
    pub fn try_admit(&self) -> Option<Slot> {
        let permit = Arc::clone(&self.slots).try_acquire_owned().ok()?;
        Some(Slot { _permit: permit })
    }

    /// A place, as soon as one is free; in the order of asking.
    ///
    /// # Errors
    /// When the model is being unloaded.
    pub async fn admit(&self) -> Result<Slot, Refusal> {
        match Arc::clone(&self.slots).acquire_owned().await {
            Ok(permit) => Ok(Slot { _permit: permit }),
            Err(_) => Err(Refusal::Failed("the model is being unloaded".to_owned())),
        }
    }

    /// Has the model answer; `texts` hears it meanwhile. Dropped, the answer ends, and its place
    /// is free as soon as the engine has let go of it.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn generate(
        &self,
        slot: Slot,
        question: &Question,
        texts: mpsc::UnboundedSender<String>,
    ) -> Result<Answer, Refusal> {
        if self.kind != Kind::Chat {
            return Err(self.cannot("answer"));
        }
        let prepared = prepare(question, self.most, self.defaults.as_ref())?;
        let (progress, control) = Progress::new(self.eos, prepared.noise.clone());
        let (to, from) = mpsc::channel(CHUNKS);
        let stop = CancellationToken::new();
        let pump = Pump {
            from,
            texts,
            stop: stop.clone(),
            stops: Stops::new(prepared.stops.clone()),
            about: About {
                progress: Arc::clone(&progress),
                id: question.id.clone(),
                most: prepared.most,
                form: prepared.form,
            },
            ends_when_told: self.eos.is_some() && !prepared.is_held,
        };
        let request = request(prepared, control, to);
        let (model, generated) = (Arc::clone(&self.model), Arc::clone(&self.generated));
        let (answered, answer) = oneshot::channel();
        let _stop_when_dropped = stop.drop_guard();
        self.tasks.spawn("generation", async move {
            let began = Instant::now();
            let outcome = match send(&model, request).await {
                Ok(()) => pump.run(began).await,
                Err(refusal) => Err(refusal),
            };
            // Whoever asked may have gone.
            drop(answered.send(outcome));
            progress.gone().await;
            generated.fetch_add(progress.said_tokens(), Ordering::AcqRel);
            drop(slot);
        });
        answer.await.unwrap_or_else(|_| Err(broken()))
    }

    /// Turns texts into vectors, one after the other. Runs to its end even when dropped: the
    /// engine breaks when nobody takes what it has to say.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn embed(&self, slot: Slot, texts: Vec<String>) -> Result<Embedded, Refusal> {
        if self.kind != Kind::Embedding {
            return Err(self.cannot("turn texts into vectors"));
        }
        let model = Arc::clone(&self.model);
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let _stop_when_dropped = stop.drop_guard();
        let (embedded, embedding) = oneshot::channel();
        self.tasks.spawn("embedding", async move {
            let outcome = embed(&model, texts, &stopped).await;
            drop(slot);
            drop(embedded.send(outcome));
        });
        embedding.await.unwrap_or_else(|_| Err(broken()))
    }

    /// Takes no more questions, waits for what runs, and frees the model's memory. Returns when
    /// the engine's thread has ended.
    pub async fn unload(self) {
        let all = u32::try_from(self.batch).unwrap_or(u32::MAX);
        // Fails only when the model is being unloaded already.
        drop(self.slots.acquire_many(all).await);
        self.slots.close();
        let sender = self.model.inner().get_sender(None).ok();
        drop(self.model);
        if let Some(sender) = sender {
            sender.closed().await;
        }
    }

    async fn warm_up(&self) -> Result<(), Refusal> {
        let slot = self.admit().await?;
        match self.kind {
            Kind::Embedding => self.embed(slot, vec!["Hi".to_owned()]).await.map(drop),
            Kind::Chat => {
                let question = Question {
                    id: "warm-up".to_owned(),
                    messages: vec![ChatMessage::text(Role::User, "Hi")],
                    tools: Vec::new(),
                    parameters: ModelParameters {
                        max_tokens: Some(1),
                        ..ModelParameters::default()
                    },
                };
                let (texts, _nobody) = mpsc::unbounded_channel();
                self.generate(slot, &question, texts).await.map(drop)
            }
        }
    }

    fn cannot(&self, what: &str) -> Refusal {
        Refusal::Unsupported(format!("model `{}` cannot {what}", self.name))
    }
}

fn request(prepared: Prepared, control: control::Control, to: mpsc::Sender<Response>) -> Request {
    // A choice of the engine's own holds the model to nothing; the grammar does.
    let tool_choice = prepared.tools.as_ref().map(|_| ToolChoice::Auto);
    Request::Normal(Box::new(NormalRequest {
        tools: prepared.tools,
        tool_choice,
        constraint: prepared.constraint,
        is_streaming: true,
        logits_processors: Some(vec![Arc::new(control)]),
        ..NormalRequest::new_simple(prepared.messages, prepared.sampling, to, 0, None, None)
    }))
}

/// Hands a request to the engine, which is started anew if it has died.
async fn send(model: &Model, request: Request) -> Result<(), Refusal> {
    let failed = |error: String| Refusal::Failed(format!("the engine does not take it: {error}"));
    let sender = model
        .inner()
        .get_sender(None)
        .map_err(|error| failed(error.to_string()))?;
    sender
        .send(request)
        .await
        .map_err(|error| failed(error.to_string()))
}

async fn embed(
    model: &Model,
    texts: Vec<String>,
    stop: &CancellationToken,
) -> Result<Embedded, Refusal> {
    let began = Instant::now();
    let mut vectors = Vec::with_capacity(texts.len());
    let mut tokens = 0_usize;
    for prompt in texts {
        if stop.is_cancelled() {
            return Err(Refusal::Failed("nobody waits for it any more".to_owned()));
        }
        must_be_several_tokens(model, &prompt).await?;
        let (to, mut from) = mpsc::channel(1);
        let message = RequestMessage::Embedding { prompt };
        let sampling = SamplingParams::deterministic();
        let request = NormalRequest {
            constraint: Constraint::None,
            ..NormalRequest::new_simple(message, sampling, to, 0, None, None)
        };
        send(model, Request::Normal(Box::new(request))).await?;
        match from.recv().await {
            Some(Response::Embeddings {
                embeddings,
                prompt_tokens,
                ..
            }) => {
                tokens = tokens.saturating_add(prompt_tokens);
                vectors.push(embeddings);
            }
            Some(Response::ValidationError(error)) => {
                return Err(Refusal::BadRequest(error.to_string()));
            }
            Some(Response::InternalError(error)) => {
                return Err(Refusal::Failed(error.to_string()));
            }
            Some(_) | None => return Err(broken()),
        }
    }
    Ok(Embedded {
        vectors,
        usage: Usage::of(u64::try_from(tokens).unwrap_or(u64::MAX), 0),
        took: began.elapsed(),
    })
}

/// The engine's thread dies of a text that is a single token: nothing is there to be masked.
async fn must_be_several_tokens(model: &Model, text: &str) -> Result<(), Refusal> {
    let text = either::Either::Right(text.to_owned());
    let tokens = model
        .tokenize(text, None, true, false, None)
        .await
        .map_err(|error| Refusal::Failed(error.to_string()))?;
    if tokens.len() > 1 {
        return Ok(());
    }
    let reason = "`input`: a text that is empty or a single token has no vector here";
    Err(Refusal::BadRequest(reason.to_owned()))
}

fn broken() -> Refusal {
    Refusal::Failed("the engine broke off; it starts anew with the next question".to_owned())
}
