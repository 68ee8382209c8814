//! The last lines of a program's standard error, for people.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::text;

/// Lines kept.
const LINES: usize = 40;
/// Longest line, in bytes; the rest of it is dropped.
const LONGEST: usize = 400;

/// Shared between who reads the pipe and who shows it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tail(Arc<Mutex<VecDeque<String>>>);

impl Tail {
    /// Reads until the pipe closes, keeping the last lines and never more than one line besides.
    pub(crate) async fn follow(self, mut from: impl AsyncRead + Unpin, secrets: Vec<String>) {
        let mut chunk = [0_u8; 4096];
        let mut line = Vec::new();
        loop {
            let read = from.read(&mut chunk).await.unwrap_or(0);
            for byte in chunk.iter().take(read) {
                if *byte == b'\n' {
                    self.push(&line, &secrets);
                    line.clear();
                } else if line.len() < LONGEST {
                    line.push(*byte);
                }
            }
            if read == 0 {
                self.push(&line, &secrets);
                return;
            }
        }
    }

    fn push(&self, line: &[u8], secrets: &[String]) {
        let line = text::scrub(&String::from_utf8_lossy(line), secrets);
        let line = text::line(&line, LONGEST);
        if line.trim().is_empty() {
            return;
        }
        let mut lines = self.0.lock();
        if lines.len() == LINES {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_lines_are_kept_short_clean_and_without_secrets() {
        let tail = Tail::default();
        let mut text = (0..100)
            .map(|n| format!("line {n}\n"))
            .collect::<String>()
            .into_bytes();
        text.extend(b"token sk-12345 \x1b[31m\xff\x00end\n");
        text.extend(vec![b'x'; 100_000]);
        tail.clone()
            .follow(text.as_slice(), vec!["sk-12345".to_owned()])
            .await;
        let lines = tail.lines();
        assert_eq!(lines.len(), LINES);
        assert_eq!(lines[LINES - 2], "token [secret] \u{fffd}end");
        assert_eq!(lines[LINES - 1].len(), LONGEST);
        assert!(lines[0].starts_with("line "));
    }
}
