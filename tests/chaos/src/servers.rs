//! The bus and the database a run stands on.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nexus_testkit::loss::{StreamLoss, flush_redis, lose_streams, truncate_aof};
use nexus_testkit::{NatsServer, PgServer, RedisServer};

use crate::config::{BusKind, DbKind};

/// The bus.
pub enum BusServer {
    /// A redis-server.
    Redis(RedisServer),
    /// A nats-server.
    Nats(NatsServer),
    /// A file.
    Embedded(PathBuf),
}

impl BusServer {
    /// Starts it; a file goes into `folder`.
    ///
    /// # Errors
    /// When the server is missing or does not start.
    pub async fn start(kind: BusKind, folder: &Path) -> Result<Self> {
        Ok(match kind {
            BusKind::Redis => Self::Redis(nexus_testkit::redis().await?),
            BusKind::Nats => Self::Nats(nexus_testkit::nats().await?),
            BusKind::Embedded => Self::Embedded(folder.join("bus.db")),
        })
    }

    /// The port of a server.
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        match self {
            Self::Redis(server) => Some(server.port()),
            Self::Nats(server) => Some(server.port()),
            Self::Embedded(_) => None,
        }
    }

    /// Its address, or that of a proxy before it.
    #[must_use]
    pub fn url_at(&self, port: Option<u16>) -> String {
        let port = port.or_else(|| self.port()).unwrap_or_default();
        match self {
            Self::Redis(_) => format!("redis://127.0.0.1:{port}"),
            Self::Nats(_) => format!("nats://127.0.0.1:{port}"),
            Self::Embedded(path) => format!("embedded:{}", path.display()),
        }
    }

    /// Where somebody reads who is no worker: a file is opened beside its owner.
    #[must_use]
    pub fn url_to_read(&self) -> String {
        let url = self.url_at(None);
        match self {
            Self::Embedded(_) => format!("{url}?mode=ro"),
            Self::Redis(_) | Self::Nats(_) => url,
        }
    }

    /// SIGKILL, and with `cut` the end of what it wrote is cut off (Redis alone).
    ///
    /// # Errors
    /// When it is not running, or is a file.
    pub async fn kill(&mut self, cut: Option<u64>) -> Result<()> {
        match self {
            Self::Redis(server) => {
                server.kill().await?;
                if let Some(bytes) = cut {
                    truncate_aof(server.dir(), bytes)?;
                }
                Ok(())
            }
            Self::Nats(server) => server.kill().await,
            Self::Embedded(_) => bail!("a file cannot be killed"),
        }
    }

    /// Starts it again with what it has.
    ///
    /// # Errors
    /// When it does not start, or is a file.
    pub async fn revive(&mut self) -> Result<()> {
        match self {
            Self::Redis(server) => server.start().await,
            Self::Nats(server) => server.start().await,
            Self::Embedded(_) => bail!("a file needs no start"),
        }
    }

    /// Loses everything. A file must have no owner.
    ///
    /// # Errors
    /// When the server refuses, or the file cannot be removed.
    pub async fn wipe(&mut self) -> Result<()> {
        match self {
            Self::Redis(server) => flush_redis(server.port()).await,
            // With its store gone, as after the loss of a disk.
            Self::Nats(server) => {
                server.kill().await?;
                std::fs::remove_dir_all(server.dir().join("jetstream"))
                    .context("remove the store of NATS")?;
                server.start().await
            }
            Self::Embedded(path) => {
                for ending in ["", "-wal", "-shm"] {
                    let mut file = path.clone().into_os_string();
                    file.push(ending);
                    match std::fs::remove_file(&file) {
                        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                            return Err(error).context("remove the file of the bus");
                        }
                        _ => {}
                    }
                }
                Ok(())
            }
        }
    }

    /// Loses what is in its streams, or the streams too, while it runs (NATS alone).
    ///
    /// # Errors
    /// When the server refuses, or is none.
    pub async fn lose(&mut self, loss: StreamLoss) -> Result<()> {
        match self {
            Self::Nats(server) => lose_streams(server.port(), loss).await.map(drop),
            Self::Redis(_) | Self::Embedded(_) => bail!("only NATS has streams to lose"),
        }
    }
}

/// The database.
pub enum Database {
    /// Files in this folder.
    Sqlite(PathBuf),
    /// A server, and the database's address as the workers know it.
    Postgres {
        /// The server.
        server: PgServer,
        /// The database.
        url: String,
    },
}

