//! Messages over a program's standard input and output: one line each, none longer than the limit.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::StreamExt;
use rmcp::model::{ClientJsonRpcMessage, JsonRpcMessage, ServerJsonRpcMessage};
use rmcp::service::RoleClient;
use rmcp::transport::Transport;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::Mutex;
use tokio_util::codec::{FramedRead, LinesCodec, LinesCodecError};

use crate::server::fault::Fault;

/// Lines that are no message and are overlooked: some programs greet on their standard output.
const MOST_STRAY: usize = 32;
/// Requests of the server that wait for our answer: more, and it is asking to exhaust us.
const MOST_ASKED: usize = 32;

type Reader = Box<dyn AsyncRead + Send + Unpin>;
type Writer = Box<dyn AsyncWrite + Send + Unpin>;

/// The two pipes of a server.
pub(crate) struct Pipes {
    lines: FramedRead<Reader, LinesCodec>,
    writer: Arc<Mutex<Option<Writer>>>,
    asked: Arc<AtomicUsize>,
    stray: usize,
    fault: Fault,
}

impl Pipes {
    pub(crate) fn new(reader: Reader, writer: Writer, most: usize, fault: Fault) -> Self {
        Self {
            lines: FramedRead::new(reader, LinesCodec::new_with_max_length(most)),
            writer: Arc::new(Mutex::new(Some(writer))),
            asked: Arc::default(),
            stray: 0,
            fault,
        }
    }

    fn read(&mut self, line: Result<String, LinesCodecError>) -> Step {
        let line = match line {
            Ok(line) => line,
            Err(LinesCodecError::MaxLineLengthExceeded) => {
                return self.end("sent a message larger than `limits.message_bytes`");
            }
            Err(LinesCodecError::Io(error)) if error.kind() == io::ErrorKind::InvalidData => {
                return self.end("sent bytes that are not UTF-8");
            }
            Err(LinesCodecError::Io(_)) => return self.end("its output could not be read"),
        };
        if line.trim().is_empty() {
            return Step::Next;
        }
        let Ok(message) = serde_json::from_str::<ServerJsonRpcMessage>(&line) else {
            self.stray += 1;
            if self.stray > MOST_STRAY {
                return self.end("its output is not the protocol's: too many lines are no message");
            }
            return Step::Next;
        };
        if matches!(message, JsonRpcMessage::Request(_))
            && self.asked.fetch_add(1, Ordering::Relaxed) >= MOST_ASKED
        {
            return self.end("asks more at once than is answered");
        }
        Step::Message(Box::new(message))
    }

    fn end(&self, reason: &str) -> Step {
        self.fault.set(reason);
        Step::End
    }
}

enum Step {
    Message(Box<ServerJsonRpcMessage>),
    Next,
    End,
}

impl Transport<RoleClient> for Pipes {
    type Error = io::Error;

    fn send(
        &mut self,
        message: ClientJsonRpcMessage,
    ) -> impl Future<Output = Result<(), io::Error>> + Send + 'static {
        let writer = Arc::clone(&self.writer);
        let asked = Arc::clone(&self.asked);
        async move {
            let answers = matches!(
                message,
                JsonRpcMessage::Response(_) | JsonRpcMessage::Error(_)
            );
            let mut line = serde_json::to_vec(&message)?;
            line.push(b'\n');
            let mut writer = writer.lock().await;
            let pipe = writer.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
            pipe.write_all(&line).await?;
            pipe.flush().await?;
            if answers {
                // The count never falls below the requests read: each has one answer.
                let _ =
                    asked.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
            }
            Ok(())
        }
    }

    async fn receive(&mut self) -> Option<ServerJsonRpcMessage> {
        loop {
            let line = self.lines.next().await?;
            match self.read(line) {
                Step::Message(message) => return Some(*message),
                Step::Next => {}
                Step::End => return None,
            }
        }
    }

    /// Closes the program's input: by the protocol, that asks it to end.
    async fn close(&mut self) -> Result<(), io::Error> {
        // A program that does not read may hold a write for ever; its end closes the pipe too.
        if let Ok(mut writer) = self.writer.try_lock() {
            *writer = None;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    async fn outcome(bytes: Vec<u8>, most: usize) -> (usize, Option<String>) {
        let fault = Fault::default();
        let reader: Reader = Box::new(io::Cursor::new(bytes));
        let mut pipes = Pipes::new(reader, Box::new(tokio::io::sink()), most, fault.clone());
        let mut messages = 0;
        while pipes.receive().await.is_some() {
            messages += 1;
        }
        (messages, fault.get())
    }

    #[tokio::test]
    async fn messages_pass_between_stray_lines() {
        let text = "hello\n\n{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\nbye\n";
        assert_eq!(outcome(text.into(), 1000).await, (1, None));
    }

    #[tokio::test]
    async fn an_endless_line_ends_the_connection_without_being_kept() {
        let fault = Fault::default();
        let reader: Reader = Box::new(tokio::io::repeat(b'x'));
        let mut pipes = Pipes::new(reader, Box::new(tokio::io::sink()), 10_000, fault.clone());
        assert!(pipes.receive().await.is_none());
        assert!(fault.get().unwrap().contains("message_bytes"));
        assert!(pipes.lines.read_buffer().capacity() < 100_000);
    }

    #[tokio::test]
    async fn garbage_and_floods_of_questions_end_the_connection() {
        let (_, fault) = outcome("garbage\n".repeat(100).into(), 1000).await;
        assert!(fault.unwrap().contains("no message"));
        let ask = "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"roots/list\"}\n".repeat(100);
        let (messages, fault) = outcome(ask.into(), 1000).await;
        assert!(fault.unwrap().contains("asks more"));
        assert_eq!(messages, MOST_ASKED);
        let (_, fault) = outcome(vec![b'{', 0xff, 0xfe, b'\n'], 1000).await;
        assert!(fault.unwrap().contains("UTF-8"));
    }

    proptest! {
        #[test]
        fn no_bytes_break_it(bytes in proptest::collection::vec(any::<u8>(), 0..500)) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(outcome(bytes, 64));
        }
    }
}
