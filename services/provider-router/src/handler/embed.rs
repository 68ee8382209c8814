//! `embedding.requested`: texts become vectors.

use nexus_contracts::events::EmbeddingRequested;
use nexus_service_kit::crash_point;
use tokio::time::Instant;

use super::Router;
use crate::call::{Answered, Question, Unanswered, ask};
use crate::command::Command;
use crate::complexity::Complexity;
use crate::plan::{self, Need, Plan, Size};
use crate::provider::{EmbedRequest, Embedded, FailureClass, Nobody, ProviderFailure, embed};
use crate::reply::{self, Ended};
use crate::tally::Tally;

/// What a call for vectors came to, and who was asked.
pub(super) struct Vectors {
    /// The vectors.
    pub(super) outcome: Result<Answered<Embedded>, Unanswered>,
    /// Who was to be asked.
    plan: Plan,
}

impl Router {
    /// # Errors
    /// When the texts are none that can be asked for, or there is nobody to ask.
    pub(super) async fn vectors(
        &self,
        command: &Command,
        asked: EmbeddingRequested,
        tally: &Tally,
    ) -> Result<Ended, ProviderFailure> {
        let until = self.until(command);
        let vectors = self.embed(command, asked, until, tally).await?;
        Ok(reply::embedded(vectors.outcome, &vectors.plan))
    }

    /// The vectors, no later than `until`.
    ///
    /// # Errors
    /// As above.
    pub(super) async fn embed(
        &self,
        command: &Command,
        asked: EmbeddingRequested,
        until: Instant,
        tally: &Tally,
    ) -> Result<Vectors, ProviderFailure> {
        embed::check(&asked.input, asked.dimensions)
            .map_err(|why| ProviderFailure::new(FailureClass::BadRequest, why))?;
        let registry = self.providers.get();
        let seed = command.seed();
        let need = Need::of_texts(&asked, (command.org, &seed));
        // How hard a question is says nothing of how hard it is to measure.
        let complexity = Complexity::of(Vec::new());
        let plan = plan::plan(&registry, &need, &complexity, &*self.health)?;
        let sized = Size::of_texts(&asked.input);
        let first = plan.candidates.first();
        let request = EmbedRequest {
            id: command.id.as_str().to_owned(),
            model: first.map(|one| one.model.to_string()).unwrap_or_default(),
            input: asked.input,
            dimensions: asked.dimensions,
            origin: command.origin.clone(),
        };
        let question = Question {
            plan: &plan,
            request: &request,
            prompt_tokens: sized.prompt,
            answer_tokens: sized.answer,
            policy: &self.config.retries,
            until,
            quiet: true,
        };
        crash_point!("provider-router.before_call");
        // Vectors come at once: nothing is said on the way.
        let outcome = ask(&question, self.means(tally), &mut Nobody).await;
        Ok(Vectors { outcome, plan })
    }
}
