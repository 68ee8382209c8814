//! Who may talk to a listener that has no authentication: programs on this machine, and pages
//! served from it. Any web page a person opens can reach loopback, directly or through a name that
//! it lets point here (DNS rebinding); both give themselves away in a header.

use std::net::IpAddr;

use axum::http::{HeaderMap, StatusCode, header};

use super::Problem;

/// Why a request is refused, if it is.
pub(crate) fn refusal(headers: &HeaderMap) -> Option<Problem> {
    let foreign = |name: header::HeaderName| {
        let value = headers.get(name)?;
        let host = value.to_str().ok().and_then(host_of);
        (!host.is_some_and(is_loopback)).then_some(())
    };
    if foreign(header::HOST).is_some() {
        let detail = "the header Host names another machine; use 127.0.0.1 or localhost";
        return Some(forbidden("foreign_host", detail));
    }
    if foreign(header::ORIGIN).is_some() {
        let detail = "pages of other machines may not talk to this node";
        return Some(forbidden("foreign_origin", detail));
    }
    None
}

fn forbidden(code: &'static str, detail: &str) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, code, "Not from there", detail)
}

/// The host of `host:port` or `scheme://host:port`.
fn host_of(text: &str) -> Option<&str> {
    let authority = text.split_once("://").map_or(text, |(_, rest)| rest);
    match authority.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once(']').map(|(host, _)| host),
        None => authority.split(':').next(),
    }
}

fn is_loopback(host: &str) -> bool {
    let named = host.eq_ignore_ascii_case("localhost");
    named
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(name: &'static str, value: &str) -> Option<&'static str> {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        refusal(&headers).map(|problem| problem.code)
    }

    #[test]
    fn only_this_machine_and_its_pages_are_let_in() {
        for host in [
            "127.0.0.1:8080",
            "localhost",
            "LOCALHOST:1",
            "[::1]:8080",
            "127.9.9.9",
        ] {
            assert_eq!(code("host", host), None, "{host}");
        }
        for host in [
            "evil.com",
            "evil.com:8080",
            "127.0.0.1.evil.com",
            "192.168.1.2",
            "",
        ] {
            assert_eq!(code("host", host), Some("foreign_host"), "{host}");
        }
        for origin in [
            "http://localhost:3000",
            "http://127.0.0.1:8080",
            "https://[::1]",
        ] {
            assert_eq!(code("origin", origin), None, "{origin}");
        }
        for origin in ["http://evil.com", "null", "http://localhost.evil.com"] {
            assert_eq!(code("origin", origin), Some("foreign_origin"), "{origin}");
        }
        assert!(refusal(&HeaderMap::new()).is_none());
    }
}
