//! Which tools there are.

use std::collections::BTreeMap;
use std::sync::Arc;

use nexus_contracts::chat::ToolSpec;

use crate::tool::AnyTool;
use crate::tools::{CurrentTime, MathSolver};
use crate::{Config, Error};

/// Every tool that comes with Nexus. Adding one is a file in [`crate::tools`] and a line here.
#[must_use]
pub fn catalogue() -> Vec<Arc<dyn AnyTool>> {
    vec![Arc::new(CurrentTime), Arc::new(MathSolver::new())]
}

/// The tools that are switched on, by name.
pub struct Registry {
    tools: BTreeMap<&'static str, Arc<dyn AnyTool>>,
    off: Vec<&'static str>,
}

impl Registry {
    /// The tools the configuration leaves switched on.
    ///
    /// # Errors
    /// When the configuration names a tool that does not exist, or two tools share a name.
    pub fn new(tools: Vec<Arc<dyn AnyTool>>, config: &Config) -> Result<Self, Error> {
        let mut all = BTreeMap::new();
        for tool in tools {
            if let Some(other) = all.insert(tool.name(), tool) {
                return Err(Error::DuplicateTool {
                    name: other.name().to_owned(),
                });
            }
        }
        check("enabled", &config.enabled, &all)?;
        check("disabled", &config.disabled, &all)?;
        let is_on = |name: &str| {
            let named = |list: &[String]| list.iter().any(|listed| listed == name);
            (config.enabled.is_empty() || named(&config.enabled)) && !named(&config.disabled)
        };
        let off = all.keys().copied().filter(|name| !is_on(name)).collect();
        all.retain(|name, _| is_on(name));
        Ok(Self { tools: all, off })
    }

    /// The tool of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<dyn AnyTool>> {
        self.tools.get(name)
    }

    /// The names of all tools that are switched on, in order, for people.
    #[must_use]
    pub fn names(&self) -> String {
        names(&self.tools)
    }

    /// What models are told.
    #[must_use]
    pub fn specs(&self) -> Vec<ToolSpec> {
        self.tools.values().map(|tool| tool.spec()).collect()
    }

    /// The tools that exist and are switched off.
    #[must_use]
    pub fn switched_off(&self) -> &[&'static str] {
        &self.off
    }
}

fn check(
    key: &'static str,
    listed: &[String],
    all: &BTreeMap<&'static str, Arc<dyn AnyTool>>,
) -> Result<(), Error> {
    match listed.iter().find(|name| !all.contains_key(name.as_str())) {
        None => Ok(()),
        Some(name) => Err(Error::UnknownTool {
            key,
            name: name.clone(),
            known: names(all),
        }),
    }
}

fn names(tools: &BTreeMap<&'static str, Arc<dyn AnyTool>>) -> String {
    tools.keys().copied().collect::<Vec<_>>().join(", ")
}
