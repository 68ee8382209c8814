//! The hand on a running answer: a logits processor that counts its tokens, ends it, and tells
//! when the engine has let go of it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use mistralrs::{CustomLogitsProcessor, Tensor};
use tokio_util::sync::CancellationToken;

use super::noise::Noise;

/// Where every token but the last of the model is put.
const NEVER: f32 = -1e9;

/// What the worker sees of an answer that the engine works on.
pub(crate) struct Progress {
    stop: AtomicBool,
    prompt: OnceLock<usize>,
    said: AtomicUsize,
    broken: AtomicBool,
    gone: CancellationToken,
}

impl Progress {
    /// Nothing yet, and the hand that goes into the engine. `eos` is the token that ends an
    /// answer, where it is known.
    pub(crate) fn new(eos: Option<u32>, noise: Option<Noise>) -> (Arc<Self>, Control) {
        let progress = Arc::new(Self {
            stop: AtomicBool::new(false),
            prompt: OnceLock::new(),
            said: AtomicUsize::new(0),
            broken: AtomicBool::new(false),
            gone: CancellationToken::new(),
        });
        let control = Control {
            progress: Arc::clone(&progress),
            eos,
            noise: noise.map(Mutex::new),
        };
        (progress, control)
    }

    /// Ends the answer with its next token, where the engine can be made to.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
    }

    /// Tokens of the prompt; 0 before the first answer token.
    pub(crate) fn prompt_tokens(&self) -> usize {
        self.prompt.get().copied().unwrap_or(0)
    }

    /// Tokens of the answer, the one that ends it included.
    pub(crate) fn said_tokens(&self) -> usize {
        self.said.load(Ordering::Acquire)
    }

    /// Whether the engine let go because its thread panicked.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    /// Returns when the engine does nothing more for this answer.
    pub(crate) async fn gone(&self) {
        self.gone.cancelled().await;
    }
}

/// The part that lives in the engine, and is dropped by it.
pub(crate) struct Control {
    progress: Arc<Progress>,
    eos: Option<u32>,
    noise: Option<Mutex<Noise>>,
}

impl CustomLogitsProcessor for Control {
    fn apply(&self, logits: &Tensor, context: &[u32]) -> mistralrs::Result<Tensor> {
        let progress = &self.progress;
        // Under a grammar the engine may ask twice for one token, so calls are not counted: the
        // context is the prompt and what was said so far.
        let prompt = *progress.prompt.get_or_init(|| context.len());
        let said = context.len().saturating_sub(prompt) + 1;
        progress.said.store(said, Ordering::Release);
        if progress.stop.load(Ordering::Acquire)
            && let Some(eos) = self.eos
        {
            let choose = |token| if token == eos { -NEVER } else { NEVER };
            let count = u32::try_from(logits.elem_count()).unwrap_or(u32::MAX);
            let only: Vec<f32> = (0..count).map(choose).collect();
            return Tensor::from_vec(only, logits.shape(), logits.device());
        }
        let Some(noise) = &self.noise else {
            return Ok(logits.clone());
        };
        let moved = noise
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .over(&logits.to_vec1()?);
        Tensor::from_vec(moved, logits.shape(), logits.device())
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.progress.broken.store(true, Ordering::Release);
        }
        self.progress.gone.cancel();
    }
}
