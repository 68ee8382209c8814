//! Free ports for servers that cannot say which one they took.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Result, bail};
use uuid::Uuid;

/// Below the range from which the kernel takes ports for outgoing connections. A port from inside
/// that range can be lost to any client while a server restarts, and a client that keeps
/// connecting to a dead server can even be connected to itself.
const RANGE: std::ops::Range<u16> = 10_000..32_000;
const TRIES: usize = 200;

/// A port that nothing listened on a moment ago. The caller starts its server, checks that it is
/// really its own that answers, and asks for another port if it is not.
///
/// # Errors
/// When no port of two hundred tried is free.
pub fn free_port() -> Result<u16> {
    for _ in 0..TRIES {
        let [.., high, low] = Uuid::now_v7().into_bytes();
        let port = RANGE.start + u16::from_be_bytes([high, low]) % (RANGE.end - RANGE.start);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!(
        "no free port between {} and {} in {TRIES} tries",
        RANGE.start,
        RANGE.end
    )
}
