use std::borrow::Cow;

use monty_types::{ExcType, MontyException, PrintWriterCallback};

/// Bytes held back so that not every `print` is a system call.
const HELD: usize = 4 << 10;

/// Standard output up to a cap. After that every further `print` fails, whoever catches it.
#[derive(Debug)]
pub(crate) struct Output {
    held: Vec<u8>,
    room: usize,
    pub(crate) exceeded: bool,
}

impl Output {
    pub(crate) fn new(cap: u64) -> Self {
        Self {
            held: Vec::with_capacity(HELD),
            room: usize::try_from(cap).unwrap_or(usize::MAX),
            exceeded: false,
        }
    }

    fn push(&mut self, text: &[u8]) -> Result<(), MontyException> {
        let taken = text.len().min(self.room);
        self.room -= taken;
        for part in text.get(..taken).unwrap_or_default().chunks(HELD) {
            self.held.extend_from_slice(part);
            if self.held.len() >= HELD {
                self.flush();
            }
        }
        if taken < text.len() {
            self.exceeded = true;
            let message = "more output than is passed on".to_owned();
            return Err(MontyException::new(ExcType::OSError, Some(message)));
        }
        Ok(())
    }

    /// Passes on what is held. An executor that no longer reads is going to end this process.
    pub(crate) fn flush(&mut self) {
        let mut rest = self.held.as_slice();
        while let Ok(written @ 1..) = rustix::io::write(std::io::stdout(), rest) {
            rest = rest.get(written..).unwrap_or_default();
        }
        self.held.clear();
    }
}

impl PrintWriterCallback for Output {
    fn stdout_write(&mut self, output: Cow<'_, str>) -> Result<(), MontyException> {
        self.push(output.as_bytes())
    }

    fn stdout_push(&mut self, end: char) -> Result<(), MontyException> {
        self.push(end.encode_utf8(&mut [0; 4]).as_bytes())
    }
}
