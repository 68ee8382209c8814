//! Looking an answer up before anybody is asked, and keeping one that will do again.
//!
//! Nothing here makes a question fail: where the ledger or the model of vectors does not answer in time,
//! the question is asked as if nothing were kept, and that is told.

use std::sync::Arc;

use nexus_contracts::events::{EmbeddingRequested, InferenceCompleted, InferenceRequested};
use nexus_contracts::settings::Caching;
use nexus_contracts::{ConversationId, Extra, OrgId, Timestamp};
use nexus_store::ledger::Memory;
use parking_lot::Mutex;
use tokio::time::{Instant, timeout_at};

use super::Router;
use crate::cache::guard::{Features, Salt};
use crate::cache::index::{Direction, Entry, Found, Index};
use crate::cache::kept::{self, Kind};
use crate::cache::key::{Key, Keys, Scope};
use crate::cache::last_text;
use crate::cache::sought::{Fit, Meaning, Sought};
use crate::call::Unanswered;
use crate::command::Command;
use crate::metrics::{self, Looked};
use crate::plan::Plan;
use crate::provider::FailureClass;
use crate::tally::Tally;

/// The index of this process.
#[derive(Clone)]
pub struct Meanings {
    index: Arc<Mutex<Index>>,
    salt: Salt,
}

impl Meanings {
    /// An empty one for this many, with a secret that nobody else has.
    #[must_use]
    pub fn new(most: usize, salt: Salt) -> Self {
        Self {
            index: Arc::new(Mutex::new(Index::new(most))),
            salt,
        }
    }

    /// A conversation is gone, and what was asked in it.
    pub fn forget(&self, org: OrgId, conversation: ConversationId) {
        self.index.lock().forget_conversation(org, conversation);
    }
}

/// What came of looking.
pub(super) enum Search {
    /// An answer that will do.
    Found(Box<InferenceCompleted>),
    /// None; this is what one would be kept under.
    Open(Box<Sought>),
}

/// A question whose answer is looked up.
#[derive(Clone, Copy)]
struct Lookup<'a> {
    command: &'a Command,
    asked: &'a InferenceRequested,
    plan: &'a Plan,
    tally: &'a Tally,
    until: Instant,
}

impl Router {
    /// Looks for an answer that will do, to a question that goes to those of this plan; `None` when
    /// none is wanted.
    pub(super) async fn search(
        &self,
        command: &Command,
        asked: &InferenceRequested,
        plan: &Plan,
        tally: &Tally,
    ) -> Option<Search> {
        if asked.cache.is_off() {
            return None;
        }
        let patience = Instant::now() + self.config.cache.patience;
        let lookup = Lookup {
            command,
            asked,
            plan,
            tally,
            until: patience.min(self.until(command)),
        };
        let keys = Keys::of(command.org, asked, plan);
        let mut sought = Sought {
            key: keys.exact,
            meaning: None,
        };
        let found = self.recall(lookup, keys.exact, Kind::Exact).await;
        metrics::looked_up("exact", outcome_of(&found));
        // The same ledger would fail once more.
        let go_on = !matches!(found, Err(Looked::Failed)) && asked.cache == Caching::Semantic;
        if let Ok(found) = found {
            return Some(Search::Found(found));
        }
        let text = last_text(&asked.messages).filter(|_| go_on);
        if let Some((text, scope)) = text.zip(keys.scope) {
            let found = self
                .search_meaning(lookup, (text, scope), &mut sought)
                .await;
            metrics::looked_up("semantic", outcome_of(&found));
            if let Ok(found) = found {
                return Some(Search::Found(found));
            }
        }
        Some(Search::Open(Box::new(sought)))
    }

    /// The answer that is kept under this key.
    async fn recall(
        &self,
        lookup: Lookup<'_>,
        key: Key,
        kind: Kind,
    ) -> Result<Box<InferenceCompleted>, Looked> {
        let (org, now) = (lookup.command.org, self.clock.now());
        let recalled = async {
            let id = key.id().map_err(in_words)?;
            self.ledger.recall(org, &id, now).await.map_err(in_words)
        };
        let recalled = in_time(lookup.until, recalled).await;
        let recalled = recalled.map_err(|error| lookup.failed(&error))?;
        let found = recalled.and_then(|recalled| kept::again(&recalled, kind, now));
        found.map(Box::new).ok_or(Looked::Miss)
    }

