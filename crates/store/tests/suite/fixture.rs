//! A database for one test.

use anyhow::{Context, Result};
use nexus_contracts::OrgId;
use nexus_store::{Migration, Store, StoreConfig};
use nexus_testkit::PgServer;
use tempfile::TempDir;
use uuid::Uuid;

/// What the cases write to: rows of organisations.
pub(crate) const NOTES: &[Migration] = &[NOTE];

pub(crate) const NOTE: Migration = Migration {
    version: 1,
    name: "notes",
    sqlite: "CREATE TABLE note (org_id TEXT NOT NULL, id BIGINT NOT NULL, body TEXT,
             PRIMARY KEY (org_id, id)); CREATE TABLE counter (n BIGINT NOT NULL);",
    postgres: "CREATE TABLE note (org_id TEXT NOT NULL, id BIGINT NOT NULL, body TEXT,
             PRIMARY KEY (org_id, id)); CREATE TABLE counter (n BIGINT NOT NULL);",
};

pub(crate) const SERVICE: &str = "store-test";

pub(crate) struct Fixture {
    pub(crate) address: String,
    /// The role that owns the tables; on PostgreSQL alone.
    pub(crate) owner: Option<String>,
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

    pub(crate) fn config(&self) -> Result<StoreConfig> {
        config(&self.address, self.owner.as_deref())
    }

    pub(crate) async fn open(&self) -> Result<Store> {
        Ok(Store::open(&self.config()?, SERVICE, NOTES).await?)
    }
}

pub(crate) fn config(address: &str, owner: Option<&str>) -> Result<StoreConfig> {
    let config: StoreConfig = address.parse()?;
    Ok(match owner {
        Some(owner) => config.owned_by(owner)?,
        None => config,
    })
}

pub(crate) fn org() -> OrgId {
    OrgId(Uuid::now_v7())
}