impl Database {
    /// Starts it; files go into `folder`.
    ///
    /// # Errors
    /// When the server is missing or does not start.
    pub async fn start(kind: DbKind, folder: &Path) -> Result<Self> {
        Ok(match kind {
            DbKind::Sqlite => Self::Sqlite(folder.join("data")),
            DbKind::Postgres => {
                let server = nexus_testkit::postgres().await?;
                let url = server.fresh_database().await?;
                Self::Postgres { server, url }
            }
        })
    }

    /// The port of a server.
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        match self {
            Self::Sqlite(_) => None,
            Self::Postgres { server, .. } => Some(server.port()),
        }
    }

    /// Its address, or that of a proxy before it.
    #[must_use]
    pub fn url_at(&self, port: Option<u16>) -> String {
        match self {
            Self::Sqlite(folder) => format!("sqlite:{}", folder.display()),
            Self::Postgres { server, url } => {
                let port = port.unwrap_or_else(|| server.port());
                url.replace(
                    &format!("127.0.0.1:{}/", server.port()),
                    &format!("127.0.0.1:{port}/"),
                )
            }
        }
    }

    /// Has the server note every change of a conversation that does not raise its version, from now
    /// on. Files have one writer, who cannot be late.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn watch_versions(&self) -> Result<()> {
        const NOTE: &str = "\
            CREATE TABLE public.overwritten (conversation TEXT, was BIGINT, became BIGINT); \
            CREATE FUNCTION public.note_overwritten() RETURNS trigger LANGUAGE plpgsql \
            SECURITY DEFINER AS $$ BEGIN \
            INSERT INTO public.overwritten VALUES (NEW.id, OLD.version, NEW.version); \
            RETURN NEW; END $$; \
            CREATE TRIGGER note_overwritten BEFORE UPDATE ON conversation FOR EACH ROW \
            WHEN (NEW.version <= OLD.version) EXECUTE FUNCTION public.note_overwritten()";
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres { .. } => self.rows("orchestrator", NOTE).await.map(drop),
        }
    }

    /// What was noted: conversation, version before and after.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn overwritten(&self) -> Result<Vec<Vec<String>>> {
        match self {
            Self::Sqlite(_) => Ok(Vec::new()),
            Self::Postgres { .. } => {
                let sql = "SELECT conversation, was, became FROM public.overwritten";
                self.rows("orchestrator", sql).await
            }
        }
    }

    /// Stops it at once, as `pg_ctl stop -m immediate` does.
    ///
    /// # Errors
    /// When it is not running, or is a file.
    pub async fn stop(&mut self) -> Result<()> {
        match self {
            Self::Postgres { server, .. } => server.kill().await,
            Self::Sqlite(_) => bail!("a file cannot be stopped"),
        }
    }

    /// Starts it again; it recovers from its log.
    ///
    /// # Errors
    /// When it does not start, or is a file.
    pub async fn revive(&mut self) -> Result<()> {
        match self {
            Self::Postgres { server, .. } => server.start().await,
            Self::Sqlite(_) => bail!("a file needs no start"),
        }
    }

    /// The rows of a query on the tables of a service, every column as text without `|`.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn rows(&self, service: &str, sql: &str) -> Result<Vec<Vec<String>>> {
        match self {
            Self::Sqlite(folder) => {
                let (file, sql) = (folder.join(format!("{service}.db")), sql.to_owned());
                tokio::task::spawn_blocking(move || read_file(&file, &sql)).await?
            }
            Self::Postgres { server, url } => {
                // As the superuser, whom row-level security hides nothing from.
                let (_, database) = url.rsplit_once('/').context("a database's address")?;
                let superuser =
                    format!("postgres://postgres@127.0.0.1:{}/{database}", server.port());
                let schema = service.replace('-', "_");
                let sql = format!("SET search_path TO nexus_{schema}; {sql}");
                let printed = server.psql_at(&superuser, &sql).await?;
                let split = |line: &str| line.split('|').map(str::to_owned).collect();
                Ok(printed.lines().map(split).collect())
            }
        }
    }
}

fn read_file(file: &Path, sql: &str) -> Result<Vec<Vec<String>>> {
    use rusqlite::types::ValueRef;
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let database = rusqlite::Connection::open_with_flags(file, flags)
        .with_context(|| file.display().to_string())?;
    let mut statement = database.prepare(sql)?;
    let columns = statement.column_count();
    let mut found = Vec::new();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let column = |at| {
            Ok(match row.get_ref(at)? {
                ValueRef::Null => String::new(),
                ValueRef::Integer(number) => number.to_string(),
                ValueRef::Real(number) => number.to_string(),
                ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
                ValueRef::Blob(bytes) => hex::encode(bytes),
            })
        };
        found.push((0..columns).map(column).collect::<Result<_>>()?);
    }
    Ok(found)
}
