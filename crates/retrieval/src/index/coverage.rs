//! How many of the chunks that are searched have vectors, and of which model.

use crate::embed::Space;

/// Of the chunks that are searched, how many can be compared with vectors of a space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Coverage {
    /// Those with a vector of it.
    pub(crate) fit: usize,
    /// Those with a vector of another: of an older model, or of the one that is asked for texts of their
    /// privacy.
    pub(crate) others: usize,
    /// Those with none.
    pub(crate) none: usize,
}

impl Coverage {
    /// Why not all of them can: what has no vector will have one, and what has another may keep it.
    pub(crate) fn reason(self, space: &Space) -> Option<String> {
        let Self { fit, others, none } = self;
        let all = fit + others + none;
        let other = format!("have a vector of another model than {space}");
        let why = [(none, "have no vector yet"), (others, other.as_str())];
        let why = why.into_iter().filter(|(count, _)| *count > 0);
        let why: Vec<String> = why
            .map(|(count, why)| format!("{count} of {all} chunks {why}"))
            .collect();
        (!why.is_empty()).then(|| why.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_none_is_told_from_what_has_another() {
        let space = Space {
            model: "m".to_owned(),
            dimensions: 2,
        };
        let reason = |fit, others, none| Coverage { fit, others, none }.reason(&space);
        assert_eq!(reason(3, 0, 0), None);
        assert_eq!(
            reason(1, 0, 2).as_deref(),
            Some("2 of 3 chunks have no vector yet")
        );
        assert_eq!(
            reason(0, 2, 1).as_deref(),
            Some(
                "1 of 3 chunks have no vector yet; \
                 2 of 3 chunks have a vector of another model than m (2 dimensions)"
            )
        );
    }
}
