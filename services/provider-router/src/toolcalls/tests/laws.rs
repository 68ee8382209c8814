//! Laws: what is written is read, whatever stands around it; and nothing is ever made up.

use proptest::prelude::*;

use super::render::{Wanted, Way, calls, which, written};
use super::texts::{prose, soup};
use super::{Offered, read, read_cut};
use crate::toolcalls::{Call, Parsed};

fn same(calls: &[Call], wanted: &[Wanted]) -> bool {
    let mut pairs = calls.iter().zip(wanted);
    let alike = |(call, wanted): (&Call, &Wanted)| {
        call.name == wanted.name && call.arguments == wanted.arguments
    };
    calls.len() == wanted.len() && pairs.all(alike)
}

/// What holds of every answer.
fn check(text: &str, parsed: &Parsed) -> Result<(), TestCaseError> {
    prop_assert_eq!(parsed, &read(text));
    if parsed.calls.is_empty() {
        prop_assert_eq!(&parsed.prose, text);
        prop_assert!(parsed.repairs.is_empty());
    }
    let offered = Offered::new();
    for call in &parsed.calls {
        prop_assert!(offered.tools().iter().any(|tool| tool.name == call.name));
        prop_assert!(text.contains(&call.name));
    }
    for one in &parsed.repairs {
        prop_assert!(one.call < parsed.calls.len());
    }
    for one in &parsed.refusals {
        prop_assert!(one.at < text.len() && text.is_char_boundary(one.at));
        prop_assert!(!one.reason.to_string().is_empty());
    }
    Ok(())
}

/// What is left of the text around calls that stand on lines of their own.
fn left(before: &str, after: &str) -> String {
    match before.trim_end() {
        "" => {
            let blank = |char: char| char.is_ascii_whitespace();
            after.trim_start_matches(blank).to_owned()
        }
        kept => format!("{kept}\n{after}"),
    }
}

/// Puts something else in the place of some characters.
fn mutated(text: &str, at: prop::sample::Index, taken: usize, put: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let at = at.index(chars.len() + 1);
    let head = chars.iter().take(at);
    let tail = chars.iter().skip(at + taken);
    head.copied()
        .chain(put.chars())
        .chain(tail.copied())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn what_is_written_is_read((way, wanted) in written()) {
        let text = (way.write)(&wanted);
        let parsed = read(&text);
        prop_assert!(same(&parsed.calls, &wanted), "{:?}: {} {:?}", way, text, parsed);
        prop_assert_eq!(parsed.prose, "", "{}", text);
        prop_assert!(parsed.refusals.is_empty() && parsed.repairs.is_empty(), "{}", text);
        prop_assert!(same(&read_cut(&text).calls, &wanted));
    }

    #[test]
    fn prose_around_it_stays(
        (way, wanted) in written(),
        before in prose(),
        after in prose(),
    ) {
        let text = format!("{before}\n{}\n{after}", (way.write)(&wanted));
        let parsed = read(&text);
        prop_assert!(same(&parsed.calls, &wanted), "{:?}: {} {:?}", way, text, parsed);
        prop_assert_eq!(parsed.prose, left(&before, &after), "{}", text);
        prop_assert!(parsed.refusals.is_empty() && parsed.repairs.is_empty(), "{}", text);
    }

    #[test]
    fn prose_alone_stays_byte_for_byte(text in prose()) {
        let parsed = read(&text);
        prop_assert_eq!(parsed, Parsed { prose: text, ..Parsed::default() });
    }

    #[test]
    fn any_text_is_read(text in any::<String>()) {
        check(&text, &read(&text))?;
    }

    #[test]
    fn any_soup_is_read(text in soup()) {
        check(&text, &read(&text))?;
    }

    /// Of an answer that was stopped, only calls that were whole are called.
    #[test]
    fn what_is_cut_is_never_completed(
        (way, wanted) in written(),
        cut in any::<prop::sample::Index>(),
    ) {
        let text = (way.write)(&wanted);
        let cuts: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
        let text = &text[..cuts[cut.index(cuts.len())]];
        let parsed = read_cut(text);
        let whole = wanted.get(..parsed.calls.len()).unwrap_or_default();
        prop_assert!(same(&parsed.calls, whole), "{:?}: {} {:?}", way, text, parsed);
    }

    /// Of an answer that the model ended so, brackets may be added, but no value is changed: every
    /// argument that is given is one of those that were written.
    #[test]
    fn what_is_added_is_brackets(
        (way, wanted) in written(),
        cut in any::<prop::sample::Index>(),
    ) {
        let text = (way.write)(&wanted);
        let cuts: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
        let text = &text[..cuts[cut.index(cuts.len())]];
        let parsed = read(text);
        prop_assert!(parsed.calls.len() <= wanted.len());
        let Some((last, whole)) = parsed.calls.split_last() else {
            return Ok(());
        };
        prop_assert!(same(whole, &wanted[..whole.len()]), "{:?}: {} {:?}", way, text, parsed);
        let all = &wanted[whole.len()].arguments;
        for (key, value) in &last.arguments {
            let written = all.get(key).is_some_and(|whole| begins(whole, value));
            prop_assert!(written, "{:?}: {} {:?}", way, text, parsed);
        }
    }

    #[test]
    fn a_change_never_calls_what_was_not_offered(
        (way, wanted) in written(),
        at in any::<prop::sample::Index>(),
        taken in 0..4_usize,
        put in prop_oneof![Just(String::new()), "\\PC{0,2}", soup()],
    ) {
        let text = mutated(&(way.write)(&wanted), at, taken, &put);
        check(&text, &read(&text))?;
    }

    #[test]
    fn calls_in_two_ways_are_all_read(
        (one, first) in written(),
        (two, second) in which().prop_flat_map(|way: &Way| (Just(way), calls(way.arguments))),
    ) {
        let text = format!("{}\n\n{}", (one.write)(&first), (two.write)(&second));
        let parsed = read(&text);
        let all: Vec<Wanted> = [first, second].concat();
        prop_assert!(same(&parsed.calls, &all), "{:?} {:?}: {} {:?}", one, two, text, parsed);
        prop_assert_eq!(parsed.prose, "", "{}", text);
    }
}

/// Whether a value is another one with something missing at its end.
fn begins(whole: &serde_json::Value, part: &serde_json::Value) -> bool {
    use serde_json::Value::{Array, Object};
    match (whole, part) {
        (Array(whole), Array(part)) => {
            part.len() <= whole.len()
                && whole
                    .iter()
                    .zip(part)
                    .all(|(whole, part)| begins(whole, part))
        }
        (Object(whole), Object(part)) => part
            .iter()
            .all(|(key, part)| whole.get(key).is_some_and(|whole| begins(whole, part))),
        (whole, part) => whole == part,
    }
}
