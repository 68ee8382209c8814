use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::routing::get;
use nexus_bus::{BusConfig, BusUrl, Outgoing, ReadFrom, Record};
use nexus_contracts::tables;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Node, RunningNode};
use crate::{
    ConsumerSpec, Deps, Handler, Message, NodeConfig, NodeError, Outcome, Service, ServiceError,
    Started, WorkerInfo, consume_each, outgoing,
};

struct Echo {
    name: &'static str,
    path: &'static str,
}

#[async_trait]
impl Handler for Echo {
    async fn handle(&self, message: Message) -> Outcome {
        Ok(vec![outgoing("echoed", &message.envelope)])
    }
}

#[async_trait]
impl Service for Echo {
    fn name(&self) -> &'static str {
        self.name
    }

    async fn start(&self, deps: &Deps) -> Result<Started, ServiceError> {
        if self.name == "refuses" {
            return Err(ServiceError::config("there is no key"));
        }
        let handler = Self {
            name: self.name,
            path: self.path,
        };
        consume_each(
            deps,
            ConsumerSpec::new("said", self.name),
            Arc::new(handler),
        );
        let name = self.name;
        let routes = Router::new().route(self.path, get(move || async move { name }));
        Ok(Started {
            routes: Some(routes),
            consumes: vec!["said".to_owned()],
            unread: vec!["echoes".to_owned()],
            permits: 64,
        })
    }
}

fn service(name: &'static str, path: &'static str) -> Box<dyn Service> {
    Box::new(Echo { name, path })
}

fn config(folder: &tempfile::TempDir) -> NodeConfig {
    let path = folder.path().join("bus.db");
    let url = BusUrl::Embedded {
        path,
        read_only: false,
    };
    let bus = BusConfig::new(url, folder.path().join("blobs"));
    NodeConfig::local(bus, "sqlite::memory:")
}

async fn fetch(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}

async fn until_ready(node: &RunningNode) {
    let ready = async { while fetch(node.admin_address(), "/readyz").await.0 != 200 {} };
    tokio::time::timeout(Duration::from_secs(10), ready)
        .await
        .unwrap();
}

#[tokio::test]
async fn what_nobody_reads_is_trimmed_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(&folder);
    config.retention.every = Duration::from_millis(5);
    config.retention.default = Duration::ZERO;
    let node = Node::start(config, vec![service("one", "/one")])
        .await
        .unwrap();
    let record = Record::new([("payload".to_owned(), "{}".into())]);
    let channel = "echoes".to_owned();
    let bus = node.bus().clone();
    bus.publish(vec![Outgoing { channel, record }])
        .await
        .unwrap();
    let trimmed = async {
        while !bus
            .read("echoes", ReadFrom::Start, 1)
            .await
            .unwrap()
            .is_empty()
        {}
    };
    tokio::time::timeout(Duration::from_secs(10), trimmed)
        .await
        .unwrap();
    node.shutdown();
    node.stopped().await.unwrap();
}

#[tokio::test]
async fn a_node_serves_all_its_services_and_ends() {
    let folder = tempfile::tempdir().unwrap();
    let services = vec![service("one", "/one"), service("two", "/two")];
    let node = Node::start(config(&folder), services).await.unwrap();
    until_ready(&node).await;
    assert_eq!(
        fetch(node.http_address(), "/one").await,
        (200, "one".to_owned())
    );
    assert_eq!(
        fetch(node.http_address(), "/two").await,
        (200, "two".to_owned())
    );
    assert_eq!(fetch(node.http_address(), "/three").await.0, 404);
    let (status, metrics) = fetch(node.admin_address(), "/metrics").await;
    assert_eq!(status, 200);
    assert!(metrics.contains("nexus_messages_total"), "{metrics}");

    let (bus, worker) = (node.bus().clone(), node.deps().worker.clone());
    let announced = async {
        loop {
            if let Some(entry) = bus.table_get(tables::WORKERS, &worker).await.unwrap() {
                return serde_json::from_slice::<WorkerInfo>(&entry.value).unwrap();
            }
        }
    };
    let info = tokio::time::timeout(Duration::from_secs(5), announced)
        .await
        .unwrap();
    assert_eq!(info.services, ["one", "two"]);
    assert_eq!(
        (info.consumes, info.permits),
        (vec!["said".to_owned()], 128)
    );
    assert_eq!(
        (info.http, info.admin),
        (node.http_address(), node.admin_address())
    );
    assert_eq!(info.pid, std::process::id());

    let (http, admin) = (node.http_address(), node.admin_address());
    node.shutdown();
    tokio::time::timeout(Duration::from_secs(5), node.stopped())
        .await
        .unwrap()
        .unwrap();
    assert!(TcpStream::connect(http).await.is_err() && TcpStream::connect(admin).await.is_err());
    // The file is free again, and the worker took its entry away.
    let again = Node::start(config(&folder), Vec::new()).await.unwrap();
    assert_eq!(
        again
            .bus()
            .table_get(tables::WORKERS, &worker)
            .await
            .unwrap(),
        None
    );
    again.shutdown();
    again.stopped().await.unwrap();
}

