//! What a model gets to see of a long result. Pure.

use serde_json::Value;

/// A result as it is handed on.
#[derive(Clone, Debug, PartialEq)]
pub enum Kept {
    /// As it is.
    Short(Value),
    /// Too long for a model to see at once.
    Long {
        /// The beginning of its text.
        beginning: String,
        /// Its text, as far as it is kept.
        text: String,
        /// How many bytes of the text are not kept.
        dropped: u64,
    },
}

/// The value itself where its text has at most `most` bytes; else the beginning of it, and at most
/// `keep` bytes of the whole. A text stands for itself, everything else for its JSON.
#[must_use]
pub fn shorten(value: Value, most: u64, keep: usize) -> Kept {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let mut text = match value {
        Value::String(text) if text.len() <= most => return Kept::Short(Value::String(text)),
        Value::String(text) => text,
        value => {
            let text = value.to_string();
            if text.len() <= most {
                return Kept::Short(value);
            }
            text
        }
    };
    let all = text.len();
    text.truncate(text.floor_char_boundary(keep));
    let dropped = u64::try_from(all - text.len()).unwrap_or(u64::MAX);
    let beginning = text
        .get(..text.floor_char_boundary(most))
        .unwrap_or_default();
    Kept::Long {
        beginning: beginning.to_owned(),
        text,
        dropped,
    }
}

/// The beginning of a result whose rest is gone, and why.
#[must_use]
pub fn not_kept(beginning: &str, why: &str) -> Value {
    Value::String(format!(
        "{beginning}\n[cut here; the rest could not be kept: {why}]"
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};
    use serde_json::json;

    use super::*;

    #[test]
    fn what_fits_stays_a_value() {
        let value = json!({"a": [1, 2]});
        assert_eq!(shorten(value.clone(), 11, 100), Kept::Short(value));
    }

    proptest! {
        /// Beginning, text and what was dropped fit together, whatever the text is made of.
        #[test]
        fn nothing_is_lost_silently(text in "(a|é|漢|😀){0,200}", most in 0..300_u64, keep in 0..400_usize) {
            let most_bytes = usize::try_from(most).unwrap();
            match shorten(Value::String(text.clone()), most, keep) {
                Kept::Short(value) => {
                    prop_assert!(text.len() <= most_bytes);
                    prop_assert_eq!(value, Value::String(text));
                }
                Kept::Long { beginning, text: kept, dropped } => {
                    prop_assert!(text.len() > most_bytes);
                    prop_assert!(beginning.len() <= most_bytes && kept.len() <= keep);
                    prop_assert!(kept.starts_with(&beginning) || keep < most_bytes);
                    prop_assert!(text.starts_with(&kept));
                    prop_assert_eq!(usize::try_from(dropped).unwrap() + kept.len(), text.len());
                }
            }
        }
    }
}
