//! A hostile child against the executor's reader, and hostile bytes against people's eyes.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use nexus_sandbox::{
    protocol::{
        FileData, MAX_NAME, Outcome, Reply, check_name,
        frame::{self, FrameError, HEADER},
    },
    text,
};
use proptest::prelude::*;
use serde_json::{Value, json};

const CAP: usize = 4096;

fn read<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, FrameError> {
    frame::read(&mut &*bytes, CAP)
}

/// The executor's reader and the worker's are two; they must be of one mind.
fn received(bytes: &[u8]) -> Result<Value, FrameError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(frame::receive(&mut &*bytes, CAP))
}

proptest! {
    #[test]
    fn whatever_is_written_is_read(name in "[a-z]{1,9}", data: Vec<u8>, text in ".*", cpu_us: u64) {
        let outcome = Outcome::Value(json!({ "text": text }));
        let reply = Reply { outcome, files: vec![FileData { name, data }], files_left_out: false, cpu_us };
        let bytes = frame::encode(&reply).unwrap();
        prop_assert_eq!(frame::read::<Reply>(&mut bytes.as_slice(), usize::MAX).unwrap(), reply);
    }

    #[test]
    fn garbage_is_an_error_and_never_more(bytes: Vec<u8>) {
        prop_assert!(read::<Reply>(&bytes).is_err());
        prop_assert!(received(&bytes).is_err());
    }

    #[test]
    fn garbage_behind_a_good_header_is_an_error_or_its_json(body: Vec<u8>) {
        let length = u32::try_from(body.len()).unwrap().to_le_bytes();
        let bytes = [b"NXS\x01".as_slice(), &length, &body].concat();
        let expected = serde_json::from_slice::<Value>(&body).ok();
        prop_assert_eq!(&read::<Value>(&bytes).ok(), &expected);
        prop_assert_eq!(received(&bytes).ok(), expected);
    }

    #[test]
    fn half_a_frame_is_an_error(text in ".{0,99}", part in 0.0..1.0_f64) {
        let bytes = frame::encode(&text).unwrap();
        let cut = &bytes[..((bytes.len() as f64) * part) as usize];
        let is_one = matches!(read::<String>(cut), Err(FrameError::Half { .. } | FrameError::Silent));
        prop_assert!(is_one);
        let is_one = matches!(received(cut), Err(FrameError::Half { .. } | FrameError::Silent));
        prop_assert!(is_one);
    }

    #[test]
    fn a_length_above_the_cap_is_refused_before_it_is_read(length in (CAP as u32 + 1)..) {
        let bytes = [b"NXS\x01".as_slice(), &length.to_le_bytes()].concat();
        let large = |e| matches!(e, FrameError::Large { .. });
        prop_assert!(read::<Value>(&bytes).is_err_and(large));
        prop_assert!(received(&bytes).is_err_and(large));
    }

    #[test]
    fn text_is_harmless_whatever_it_was(bytes: Vec<u8>) {
        let text = text::harmless(&bytes);
        prop_assert!(text.chars().all(|c| matches!(c, '\n' | '\t') || text::is_plain(c)));
        let (cut, was) = text::harmless_within(&bytes, 10);
        prop_assert!(cut.len() <= 10 && text.starts_with(&cut) && was == (cut.len() < text.len()));
    }

    #[test]
    fn plain_text_stays_as_it_is(text in "[a-zäöü世界👩\u{200d}🚀 \n\t]*") {
        prop_assert_eq!(text::harmless(text.as_bytes()), text);
    }

    #[test]
    fn an_accepted_name_leads_nowhere_else(name in ".*") {
        if check_name(&name).is_ok() {
            let path = std::path::Path::new("/folder").join(&name);
            prop_assert_eq!(path.parent(), Some(std::path::Path::new("/folder")));
            prop_assert!(name.len() <= MAX_NAME && path.file_name() == Some(name.as_ref()));
        }
    }
}

#[test]
fn deep_json_is_refused_and_does_not_use_up_the_stack() {
    let body = [vec![b'['; 2000], vec![b']'; 2000]].concat();
    let length = u32::try_from(body.len()).unwrap().to_le_bytes();
    let bytes = [b"NXS\x01".as_slice(), &length, &body].concat();
    assert!(matches!(read::<Value>(&bytes), Err(FrameError::Content(_))));
}

#[test]
fn another_version_is_named() {
    let error = frame::length(*b"NXS\x02\0\0\0\0", CAP).unwrap_err();
    assert!(matches!(error, FrameError::Version(2)) && error.to_string().contains("version 2"));
    assert_eq!(HEADER, 8);
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    for name in [
        "",
        ".",
        "..",
        "a/b",
        "../a",
        "/a",
        "a\\b",
        "a\0",
        "a\n",
        "\u{202e}a",
        &"x".repeat(129),
    ] {
        assert!(check_name(name).is_err(), "{name:?}");
    }
    for name in ["a", "a b.txt", "...", "-rf", "naïve.csv", &"x".repeat(128)] {
        assert!(check_name(name).is_ok(), "{name:?}");
    }
}
