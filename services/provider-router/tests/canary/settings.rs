//! The secrets, and the `providers.yaml` that holds them.

/// The variables with keys, and the keys.
pub(crate) const KEYS: &[(&str, &str)] = &[
    ("NEXUS_CANARY_ONE", ONE),
    ("NEXUS_CANARY_TWO", TWO),
    ("NEXUS_CANARY_TELLING", TELLING),
];

/// With letters that are written differently in an address.
pub(crate) const ONE: &str = "sk-canary-9fQ2/one+7Lx0vTz4WmKd3b=";
pub(crate) const TWO: &str = "sk-canary-two-5hJ8kPq3Rs6Yb1NcXe7u";

/// The key of providers whose models tell it in their answers.
pub(crate) const TELLING: &str = "sk-canary-telling-2bXw8Ge6TqU1oAaM";

/// A part of the value of a header.
pub(crate) const SESSION: &str = "canary-session-0aZ7uE4gKdX2nQ5w";

/// A token that is a number, and so not a text in YAML.
pub(crate) const NUMBER: &str = "480215937264550018";

pub(crate) const PASSWORD: &str = "canary-proxy-p@ss/3VnM9rTy6LcS";
pub(crate) const PASSWORD_IN_ADDRESS: &str = "canary-proxy-p%40ss%2F3VnM9rTy6LcS";

/// What must be nowhere.
pub(crate) const NEVER: &[&str] = &[ONE, TWO, SESSION, NUMBER, PASSWORD];

/// Everybody who is asked. Each is named after what its upstream does.
pub(crate) const ASKED: &[&str] = &[
    "well",
    "refuses",
    "refuses-claude",
    "refuses-gemini",
    "failing",
    "plain",
    "moved",
    "broken",
    "midway",
    "complains",
    "garbled",
    "limited",
    "telling",
    "telling-midway",
    "no-tls",
    "nobody",
    "proxied",
    "tunnelled",
    "keyless",
    "chain",
];

/// The file, for upstreams and a proxy on this port; on `closed` nobody listens.
pub(crate) fn providers(port: u16, closed: u16) -> String {
    let mut text = "default: well\nproviders:\n".to_owned();
    let keys = "api_key_env: [NEXUS_CANARY_ONE, NEXUS_CANARY_TWO]";
    let headers = format!("headers: {{x-session: 'session=\"{SESSION}\"; user=nexus'}}, model: m");
    let mut add = |name: &str, kind: &str, rest: &str| {
        text += &format!("  {name}: {{type: {kind}, {headers}, {rest}}}\n");
    };
    for (name, kind, place) in [
        ("well", "openai", "well"),
        ("refuses", "openai", "refuses"),
        ("refuses-claude", "anthropic", "refuses"),
        ("refuses-gemini", "gemini", "refuses"),
        ("failing", "openai", "failing"),
        ("plain", "openai", "plain"),
        ("moved", "openai", "moved"),
        ("broken", "openai", "broken"),
        ("midway", "openai", "midway"),
        ("complains", "openai", "complains"),
        ("garbled", "openai", "garbled"),
        ("limited", "openai", "limited"),
    ] {
        let address = format!("http://127.0.0.1:{port}/{place}/v1");
        add(name, kind, &format!("base_url: '{address}', {keys}"));
    }
    for name in ["telling", "telling-midway"] {
        let address = format!("http://127.0.0.1:{port}/{name}/v1");
        let key = "api_key_env: NEXUS_CANARY_TELLING";
        add(name, "openai", &format!("base_url: '{address}', {key}"));
    }
    let proxy = format!("proxy: 'http://router:{PASSWORD_IN_ADDRESS}@127.0.0.1:{port}'");
    for (name, address) in [
        ("no-tls", format!("https://127.0.0.1:{port}/well/v1")),
        ("nobody", format!("http://127.0.0.1:{closed}/v1")),
    ] {
        add(name, "openai", &format!("base_url: '{address}', {keys}"));
    }
    for (name, address) in [
        ("proxied", "http://model.invalid/v1"),
        ("tunnelled", "https://model.invalid/v1"),
    ] {
        add(
            name,
            "openai",
            &format!("base_url: '{address}', {keys}, {proxy}"),
        );
    }
    add("keyless", "openai", "api_key_env: NEXUS_CANARY_UNSET");
    text + "routes: {chain: {targets: [{provider: failing}, {provider: plain}, {provider: well}]}}\n"
}

/// Files in which somebody put a secret in a wrong place.
pub(crate) fn broken() -> Vec<String> {
    let provider = |rest: &str| format!("providers: {{it: {{type: openai, model: m, {rest}}}}}");
    vec![
        format!("providers: {{openai: {ONE}}}"),
        format!("providers: [{ONE}]"),
        provider(&format!("api_key: {ONE}")),
        provider(&format!("api_key_env: {ONE}")),
        provider(&format!("api_key_env: {{key: {ONE}}}")),
        provider(&format!("headers: 'authorization: Bearer {ONE}'")),
        provider(&format!("headers: {{x-token: {NUMBER}}}")),
        provider(&format!("headers: {{x-token: \"{ONE}\\u0001\"}}")),
        provider(&format!("headers: {{x-token: [{ONE}]}}")),
        provider(&format!("limits: {ONE}")),
        provider(&format!(
            "base_url: 'http://router:{PASSWORD_IN_ADDRESS}@x/v1'"
        )),
        provider(&format!("proxy: {{password: '{PASSWORD}'}}")),
        provider(&format!("proxy: 'htp:// router:{PASSWORD}@'")),
        provider(&format!("proxy: {NUMBER}")),
        format!("providers: {{it: {{type: openai, headers: {{authorization: Bearer {ONE}}}"),
    ]
}
