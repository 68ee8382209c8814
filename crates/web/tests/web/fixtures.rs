//! Servers and names of the tests.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use axum::Router;
use nexus_web::guard::{Opening, Reach};
use nexus_web::{Error, Fetched, Fetcher, FetcherConfig, Resolver, RobotsPolicy};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A server that ends with the test.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Server {
    /// Serves routes.
    pub(crate) async fn start(routes: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self {
            address,
            _tasks: tasks,
        }
    }

    /// Reads the head of each question, and lets `answer` write what it likes.
    pub(crate) async fn raw<F, W>(answer: F) -> Self
    where
        F: Fn(TcpStream) -> W + Send + 'static,
        W: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut answers = JoinSet::new();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut head = [0; 4096];
                let _read = stream.read(&mut head).await;
                answers.spawn(answer(stream));
            }
        });
        Self {
            address,
            _tasks: tasks,
        }
    }

    /// Always the same bytes.
    pub(crate) async fn bytes(bytes: Vec<u8>) -> Self {
        let bytes = Arc::new(bytes);
        Self::raw(move |mut stream| {
            let bytes = Arc::clone(&bytes);
            async move {
                let _written = stream.write_all(&bytes).await;
                let _closed = stream.shutdown().await;
            }
        })
        .await
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What opens this server and nothing else.
    pub(crate) fn reach(&self) -> Reach {
        Reach {
            allow: vec![Opening::address(self.address.ip(), self.address.port())],
            ports: Vec::new(),
        }
    }

    /// A configuration that reaches this server, without `robots.txt`.
    pub(crate) fn config(&self) -> FetcherConfig {
        FetcherConfig {
            reach: self.reach(),
            robots: RobotsPolicy::Ignore,
            ..FetcherConfig::default()
        }
    }

    /// Fetches a page of this server.
    pub(crate) async fn fetch(&self, path: &str) -> Result<Fetched, Error> {
        let fetcher = Fetcher::new(self.config()).unwrap();
        fetcher
            .fetch(&self.url(path), &nexus_web::Accept::pages())
            .await
    }
}

/// Names and what they stand for at the first, the second … question; the last counts on.
#[derive(Debug, Default)]
pub(crate) struct Names {
    known: HashMap<String, Vec<Vec<IpAddr>>>,
    pub(crate) asked: AtomicUsize,
}

impl Names {
    pub(crate) fn of(names: &[(&str, &[&[&str]])]) -> Arc<Self> {
        let addresses = |list: &&[&str]| list.iter().map(|a| a.parse().unwrap()).collect();
        let known = names
            .iter()
            .map(|(name, answers)| ((*name).to_owned(), answers.iter().map(addresses).collect()));
        Arc::new(Self {
            known: known.collect(),
            asked: AtomicUsize::new(0),
        })
    }
}

#[async_trait]
impl Resolver for Names {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        let answers = self.known.get(host).ok_or(io::ErrorKind::NotFound)?;
        let answer = answers.get(asked).or_else(|| answers.last());
        Ok(answer.cloned().unwrap_or_default())
    }
}
