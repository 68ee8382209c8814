//! A body, counted as it is sent and as it is unpacked.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_compression::tokio::bufread::{BrotliDecoder, GzipDecoder, ZlibDecoder};
use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt as _};
use reqwest::Response;
use reqwest::header::{CONTENT_ENCODING, HeaderMap};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};
use tokio_util::io::StreamReader;

use super::Limits;
use crate::error::Error;
use crate::guard::Target;
use crate::text::shown;

/// Unpacked bytes taken at a time.
const STEP: usize = 16 * 1024;

enum Packing {
    None,
    Gzip,
    Deflate,
    Brotli,
}

/// What was read, and whether it was all.
enum Read {
    Whole(Bytes),
    Cut(Bytes),
}

/// Reads a body that must fit.
pub(super) async fn read(
    target: &Target,
    response: Response,
    limits: &Limits,
) -> Result<Bytes, Error> {
    let packed_limit = u64::try_from(limits.packed_bytes).unwrap_or(u64::MAX);
    if response
        .content_length()
        .is_some_and(|length| length > packed_limit)
    {
        return Err(too_large(target, "body as sent", limits.packed_bytes));
    }
    match read_some(target, response, limits).await? {
        Read::Whole(body) => Ok(body),
        Read::Cut(_) => Err(too_large(target, "body unpacked", limits.body_bytes)),
    }
}

/// Reads the beginning of a body.
pub(super) async fn read_head(
    target: &Target,
    response: Response,
    limits: &Limits,
) -> Result<Bytes, Error> {
    match read_some(target, response, limits).await? {
        Read::Whole(body) | Read::Cut(body) => Ok(body),
    }
}

async fn read_some(target: &Target, response: Response, limits: &Limits) -> Result<Read, Error> {
    let packing = packing(response.headers()).map_err(|found| Error::ContentEncoding {
        url: shown(target.url().as_str()),
        found: shown(&found),
    })?;
    let over = Arc::new(AtomicBool::new(false));
    let sent = counted(response, limits.packed_bytes, Arc::clone(&over));
    let mut sent = BufReader::new(StreamReader::new(Box::pin(sent)));
    // The answer to HEAD says how its body would be packed, and has none.
    let first = sent.fill_buf().await.map(<[u8]>::is_empty);
    if let Ok(true) = first {
        return Ok(Read::Whole(Bytes::new()));
    }
    let unpacked: Box<dyn AsyncRead + Send + Unpin> = match packing {
        Packing::None => Box::new(sent),
        Packing::Gzip => {
            let mut decoder = GzipDecoder::new(sent);
            decoder.multiple_members(true);
            Box::new(decoder)
        }
        Packing::Deflate => Box::new(ZlibDecoder::new(sent)),
        Packing::Brotli => Box::new(BrotliDecoder::new(sent)),
    };
    let read = match first {
        Ok(_) => take(unpacked, limits.body_bytes).await,
        Err(error) => Err(error),
    };
    if over.load(Ordering::Relaxed) {
        return match (packing, read) {
            // What was sent is what is read.
            (Packing::None, Ok(Read::Cut(body))) => Ok(Read::Cut(body)),
            _ => Err(too_large(target, "body as sent", limits.packed_bytes)),
        };
    }
    read.map_err(|error| Error::BadResponse {
        host: shown(target.host()),
        reason: shown(&format!("its body breaks off or is garbled: {error}")),
    })
}

/// The body as it is sent, ended with an error when it is too long.
fn counted(
    response: Response,
    limit: usize,
    over: Arc<AtomicBool>,
) -> impl Stream<Item = io::Result<Bytes>> {
    let mut count = 0_usize;
    response.bytes_stream().map(move |chunk| {
        let chunk = chunk.map_err(|error| io::Error::other(error.without_url()))?;
        count = count.saturating_add(chunk.len());
        if count > limit {
            over.store(true, Ordering::Relaxed);
            return Err(io::Error::other("longer than is read"));
        }
        Ok(chunk)
    })
}

async fn take(mut body: Box<dyn AsyncRead + Send + Unpin>, limit: usize) -> io::Result<Read> {
    let mut taken = BytesMut::new();
    loop {
        taken.reserve(STEP);
        let read = (&mut body).take(STEP as u64).read_buf(&mut taken).await?;
        if read == 0 {
            return Ok(Read::Whole(taken.freeze()));
        }
        if taken.len() > limit {
            taken.truncate(limit);
            return Ok(Read::Cut(taken.freeze()));
        }
    }
}

/// How a body is packed. One packing in another is refused: nobody needs it, and a few hundred
/// bytes packed twice unpack to gigabytes.
fn packing(headers: &HeaderMap) -> Result<Packing, String> {
    let mut found = Vec::new();
    for value in headers.get_all(CONTENT_ENCODING) {
        let text = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
        found.extend(text.split(',').map(|one| one.trim().to_owned()));
    }
    found.retain(|one| !one.is_empty() && one != "identity");
    match found.as_slice() {
        [] => Ok(Packing::None),
        [one] => match one.as_str() {
            "gzip" | "x-gzip" => Ok(Packing::Gzip),
            "deflate" => Ok(Packing::Deflate),
            "br" => Ok(Packing::Brotli),
            _ => Err(one.clone()),
        },
        several => Err(several.join(", ")),
    }
}

fn too_large(target: &Target, what: &'static str, limit: usize) -> Error {
    Error::TooLarge {
        url: shown(target.url().as_str()),
        what,
        limit,
    }
}
