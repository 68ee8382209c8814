//! A database for one test.

use anyhow::{Context, Result};
use nexus_contracts::OrgId;
use nexus_store::{Migration, Store, StoreUrl};
use nexus_testkit::PgServer;
use tempfile::TempDir;
use uuid::Uuid;

/// What the cases write to: rows of organisations.
pub(crate) const NOTES: &[Migration] = &[Migration {
    version: 1,
    name: "notes",
    sqlite: "CREATE TABLE note (org_id TEXT NOT NULL, id BIGINT NOT NULL, body TEXT,
             PRIMARY KEY (org_id, id)); CREATE TABLE counter (n BIGINT NOT NULL);",
    postgres: "CREATE TABLE note (org_id TEXT NOT NULL, id BIGINT NOT NULL, body TEXT,
             PRIMARY KEY (org_id, id)); CREATE TABLE counter (n BIGINT NOT NULL);",
}];

pub(crate) const SERVICE: &str = "store-test";

pub(crate) struct Fixture {
    pub(crate) address: String,
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
            _folder: Some(folder),
            _server: None,
        })
    }

    pub(crate) async fn postgres() -> Result<Self> {
        let server = nexus_testkit::postgres().await?;
        let address = server.fresh_database().await?;
        Ok(Self {
            address,
            _folder: None,
            _server: Some(server),
        })
    }

    pub(crate) fn url(&self) -> Result<StoreUrl> {
        Ok(self.address.parse()?)
    }

    pub(crate) async fn open(&self) -> Result<Store> {
        Ok(Store::open(&self.url()?, SERVICE, NOTES).await?)
    }
}

pub(crate) fn org() -> OrgId {
    OrgId(Uuid::now_v7())
}
