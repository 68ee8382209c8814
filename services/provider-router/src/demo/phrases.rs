//! Finding words in what people say.

/// The text with straight apostrophes.
#[must_use]
pub fn straight(text: &str) -> String {
    text.replace(['’', '‘'], "'")
}

/// The text as the demo model reads it: straight apostrophes, ASCII letters in lower case. As long
/// as its [`straight`] form, so that places in one are places in the other.
#[must_use]
pub fn plain(text: &str) -> String {
    straight(text).to_ascii_lowercase()
}

/// Where `phrase` stands in `text` as whole words.
#[must_use]
pub fn find(text: &str, phrase: &str) -> Option<usize> {
    let part_of_word = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(phrase).map(|(at, _)| at).find(|&at| {
        let before = text.get(..at).and_then(|head| head.chars().next_back());
        let after = text
            .get(at + phrase.len()..)
            .and_then(|tail| tail.chars().next());
        !before.is_some_and(part_of_word) && !after.is_some_and(part_of_word)
    })
}

/// The first place where any of the phrases stands.
#[must_use]
pub fn find_any(text: &str, phrases: &[&str]) -> Option<usize> {
    phrases.iter().filter_map(|phrase| find(text, phrase)).min()
}

/// The beginning of `text` up to where its clause ends, and the character it ends in.
#[must_use]
pub fn clause(text: &str) -> (&str, Option<char>) {
    let stop = text.find(['.', '!', '?', ',', ';', '\n']);
    let join = text.find(" and ");
    match (stop, join) {
        (Some(stop), join) if join.is_none_or(|join| stop < join) => {
            let (head, tail) = text.split_at(stop);
            (head.trim(), tail.chars().next())
        }
        (_, Some(join)) => (text.split_at(join).0.trim(), None),
        _ => (text.trim(), None),
    }
}
