//! The forms in which a secret would still be one.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// How much of the end of a secret may be missing: most of a key is as bad as all of it.
const CUT: usize = 6;

/// In which form a secret stands in these bytes, if in any.
pub(crate) fn found(secret: &str, bytes: &[u8]) -> Option<&'static str> {
    let whole = secret.as_bytes();
    let most = whole.get(..whole.len() - CUT).unwrap_or(whole);
    if has(most, bytes) {
        return Some("as it is");
    }
    let joined: Vec<u8> = joined(bytes);
    if has(most, &joined) {
        return Some("on several lines");
    }
    let escaped = percent(most);
    if escaped.as_bytes() != most {
        let lower = bytes.to_ascii_lowercase();
        if has(escaped.to_ascii_lowercase().as_bytes(), &lower) {
            return Some("percent-encoded");
        }
    }
    let hex: String = most.iter().map(|byte| format!("{byte:02x}")).collect();
    if has(hex.as_bytes(), &bytes.to_ascii_lowercase()) {
        return Some("in hexadecimal");
    }
    let in_base64 = (0..3).any(|ahead| {
        [STANDARD_NO_PAD, URL_SAFE_NO_PAD].iter().any(|alphabet| {
            let form = base64_behind(ahead, most, |bytes| alphabet.encode(bytes));
            has(form.as_bytes(), &joined)
        })
    });
    in_base64.then_some("in base64")
}

/// Whether `bytes` contain `part`.
pub(crate) fn has(part: &[u8], bytes: &[u8]) -> bool {
    // Text as text: the search for a text is much faster than one window by window.
    let text = String::from_utf8_lossy(bytes);
    text.contains(&*String::from_utf8_lossy(part))
}

/// Without ends of lines, those that stand for one in JSON too.
fn joined(bytes: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(bytes);
    let text = text.replace("\\r", "").replace("\\n", "");
    text.replace(char::is_whitespace, "").into_bytes()
}

fn percent(bytes: &[u8]) -> String {
    bytes
        .iter()
        .map(|byte| match byte {
            byte if byte.is_ascii_alphanumeric() => char::from(*byte).to_string(),
            b'-' | b'_' | b'.' | b'~' => char::from(*byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

/// What base64 shows of a secret that stands behind `ahead` other bytes (of three), whatever is around it.
fn base64_behind(ahead: usize, secret: &[u8], encode: impl Fn(&[u8]) -> String) -> String {
    let padded = [vec![b'x'; ahead], secret.to_vec()].concat();
    let whole = padded.len() - padded.len() % 3;
    let text = encode(padded.get(..whole).unwrap_or_default());
    // The first group of four has bytes of somebody else, unless there are none.
    let skipped = if ahead == 0 { 0 } else { 4 };
    text.get(skipped..).unwrap_or_default().to_owned()
}

#[test]
fn a_canary_is_found_in_every_form() {
    const SECRET: &str = "sk-canary/with+odd=letters-0123456789";
    let form = |text: &str| found(SECRET, text.as_bytes());
    assert_eq!(form("nothing of the kind"), None);
    assert_eq!(form(&format!("it is {SECRET}.")), Some("as it is"));
    let most = SECRET.get(..SECRET.len() - CUT).unwrap();
    assert_eq!(form(&format!("{most}…")), Some("as it is"));
    let (head, tail) = SECRET.split_at(12);
    for line_end in ["\n", "\r\n  ", "\\n"] {
        let split = format!("{head}{line_end}{tail}");
        assert_eq!(form(&split), Some("on several lines"), "{line_end:?}");
    }
    let url = "https://x/?key=sk-canary%2fwith%2Bodd%3Dletters-0123456789";
    assert_eq!(form(url), Some("percent-encoded"));
    for user in ["", "a:", "ab:", "router:"] {
        let basic = STANDARD_NO_PAD.encode(format!("{user}{SECRET}"));
        assert_eq!(form(&basic), Some("in base64"), "behind `{user}`");
    }
}
