//! What is taken and what is refused.

use super::*;

fn read(text: &str) -> Result<Config, String> {
    let config: Config = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
    config.check().map_err(|error| error.to_string())?;
    Ok(config)
}

#[test]
fn every_key_is_read() {
    let config = read(
        r"
servers:
  files:
    command: [node, server.js]
    env: [TOKEN]
    sandbox: { network: true, read: [/srv/a], write: [/srv/b], tmp_bytes: 1000000, tasks: 50, memory_bytes: 300000000, open_files: 64, file_bytes: 70000 }
    tools: { allow: [read], deny: [write] }
    sampling: true
    trust: { read_only: [read], private: false, untrusted: false, egress: false }
    timeout: 10s
    call_timeout: 2m
    ping: 1m
    approve: always
    restart: { first: 2s, most: 1m, stable: 30s }
    limits: { message_bytes: 10000, result_bytes: 5000, tools: 3, tool_bytes: 2000, calls: 2 }
  web:
    url: https://mcp.example.org/mcp
    bearer_env: WEB_TOKEN
    headers_env: { X-Tenant: TENANT }
  old:
    command: [old]
    sandbox: off
",
    )
    .unwrap();
    let files = &config.servers["files"];
    assert_eq!(files.call_timeout, Duration::from_mins(2));
    assert_eq!(files.approve, Approval::Always);
    assert!(files.tools.passes("read") && !files.tools.passes("write") && !files.tools.passes("x"));
    assert_eq!(config.servers["old"].sandbox, Confinement::Off);
    let text = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<Config>(&text).unwrap(), config);
}

#[test]
fn what_nothing_is_said_of_is_the_stricter() {
    let config = read("servers: { a: { command: [x] } }").unwrap();
    let server = &config.servers["a"];
    let Confinement::On(sandbox) = &server.sandbox else {
        panic!("not sandboxed")
    };
    assert!(!sandbox.network && sandbox.read.is_empty() && sandbox.write.is_empty());
    assert!(server.trust.private && server.trust.untrusted && server.trust.egress);
    assert!(!server.sampling && server.env.is_empty());
}

#[test]
fn what_does_not_hold_together_is_refused_with_the_servers_name() {
    let bad = [
        "a: {}",
        "a: { command: [x], url: 'https://x.example' }",
        "a: { command: [x], colour: red }",
        "a: { command: [x], sandbox: { nework: true } }",
        "a: { command: [x], sandbox: onn }",
        "a: { command: [x], sandbox: { read: [relative] } }",
        "a: { command: [x], sandbox: { read: [/] } }",
        "a: { command: [x], sandbox: { read: [/srv/../etc] } }",
        "a: { command: [x], sandbox: { write: [/proc/1] } }",
        "a: { command: [x], sandbox: { tasks: 1 } }",
        "a: { command: [x], sandbox: { memory_bytes: 1000 } }",
        "a: { command: [x], sandbox: { open_files: 3 } }",
        "a: { command: [x], sandbox: { file_bytes: 0 } }",
        "a: { command: [x], env: ['TOKEN=secret'] }",
        "a: { command: [x], bearer_env: T }",
        "a: { command: [x], timeout: 5 }",
        "a: { command: [x], timeout: 5 parsecs }",
        "a: { command: [x], restart: { first: 1ms } }",
        "a: { command: [x], limits: { calls: 0 } }",
        "a: { command: [x], approve: never }",
        "a: { url: 'http://mcp.example.org/' }",
        "a: { url: 'ftp://127.0.0.1/' }",
        "a: { url: 'https://user:pass@mcp.example.org/' }",
        "a: { url: 'https://x.example', bearer_env: 'sk-live-1234' }",
        "a: { url: 'https://x.example', sandbox: off }",
        "a__b: { command: [x] }",
        "A: { command: [x] }",
    ];
    for text in bad {
        let text = format!("servers:\n  {text}");
        assert!(read(&text).is_err(), "taken: {text}");
    }
    let secret = read("servers: { a: { url: 'https://x.example', bearer_env: 'sk-live-1234' } }");
    let words = secret.unwrap_err();
    assert!(
        words.contains("`a`") && !words.contains("sk-live"),
        "{words}"
    );
}
