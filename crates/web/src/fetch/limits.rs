//! How much is read, for how long, and in whose name.

use std::time::Duration;

/// How much is read, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Everything together: names, `robots.txt`, redirects and the body.
    pub total: Duration,
    /// One connection, TLS included.
    pub connect: Duration,
    /// The head of an answer, in bytes.
    pub head_bytes: usize,
    /// The body as it is sent, in bytes.
    pub packed_bytes: usize,
    /// The body unpacked, in bytes.
    pub body_bytes: usize,
    /// Redirects that are followed.
    pub redirects: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            total: Duration::from_secs(20),
            connect: Duration::from_secs(5),
            head_bytes: 32 * 1024,
            packed_bytes: 8 * 1024 * 1024,
            body_bytes: 8 * 1024 * 1024,
            redirects: 5,
        }
    }
}

impl Limits {
    /// RFC 9309 wants 500 KiB to be read at least.
    pub(crate) fn for_robots(&self) -> Self {
        Self {
            packed_bytes: robotxt::BYTE_LIMIT,
            body_bytes: robotxt::BYTE_LIMIT,
            ..self.clone()
        }
    }
}

/// Who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// Where the operator can be reached: a URL or a mail address.
    pub contact: Option<String>,
}

impl Identity {
    /// The name by which `robots.txt` calls Nexus.
    pub const PRODUCT: &'static str = "Nexus";

    /// The `User-Agent`.
    #[must_use]
    pub fn user_agent(&self) -> String {
        let version = env!("CARGO_PKG_VERSION");
        let is_plain = |c: &char| c.is_ascii_graphic() && !matches!(c, '(' | ')' | ';');
        let contact: String = self
            .contact
            .iter()
            .flat_map(|text| text.chars())
            .filter(is_plain)
            .collect();
        if contact.is_empty() {
            format!("{}/{version} (AI agent)", Self::PRODUCT)
        } else {
            format!("{}/{version} (AI agent; +{contact})", Self::PRODUCT)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_agent_cannot_be_broken_out_of() {
        let contact = Some("https://nexus.example/bot)\r\nX: (y".to_owned());
        let agent = Identity { contact }.user_agent();
        assert!(
            agent.ends_with(" (AI agent; +https://nexus.example/botX:y)"),
            "{agent}"
        );
    }
}
