//! Messages of all channels share commits.

use std::sync::Arc;

use nexus_service_kit::Deps;
use nexus_store::Store;
use tokio::sync::{mpsc, oneshot};

use crate::error::Error;
use crate::fact::Recorded;
use crate::{metrics, write};

struct Job {
    messages: Vec<Recorded>,
    reply: oneshot::Sender<Result<(), Arc<Error>>>,
}

/// Hands messages to the writer. Cheap to clone.
#[derive(Clone)]
pub struct Intake {
    queue: mpsc::Sender<Job>,
}

impl Intake {
    /// Records messages; returns once they are committed.
    ///
    /// # Errors
    /// What the database said; `None` when the recorder is stopping.
    pub async fn record(&self, messages: Vec<Recorded>) -> Result<(), Option<Arc<Error>>> {
        let (reply, answer) = oneshot::channel();
        self.queue
            .send(Job { messages, reply })
            .await
            .map_err(|_closed| None)?;
        match answer.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Some(error)),
            Err(_closed) => Err(None),
        }
    }
}

/// Starts the writer as a task of the node; at most `most` messages share a commit.
#[must_use]
pub fn start(deps: &Deps, store: Store, most: usize) -> Intake {
    let (queue, jobs) = mpsc::channel(256);
    deps.tasks.spawn("recorder.writer", run(store, jobs, most));
    Intake { queue }
}

async fn run(store: Store, mut jobs: mpsc::Receiver<Job>, most: usize) {
    while let Some(first) = jobs.recv().await {
        let mut messages = first.messages;
        let mut replies = vec![first.reply];
        while messages.len() < most {
            let Ok(job) = jobs.try_recv() else { break };
            messages.extend(job.messages);
            replies.push(job.reply);
        }
        let written = write::write(&store, &messages).await.map_err(Arc::new);
        if written.is_ok() {
            metrics::archived(messages.len());
        }
        for reply in replies {
            // A loop that is gone has given its deliveries back; they come again.
            let _gone = reply.send(written.clone());
        }
    }
}
