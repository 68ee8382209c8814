//! The databases under measurement: files, memory, or a `PostgreSQL` of our own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::ValueEnum;
use nexus_testkit::{PgRoles, PgServer, postgres_with};
use rusqlite::{Connection, OpenFlags};

use crate::server::listener;
use crate::statements::Counter;
use crate::{measure, server};

/// Where state is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Storage {
    /// `SQLite` files that survive `kill -9`.
    Sqlite,
    /// `SQLite` in memory: the bus path alone.
    Memory,
    /// A `PostgreSQL` with the settings it comes with.
    Postgres,
}

impl Storage {
    /// Its name in reports.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Memory => "memory",
            Self::Postgres => "postgres",
        }
    }
}

/// What `PostgreSQL` comes with, where the servers of tests have it faster and less safe.
const AS_IT_COMES: [&str; 4] = [
    "fsync=on",
    "full_page_writes=on",
    "autovacuum=on",
    "shared_buffers=128MB",
];

/// A server with the settings `PostgreSQL` comes with, and these over them.
pub(crate) async fn postgres(settings: &[String]) -> Result<Arc<PgServer>> {
    let settings = AS_IT_COMES
        .into_iter()
        .chain(settings.iter().map(String::as_str));
    let settings: Vec<&str> = settings.collect();
    Ok(Arc::new(postgres_with(&settings).await?))
}

/// A database of our own.
pub(crate) enum Database {
    /// Files in this folder.
    Files(PathBuf),
    /// No file.
    Memory,
    /// In a server.
    Server {
        /// The server.
        server: Arc<PgServer>,
        /// As the roles reach it.
        roles: PgRoles,
        /// Counts what passes, where that was asked for.
        counter: Option<Counter>,
    },
}

impl Database {
    /// A new one. `server` is the `PostgreSQL` to use.
    pub(crate) async fn start(
        storage: Storage,
        folder: &Path,
        server: Option<&Arc<PgServer>>,
    ) -> Result<Self> {
        Ok(match storage {
            Storage::Sqlite => Self::Files(folder.join("data")),
            Storage::Memory => Self::Memory,
            Storage::Postgres => {
                let server = server.context("no PostgreSQL was started")?;
                Self::Server {
                    roles: server.fresh_database_with_roles().await?,
                    server: Arc::clone(server),
                    counter: None,
                }
            }
        })
    }

    /// The same with every statement counted. Only `PostgreSQL` shows them; it gets the same ones
    /// as `SQLite`, and one more for each organisation of a transaction.
    pub(crate) async fn counted(self) -> Result<Self> {
        match self {
            Self::Server {
                server,
                mut roles,
                counter: _,
            } => {
                let counter = Counter::start(server.port()).await?;
                let (ours, theirs) = (counter.port().to_string(), server.port().to_string());
                for url in [&mut roles.app, &mut roles.owner] {
                    *url = url.replacen(&theirs, &ours, 1);
                }
                Ok(Self::Server {
                    server,
                    roles,
                    counter: Some(counter),
                })
            }
            Self::Files(_) | Self::Memory => {
                anyhow::bail!("--statements needs --store postgres: only there they can be seen")
            }
        }
    }

    /// The configuration that leads here.
    pub(crate) fn settings(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Files(folder) => vec![("store.url", format!("sqlite:{}", folder.display()))],
            Self::Memory => vec![("store.url", "sqlite::memory:".to_owned())],
            Self::Server { roles, .. } => vec![
                ("store.url", roles.app.clone()),
                ("store.owner_url", roles.owner.clone()),
            ],
        }
    }

    /// What counts statements.
    pub(crate) const fn counter(&self) -> Option<&Counter> {
        match self {
            Self::Server { counter, .. } => counter.as_ref(),
            Self::Files(_) | Self::Memory => None,
        }
    }

    /// Processor seconds the server has used; none without one.
    pub(crate) fn cpu_seconds(&self) -> Result<f64> {
        match self {
            Self::Files(_) | Self::Memory => Ok(0.0),
            Self::Server { server, .. } => measure::cpu_seconds_of_all(listener(server.port())?),
        }
    }

    /// Bytes of each table with its indexes, by `<service>.<table>`.
    pub(crate) async fn tables(&self) -> Result<BTreeMap<String, u64>> {
        match self {
            Self::Memory => Ok(BTreeMap::new()),
            Self::Files(folder) => {
                let folder = folder.clone();
                tokio::task::spawn_blocking(move || of_files(&folder)).await?
            }
            Self::Server { server, roles, .. } => {
                let superuser = roles.superuser.as_str();
                of_server(&server.psql_at(superuser, SIZES).await?)
            }
        }
    }
}

const SIZES: &str = "SELECT n.nspname || '.' || c.relname, pg_total_relation_size(c.oid) \
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema')";

fn of_server(text: &str) -> Result<BTreeMap<String, u64>> {
    let rows = text.lines().map(|line| {
        let (name, bytes) = line.split_once('|').context("no size")?;
        Ok((name.to_owned(), bytes.parse()?))
    });
    rows.collect()
}

fn of_files(folder: &Path) -> Result<BTreeMap<String, u64>> {
    let mut tables = BTreeMap::new();
    for file in std::fs::read_dir(folder)? {
        let path = file?.path();
        if path.extension().is_none_or(|extension| extension != "db") {
            continue;
        }
        let service = path.file_stem().unwrap_or_default().to_string_lossy();
        let connection = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let mut sizes = connection.prepare(
            "SELECT m.tbl_name, SUM(s.pgsize) FROM dbstat s JOIN sqlite_schema m \
             ON m.name = s.name GROUP BY m.tbl_name",
        )?;
        let mut rows = sizes.query([])?;
        while let Some(row) = rows.next()? {
            let (table, bytes): (String, i64) = (row.get(0)?, row.get(1)?);
            tables.insert(format!("{service}.{table}"), u64::try_from(bytes)?);
        }
    }
    Ok(tables)
}

/// What the processes of a bus and of a database have used together, in processor seconds.
pub(crate) fn servers_cpu(bus: &server::Server, database: &Database) -> Result<f64> {
    Ok(bus.cpu_seconds()? + database.cpu_seconds()?)
}
