//! A TCP proxy that can be told to misbehave, for the faults of networks.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Bytes passed on at a time.
const PIECE: usize = 16 * 1024;

/// What a proxy does with the bytes it is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Passes them on.
    #[default]
    Pass,
    /// Passes every piece on after a pause, in each direction.
    Slow(Duration),
    /// Keeps them, and every connection open: nobody is told that anything is wrong.
    Blackhole,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    mode: Mode,
    /// How often all connections were reset.
    resets: u64,
    /// How often the answers of all connections were ended.
    half_closes: u64,
}

/// A proxy on a port of 127.0.0.1. Its connections end when it is dropped.
pub struct Proxy {
    port: u16,
    state: watch::Sender<State>,
    _accepting: JoinSet<()>,
}

impl Proxy {
    /// Starts in front of a port of 127.0.0.1. Nothing need listen there yet.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start(target: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .context("bind a port for a proxy")?;
        let port = listener
            .local_addr()
            .context("read the bound address")?
            .port();
        let (state, seen) = watch::channel(State::default());
        let mut accepting = JoinSet::new();
        let target = SocketAddr::from((Ipv4Addr::LOCALHOST, target));
        accepting.spawn(accept(listener, target, seen));
        Ok(Self {
            port,
            state,
            _accepting: accepting,
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// What it does from now on, with connections it has and with new ones.
    pub fn set(&self, mode: Mode) {
        self.state.send_modify(|state| state.mode = mode);
    }

    /// Ends every connection with a reset (RST); new ones are taken.
    pub fn reset(&self) {
        self.state.send_modify(|state| state.resets += 1);
    }

    /// Ends what the server says on every connection (FIN), while what the client says still
    /// arrives: the client hears of an end, the server does not.
    pub fn half_close(&self) {
        self.state.send_modify(|state| state.half_closes += 1);
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, state: watch::Receiver<State>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((client, _)) => {
                connections.spawn(carry(client, target, state.clone()));
            }
            // Out of file descriptors, say: others may be closed in a moment.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

/// One connection, until either side ends it or the proxy resets it.
async fn carry(mut client: TcpStream, target: SocketAddr, mut state: watch::Receiver<State>) {
    let born = *state.borrow_and_update();
    // Refused there is refused here, as far as a proxy can: the connection ends at once.
    let Ok(mut server) = TcpStream::connect(target).await else {
        let _gone = client.set_zero_linger();
        return;
    };
    // Without it answers are only slower.
    let _slower = (client.set_nodelay(true), server.set_nodelay(true));
    let reset = {
        let (client_read, client_write) = client.split();
        let (server_read, server_write) = server.split();
        let never = State {
            half_closes: u64::MAX,
            ..born
        };
        let (up, down) = (state.clone(), state.clone());
        let both = async {
            tokio::join!(
                pump(client_read, server_write, up, never),
                pump(server_read, client_write, down, born)
            )
        };
        tokio::select! {
            _ = both => false,
            changed = state.wait_for(|state| state.resets > born.resets) => changed.is_ok(),
        }
    };
    if reset {
        let _gone = (client.set_zero_linger(), server.set_zero_linger());
    }
}

/// One direction, until its end; then the other side is told of the end.
async fn pump(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut state: watch::Receiver<State>,
    born: State,
) {
    let mut ended = state.clone();
    let mut buffer = vec![0_u8; PIECE];
    loop {
        let count = tokio::select! {
            read = from.read(&mut buffer) => read.unwrap_or(0),
            _ = ended.wait_for(|state| state.half_closes > born.half_closes) => 0,
        };
        let piece = buffer.get(..count).unwrap_or_default();
        if piece.is_empty() {
            break;
        }
        hold(&mut state).await;
        if to.write_all(piece).await.is_err() {
            break;
        }
    }
    // An error means that the other side is gone already.
    let _gone = to.shutdown().await;
}

/// Waits for as long as the mode says.
async fn hold(state: &mut watch::Receiver<State>) {
    let mode = state.borrow_and_update().mode;
    match mode {
        Mode::Pass => {}
        Mode::Slow(pause) => tokio::time::sleep(pause).await,
        Mode::Blackhole => {
            let open = state.wait_for(|state| state.mode != Mode::Blackhole);
            let _dropped = open.await;
        }
    }
}
