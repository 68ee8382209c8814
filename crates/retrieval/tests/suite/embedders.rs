//! Embedders whose vectors are known beforehand.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use async_trait::async_trait;
use nexus_contracts::OrgId;
use nexus_contracts::settings::Privacy;
use nexus_retrieval::{EmbedError, Embedder, Embeddings, Ingest, Retrieval, TextKind};
use parking_lot::Mutex;

use crate::fixture::at;

const DIMENSIONS: usize = 256;

/// Knows which words mean the same: each group has a direction of its own; any other word has one of
/// the rest, by its letters. Stands for a model, and says nothing about one.
pub(crate) struct Thesaurus {
    groups: HashMap<String, usize>,
    count: usize,
    state: Mutex<State>,
}

struct State {
    model: String,
    /// How private a text may be that it is given; none: it is asleep.
    up_to: Option<Privacy>,
    /// Numbers of a vector.
    dimensions: usize,
    /// Texts embedded.
    texts: usize,
    /// What was asked for, and how far it may go.
    asked: Vec<(String, Privacy)>,
    /// Whether texts of each privacy have a model of their own.
    apart: bool,
}

impl Thesaurus {
    pub(crate) fn new(groups: &[Vec<String>]) -> Self {
        let words = groups.iter().enumerate();
        let words = words.flat_map(|(at, group)| group.iter().map(move |word| (word.clone(), at)));
        Self {
            groups: words.collect(),
            count: groups.len(),
            state: Mutex::new(State {
                model: "thesaurus-1".to_owned(),
                up_to: Some(Privacy::LocalOnly),
                dimensions: DIMENSIONS,
                texts: 0,
                asked: Vec::new(),
                apart: false,
            }),
        }
    }

    /// One that knows of two kinds of animal.
    pub(crate) fn of_animals() -> Self {
        let groups = [&["cat", "feline"], &["dog", "canine"]];
        let groups: Vec<Vec<String>> = groups
            .iter()
            .map(|group| group.iter().map(|word| (*word).to_owned()).collect())
            .collect();
        Self::new(&groups)
    }

    pub(crate) fn fall_asleep(&self) {
        self.state.lock().up_to = None;
    }

    pub(crate) fn wake(&self) {
        self.answer_up_to(Privacy::LocalOnly);
    }

    /// Whatever must stay nearer than that has nobody to ask.
    pub(crate) fn answer_up_to(&self, privacy: Privacy) {
        self.state.lock().up_to = Some(privacy);
    }

    pub(crate) fn stand_apart(&self) {
        self.state.lock().apart = true;
    }

    /// The texts embedded since this was last asked, each with how far it may go.
    pub(crate) fn asked(&self) -> Vec<(String, Privacy)> {
        std::mem::take(&mut self.state.lock().asked)
    }

    pub(crate) fn become_model(&self, model: &str) {
        model.clone_into(&mut self.state.lock().model);
    }

    pub(crate) fn give_too_little(&self) {
        self.state.lock().dimensions = DIMENSIONS - 1;
    }

    pub(crate) fn texts(&self) -> usize {
        self.state.lock().texts
    }

    fn vector(&self, text: &str, dimensions: usize) -> Vec<f32> {
        let mut vector = vec![0.0; dimensions];
        let words = text.split(|c: char| !c.is_alphanumeric() && c != '-' && c != '\'');
        for word in words.filter(|word| !word.is_empty()) {
            let word = word.to_lowercase();
            let (at, weight) = match self.groups.get(&word) {
                Some(group) => (*group, 1.0),
                None => {
                    let mut hasher = DefaultHasher::new();
                    word.hash(&mut hasher);
                    let rest = (dimensions - self.count) as u64;
                    (self.count + (hasher.finish() % rest) as usize, 0.1)
                }
            };
            vector[at] += weight;
        }
        vector
    }
}

#[async_trait]
impl Embedder for Thesaurus {
    async fn embed(
        &self,
        _org: OrgId,
        texts: Vec<String>,
        _kind: TextKind,
        privacy: Privacy,
    ) -> Result<Embeddings, EmbedError> {
        let mut state = self.state.lock();
        if state.up_to < Some(privacy) {
            return Err(EmbedError::Unavailable("it is asleep".to_owned()));
        }
        state.texts += texts.len();
        let asked = texts.iter().map(|text| (text.clone(), privacy));
        state.asked.extend(asked);
        let vectors = texts.iter().map(|text| self.vector(text, state.dimensions));
        Ok(Embeddings {
            model: match state.apart {
                true => format!("{}-{}", state.model, privacy.as_str()),
                false => state.model.clone(),
            },
            dimensions: DIMENSIONS,
            vectors: vectors.collect(),
        })
    }
}

/// While it is asked for the first time, somebody else keeps a document.
pub(crate) struct Meddled {
    of_animals: Thesaurus,
    other: Retrieval,
    first: Mutex<Option<Ingest>>,
}

impl Meddled {
    pub(crate) fn new(other: Retrieval, first: Ingest) -> Self {
        Self {
            of_animals: Thesaurus::of_animals(),
            other,
            first: Mutex::new(Some(first)),
        }
    }
}

#[async_trait]
impl Embedder for Meddled {
    async fn embed(
        &self,
        org: OrgId,
        texts: Vec<String>,
        kind: TextKind,
        privacy: Privacy,
    ) -> Result<Embeddings, EmbedError> {
        let first = self.first.lock().take();
        if let Some(first) = first {
            let kept = self.other.ingest(org, first, at(0)).await;
            kept.map_err(|error| EmbedError::Unavailable(error.to_string()))?;
        }
        self.of_animals.embed(org, texts, kind, privacy).await
    }
}
