//! Lists for `IN`.

use crate::Value;

/// Most values of one list.
const MOST: usize = 64;

/// Part of a list of ids for `IN`, filled up with its last one to a power of two: so there are only
/// seven texts of each statement, and all of them stay prepared.
#[derive(Clone, Debug, PartialEq)]
pub struct InList {
    /// `($first,$first+1,…)`.
    pub text: String,
    /// What to bind.
    pub values: Vec<Value>,
}

impl InList {
    /// The list in parts; placeholders begin at `$first`.
    pub fn chunks(ids: &[String], first: usize) -> impl Iterator<Item = Self> {
        ids.chunks(MOST).map(move |part| {
            let size = part.len().next_power_of_two();
            let filling = part.last().into_iter().cycle();
            let filled = part.iter().chain(filling).take(size);
            let names: Vec<String> = (first..first + size).map(|at| format!("${at}")).collect();
            Self {
                text: format!("({})", names.join(",")),
                values: filled.map(Value::from).collect(),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_is_in_a_list_and_few_texts_exist() {
        let mut texts = std::collections::BTreeSet::new();
        for count in 0..200 {
            let ids: Vec<String> = (0..count).map(|id| id.to_string()).collect();
            let mut seen = std::collections::BTreeSet::new();
            for list in InList::chunks(&ids, 2) {
                assert_eq!(list.text.matches('$').count(), list.values.len());
                assert!(list.text.starts_with("($2"));
                let values = list.values.iter();
                seen.extend(values.filter_map(|value| match value {
                    Value::Text(text) => text.clone(),
                    _ => None,
                }));
                texts.insert(list.text);
            }
            assert_eq!(seen.len(), ids.len());
        }
        assert_eq!(texts.len(), 7);
    }
}
