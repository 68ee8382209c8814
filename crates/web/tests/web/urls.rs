//! Which URLs are asked for.

use nexus_web::guard::{MAX_URL_BYTES, Opening, Reach};
use proptest::prelude::*;

fn code(reach: &Reach, url: &str) -> &'static str {
    reach
        .check_url(url)
        .map_or_else(|error| error.code(), |_| "ok")
}

fn opened(openings: &[&str]) -> Reach {
    Reach {
        allow: openings.iter().map(|text| text.parse().unwrap()).collect(),
        ports: Vec::new(),
    }
}

#[test]
fn every_spelling_of_an_inner_address_is_refused() {
    for url in [
        "http://127.0.0.1/",
        "http://127.1/",
        "http://127.0.1/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0x7f.1/",
        "http://0177.0.0.1/",
        "http://017700000001/",
        "http://127.0.0.1./",
        "http://①②⑦.⓪.⓪.①/",
        "http://127。0。0。1/",
        "http://%31%32%37.0.0.1/",
        "http://0/",
        "http://0.0.0.0:80/",
        "http:127.0.0.1/",
        "http:\\\\127.0.0.1\\x",
        "http:////127.0.0.1/",
        " \thttp://127.0.0.1/\n",
        "ht\ntp://127.0.0.1/",
        "http://[::1]/",
        "http://[0:0:0:0:0:0:0:1]/",
        "http://[::]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:7f00:1]/",
        "http://[::ffff:169.254.169.254]/latest/meta-data/",
        "http://[::127.0.0.1]/",
        "http://[64:ff9b::10.0.0.1]/",
        "http://[2002:a00:1::]/",
        "http://[fd00:ec2::254]/",
        "http://[fe80::1]/",
        "http://169.254.169.254/latest/meta-data/",
        "http://0xa9fea9fe/",
        "http://100.100.100.200/",
        "http://10.0.0.1/",
        "http://192.168.1.1/",
        "https://172.31.255.255/",
    ] {
        assert_eq!(code(&Reach::default(), url), "blocked_address", "{url}");
    }
}

#[test]
fn names_of_networks_are_refused() {
    for url in [
        "http://localhost/",
        "http://LOCALHOST./",
        "http://a.localhost/",
        "http://printer.local/",
        "http://metadata.google.internal/computeMetadata/v1/",
        "http://redis/",
        "http://redis.default.svc.cluster.local/",
        "http://wiki.corp/",
        "http://router.lan/",
        "http://nas.home.arpa/",
        "http://x.onion/",
        "http://ｌｏｃａｌｈｏｓｔ/",
        "http://loc%61lhost/",
        "http://a..example.org/",
    ] {
        assert_eq!(code(&Reach::default(), url), "blocked_host", "{url}");
    }
}

#[test]
fn what_is_no_plain_web_url_is_refused() {
    let long = format!("http://example.org/{}", "a".repeat(MAX_URL_BYTES));
    for url in [
        "",
        "example.org",
        "/etc/passwd",
        "file:///etc/passwd",
        "ftp://example.org/",
        "gopher://example.org/",
        "data:text/html,x",
        "javascript:alert(1)",
        "view-source:http://example.org/",
        "http://",
        "http://[::1",
        "http://[fe80::1%25eth0]/",
        "http://exa mple.org/",
        "http://user@example.org/",
        "http://:secret@example.org/",
        "http://example.org@127.0.0.1/",
        long.as_str(),
    ] {
        assert_eq!(code(&Reach::default(), url), "bad_url", "{url}");
    }
    let error = Reach::default()
        .check_url("http://u:hunter2@example.org/")
        .unwrap_err();
    assert!(!error.to_string().contains("hunter2"), "{error}");
    for port in [0, 22, 25, 6379, 9200] {
        let url = format!("http://example.org:{port}/");
        assert_eq!(code(&Reach::default(), &url), "blocked_port", "{url}");
    }
    assert_eq!(
        code(&Reach::default(), "http://8.8.8.8:6379/"),
        "blocked_port"
    );
}

