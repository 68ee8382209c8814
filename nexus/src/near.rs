//! A hint for who mistyped.

/// The known name nearest to this one, and all of them, as a sentence.
#[must_use]
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let best = known
        .iter()
        .map(|other| (strsim::jaro_winkler(name, other), other))
        .filter(|(likeness, _)| *likeness > 0.7)
        .max_by(|one, other| one.0.total_cmp(&other.0));
    let list = known.join(", ");
    match best {
        Some((_, best)) => format!("Did you mean `{best}`? There are: {list}"),
        None => format!("There are: {list}"),
    }
}
