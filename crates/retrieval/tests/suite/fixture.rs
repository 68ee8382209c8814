//! A database for one test, and documents in it.

use std::sync::Arc;

use anyhow::{Context, Result};
use nexus_contracts::settings::Privacy;
use nexus_contracts::{OrgId, Timestamp, UserId};
use nexus_retrieval::{
    Embedder, Found, Ingest, Limits, Remember, Retrieval, Search, VectorIndex, Viewer,
};
use nexus_store::{Migration, Store, StoreConfig};
use nexus_testkit::PgServer;
use tempfile::TempDir;
use uuid::Uuid;

pub(crate) struct Fixture {
    pub(crate) address: String,
    owner: Option<String>,
    _folder: Option<TempDir>,
    _server: Option<PgServer>,
}

impl Fixture {
    pub(crate) fn sqlite() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = folder
            .path()
            .to_str()
            .context("a folder whose name is text")?;
        Ok(Self {
            address: format!("sqlite:{path}"),
            owner: None,
            _folder: Some(folder),
            _server: None,
        })
    }

    pub(crate) async fn postgres() -> Result<Self> {
        let server = nexus_testkit::postgres().await?;
        let roles = server.fresh_database_with_roles().await?;
        Ok(Self {
            address: roles.app,
            owner: Some(roles.owner),
            _folder: None,
            _server: Some(server),
        })
    }

    pub(crate) async fn store(&self) -> Result<Store> {
        self.store_of(Retrieval::MIGRATIONS).await
    }

    /// With the tables as they were after these migrations.
    pub(crate) async fn store_of(&self, migrations: &'static [Migration]) -> Result<Store> {
        let config: StoreConfig = self.address.parse()?;
        let config = match &self.owner {
            Some(owner) => config.owned_by(owner)?,
            None => config,
        };
        Ok(Store::open(&config, "retrieval-test", migrations).await?)
    }

    /// By words alone, with the usual limits.
    pub(crate) async fn plain(&self) -> Result<Retrieval> {
        self.open(Limits::default(), None, None).await
    }

    pub(crate) async fn open(
        &self,
        limits: Limits,
        embedder: Option<Arc<dyn Embedder>>,
        external: Option<Arc<dyn VectorIndex>>,
    ) -> Result<Retrieval> {
        Ok(Retrieval::new(
            self.store().await?,
            limits,
            embedder,
            external,
        ))
    }
}

pub(crate) fn org() -> OrgId {
    OrgId(Uuid::now_v7())
}

pub(crate) fn user() -> UserId {
    UserId(Uuid::now_v7())
}

pub(crate) const fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000 + seconds * 1_000)
}

pub(crate) const fn shared(org: OrgId) -> Viewer {
    Viewer { org, user: None }
}

pub(crate) const fn seen_by(org: OrgId, user: UserId) -> Viewer {
    let user = Some(user);
    Viewer { org, user }
}

/// Something remembered in an open conversation, by nobody else's words.
pub(crate) fn remember(text: &str) -> Remember {
    Remember {
        text: text.to_owned(),
        run: None,
        conversation: None,
        untrusted: false,
        privacy: Privacy::Open,
    }
}

/// A shared text in the collection `notes`, whose source is its title.
pub(crate) fn note(title: &str, text: &str) -> Ingest {
    Ingest {
        owner: None,
        collection: "notes".to_owned(),
        title: title.to_owned(),
        source: title.to_owned(),
        content_type: "text/plain".to_owned(),
        text: text.to_owned(),
        untrusted: false,
        privacy: None,
        apart: false,
    }
}

pub(crate) async fn search(retrieval: &Retrieval, viewer: Viewer, query: &str) -> Result<Found> {
    let search = Search {
        viewer,
        collections: None,
        query: query.to_owned(),
        privacy: Privacy::Open,
        limit: 10,
    };
    Ok(retrieval.search(search).await?)
}

/// The titles of what is found, best first.
pub(crate) async fn titles(
    retrieval: &Retrieval,
    viewer: Viewer,
    query: &str,
) -> Result<Vec<String>> {
    let found = search(retrieval, viewer, query).await?;
    Ok(found.hits.into_iter().map(|hit| hit.title).collect())
}
