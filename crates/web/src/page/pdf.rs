//! The text of a PDF, made in a process of its own.
//!
//! A library that reads PDFs cannot be stopped, and a PDF of a few kilobytes can keep it busy for
//! ever or unpack to gigabytes. So it runs in a child process with an empty environment, whose
//! memory and processor time the system limits, which can open no file and no connection, and which
//! is killed when its time is over or nobody waits any more. The child is this program or another
//! one, started with arguments that make it call [`pdf_worker`] and nothing else.

use std::ffi::OsString;
use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use rustix::process::{Resource, Rlimit, setrlimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::time::timeout;
use url::Url;

use super::unreadable;
use crate::error::Error;
use crate::text::head;

/// What the worker may have in memory, in bytes.
const MEMORY: u64 = 512 * 1024 * 1024;
/// Addresses it may reserve; allocators reserve more than they use.
const ADDRESSES: u64 = 8 * 1024 * 1024 * 1024;
/// Its processor time, in seconds.
const PROCESSOR_SECONDS: u64 = 10;
/// The largest PDF it reads, in bytes.
const MAX_PDF_BYTES: u64 = 32 * 1024 * 1024;
/// The longest text it gives, in bytes.
const MAX_TEXT_BYTES: usize = 2 * 1024 * 1024;

/// How the process that reads PDFs is started.
#[derive(Clone, Debug)]
pub struct PdfWorker {
    program: PathBuf,
    arguments: Vec<OsString>,
    time: Duration,
}

impl PdfWorker {
    /// A program that calls [`pdf_worker`] when it is started with these arguments, and is killed
    /// after `time`.
    #[must_use]
    pub const fn new(program: PathBuf, arguments: Vec<OsString>, time: Duration) -> Self {
        Self {
            program,
            arguments,
            time,
        }
    }

    /// The text of a PDF.
    pub(super) async fn read(&self, url: &Url, pdf: Bytes) -> Result<String, Error> {
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| Error::Setup(format!("no process reads PDFs: {error}")))?;
        // Dropped with the child in it when time is over: that kills it.
        let (text, ended) = timeout(self.time, talk(&mut child, pdf))
            .await
            .map_err(|_elapsed| unreadable(url, "reading the PDF takes too long"))?
            .map_err(|error| unreadable(url, &format!("reading the PDF failed: {error}")))?;
        if !ended.success() {
            return Err(unreadable(url, "the PDF is damaged, locked or too complex"));
        }
        let text = String::from_utf8_lossy(&text);
        if text.trim().is_empty() {
            return Err(unreadable(
                url,
                "the PDF holds no text, perhaps only images",
            ));
        }
        Ok(text.into_owned())
    }
}

async fn talk(child: &mut Child, pdf: Bytes) -> io::Result<(Vec<u8>, std::process::ExitStatus)> {
    let (Some(mut input), Some(mut output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(io::Error::other("its pipes are missing"));
    };
    let write = async move {
        // A worker that has died reads nothing; its end says more than this error.
        let _written = input.write_all(&pdf).await;
        let _closed = input.shutdown().await;
    };
    let mut text = Vec::new();
    let limit = u64::try_from(MAX_TEXT_BYTES).unwrap_or(u64::MAX);
    let read = async {
        let mut limited = (&mut output).take(limit);
        limited.read_to_end(&mut text).await
    };
    let ((), read) = tokio::join!(write, read);
    read?;
    drop(output);
    let ended = child.wait().await?;
    Ok((text, ended))
}

/// The whole life of the process that reads a PDF: from standard input, to standard output.
///
/// It limits itself before it reads a byte. It must have a process to itself, and no threads yet.
///
/// # Errors
///
/// When the limits cannot be set, or the PDF cannot be read.
pub fn pdf_worker() -> io::Result<()> {
    for (resource, limit) in [
        (Resource::Data, MEMORY),
        (Resource::As, ADDRESSES),
        (Resource::Cpu, PROCESSOR_SECONDS),
        (Resource::Fsize, 0),
        (Resource::Core, 0),
        // No descriptor beside its three: neither a file nor a connection can be opened.
        (Resource::Nofile, 3),
        // Nor another process begun, where this is not root.
        (Resource::Nproc, 0),
    ] {
        let limit = Rlimit {
            current: Some(limit),
            maximum: Some(limit),
        };
        setrlimit(resource, limit)?;
    }
    let mut pdf = Vec::new();
    let read = io::stdin()
        .lock()
        .take(MAX_PDF_BYTES + 1)
        .read_to_end(&mut pdf)?;
    if u64::try_from(read).unwrap_or(u64::MAX) > MAX_PDF_BYTES {
        return Err(io::Error::other("the PDF is too large"));
    }
    let pages = pdf_extract::extract_text_from_mem_by_pages(&pdf).map_err(io::Error::other)?;
    let mut text = String::new();
    for (page, words) in (1_u32..).zip(pages) {
        let words = words.trim();
        if !words.is_empty() {
            text.push_str(&format!("[page {page}]\n\n{words}\n\n"));
        }
        if text.len() > MAX_TEXT_BYTES {
            break;
        }
    }
    let mut output = io::stdout().lock();
    output.write_all(head(&text, MAX_TEXT_BYTES).as_bytes())?;
    output.flush()
}