#[test]
fn the_public_web_is_asked() {
    for url in [
        "http://example.org",
        "HTTPS://Example.ORG:8443/a?b#c",
        "https://bücher.example.org/",
        "http://8.8.8.8/",
        "http://[2606:4700:4700::1111]/",
        "https://my.host/",
    ] {
        assert_eq!(code(&Reach::default(), url), "ok", "{url}");
    }
    let target = Reach::default()
        .check_url("https://Example.org./a#part")
        .unwrap();
    assert_eq!((target.host(), target.port()), ("example.org", 443));
    assert_eq!(target.url().as_str(), "https://example.org./a");
}

#[test]
fn an_opening_opens_what_it_names_and_nothing_else() {
    let reach = opened(&[
        "127.0.0.1:9000",
        "10.1.0.0/16",
        "wiki.corp",
        "*.dev.corp:9001",
        "[fd00::1]:80",
    ]);
    for (url, expected) in [
        ("http://127.0.0.1:9000/", "ok"),
        ("http://127.0.0.1:9001/", "blocked_address"),
        ("http://127.0.0.2:9000/", "blocked_address"),
        ("http://[::ffff:127.0.0.1]:9000/", "blocked_address"),
        ("http://10.1.2.3/", "ok"),
        ("http://10.1.2.3:22/", "blocked_address"),
        ("http://10.2.0.1/", "blocked_address"),
        ("https://wiki.corp/", "ok"),
        ("https://wiki.corp:9001/", "blocked_host"),
        ("https://a.wiki.corp/", "blocked_host"),
        ("http://a.dev.corp:9001/", "ok"),
        ("http://dev.corp:9001/", "blocked_host"),
        ("http://a.dev.corp/", "blocked_host"),
        ("http://[fd00::1]/", "ok"),
        ("http://[fd00::2]/", "blocked_address"),
    ] {
        assert_eq!(code(&reach, url), expected, "{url}");
    }
}

#[test]
fn an_open_host_opens_its_addresses_but_no_metadata() {
    let reach = opened(&["wiki.corp", "64:ff9b::/96"]);
    let check = |host, address: &str| reach.check_address(host, 80, address.parse().unwrap());
    assert!(check("wiki.corp", "10.0.0.1").is_ok());
    assert!(check("wiki.corp", "169.254.169.254").is_err());
    assert!(check("wiki.corp", "fd00:ec2::254").is_err());
    assert!(check("other.org", "10.0.0.1").is_err());
    assert!(check("other.org", "64:ff9b::8.8.8.8").is_ok());
    assert!(check("other.org", "64:ff9b::10.0.0.1").is_err());
    assert!(check("other.org", "64:ff9b::a9fe:a9fe").is_err());
}

#[test]
fn openings_are_written_as_they_are_read() {
    for text in [
        "wiki.corp",
        "*.dev.corp:9001",
        "10.1.0.0/16",
        "127.0.0.1/32:8080",
        "[fd00::/8]:80",
        "fd00::/8",
    ] {
        let opening: Opening = text.parse().unwrap();
        assert_eq!(opening.to_string(), text);
        let json = serde_json::to_string(&opening).unwrap();
        assert_eq!(serde_json::from_str::<Opening>(&json).unwrap(), opening);
    }
    for text in [
        "",
        "*",
        "*.",
        "http://x.org",
        "x.org:0",
        "x.org:99999",
        "a b",
        "x.org/path",
        "10.0.0.0/99",
    ] {
        assert!(text.parse::<Opening>().is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn no_url_panics_and_none_that_passes_is_inner(text in "\\PC{0,60}", known in "(https?://)?[0-9a-fx.\\[\\]:@%/]{0,30}") {
        for url in [text, known] {
            if let Ok(target) = Reach::default().check_url(&url) {
                let literal = target.literal();
                prop_assert!(literal.is_none_or(|address| nexus_web::guard::classify(address).is_public()));
                prop_assert!(literal.is_some() || target.host().contains('.'));
            }
        }
    }
}
