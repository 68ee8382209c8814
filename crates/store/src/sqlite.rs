//! `SQLite` through rusqlite: a whole list of statements at a time, on a thread for blocking work
//! unless they are few.

mod perform;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::StoreError;
use crate::error::DatabaseError;
use crate::session::{Reach, Reply, Step, Then};

use perform::{begin_now, perform};

/// Makes another connection.
type Open = Box<dyn Fn() -> Result<Connection, rusqlite::Error> + Send + Sync>;

/// Most statements a brief transaction runs where they are asked. Some 5 µs each, where waking a
/// thread and being woken by it takes 20 to 60.
const FEW: u64 = 64;

/// Connections to one database, in use by one caller each, given out in order of arrival. Cheap to
/// clone.
#[derive(Clone)]
pub(crate) struct SqlitePool(Arc<Inner>);

struct Inner {
    open: Open,
    most: usize,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
    manner: Manner,
}

/// How the connections of a pool are used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    /// What begins a transaction.
    pub(crate) begin: &'static str,
    /// How long a caller waits for its turn before it hears "busy".
    pub(crate) patience: Duration,
    /// Whether a commit waits for the disk, which nobody may do where he is asked.
    pub(crate) syncs: bool,
}

impl SqlitePool {
    /// At most `most` connections, made when they are needed.
    pub(crate) fn new(
        most: usize,
        manner: Manner,
        open: impl Fn() -> Result<Connection, rusqlite::Error> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Inner {
            open: Box::new(open),
            most,
            permits: Arc::new(Semaphore::new(most)),
            idle: Mutex::default(),
            manner,
        }))
    }

    /// Waits for a connection.
    pub(crate) async fn lease(&self) -> Result<Lease, StoreError> {
        let (permit, patience) = (Arc::clone(&self.0.permits), self.0.manner.patience);
        let permit = match tokio::time::timeout(patience, permit.acquire_owned()).await {
            Ok(Ok(permit)) => permit,
            Ok(Err(_closed)) => return Err(StoreError::Closed),
            Err(_) => {
                let reason = format!("nobody gave it back for {patience:?}");
                return Err(StoreError::Busy(DatabaseError::new(reason)));
            }
        };
        let idle = self.idle().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => {
                let inner = Arc::clone(&self.0);
                blocking(move || (inner.open)()).await??
            }
        };
        Ok(Lease(Some(Held {
            connection: Some(connection),
            pool: self.clone(),
            _permit: permit,
        })))
    }

    /// A transaction, begun by its first statement.
    pub(crate) async fn session(&self, reach: Reach) -> Result<SqliteSession, StoreError> {
        let Manner {
            begin,
            syncs,
            patience,
        } = self.0.manner;
        Ok(SqliteSession {
            patience,
            lease: self.lease().await?,
            begin: Some(begin),
            brief: reach == Reach::Few && !syncs,
        })
    }

    /// Closes all connections once they are free.
    pub(crate) async fn close(&self) {
        let all = u32::try_from(self.0.most).unwrap_or(u32::MAX);
        // Closed already: somebody else waits for them.
        let Ok(_all) = self.0.permits.acquire_many(all).await else {
            return;
        };
        self.0.permits.close();
        let connections = std::mem::take(&mut *self.idle());
        // The last one writes the log back. A runtime that ends closes them too.
        drop(blocking(move || drop(connections)).await);
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StoreError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| StoreError::Unavailable(DatabaseError::of(error)))
}

/// A connection in use by one caller. Given back when dropped.
pub(crate) struct Lease(Option<Held>);

struct Held {
    connection: Option<Connection>,
    pool: SqlitePool,
    _permit: OwnedSemaphorePermit,
}

impl Held {
    fn call<T>(
        &mut self,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let connection = self.connection.as_mut().ok_or(StoreError::Closed)?;
        work(connection)
    }
}

impl Lease {
    /// Runs something on the connection, on a thread for blocking work. It runs to its end, even
    /// when nobody waits any more; then the connection is given back.
    pub(crate) async fn call<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let mut held = self.0.take().ok_or(StoreError::Closed)?;
        let worked = blocking(move || {
            let done = held.call(work);
            (held, done)
        });
        let (held, done) = worked.await?;
        self.0 = Some(held);
        done
    }

    fn call_here<T>(
        &mut self,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.0.as_mut().ok_or(StoreError::Closed)?.call(work)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else {
            return;
        };
        if !connection.is_autocommit()
            && let Err(error) = connection.execute_batch("ROLLBACK")
        {
            // Whoever is next gets another connection.
            tracing::warn!(%error, "a transaction could not be rolled back");
            return;
        }
        self.pool.idle().push(connection);
    }
}

/// A transaction. Dropping it rolls it back.
pub(crate) struct SqliteSession {
    lease: Lease,
    /// How it begins, until it has.
    begin: Option<&'static str>,
    /// Few statements at a time run where they are asked.
    brief: bool,
    /// How long it waits for another process that writes.
    patience: Duration,
}

impl SqliteSession {
    pub(crate) async fn run(&mut self, steps: Vec<Step>) -> Result<Vec<Reply>, StoreError> {
        self.perform(steps, Then::Stay).await
    }

    pub(crate) async fn commit(mut self, steps: Vec<Step>) -> Result<(), StoreError> {
        if self.begin.is_some() && steps.is_empty() {
            return Ok(());
        }
        self.perform(steps, Then::Commit).await.map(drop)
    }

    async fn perform(&mut self, steps: Vec<Step>, then: Then) -> Result<Vec<Reply>, StoreError> {
        let few = self.brief && steps.iter().map(statements).sum::<u64>() <= FEW;
        let mut begin = self.begin.take();
        let here = match begin {
            Some(text) if few => {
                let patience = self.patience;
                self.lease
                    .call_here(|connection| begin_now(connection, text, patience))?
            }
            _ => few,
        };
        if here {
            begin = None;
        }
        let work = move |connection: &mut Connection| perform(connection, begin, steps, then);
        if here {
            return self.lease.call_here(work);
        }
        self.lease.call(work).await
    }
}

/// How many statements a step is.
fn statements(step: &Step) -> u64 {
    match step {
        Step::Rows(rows) => rows.count(),
        Step::Query { .. } | Step::Execute { .. } => 1,
        Step::Script(_) => FEW + 1,
    }
}
