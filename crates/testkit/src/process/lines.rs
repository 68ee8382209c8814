//! What a child wrote, line by line.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Which of a child's outputs a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

#[derive(Clone, Default)]
pub(super) struct Lines {
    read: Arc<Mutex<Vec<(Stream, String)>>>,
    /// One clone per pipe that is still being read.
    open: Arc<()>,
}

impl Lines {
    pub(super) fn collect(&self, stream: Stream, pipe: impl Read + Send + 'static) {
        let (lines, open) = (Arc::clone(&self.read), Arc::clone(&self.open));
        std::thread::spawn(move || {
            let mut pipe = BufReader::new(pipe);
            let mut line = Vec::new();
            while matches!(pipe.read_until(b'\n', &mut line), Ok(read) if read > 0) {
                let text = String::from_utf8_lossy(&line)
                    .trim_end_matches(['\r', '\n'])
                    .to_owned();
                lines
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push((stream, text));
                line.clear();
            }
            drop(open);
        });
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Vec<(Stream, String)>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether everything that was written has been read.
    pub(super) fn are_complete(&self) -> bool {
        Arc::strong_count(&self.open) == 1
    }

    pub(super) fn of(&self, stream: Stream) -> Vec<String> {
        let lines = self.lock();
        lines
            .iter()
            .filter(|(from, _)| *from == stream)
            .map(|(_, line)| line.clone())
            .collect()
    }
}
