//! Watching a table: its values, `Ready`, then changes; from the values again after any break.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::{self, BoxStream};

use crate::nats::cursor::Cursor;
use crate::nats::link::{Link, Refusal};
use crate::nats::pull::End;
use crate::nats::table::{Change, Table};
use crate::{BusError, TableChange};

/// How long one pull waits for a change.
const WAIT: Duration = Duration::from_secs(10);
/// Pause before a broken watch begins again.
const PAUSE: Duration = Duration::from_millis(200);

/// Changes of a table until the bus is closed.
pub(super) fn watch(link: &Arc<Link>, table: &str) -> BoxStream<'static, TableChange> {
    let watcher = Watcher {
        link: Arc::clone(link),
        table: table.to_owned(),
        open: None,
        queue: VecDeque::new(),
    };
    stream::unfold(watcher, |mut watcher| async move {
        let change = watcher.next().await?;
        Some((change, watcher))
    })
    .boxed()
}

struct Watcher {
    link: Arc<Link>,
    table: String,
    open: Option<(Table, Cursor)>,
    queue: VecDeque<TableChange>,
}

impl Watcher {
    async fn next(&mut self) -> Option<TableChange> {
        loop {
            if let Some(change) = self.queue.pop_front() {
                return Some(change);
            }
            let closed = self.link.closed.clone();
            let filled = tokio::select! {
                biased;
                () = closed.cancelled() => return None,
                filled = self.fill() => filled,
            };
            if let Err(refusal) = filled {
                tracing::debug!(table = %self.table, ?refusal, "a watch begins again");
                self.open = None;
                tokio::select! {
                    () = closed.cancelled() => return None,
                    () = tokio::time::sleep(PAUSE) => {}
                }
            }
        }
    }

    async fn fill(&mut self) -> Result<(), Refusal> {
        let Some((table, cursor)) = &mut self.open else {
            let table = Table::open(&self.link, &self.table).await?;
            let mut cursor = table.cursor().await?;
            let values = table.values(&mut cursor).await?;
            self.queue.extend(values.into_iter().map(TableChange::Put));
            self.queue.push_back(TableChange::Ready);
            self.open = Some((table, cursor));
            return Ok(());
        };
        let pulled = cursor.pull(WAIT).await?;
        let changes = pulled
            .messages
            .into_iter()
            .filter_map(|message| table.change(message));
        self.queue.extend(changes.map(|change| match change {
            Change::Put(value) => TableChange::Put(value),
            Change::Deleted { key, .. } => TableChange::Deleted { key },
        }));
        match pulled.end {
            End::Gone => Err(Refusal::Missing),
            End::Closed => Ok(()),
            End::Busy => Err(BusError::Protocol("two pulls of one cursor".to_owned()).into()),
        }
    }
}
