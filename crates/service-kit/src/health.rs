//! Health: what every part of a node says about itself, and `/readyz` repeats.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// The components of a node. Cheap to clone.
#[derive(Clone, Default)]
pub struct Health {
    components: Arc<RwLock<BTreeMap<String, Component>>>,
    ready: Arc<watch::Sender<bool>>,
}

#[derive(Clone, Default)]
struct Component {
    failing: Option<String>,
    fate: Fate,
}

/// Whether a component can still change.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Fate {
    #[default]
    Open,
    Ended,
}

/// One line of `/readyz`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComponentState {
    /// The component.
    pub name: String,
    /// Whether it does its work.
    pub ok: bool,
    /// What is wrong and what to do, when it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Health {
    /// A component, healthy until it says otherwise. The same name gives the same component.
    #[must_use]
    pub fn component(&self, name: impl Into<Cow<'static, str>>) -> HealthHandle {
        let name = name.into();
        self.components
            .write()
            .entry(name.clone().into_owned())
            .or_default();
        HealthHandle {
            health: self.clone(),
            name,
        }
    }

    /// Every component, by name.
    #[must_use]
    pub fn components(&self) -> Vec<ComponentState> {
        let state = |(name, component): (&String, &Component)| ComponentState {
            name: name.clone(),
            ok: component.failing.is_none(),
            detail: component.failing.clone(),
        };
        self.components.read().iter().map(state).collect()
    }

    /// Whether every component does its work.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.components
            .read()
            .values()
            .all(|component| component.failing.is_none())
    }

    /// Tells whenever a component's report turned the whole ready or not ready.
    pub(crate) fn turns(&self) -> watch::Receiver<bool> {
        self.ready.subscribe()
    }

    /// Whether no part has ended for good: when false, only a new process helps.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        !self
            .components
            .read()
            .values()
            .any(|component| component.fate == Fate::Ended)
    }

    fn set(&self, name: &str, failing: Option<String>, fate: Fate) {
        let mut components = self.components.write();
        let component = components.entry(name.to_owned()).or_default();
        if component.fate == Fate::Open {
            *component = Component { failing, fate };
        }
        let ready = components
            .values()
            .all(|component| component.failing.is_none());
        drop(components);
        self.ready
            .send_if_modified(|before| std::mem::replace(before, ready) != ready);
    }
}

/// What a component reports through.
#[derive(Clone)]
pub struct HealthHandle {
    health: Health,
    name: Cow<'static, str>,
}

impl HealthHandle {
    /// It does its work.
    pub fn ok(&self) {
        self.health.set(&self.name, None, Fate::Open);
    }

    /// It does not: why, and what to do.
    pub fn failing(&self, why: impl Into<String>) {
        self.health.set(&self.name, Some(why.into()), Fate::Open);
    }

    /// It ended and will not come back in this process; `/healthz` fails from now on.
    pub fn dead(&self, why: impl Into<String>) {
        self.health.set(&self.name, Some(why.into()), Fate::Ended);
    }
}
