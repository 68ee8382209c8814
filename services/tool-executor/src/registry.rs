//! Which tools there are: those of this crate, and those that other sources bring and take away
//! while it runs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use nexus_contracts::tool::{CallLimits, Effect, ListedTool};
use nexus_store::EffectClass;
use parking_lot::RwLock;
use tokio::sync::watch;

use crate::parts::Parts;
use crate::tool::AnyTool;
use crate::tools::{
    AddDocument, AskModel, CurrentTime, ExecuteCode, Forget, HttpRequest, LoadWebPage, MathSolver,
    PerplexitySearch, ReadResult, Recall, Remember, SearchDocuments, WebSearch,
};
use crate::{Config, Error};

/// Every tool that comes with Nexus. Adding one is a file in [`crate::tools`] and a line here.
#[must_use]
pub fn catalogue(parts: &Parts) -> Vec<Arc<dyn AnyTool>> {
    vec![
        Arc::new(AddDocument::new(parts)),
        Arc::new(AskModel::new(parts)),
        Arc::new(CurrentTime),
        Arc::new(ExecuteCode::new(parts)),
        Arc::new(Forget::new(parts)),
        Arc::new(HttpRequest::new(parts)),
        Arc::new(LoadWebPage::new(parts)),
        Arc::new(MathSolver::new()),
        Arc::new(PerplexitySearch::new(parts)),
        Arc::new(ReadResult::new(parts)),
        Arc::new(Recall::new(parts)),
        Arc::new(Remember::new(parts)),
        Arc::new(SearchDocuments::new(parts)),
        Arc::new(WebSearch::new(parts)),
    ]
}

/// A tool that is switched on.
pub struct Entry {
    /// How it is listed.
    pub listed: ListedTool,
    /// What runs.
    pub tool: Arc<dyn AnyTool>,
}

impl Entry {
    /// What may happen when a worker dies during a call.
    #[must_use]
    pub const fn class(&self) -> EffectClass {
        match self.listed.effect {
            Effect::ReadOnly => EffectClass::ReadOnly,
            Effect::Idempotent => EffectClass::Idempotent,
            Effect::AtMostOnce => EffectClass::AtMostOnce,
        }
    }

    /// Longest time of a call.
    #[must_use]
    pub const fn timeout(&self) -> Duration {
        Duration::from_millis(self.listed.limits.timeout_ms)
    }
}

/// The tools that are switched on, by name. Sources may change while calls are made: a call keeps
/// the tool it began with.
pub struct Registry {
    tools: RwLock<BTreeMap<String, Arc<Entry>>>,
    changes: watch::Sender<u64>,
    defaults: CallLimits,
    enabled: Vec<String>,
    disabled: Vec<String>,
}

impl Registry {
    /// The tools of this process that the configuration leaves switched on.
    ///
    /// # Errors
    /// When the configuration names a tool that does not exist, two tools share a name, or a name is
    /// none that providers accept.
    pub fn new(tools: Vec<Arc<dyn AnyTool>>, config: &Config) -> Result<Self, Error> {
        let registry = Self {
            tools: RwLock::default(),
            changes: watch::Sender::new(0),
            defaults: config.call_limits(),
            enabled: config.enabled.clone(),
            disabled: config.disabled.clone(),
        };
        let all = registry.entries(tools)?;
        check("enabled", &config.enabled, &all)?;
        check("disabled", &config.disabled, &all)?;
        registry.tools.write().extend(registry.switched_on(all));
        Ok(registry)
    }

    /// Puts the tools of a source (`mcp` for all of `mcp:<server>`) in the place of those it had.
    ///
    /// # Errors
    /// When a name is taken by another source, or is none that providers accept; nothing changes.
    pub fn replace(&self, source: &str, tools: Vec<Arc<dyn AnyTool>>) -> Result<(), Error> {
        let fresh = self.switched_on(self.entries(tools)?);
        let mut all = self.tools.write();
        let is_of_it = |entry: &Entry| {
            let rest = entry.listed.source.strip_prefix(source);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
        };
        let taken = fresh.keys().find(|name| {
            let there = all.get(name.as_str());
            there.is_some_and(|entry| !is_of_it(entry))
        });
        if let Some(name) = taken {
            return Err(Error::DuplicateTool { name: name.clone() });
        }
        all.retain(|_, entry| !is_of_it(entry));
        all.extend(fresh);
        drop(all);
        self.changes.send_modify(|count| *count += 1);
        Ok(())
    }

    fn entries(&self, tools: Vec<Arc<dyn AnyTool>>) -> Result<BTreeMap<String, Arc<Entry>>, Error> {
        let mut all = BTreeMap::new();
        for tool in tools {
            let listed = tool.listed(self.defaults);
            let name = listed.name.clone();
            if !is_name(&name) {
                return Err(Error::BadName { name });
            }
            let entry = Arc::new(Entry { listed, tool });
            if all.insert(name.clone(), entry).is_some() {
                return Err(Error::DuplicateTool { name });
            }
        }
        Ok(all)
    }

    fn switched_on(&self, mut all: BTreeMap<String, Arc<Entry>>) -> BTreeMap<String, Arc<Entry>> {
        all.retain(|name, _| {
            (self.enabled.is_empty() || self.enabled.contains(name))
                && !self.disabled.contains(name)
        });
        all
    }

    /// The tool of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Arc<Entry>> {
        self.tools.read().get(name).cloned()
    }

    /// The names of all tools that are switched on, in order, for people.
    #[must_use]
    pub fn names(&self) -> String {
        names(&self.tools.read())
    }

    /// What is listed in `control.tools`.
    #[must_use]
    pub fn listed(&self) -> Vec<ListedTool> {
        let tools = self.tools.read();
        tools.values().map(|entry| entry.listed.clone()).collect()
    }

    /// Lists every tool anew.
    fn relist(&self) {
        let mut tools = self.tools.write();
        for entry in tools.values_mut() {
            let listed = entry.tool.listed(self.defaults);
            if listed != entry.listed {
                let tool = Arc::clone(&entry.tool);
                *entry = Arc::new(Entry { listed, tool });
            }
        }
        drop(tools);
        self.changes.send_modify(|count| *count += 1);
    }

    /// Lists every tool anew whenever one says that it changed.
    pub(crate) async fn follow(self: Arc<Self>, mut changed: watch::Receiver<()>) {
        // What changed before anybody listened.
        self.relist();
        while changed.changed().await.is_ok() {
            self.relist();
        }
    }

    /// Hears of every change.
    #[must_use]
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

/// A name that every provider accepts.
fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    (1..=64).contains(&name.len()) && name.chars().all(plain)
}

/// What stands between the parts of the name of a tool that another source brings. Such a tool may
/// be named before it is there.
const FOREIGN: &str = "__";

fn check(
    key: &'static str,
    listed: &[String],
    all: &BTreeMap<String, Arc<Entry>>,
) -> Result<(), Error> {
    let mut unknown = listed
        .iter()
        .filter(|name| !all.contains_key(*name) && !name.contains(FOREIGN));
    match unknown.next() {
        None => Ok(()),
        Some(name) => Err(Error::UnknownTool {
            key,
            name: name.clone(),
            known: names(all),
        }),
    }
}

fn names(tools: &BTreeMap<String, Arc<Entry>>) -> String {
    tools
        .keys()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ")
}
