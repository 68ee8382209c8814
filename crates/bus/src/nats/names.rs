//! How channels, groups, tables and topics are called on the server.
//!
//! A channel's subject is its own name, so that `nats pub requests.incoming` reaches it; its stream
//! is named the same with `_` for `.`. Whatever NATS does not allow there is written `=XX`, which
//! keeps every mapping reversible and two names from meeting.

use std::fmt::Write as _;

/// What the first letters of other streams are; a channel that looks like one is escaped.
const RESERVED: [&str; 3] = ["KV_", "LIVE", "WAITS"];

/// Names under one prefix.
#[derive(Clone, Debug)]
pub(super) struct Names {
    prefix: String,
}

impl Names {
    /// Names of this deployment. Dots and colons at the end of the prefix are separators of other
    /// backends and fall away.
    pub(super) fn new(prefix: &str) -> Self {
        Self {
            prefix: prefix.trim_end_matches(['.', ':']).to_owned(),
        }
    }

    /// What a channel's records are published on.
    pub(super) fn subject(&self, channel: &str) -> String {
        tokens(&self.full(channel), '.', escape)
    }

    /// The stream that stores a channel.
    pub(super) fn stream(&self, channel: &str) -> String {
        let name = tokens(&self.full(channel), '_', escape_underscore);
        if RESERVED.iter().any(|reserved| name.starts_with(reserved)) {
            let (first, rest) = name.split_at(1);
            return format!(
                "={:02X}{rest}",
                first.as_bytes().first().copied().unwrap_or_default()
            );
        }
        name
    }

    /// The channel a stream stores; none when it is no channel of this prefix.
    pub(super) fn channel(&self, stream: &str) -> Option<String> {
        if RESERVED.iter().any(|reserved| stream.starts_with(reserved)) {
            return None;
        }
        let full = unescape(&stream.replace('_', "."))?;
        if self.prefix.is_empty() {
            return Some(full);
        }
        full.strip_prefix(&self.prefix)?
            .strip_prefix('.')
            .map(ToOwned::to_owned)
    }

    /// The durable consumer of a group.
    pub(super) fn consumer(group: &str) -> String {
        tokens(group, '_', escape_underscore)
    }

    /// The group behind a durable consumer.
    pub(super) fn group(consumer: &str) -> Option<String> {
        unescape(&consumer.replace('_', "."))
    }

    /// The key-value bucket of a table, as `nats kv` calls it.
    pub(super) fn bucket(&self, table: &str) -> String {
        tokens(&self.full(table), '_', escape_underscore)
    }

    /// The one stream of all live topics.
    pub(super) fn live_stream(&self) -> String {
        format!("LIVE_{}", self.scope())
    }

    /// What a topic's entries are published on.
    pub(super) fn live_subject(&self, topic: &str) -> String {
        format!("$LIVE.{}.{}", self.scope(), escape(topic))
    }

    /// All topics.
    pub(super) fn live_subjects(&self) -> String {
        format!("$LIVE.{}.>", self.scope())
    }

    /// Where the server repeats the entries of all topics once they are stored.
    pub(super) fn feed_subjects(&self) -> String {
        format!("$FEED.{}.>", self.scope())
    }

    /// The stream that remembers which deliveries only waited.
    pub(super) fn waits_stream(&self) -> String {
        format!("WAITS_{}", self.scope())
    }

    /// All of that stream.
    pub(super) fn waits_subjects(&self) -> String {
        format!("$WAITS.{}.>", self.scope())
    }

    /// How often one entry waited in one group.
    pub(super) fn waits_subject(&self, channel: &str, group: &str, sequence: u64) -> String {
        format!(
            "$WAITS.{}.{}.{}.{sequence}",
            self.scope(),
            escape(channel),
            escape(group)
        )
    }

    fn full(&self, name: &str) -> String {
        if self.prefix.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.prefix)
        }
    }

    /// The prefix as one token; `_` stands for none, which no prefix becomes.
    fn scope(&self) -> String {
        if self.prefix.is_empty() {
            "_".to_owned()
        } else {
            escape_underscore(&self.prefix)
        }
    }
}

/// One token of a subject for any text, readable where it can be. `=` alone is the empty text.
pub(super) fn escape(text: &str) -> String {
    escape_all_but(text, |byte| {
        byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
    })
}

/// The text a token stands for.
pub(super) fn unescape(token: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(token.len());
    for part in token.split_inclusive('.') {
        let (part, dot) = part
            .strip_suffix('.')
            .map_or((part, false), |part| (part, true));
        if part != "=" {
            unescape_into(part, &mut bytes)?;
        }
        if dot {
            bytes.push(b'.');
        }
    }
    String::from_utf8(bytes).ok()
}

fn unescape_into(token: &str, bytes: &mut Vec<u8>) -> Option<()> {
    let mut pieces = token.split('=');
    bytes.extend_from_slice(pieces.next().unwrap_or_default().as_bytes());
    for piece in pieces {
        let (code, rest) = piece.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(code, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    Some(())
}

fn escape_underscore(text: &str) -> String {
    escape_all_but(text, |byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn escape_all_but(text: &str, keep: impl Fn(u8) -> bool) -> String {
    if text.is_empty() {
        return "=".to_owned();
    }
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if keep(byte) {
            escaped.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(escaped, "={byte:02X}");
        }
    }
    escaped
}

fn tokens(name: &str, joint: char, escape: fn(&str) -> String) -> String {
    let mut joined = String::with_capacity(name.len());
    for (at, token) in name.split('.').enumerate() {
        if at > 0 {
            joined.push(joint);
        }
        joined.push_str(&escape(token));
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANNELS: [&str; 9] = [
        "requests.incoming",
        "requests_incoming",
        "requests.incoming.dead",
        "KV_x",
        "LIVE",
        "a..b",
        "with space:and*stars>",
        "grün",
        ".",
    ];

    #[test]
    fn plain_channels_keep_their_name() {
        let names = Names::new("");
        assert_eq!(
            names.subject("requests.incoming.api"),
            "requests.incoming.api"
        );
        assert_eq!(
            names.stream("requests.incoming.api"),
            "requests_incoming_api"
        );
    }

    #[test]
    fn every_name_comes_back_and_no_two_meet() {
        for prefix in ["", "t1", "two.parts", "under_score", "colon:"] {
            let names = Names::new(prefix);
            let mut streams = Vec::new();
            for channel in CHANNELS {
                let stream = names.stream(channel);
                assert_eq!(names.channel(&stream).as_deref(), Some(channel), "{stream}");
                assert!(!streams.contains(&stream), "{stream} is used twice");
                assert!(!stream.contains(['.', '*', '>', ' ']), "{stream}");
                streams.push(stream);
            }
        }
    }

    #[test]
    fn other_streams_and_other_prefixes_are_no_channels() {
        let names = Names::new("t1");
        assert_eq!(names.channel(&names.live_stream()), None);
        assert_eq!(names.channel(&names.waits_stream()), None);
        assert_eq!(
            names.channel(&format!("KV_{}", names.bucket("control"))),
            None
        );
        assert_eq!(
            names.channel(&Names::new("t2").stream("requests.incoming")),
            None
        );
    }

    #[test]
    fn any_key_becomes_one_token_and_comes_back() {
        for key in ["", "plain", "run:01-ab", "a.b.c", "=", "ü*>", "_x_"] {
            let token = escape(key);
            assert!(
                !token.is_empty() && !token.contains(['.', '*', '>', ' ', ':']),
                "{token}"
            );
            assert_eq!(unescape(&token).as_deref(), Some(key));
        }
    }
}
