//! What a process writes to a pipe, up to a cap.

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::{job::Stream, text::harmless_within};

/// More than the cap came.
#[derive(Debug)]
pub(crate) struct Exceeded;

/// One pipe and what came out of it.
#[derive(Debug)]
pub(crate) struct Capture<R> {
    pipe: Option<R>,
    bytes: Vec<u8>,
    cap: usize,
    exceeded: bool,
}

impl<R: AsyncRead + Unpin> Capture<R> {
    pub(crate) const fn new(pipe: Option<R>, cap: usize) -> Self {
        Self {
            pipe,
            bytes: Vec::new(),
            cap,
            exceeded: false,
        }
    }

    /// Reads until the end, or until more than the cap came. May be dropped and called again at any time.
    pub(crate) async fn fill(&mut self) -> Result<(), Exceeded> {
        let mut chunk = vec![0_u8; 16 << 10];
        while self.pipe.is_some() {
            self.step(&mut chunk).await;
            if self.exceeded {
                return Err(Exceeded);
            }
        }
        Ok(())
    }

    /// Reads, keeping no more than the cap, until every holder of the other end is gone.
    pub(crate) async fn drain(&mut self) {
        let mut chunk = vec![0_u8; 16 << 10];
        while self.pipe.is_some() {
            self.step(&mut chunk).await;
        }
    }

    async fn step(&mut self, chunk: &mut [u8]) {
        let Some(pipe) = &mut self.pipe else { return };
        match pipe.read(chunk).await {
            Ok(0) | Err(_) => self.pipe = None,
            Ok(got) => {
                let room = self.cap.saturating_sub(self.bytes.len()).min(got);
                self.bytes.extend(chunk.iter().take(room));
                self.exceeded |= room < got;
            }
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn into_stream(self) -> Stream {
        // Escapes are longer than what they stand for: the text is capped again.
        let (text, cut) = harmless_within(&self.bytes, self.cap);
        Stream {
            text,
            truncated: cut || self.exceeded,
        }
    }
}
