//! What a store is opened with.

use std::str::FromStr;

use crate::{StoreError, StoreUrl};

/// How much of what was committed survives which end.
///
/// | | the process is killed | the server is stopped at once | the power is cut |
/// |---|---|---|---|
/// | `Always` | nothing is lost | nothing is lost | nothing is lost |
/// | `Group`, `SQLite` | nothing is lost | (no server) | at most the last second |
/// | `Group`, `PostgreSQL` | nothing is lost | nothing is lost | nothing is lost |
/// | `Os`, `SQLite` | nothing is lost | (no server) | what the system had not written back |
/// | `Os`, `PostgreSQL` | nothing is lost | the last moment | the last moment |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Every commit is on disk before anything is acknowledged.
    Always,
    /// Survives the end of any process at once, of the machine up to one second.
    #[default]
    Group,
    /// Survives the end of a process; of the machine, what the system has written back.
    Os,
}

/// Where a store lives, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreConfig {
    /// The database, as the role that serves.
    pub url: StoreUrl,
    /// The same database as the role that owns the tables: `PostgreSQL` alone. Migrations run as
    /// it. Without it, see [`StoreUrl`] and the ADR on row-level security.
    pub owner: Option<StoreUrl>,
    /// How much survives.
    pub durability: Durability,
}

impl StoreConfig {
    /// The defaults for this address.
    #[must_use]
    pub const fn new(url: StoreUrl) -> Self {
        Self {
            url,
            owner: None,
            durability: Durability::Group,
        }
    }

    /// With a role of its own for migrations.
    ///
    /// # Errors
    /// [`StoreError::Url`] when the address of the owner is not one of `PostgreSQL`, or the store
    /// is not on `PostgreSQL`.
    pub fn owned_by(self, owner: &str) -> Result<Self, StoreError> {
        let bad = |reason| StoreError::Url {
            url: self.url.to_string(),
            reason,
        };
        let owner: StoreUrl = owner.parse()?;
        match (&self.url, &owner) {
            (StoreUrl::Postgres(_), StoreUrl::Postgres(_)) => Ok(Self {
                owner: Some(owner),
                ..self
            }),
            (StoreUrl::Postgres(_), _) => Err(bad("its owner's address is not PostgreSQL's")),
            _ => Err(bad(
                "SQLite has no roles, so there is no address for an owner",
            )),
        }
    }
}

impl FromStr for StoreConfig {
    type Err = StoreError;

    fn from_str(url: &str) -> Result<Self, StoreError> {
        Ok(Self::new(url.parse()?))
    }
}

impl From<StoreUrl> for StoreConfig {
    fn from(url: StoreUrl) -> Self {
        Self::new(url)
    }
}
