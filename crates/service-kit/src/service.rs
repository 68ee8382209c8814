//! What a service is to the node that runs it.

use async_trait::async_trait;

use crate::{Deps, ServiceError};

/// One service: named, started once, stopped by the shutdown token of its [`Deps`].
#[async_trait]
pub trait Service: Send + Sync {
    /// Its name, which is also the name of its consumer groups.
    fn name(&self) -> &'static str;

    /// Starts its loops on `deps.tasks` and returns at once.
    ///
    /// # Errors
    /// What keeps it from starting at all. A bus or database that is away is none of these: loops
    /// keep trying and say so in their health.
    async fn start(&self, deps: &Deps) -> Result<Started, ServiceError>;
}

/// What a service that has started offers.
#[derive(Default)]
pub struct Started {
    /// What it serves over HTTP, mounted beside the routes of all other services.
    pub routes: Option<axum::Router>,
    /// The channels it reads; the node trims them and shows them in `workers`.
    pub consumes: Vec<String>,
    /// The channels it writes that may have no reader, such as answers that are heard live; the node
    /// trims them too.
    pub unread: Vec<String>,
    /// How many messages it works on at once, over all channels.
    pub permits: usize,
}
