//! The names under which tools of servers are offered to models.
//!
//! Every provider takes `[a-zA-Z0-9_-]{1,64}`. A tool is called `<server>__<tool>`; as a server's
//! name has neither `__` nor an outer `_`, the first `__` always separates the two, and no two
//! servers can offer one name. A tool's name that does not fit is rewritten, with a piece of its
//! hash so that the result stays the same from one listing to the next and differs from others'.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

/// Longest name every provider takes, in bytes.
pub const LONGEST: usize = 64;
/// Longest name of a server, in bytes: leaves 38 for the tool.
pub const LONGEST_SERVER: usize = 24;
const BETWEEN: &str = "__";
/// Hexadecimal digits of a hash in a name, in the order they are tried.
const DIGITS: [usize; 3] = [8, 16, 32];

/// Whether `name` may be a server's: words of `[a-z0-9]` joined by single `_`, at most 24 bytes.
#[must_use]
pub fn is_server(name: &str) -> bool {
    let word = |word: &str| {
        !word.is_empty()
            && word
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    name.len() <= LONGEST_SERVER && name.split('_').all(word)
}

/// The server's part of an offered name.
#[must_use]
pub fn server_of(offered: &str) -> Option<&str> {
    offered.split_once(BETWEEN).map(|(server, _)| server)
}

/// Offered names of one server's tools: from the tool's own name to the offered one.
///
/// Names that fit are kept first, so a tool cannot take the name of another by imitating the
/// rewritten form. The order of `tools` makes no difference. `server` must satisfy [`is_server`].
#[must_use]
pub fn assign<'a>(
    server: &str,
    tools: impl IntoIterator<Item = &'a str>,
) -> BTreeMap<String, String> {
    let tools: BTreeSet<&str> = tools.into_iter().collect();
    let (plain, odd): (Vec<&str>, Vec<&str>) = tools.iter().partition(|tool| fits(server, tool));
    let mut taken = BTreeSet::new();
    let mut names = BTreeMap::new();
    for tool in plain {
        let name = format!("{server}{BETWEEN}{tool}");
        taken.insert(name.clone());
        names.insert(tool.to_owned(), name);
    }
    for tool in odd {
        let candidates = DIGITS.iter().map(|digits| rewritten(server, tool, *digits));
        // Three collisions of growing hashes in one server are not chance: such a tool has no name.
        let Some(name) = candidates.into_iter().find(|name| !taken.contains(name)) else {
            continue;
        };
        taken.insert(name.clone());
        names.insert(tool.to_owned(), name);
    }
    names
}

fn allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
}

fn fits(server: &str, tool: &str) -> bool {
    !tool.is_empty()
        && tool.chars().all(allowed)
        && server.len() + BETWEEN.len() + tool.len() <= LONGEST
}

fn rewritten(server: &str, tool: &str, digits: usize) -> String {
    let hash = hex::encode(Sha256::digest(tool.as_bytes()));
    let hash = hash.get(..digits).unwrap_or(&hash);
    let room = LONGEST.saturating_sub(server.len() + BETWEEN.len() + 1 + digits);
    let kept = tool.chars().map(|c| if allowed(c) { c } else { '_' });
    let kept: String = kept.take(room).collect();
    format!("{server}{BETWEEN}{kept}_{hash}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn valid(name: &str) -> bool {
        (1..=LONGEST).contains(&name.len()) && name.chars().all(allowed)
    }

    #[test]
    fn a_name_that_fits_is_kept_and_others_carry_a_hash() {
        let names = assign(
            "files",
            ["read-file", "lire le fichier", "", &"x".repeat(80)],
        );
        assert_eq!(names["read-file"], "files__read-file");
        assert!(names["lire le fichier"].starts_with("files__lire_le_fichier_"));
        assert_eq!(names[&"x".repeat(80)].len(), LONGEST);
        assert!(names.values().all(|name| valid(name)), "{names:?}");
    }

    #[test]
    fn a_tool_that_imitates_a_rewritten_name_keeps_its_own_and_the_other_moves() {
        let alone = assign("s", ["a b"])["a b"].clone();
        let imitation = alone.strip_prefix("s__").unwrap();
        let names = assign("s", ["a b", imitation]);
        assert_eq!(names[imitation], alone);
        assert_ne!(names["a b"], alone);
    }

    #[test]
    fn names_of_servers_cannot_blur_where_the_tool_begins() {
        for good in ["a", "web_search", "files2", "0"] {
            assert!(is_server(good), "{good}");
        }
        for bad in [
            "",
            "_a",
            "a_",
            "a__b",
            "A",
            "a-b",
            "a.b",
            "é",
            &"a".repeat(25),
        ] {
            assert!(!is_server(bad), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn names_are_valid_distinct_stable_and_lead_back(
            server in "[a-z0-9]{1,8}(_[a-z0-9]{1,7}){0,2}",
            tools in proptest::collection::vec("[a-b_ é-]{0,5}|[a-z]{60,70}|.{0,80}", 0..12),
        ) {
            prop_assert!(is_server(&server));
            let names = assign(&server, tools.iter().map(String::as_str));
            let distinct: BTreeSet<&String> = names.values().collect();
            prop_assert_eq!(distinct.len(), names.len());
            let wanted: BTreeSet<&String> = tools.iter().collect();
            prop_assert_eq!(names.len(), wanted.len());
            for name in names.values() {
                prop_assert!(valid(name), "{}", name);
                prop_assert_eq!(server_of(name), Some(server.as_str()));
            }
            let again = assign(&server, tools.iter().rev().map(String::as_str));
            prop_assert_eq!(names, again);
        }

        #[test]
        fn no_two_servers_offer_one_name(
            one in "[a-b0]{1,3}(_[a-b]{1,2}){0,1}", two in "[a-b0]{1,3}(_[a-b]{1,2}){0,1}",
            left in "[ab_]{0,5}", right in "[ab_]{0,5}",
        ) {
            prop_assume!(one != two);
            prop_assert_ne!(&assign(&one, [left.as_str()])[&left], &assign(&two, [right.as_str()])[&right]);
        }
    }
}
