//! What must never be shown, in every form in which an upstream may quote it.

use std::cmp::Reverse;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

use crate::provider::ProviderFailure;

/// All but what stands for itself in an address (RFC 3986 §2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The longest first: where a part of a secret is replaced, the whole is not found any more.
#[derive(Default)]
pub(super) struct Secrets(Vec<SecretString>);

impl Secrets {
    /// A key or a password: as it is, and as it stands in an address.
    pub(super) fn add(&mut self, secret: &str) {
        let escaped = utf8_percent_encode(secret, RESERVED).to_string();
        let lower = lower_escapes(&escaped);
        self.0.extend([secret.into(), escaped.into(), lower.into()]);
        self.0
            .sort_by_key(|secret| Reverse(secret.expose_secret().len()));
    }

    /// The value of a header, word by word and part by part: an upstream may quote the key of
    /// `Bearer <key>` alone, or the session of `session=<id>; lang=en`.
    pub(super) fn add_header(&mut self, value: &str) {
        let between = |c: char| matches!(c, '=' | ':' | ';' | ',' | '&' | '"' | '\'');
        for word in value.split_whitespace() {
            self.add(word);
            for part in word.split(between) {
                self.add(part);
            }
        }
    }

    /// Name and password in the address of a proxy, and both as they are sent to it.
    pub(super) fn add_login(&mut self, address: &str) {
        // As the client reads it: without a scheme it is HTTP.
        let url = Url::parse(address).ok().filter(Url::has_host);
        let url = url.or_else(|| Url::parse(&format!("http://{address}")).ok());
        let Some(url) = url else {
            return;
        };
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let escaped = url.password().unwrap_or_default();
        let (name, password) = (decoded(url.username()), decoded(escaped));
        self.add(&STANDARD.encode(format!("{name}:{password}")));
        for secret in [escaped, &password, &name] {
            self.add(secret);
        }
    }

    /// The failure without any of them.
    pub(super) fn taken_out_of(&self, failure: ProviderFailure) -> ProviderFailure {
        let secrets = self.0.iter().map(ExposeSecret::expose_secret);
        failure.fit_to_show(&secrets.collect::<Vec<_>>())
    }
}

/// With `%2f` for `%2F`, as some write it.
fn lower_escapes(escaped: &str) -> String {
    let mut parts = escaped.split('%');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2).unwrap_or((part, ""));
        text.push('%');
        text.push_str(&digits.to_ascii_lowercase());
        text.push_str(rest);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::Secrets;
    use crate::provider::{FailureClass, ProviderFailure};

    fn shown(secrets: &Secrets, said: &str) -> String {
        let failure = ProviderFailure::new(FailureClass::Unavailable, said);
        secrets.taken_out_of(failure).detail
    }

    #[test]
    fn a_key_is_taken_out_as_it_is_and_as_it_stands_in_an_address() {
        let mut secrets = Secrets::default();
        secrets.add("canary/one+two=");
        assert_eq!(shown(&secrets, "bad canary/one+two=!"), "bad [redacted]!");
        let said = "see /login?key=canary%2Fone%2Btwo%3D";
        assert_eq!(shown(&secrets, said), "see /login?key=[redacted]");
        let said = "see /login?key=canary%2fone%2btwo%3d";
        assert_eq!(shown(&secrets, said), "see /login?key=[redacted]");
    }

    #[test]
    fn a_header_is_taken_out_in_its_parts() {
        let mut secrets = Secrets::default();
        secrets.add_header("session=\"canary-0123\"; lang=en");
        let said = "no session canary-0123 in lang en";
        assert_eq!(shown(&secrets, said), "no session [redacted] in lang en");
        let said = "got session=\"canary-0123\"; lang=en";
        assert_eq!(shown(&secrets, said), "got [redacted] lang=en");
    }

    #[test]
    fn a_login_is_taken_out_as_it_is_sent() {
        for address in [
            "http://router:c%40nary-01@proxy:3128",
            "router:c%40nary-01@proxy:3128",
        ] {
            let mut secrets = Secrets::default();
            secrets.add_login(address);
            // `router:c@nary-01`
            let said = "no to Basic cm91dGVyOmNAbmFyeS0wMQ==, c@nary-01, c%40nary-01";
            assert_eq!(
                shown(&secrets, said),
                "no to Basic [redacted], [redacted], [redacted]",
                "{address}"
            );
        }
    }
}
