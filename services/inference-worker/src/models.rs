//! The models of this worker, by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use nexus_service_kit::Tasks;

use crate::command::{Asked, Failed};
use crate::config::{Config, Kind};
use crate::engine::Engine;
use crate::error::Error;
use crate::metrics;

/// Every model, loaded.
pub struct Models {
    engines: BTreeMap<String, Arc<Engine>>,
    defaults: [Option<String>; 2],
}

impl Models {
    /// Loads and warms up all of them, one after the other; `before` is told which one comes.
    ///
    /// # Errors
    /// Of the first that cannot be used.
    pub async fn load(
        config: &Config,
        tasks: &Tasks,
        before: impl Fn(&str) + Send,
    ) -> Result<Self, Error> {
        let mut engines = BTreeMap::new();
        for (name, model) in &config.models {
            before(name);
            let began = tokio::time::Instant::now();
            let engine = Engine::load(name, model, config.device, tasks.clone()).await?;
            let (device, took) = (engine.device(), began.elapsed());
            tracing::info!(model = name, device, ?took, "a model is ready");
            metrics::loaded(name, took);
            engines.insert(name.clone(), Arc::new(engine));
        }
        let default = |kind| config.default_of(kind).map(str::to_owned);
        Ok(Self {
            engines,
            defaults: [default(Kind::Chat), default(Kind::Embedding)],
        })
    }

    /// The model that is to do it.
    ///
    /// # Errors
    /// `unknown_model` with the names of those there are, `unsupported` for one of another kind.
    pub fn find(&self, asked: &Asked) -> Result<&Arc<Engine>, Failed> {
        let [chat, embedding] = &self.defaults;
        let (kind, default) = match asked {
            Asked::Answer(_) => (Kind::Chat, chat),
            Asked::Vectors(_) => (Kind::Embedding, embedding),
        };
        let Some(name) = asked.model().or(default.as_deref()) else {
            let detail = format!(
                "no model of this kind runs here; there are {}",
                self.known()
            );
            return Err(Failed::new("unsupported", detail));
        };
        let Some(engine) = self.engines.get(name) else {
            return Err(Failed::new("unknown_model", self.unknown(name)));
        };
        if engine.kind() != kind {
            let detail = format!(
                "model `{name}` does not do that; there are {}",
                self.known()
            );
            return Err(Failed::new("unsupported", detail));
        }
        Ok(engine)
    }

    fn unknown(&self, name: &str) -> String {
        let near = self
            .engines
            .keys()
            .map(|known| (strsim::damerau_levenshtein(known, name), known))
            .filter(|(distance, _)| *distance <= 2)
            .min();
        let hint = near.map_or_else(String::new, |(_, known)| {
            format!("; did you mean `{known}`?")
        });
        format!(
            "no model `{name}` runs here; there are {}{hint}",
            self.known()
        )
    }

    fn known(&self) -> String {
        let names: Vec<_> = self
            .engines
            .keys()
            .map(|name| format!("`{name}`"))
            .collect();
        names.join(", ")
    }
}
