//! Bodies without end, bodies that unpack without end, and heads that are no heads.

use std::time::Duration;

use async_compression::tokio::write::{BrotliEncoder, GzipEncoder, ZlibEncoder};
use nexus_web::{Accept, Error, Fetcher, FetcherConfig, Limits};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use crate::fixtures::Server;

const TEXT: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n";

fn with(server: &Server, limits: Limits) -> Fetcher {
    Fetcher::new(FetcherConfig {
        limits,
        ..server.config()
    })
    .unwrap()
}

async fn zeros<W: AsyncWrite + Unpin>(encoder: &mut W, megabytes: usize) {
    let piece = vec![b'0'; 1024 * 1024];
    for _ in 0..megabytes {
        encoder.write_all(&piece).await.unwrap();
    }
    encoder.shutdown().await.unwrap();
}

async fn packed(packing: &str, megabytes: usize) -> Vec<u8> {
    match packing {
        "gzip" => {
            let mut encoder = GzipEncoder::new(Vec::new());
            zeros(&mut encoder, megabytes).await;
            encoder.into_inner()
        }
        "deflate" => {
            let mut encoder = ZlibEncoder::new(Vec::new());
            zeros(&mut encoder, megabytes).await;
            encoder.into_inner()
        }
        _ => {
            let quality = async_compression::Level::Fastest;
            let mut encoder = BrotliEncoder::with_quality(Vec::new(), quality);
            zeros(&mut encoder, megabytes).await;
            encoder.into_inner()
        }
    }
}

async fn sends(head: &str, body: &[u8]) -> Server {
    let mut bytes = format!("{TEXT}{head}\r\n").into_bytes();
    bytes.extend_from_slice(body);
    Server::bytes(bytes).await
}

#[tokio::test]
async fn every_packing_is_unpacked_and_none_unpacks_without_end() {
    for packing in ["gzip", "deflate", "br"] {
        let body = packed(packing, 1).await;
        let server = sends(&format!("Content-Encoding: {packing}\r\n"), &body).await;
        let fetched = server.fetch("/").await.unwrap();
        assert_eq!(fetched.body.len(), 1024 * 1024, "{packing}");
        let bomb = packed(packing, 32).await;
        assert!(bomb.len() < 200_000, "{packing}: {}", bomb.len());
        let server = sends(&format!("Content-Encoding: {packing}\r\n"), &bomb).await;
        let error = server.fetch("/").await.unwrap_err();
        assert!(
            matches!(
                error,
                Error::TooLarge {
                    what: "body unpacked",
                    ..
                }
            ),
            "{packing}: {error}"
        );
    }
}

#[tokio::test]
async fn several_gzip_members_are_counted_together() {
    let one = packed("gzip", 2).await;
    let server = sends("Content-Encoding: gzip\r\n", &one.repeat(16)).await;
    assert_eq!(server.fetch("/").await.unwrap_err().code(), "too_large");
}

#[tokio::test]
async fn what_is_packed_twice_or_strangely_is_refused() {
    for packing in [
        "gzip, gzip",
        "zstd",
        "compress",
        "gzip\r\nContent-Encoding: br",
    ] {
        let server = sends(&format!("Content-Encoding: {packing}\r\n"), b"x").await;
        assert_eq!(
            server.fetch("/").await.unwrap_err().code(),
            "content_encoding",
            "{packing}"
        );
    }
    let server = sends("Content-Encoding: gzip\r\n", b"this is no gzip").await;
    assert_eq!(server.fetch("/").await.unwrap_err().code(), "bad_response");
}

#[tokio::test]
async fn a_body_without_end_is_cut_off() {
    let server = Server::raw(|mut stream| async move {
        let piece = vec![b'a'; 64 * 1024];
        let head = format!("{TEXT}\r\n");
        let _written = stream.write_all(head.as_bytes()).await;
        while stream.write_all(&piece).await.is_ok() {}
    })
    .await;
    let limits = Limits {
        packed_bytes: 300_000,
        body_bytes: 400_000,
        ..Limits::default()
    };
    let error = with(&server, limits)
        .fetch(&server.url("/"), &Accept::any())
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            Error::TooLarge {
                what: "body as sent",
                ..
            }
        ),
        "{error}"
    );
    let limits = Limits {
        packed_bytes: 400_000,
        body_bytes: 300_000,
        ..Limits::default()
    };
    let error = with(&server, limits)
        .fetch(&server.url("/"), &Accept::any())
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            Error::TooLarge {
                what: "body unpacked",
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn a_length_that_is_too_much_is_believed() {
    let server = sends("Content-Length: 99999999999\r\n", b"x").await;
    assert_eq!(server.fetch("/").await.unwrap_err().code(), "too_large");
}

#[tokio::test]
async fn a_body_that_drips_is_given_up() {
    let server = Server::raw(|mut stream| async move {
        let head = format!("{TEXT}\r\n");
        let _written = stream.write_all(head.as_bytes()).await;
        let mut drip = tokio::time::interval(Duration::from_millis(20));
        while stream.write_all(b"a").await.is_ok() {
            drip.tick().await;
        }
    })
    .await;
    let total = Duration::from_millis(400);
    let fetcher = with(
        &server,
        Limits {
            total,
            ..Limits::default()
        },
    );
    let error = fetcher
        .fetch(&server.url("/"), &Accept::any())
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::Timeout { after, .. } if after == total),
        "{error}"
    );
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up() {
    let server = Server::raw(|stream| async move {
        let _kept = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let fetcher = with(
        &server,
        Limits {
            total: Duration::from_millis(200),
            ..Limits::default()
        },
    );
    let error = fetcher
        .fetch(&server.url("/"), &Accept::any())
        .await
        .unwrap_err();
    assert_eq!(error.code(), "timeout");
}

#[tokio::test]
async fn heads_are_bounded() {
    let long = format!("X-Long: {}\r\n", "a".repeat(40_000));
    assert_eq!(
        sends(&long, b"x")
            .await
            .fetch("/")
            .await
            .unwrap_err()
            .code(),
        "too_large"
    );
    for many in [200, 50_000] {
        let head = "X-Many: a\r\n".repeat(many);
        let error = sends(&head, b"x").await.fetch("/").await.unwrap_err();
        assert_eq!(error.code(), "bad_response", "{many}: {error}");
    }
}

#[tokio::test]
async fn garbage_is_no_answer() {
    for bytes in [
        &b"SSH-2.0-OpenSSH_9.6\r\n"[..],
        b"\x00\x01\x02\x03",
        b"",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZZ\r\nxx\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nxx\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nabc",
        b"HTTP/1.1 302 Found\r\nLocation: http://[\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: \xff\xfe\r\n\r\n",
    ] {
        let server = Server::bytes(bytes.to_vec()).await;
        let error = server.fetch("/").await.unwrap_err();
        assert!(
            matches!(error.code(), "bad_response" | "redirect"),
            "{bytes:?}: {error}"
        );
    }
}