#[tokio::test]
async fn a_port_in_use_is_named_with_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    for key in ["http.listen", "admin.listen"] {
        let mut config = config(&folder);
        let listen = if key == "http.listen" {
            &mut config.http
        } else {
            &mut config.admin
        };
        listen.listen = address;
        let error = Node::start(config, Vec::new())
            .await
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains(&format!("{address} is in use")), "{error}");
        assert!(error.contains(&format!("change `{key}`")), "{error}");
    }
}

#[tokio::test]
async fn bad_configuration_is_refused_before_a_port_is_bound() {
    let folder = tempfile::tempdir().unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let mut public = config(&folder);
    public.http.listen = free;
    public.admin.listen = "0.0.0.0:0".parse().unwrap();
    let error = Node::start(public, Vec::new())
        .await
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("admin.allow_public"), "{error}");
    let mut store = config(&folder);
    store.http.listen = free;
    store.store = "mysql://h/d".to_owned();
    let error = Node::start(store, Vec::new()).await.err().unwrap();
    assert!(matches!(error, NodeError::Store(_)), "{error}");
    assert!(
        std::net::TcpListener::bind(free).is_ok(),
        "nobody took the port"
    );
}

#[tokio::test]
async fn a_service_that_cannot_start_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let services = vec![service("fine", "/fine"), service("refuses", "/refuses")];
    let error = Node::start(config(&folder), services)
        .await
        .err()
        .unwrap()
        .to_string();
    assert_eq!(
        error,
        "refuses could not start: configuration: there is no key"
    );
}

#[tokio::test]
async fn two_services_on_one_path_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let services = vec![service("one", "/same"), service("two", "/same")];
    let error = Node::start(config(&folder), services).await.err().unwrap();
    assert!(
        matches!(error, NodeError::Routes { service: "two" }),
        "{error}"
    );
}

#[tokio::test]
async fn a_bus_that_is_away_keeps_the_node_trying_and_readyz_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let admin = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let mut config = config(&folder);
    config.bus.url = BusUrl::Redis(format!("redis://{nobody}"));
    config.admin.listen = admin;
    let mut starting = Box::pin(Node::start(config, vec![service("one", "/one")]));
    let probe = async {
        loop {
            if TcpStream::connect(admin).await.is_err() {
                tokio::task::yield_now().await;
                continue;
            }
            let (status, body) = fetch(admin, "/readyz").await;
            let body: Value = serde_json::from_str(&body).unwrap();
            let bus = &body["components"][0];
            if status == 503 && bus["name"] == "bus" && bus["ok"] == false {
                return bus["detail"].as_str().unwrap().to_owned();
            }
        }
    };
    let probe = tokio::time::timeout(Duration::from_secs(20), probe);
    // Whether the start waits for the bus or goes on without it, it does not fail.
    let (detail, _node) = tokio::select! {
        started = &mut starting => {
            let node = started.unwrap();
            let (status, body) = fetch(admin, "/readyz").await;
            assert_eq!(status, 503, "{body}");
            (body, Some(node))
        }
        detail = probe => (detail.unwrap(), None),
    };
    assert!(detail.contains("reach"), "{detail}");
}

#[tokio::test]
async fn what_a_service_cannot_mend_ends_the_node_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::start(config(&folder), Vec::new()).await.unwrap();
    node.deps().tasks.fail("the disk is gone");
    let ended = tokio::time::timeout(Duration::from_secs(5), node.stopped())
        .await
        .unwrap();
    assert_eq!(ended.unwrap_err().to_string(), "the disk is gone");
}

#[tokio::test]
async fn a_task_that_panics_is_never_silent() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::start(config(&folder), Vec::new()).await.unwrap();
    node.deps()
        .tasks
        .spawn("doomed", async { panic!("a defect") });
    let seen = async { while fetch(node.admin_address(), "/healthz").await.0 != 503 {} };
    tokio::time::timeout(Duration::from_secs(5), seen)
        .await
        .unwrap();
    let (_, body) = fetch(node.admin_address(), "/readyz").await;
    assert!(body.contains("task:doomed"), "{body}");
    node.shutdown();
    node.stopped().await.unwrap();
}