    /// The answer to a last message that means the same; notes what this one means.
    async fn search_meaning(
        &self,
        lookup: Lookup<'_>,
        (text, scope): (&str, Scope),
        sought: &mut Sought,
    ) -> Result<Box<InferenceCompleted>, Looked> {
        let (room, direction) = self.direction(lookup, text, scope).await?;
        let meaning = sought.meaning.insert(Meaning {
            room,
            direction,
            features: Features::of(text, &self.meanings.salt),
        });
        let looked_for = (&meaning.direction, &meaning.features);
        let (least, now) = (self.config.cache.similarity, self.clock.now());
        let found = self
            .meanings
            .index
            .lock()
            .find(&room, looked_for, least, now);
        match found {
            Found::Alike { key, similarity } => {
                let kind = Kind::Semantic(similarity);
                let recalled = self.recall(lookup, key, kind).await;
                recalled.map_err(|looked| match looked {
                    // Erased, or dropped by another replica.
                    Looked::Miss => {
                        self.meanings.index.lock().forget(&room, key);
                        Looked::Gone
                    }
                    other => other,
                })
            }
            Found::Guarded(difference) => {
                tracing::debug!(id = %lookup.command.id, ?difference, "near, but not the same");
                Err(Looked::Guarded)
            }
            Found::Nothing => Err(Looked::Miss),
        }
    }

    /// The direction of a text, and where it is compared with others.
    async fn direction(
        &self,
        lookup: Lookup<'_>,
        text: &str,
        scope: Scope,
    ) -> Result<(Scope, Direction), Looked> {
        let cache = &self.config.cache;
        // Who is asked gets to read the text anyway.
        let first = lookup.plan.candidates.first();
        let usual = first.map(|first| first.configured.name.to_string());
        let asked = EmbeddingRequested {
            input: vec![text.to_owned()],
            provider: cache.embedder.clone().or(usual),
            model: cache.embedding_model.clone(),
            dimensions: None,
            privacy: lookup.asked.privacy,
            extra: Extra::new(),
        };
        let embedded = self.embed(lookup.command, asked, lookup.until, lookup.tally);
        let embedded = embedded.await.map_err(|failure| match failure.class {
            // A matter of what is configured: told by the metric, not for every question.
            FailureClass::Unsupported | FailureClass::PrivacyRefused => Looked::NoVectors,
            _ => lookup.failed(&failure.to_string()),
        })?;
        let answered = embedded.outcome.map_err(|unanswered| match unanswered {
            Unanswered::Failed { failure, .. } => lookup.failed(&failure.to_string()),
            Unanswered::NotNow(_) => lookup.failed("nobody may be asked for vectors yet"),
        })?;
        let model = answered.answer.model.as_deref().unwrap_or(&answered.model);
        let room = scope.room(&answered.provider, model);
        let vector = answered.answer.vectors.first().map(Vec::as_slice);
        let direction = vector.and_then(Direction::of);
        direction
            .map(|direction| (room, direction))
            .ok_or(Looked::NoVectors)
    }

    /// Keeps an answer, if it will do again.
    pub(super) async fn keep_answer(&self, command: &Command, Fit { sought, kept }: Fit) {
        let bytes = match kept.and_then(|kept| kept.encode()) {
            Ok(bytes) => bytes,
            Err(why) => {
                tracing::debug!(id = %command.id, ?why, "an answer will not do again");
                return metrics::kept("unfit");
            }
        };
        let now = self.clock.now();
        let ttl = i64::try_from(self.config.cache.ttl.as_millis()).unwrap_or(i64::MAX);
        let expires_at = now.plus_millis(ttl);
        let remembered = async {
            let memory = Memory {
                org: command.org,
                id: sought.key.id().map_err(in_words)?,
                about: command.conversation.map(|id| id.to_string()),
                bytes,
                now,
                expires_at,
            };
            self.ledger.remember(memory).await.map_err(in_words)
        };
        let until = Instant::now() + self.config.cache.patience;
        match in_time(until, remembered).await {
            Ok(true) => {
                metrics::kept("kept");
                self.note_meaning(command, *sought, expires_at);
            }
            // Somebody was quicker, or the conversation is gone.
            Ok(false) => metrics::kept("unwanted"),
            Err(error) => {
                tracing::warn!(id = %command.id, error, "an answer could not be kept");
                metrics::kept("failed");
            }
        }
    }

    fn note_meaning(&self, command: &Command, sought: Sought, expires_at: Timestamp) {
        let Some(meaning) = sought.meaning else {
            return;
        };
        let entry = Entry {
            key: sought.key,
            direction: meaning.direction,
            features: meaning.features,
            about: command.conversation.map(|id| (command.org, id)),
            expires_at,
        };
        self.meanings.index.lock().add(meaning.room, entry);
    }
}

impl Lookup<'_> {
    fn failed(&self, error: &str) -> Looked {
        let id = &self.command.id;
        tracing::warn!(%id, error, "no answer could be looked up; the model is asked");
        Looked::Failed
    }
}

fn outcome_of<T>(found: &Result<T, Looked>) -> Looked {
    found.as_ref().err().copied().unwrap_or(Looked::Hit)
}

async fn in_time<T>(
    until: Instant,
    asked: impl Future<Output = Result<T, String>>,
) -> Result<T, String> {
    timeout_at(until, asked)
        .await
        .unwrap_or_else(|_elapsed| Err("the database did not answer in time".to_owned()))
}

fn in_words(error: impl std::fmt::Display) -> String {
    error.to_string()
}
