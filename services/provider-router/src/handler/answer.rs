//! `inference.requested`: a model answers.

use std::sync::Arc;

use nexus_contracts::events::InferenceRequested;
use nexus_service_kit::crash_point;
use tokio::time::Instant;

use super::Router;
use super::cached::Search;
use crate::cache::kept::Kept;
use crate::cache::sought::Fit;
use crate::call::{Question, ask};
use crate::command::{Command, Reply};
use crate::complexity::{self, Complexity, Estimator, Heuristic};
use crate::live::Texts;
use crate::plan::{self, Need, Plan, Size};
use crate::provider::{ChatRequest, DeltaSink, ProviderFailure};
use crate::registry::Registry;
use crate::reply::{self, Done, Ended};
use crate::tally::{Tally, millis};

impl Router {
    /// # Errors
    /// When there is nobody to ask.
    pub(super) async fn answer(
        &self,
        command: &Command,
        asked: InferenceRequested,
        tally: &Tally,
        texts: &mut Texts,
    ) -> Result<Ended, ProviderFailure> {
        // What is changed meanwhile is for later calls.
        let registry = self.providers.get();
        let sized = Size::of(&asked, &asked.messages);
        let plan = self.plan(&registry, command, &asked, &sized)?;
        let began = Instant::now();
        // Behind the plan: what may not be asked now is not answered from what is kept either.
        let sought = match Box::pin(self.search(command, &asked, &plan, tally)).await {
            Some(Search::Found(mut found)) => {
                texts.delta(&found.message.content).await;
                found.duration_ms = millis(began.elapsed());
                let reply = Reply::Completed(found);
                return Ok(Ended::Done(Box::new(Done::told(reply))));
            }
            Some(Search::Open(sought)) => Some(sought),
            None => None,
        };
        let first = plan.candidates.first();
        let request = ChatRequest {
            id: command.id.as_str().to_owned(),
            model: first.map(|one| one.model.to_string()).unwrap_or_default(),
            messages: asked.messages,
            tools: asked.tools,
            parameters: asked.parameters,
            origin: command.origin.clone(),
        };
        let question = Question {
            plan: &plan,
            request: &request,
            prompt_tokens: sized.prompt,
            answer_tokens: sized.answer,
            policy: &self.config.retries,
            until: self.until(command),
            quiet: asked.quiet,
        };
        crash_point!("provider-router.before_call");
        let began = Instant::now();
        let outcome = ask(&question, self.means(tally), texts).await;
        let model = outcome.as_ref().ok().map(|one| Arc::clone(&one.model));
        let mut ended = reply::ended(outcome, &plan, began.elapsed());
        if let (Some(sought), Some(model)) = (sought, model)
            && let Ended::Done(done) = &mut ended
            && let Reply::Completed(completed) = &done.reply
        {
            let kept = Kept::of(completed, &model, &plan);
            done.fit = Some(Box::new(Fit { sought, kept }));
        }
        Ok(ended)
    }

    fn plan(
        &self,
        registry: &Registry,
        command: &Command,
        asked: &InferenceRequested,
        sized: &Size,
    ) -> Result<Plan, ProviderFailure> {
        let (messages, tools) = (&asked.messages, &asked.tools);
        let seed = command.seed();
        let need = Need::of(asked, messages, sized, (command.org, &seed));
        let complexity = if registry.weighs_complexity() {
            Heuristic.estimate(&complexity::Question { messages, tools })
        } else {
            Complexity::of(Vec::new())
        };
        plan::plan(registry, &need, &complexity, &*self.health)
    }
}
