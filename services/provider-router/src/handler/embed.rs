//! `embedding.requested`: texts become vectors.

use nexus_contracts::events::EmbeddingRequested;
use nexus_service_kit::crash_point;

use super::Router;
use crate::call::{Question, ask};
use crate::command::Command;
use crate::complexity::Complexity;
use crate::plan::{self, Need, Size};
use crate::provider::{EmbedRequest, FailureClass, Nobody, ProviderFailure, embed};
use crate::reply::{self, Ended};
use crate::tally::Tally;

impl Router {
    /// # Errors
    /// When the texts are none that can be asked for, or there is nobody to ask.
    pub(super) async fn vectors(
        &self,
        command: &Command,
        asked: EmbeddingRequested,
        tally: &Tally,
    ) -> Result<Ended, ProviderFailure> {
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
            until: self.until(command),
            quiet: true,
        };
        crash_point!("provider-router.before_call");
        // Vectors come at once: nothing is said on the way.
        let outcome = ask(&question, self.means(tally), &mut Nobody).await;
        Ok(reply::embedded(outcome, &plan))
    }
}
