//! One frame: `NXS`, the version, the length as four bytes with the lowest first, then JSON.
//!
//! A reader never takes the sender's word for more than it is ready to hold: a length above the cap ends
//! the conversation before a byte of it is read, and memory grows with what has arrived, not with what was
//! promised. There is no resynchronising: the first wrong byte is the end.

use std::io::{Read, Write};

use serde::{Serialize, de::DeserializeOwned};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::VERSION;

/// Bytes before the JSON.
pub const HEADER: usize = 8;

const MAGIC: [u8; 3] = *b"NXS";

/// Why a frame could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The other side closed before a frame began.
    #[error("the other side said nothing and closed")]
    Silent,
    /// The other side closed within a frame.
    #[error("a frame ended after {got} of {wanted} bytes")]
    Half {
        /// Bytes that came.
        got: usize,
        /// Bytes the frame should have.
        wanted: usize,
    },
    /// The bytes do not begin a frame.
    #[error("these bytes begin no frame")]
    Magic,
    /// The frame is of another version.
    #[error(
        "a frame of version {0}; this program speaks version {VERSION}: both must be of one build"
    )]
    Version(u8),
    /// The frame is larger than the reader takes.
    #[error("a frame of {length} bytes where at most {cap} are taken")]
    Large {
        /// The length it gives.
        length: usize,
        /// The most that is taken.
        cap: usize,
    },
    /// The frame's JSON is not what was expected.
    #[error("a frame that cannot be read: {0}")]
    Content(String),
    /// The descriptor failed.
    #[error("the channel failed: {0}")]
    Io(#[from] std::io::Error),
}

/// The bytes of one frame.
///
/// # Errors
/// [`FrameError::Content`] when the value cannot be JSON, [`FrameError::Large`] above four gibibytes.
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, FrameError> {
    let mut out = vec![0; HEADER];
    serde_json::to_writer(&mut out, value).map_err(|e| FrameError::Content(e.to_string()))?;
    let length = out.len() - HEADER;
    let cap = u32::MAX as usize;
    let short = u32::try_from(length).map_err(|_too_long| FrameError::Large { length, cap })?;
    let header = [&MAGIC[..], &[VERSION], &short.to_le_bytes()].concat();
    for (to, from) in out.iter_mut().zip(header) {
        *to = from;
    }
    Ok(out)
}

/// The length a header gives, if it is one and not above `cap`.
///
/// # Errors
/// [`FrameError::Magic`], [`FrameError::Version`] or [`FrameError::Large`].
pub fn length(header: [u8; HEADER], cap: usize) -> Result<usize, FrameError> {
    let [a, b, c, version, l0, l1, l2, l3] = header;
    if [a, b, c] != MAGIC {
        return Err(FrameError::Magic);
    }
    if version != VERSION {
        return Err(FrameError::Version(version));
    }
    let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
    if length > cap {
        return Err(FrameError::Large { length, cap });
    }
    Ok(length)
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, FrameError> {
    // serde_json refuses more than 128 levels, so hostile nesting cannot use up the stack.
    serde_json::from_slice(bytes).map_err(|e| FrameError::Content(e.to_string()))
}

/// Reads one frame, in the worker.
///
/// # Errors
/// See [`FrameError`].
pub fn read<T: DeserializeOwned>(from: &mut impl Read, cap: usize) -> Result<T, FrameError> {
    let mut head = Vec::with_capacity(HEADER);
    from.by_ref().take(HEADER as u64).read_to_end(&mut head)?;
    let length = length(whole_header(&head)?, cap)?;
    let mut body = Vec::new();
    from.by_ref().take(length as u64).read_to_end(&mut body)?;
    if body.len() < length {
        return Err(FrameError::Half {
            got: HEADER + body.len(),
            wanted: HEADER + length,
        });
    }
    parse(&body)
}

/// Writes one frame, in the worker.
///
/// # Errors
/// See [`FrameError`].
pub fn write<T: Serialize>(to: &mut impl Write, value: &T) -> Result<(), FrameError> {
    to.write_all(&encode(value)?)?;
    Ok(to.flush()?)
}

/// Reads one frame, in the executor.
///
/// # Errors
/// See [`FrameError`].
pub async fn receive<T, R>(from: &mut R, cap: usize) -> Result<T, FrameError>
where
    T: DeserializeOwned,
    R: AsyncRead + Unpin,
{
    let mut head = Vec::with_capacity(HEADER);
    (&mut *from)
        .take(HEADER as u64)
        .read_to_end(&mut head)
        .await?;
    let length = length(whole_header(&head)?, cap)?;
    let mut body = Vec::new();
    (&mut *from)
        .take(length as u64)
        .read_to_end(&mut body)
        .await?;
    if body.len() < length {
        return Err(FrameError::Half {
            got: HEADER + body.len(),
            wanted: HEADER + length,
        });
    }
    parse(&body)
}

fn whole_header(head: &[u8]) -> Result<[u8; HEADER], FrameError> {
    match (head.len(), head.try_into()) {
        (_, Ok(whole)) => Ok(whole),
        (0, Err(_)) => Err(FrameError::Silent),
        (got, Err(_)) => Err(FrameError::Half {
            got,
            wanted: HEADER,
        }),
    }
}
