//! From bytes to characters.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};

use super::kind::Kind;
use crate::fetch::ContentType;

/// How far a declaration within a document is looked for, in bytes (the HTML Standard's number).
const PRESCAN: usize = 1024;

/// Decodes a document: by its byte order mark, by what the server says, by what the document says
/// itself, as UTF-8 if it is that, and otherwise as Windows-1252, as browsers do.
pub(super) fn decode<'a>(body: &'a [u8], content_type: &ContentType, kind: Kind) -> Cow<'a, str> {
    let said = content_type
        .charset()
        .and_then(|label| Encoding::for_label(label.as_bytes()));
    let encoding = said.or_else(|| declared(body, kind)).unwrap_or_else(|| {
        if std::str::from_utf8(body).is_ok() {
            UTF_8
        } else {
            WINDOWS_1252
        }
    });
    // A byte order mark goes before everything that was said.
    encoding.decode(body).0
}

fn declared(body: &[u8], kind: Kind) -> Option<&'static Encoding> {
    let start = body.get(..PRESCAN).unwrap_or(body).to_ascii_lowercase();
    let text = String::from_utf8_lossy(&start);
    let label = match kind {
        Kind::Html => after(&text, "charset="),
        Kind::Xml | Kind::Feed => after(text.split("?>").next().unwrap_or_default(), "encoding="),
        _ => None,
    }?;
    let encoding = Encoding::for_label(label.as_bytes())?;
    // Whoever could write this in ASCII did not write UTF-16.
    let wide = encoding == encoding_rs::UTF_16LE || encoding == encoding_rs::UTF_16BE;
    Some(if wide { UTF_8 } else { encoding })
}

fn after<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(name)?;
    let rest = rest.trim_start().trim_start_matches(['"', '\'']);
    let end =
        rest.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_' | ':' | '.'));
    rest.get(..end.unwrap_or(rest.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(body: &[u8], said: &str, kind: Kind) -> String {
        decode(body, &ContentType::parse(said), kind).into_owned()
    }

    #[test]
    fn every_way_to_say_it_counts_in_its_order() {
        assert_eq!(
            text(b"caf\xe9", "text/plain; charset=iso-8859-1", Kind::Text),
            "café"
        );
        assert_eq!(
            text(
                b"\xef\xbb\xbfcaf\xc3\xa9",
                "text/plain; charset=iso-8859-1",
                Kind::Text
            ),
            "café"
        );
        assert_eq!(text(b"\xff\xfea\0", "text/plain", Kind::Text), "a");
        assert_eq!(text("café".as_bytes(), "text/plain", Kind::Text), "café");
        assert_eq!(text(b"caf\xe9", "text/plain", Kind::Text), "café");
        let meta = b"<meta charset='windows-1251'>\xcf\xf0\xe8\xe2\xe5\xf2";
        assert!(text(meta, "text/html", Kind::Html).ends_with("Привет"));
        let equiv =
            b"<META http-equiv=content-type content=\"text/html; charset=Shift_JIS\">\x93\xfa";
        assert!(text(equiv, "text/html", Kind::Html).ends_with('日'));
        let xml = b"<?xml version='1.0' encoding='ISO-8859-2'?><a>\xb1</a>";
        assert!(text(xml, "text/xml", Kind::Xml).contains('ą'));
        assert!(text(b"<meta charset=utf-16>\xc3\xa9", "", Kind::Html).ends_with('é'));
        assert!(text(b"<meta charset=nonsense>\xe9", "", Kind::Html).ends_with('é'));
    }
}
