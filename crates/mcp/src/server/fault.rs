//! Why a connection was ended from our side.

use std::sync::{Arc, OnceLock};

/// The first reason counts; shared between the pipes and the supervisor.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fault(Arc<OnceLock<String>>);

impl Fault {
    pub(crate) fn set(&self, reason: &str) {
        let _ = self.0.set(reason.to_owned());
    }

    pub(crate) fn get(&self) -> Option<String> {
        self.0.get().cloned()
    }
}
