//! Makes text away from the run time's own threads, within a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::pdf::PdfWorker;
use super::{Kind, Page, PageLimits, plain, read, unreadable};
use crate::error::Error;
use crate::fetch::Fetched;

/// Documents made into text at a time. One that does not come to an end keeps its place, and so
/// no more than these can be lost to it.
const AT_A_TIME: usize = 4;

/// Makes text of documents: cheap to clone.
#[derive(Clone, Debug)]
pub struct Reader {
    limits: PageLimits,
    pdf: Option<PdfWorker>,
    places: Arc<Semaphore>,
}

impl Reader {
    /// A reader that reads PDFs only where there is a worker for them.
    #[must_use]
    pub fn new(limits: PageLimits, pdf: Option<PdfWorker>) -> Self {
        Self {
            limits,
            pdf,
            places: Arc::new(Semaphore::new(AT_A_TIME)),
        }
    }

    /// Makes text of a document.
    ///
    /// # Errors
    ///
    /// [`Error::Unreadable`], also when it takes too long, and [`Error::ContentType`].
    pub async fn read(&self, document: Fetched) -> Result<Page, Error> {
        let url = document.url.clone();
        let deadline = Instant::now() + self.limits.time;
        let too_long = |_elapsed| unreadable(&url, "making text of it takes too long");
        let place = timeout_at(deadline, Arc::clone(&self.places).acquire_owned()).await;
        let place = place.map_err(too_long)?;
        let place = place.map_err(|_closed| Error::Setup("the reader is closed".to_owned()))?;
        if Kind::of(&document) == Kind::Pdf {
            let worker = self
                .pdf
                .as_ref()
                .ok_or_else(|| unreadable(&url, "PDFs are not read here"))?;
            let text = worker.read(&url, document.body).await?;
            return Ok(plain(&url, Kind::Pdf, &text, &self.limits));
        }
        let given_up = StopOnDrop(Arc::new(AtomicBool::new(false)));
        let stop = Arc::clone(&given_up.0);
        let limits = self.limits.clone();
        let work = tokio::task::spawn_blocking(move || {
            let _place = place;
            let stop = || stop.load(Ordering::Relaxed) || Instant::now() >= deadline;
            read(&document, &limits, &stop)
        });
        match timeout_at(deadline, work).await {
            Ok(Ok(read)) => read,
            Ok(Err(_panicked)) => Err(unreadable(&url, "its text cannot be made out")),
            Err(elapsed) => Err(too_long(elapsed)),
        }
    }
}

/// Ends work nobody waits for any more.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
