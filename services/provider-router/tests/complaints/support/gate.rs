//! Holding a reply back.

use std::sync::Arc;

use anyhow::Result;
use tokio::sync::Semaphore;

/// Holds a reply back until it is opened.
#[derive(Clone)]
pub(crate) struct Gate(Arc<Semaphore>);

impl Gate {
    pub(crate) fn closed() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    /// Lets one reply through.
    pub(crate) fn open(&self) {
        self.0.add_permits(1);
    }

    pub(super) async fn pass(&self) -> Result<()> {
        self.0.acquire().await?.forget();
        Ok(())
    }
}
