//! Turning texts into vectors: what is asked, and what comes back.

use nexus_contracts::Extra;
use nexus_contracts::chat::Usage;

use super::Origin;
use crate::assembler::WireError;

/// Most texts at once, as the interfaces have it that many servers speak.
pub const MOST_TEXTS: usize = 2048;
/// Longest text, in bytes: far more than any model reads.
pub const LONGEST_TEXT: usize = 256 * 1024;
/// Most bytes of all texts together.
pub const MOST_BYTES: usize = 4 * 1024 * 1024;
/// Most numbers of all vectors together: as many as the ledger keeps, at five bytes each.
pub const MOST_NUMBERS: usize = 1_500_000;

/// Texts that are to become vectors.
#[derive(Clone, Debug, PartialEq)]
pub struct EmbedRequest {
    /// Names the request; the same for every attempt.
    pub id: String,
    /// The model.
    pub model: String,
    /// The texts.
    pub input: Vec<String>,
    /// How many numbers each vector is to have, where the model leaves a choice.
    pub dimensions: Option<u32>,
    /// Whose it is.
    pub origin: Origin,
}

/// One vector for each text, in their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Embedded {
    /// The vectors.
    pub vectors: Vec<Vec<f32>>,
    /// Tokens used; zeros when the provider did not say.
    pub usage: Usage,
    /// The model, as the provider names it.
    pub model: Option<String>,
    /// What else the provider said of it.
    pub metadata: Extra,
}

impl Embedded {
    /// These vectors, if they are what was asked for: one for each of `wanted` texts, all of one
    /// length, and nothing in them but numbers.
    ///
    /// # Errors
    /// [`WireError::NoVectors`].
    pub fn checked(self, wanted: usize) -> Result<Self, WireError> {
        let wrong = |what: String| Err(WireError::NoVectors(what));
        let (found, length) = (self.vectors.len(), self.length());
        if found != wanted {
            return wrong(format!("{found} vectors for {wanted} texts"));
        }
        for (place, vector) in self.vectors.iter().enumerate() {
            if vector.is_empty() {
                return wrong(format!("vector {place} is empty"));
            }
            if vector.len() != length {
                let other = vector.len();
                return wrong(format!("vectors of {length} and of {other} numbers"));
            }
            if vector.iter().any(|number| !number.is_finite()) {
                return wrong(format!("vector {place} has something else than numbers"));
            }
        }
        Ok(self)
    }

    /// How many numbers the first vector has.
    #[must_use]
    pub fn length(&self) -> usize {
        self.vectors.first().map_or(0, Vec::len)
    }

    /// Adds what became of the next texts.
    pub fn append(&mut self, next: Self) {
        self.vectors.extend(next.vectors);
        self.usage = self.usage.plus(next.usage);
        self.model = next.model.or_else(|| self.model.take());
        self.metadata.extend(next.metadata);
    }
}

/// Whether these texts can be put to anybody.
///
/// # Errors
/// What is wrong with them, in words.
pub fn check(input: &[String], dimensions: Option<u32>) -> Result<(), String> {
    if input.is_empty() {
        return Err("`input` has no text; name at least one".to_owned());
    }
    let texts = input.len();
    if texts > MOST_TEXTS {
        return Err(format!(
            "`input` has {texts} texts, and at most {MOST_TEXTS} are turned into vectors at once"
        ));
    }
    for (place, text) in input.iter().enumerate() {
        if text.trim().is_empty() {
            return Err(format!("`input[{place}]` is empty: nothing has no vector"));
        }
        let bytes = text.len();
        if bytes > LONGEST_TEXT {
            return Err(format!(
                "`input[{place}]` has {bytes} bytes, more than {LONGEST_TEXT}; cut it into parts"
            ));
        }
    }
    let bytes: usize = input.iter().map(String::len).sum();
    if bytes > MOST_BYTES {
        return Err(format!(
            "`input` has {bytes} bytes in all, more than {MOST_BYTES}; ask for fewer texts at once"
        ));
    }
    match dimensions {
        Some(0) => Err("`dimensions` must be 1 or more".to_owned()),
        Some(length) => check_numbers(texts, usize::try_from(length).unwrap_or(usize::MAX)),
        None => Ok(()),
    }
}

/// Whether so many vectors of this length can be kept.
///
/// # Errors
/// That they cannot, in words.
pub fn check_numbers(vectors: usize, length: usize) -> Result<(), String> {
    if vectors.saturating_mul(length) <= MOST_NUMBERS {
        return Ok(());
    }
    let fit = MOST_NUMBERS / length.max(1);
    Err(format!(
        "{vectors} vectors of {length} numbers are more than {MOST_NUMBERS} numbers in all; \
         ask for at most {fit} texts at once, or for fewer `dimensions`"
    ))
}

#[cfg(test)]
mod tests {
    use super::{Embedded, LONGEST_TEXT, MOST_TEXTS, check};

    fn texts(count: usize, text: &str) -> Vec<String> {
        vec![text.to_owned(); count]
    }

    #[test]
    fn texts_that_cannot_be_put_to_anybody_are_refused_in_words() {
        assert!(check(&texts(1, "a"), None).is_ok());
        assert!(check(&texts(MOST_TEXTS, "a"), None).is_ok());
        let long = "a".repeat(LONGEST_TEXT + 1);
        for (input, dimensions, says) in [
            (texts(0, ""), None, "no text"),
            (texts(MOST_TEXTS + 1, "a"), None, "at most 2048"),
            (texts(2, " \n"), None, "`input[0]` is empty"),
            (texts(1, &long), None, "cut it into parts"),
            (texts(17, &"a".repeat(LONGEST_TEXT)), None, "fewer texts"),
            (texts(1, "a"), Some(0), "1 or more"),
            (texts(2048, "a"), Some(3072), "at most 488 texts"),
        ] {
            let words = check(&input, dimensions).unwrap_err();
            assert!(words.contains(says), "{words}");
        }
    }

    #[test]
    fn vectors_are_counted_measured_and_looked_through() {
        let vectors = |vectors: &[&[f32]]| Embedded {
            vectors: vectors.iter().map(|one| one.to_vec()).collect(),
            ..Embedded::default()
        };
        assert!(vectors(&[&[1.0, 0.0], &[0.0, 1.0]]).checked(2).is_ok());
        for (wrong, says) in [
            (vectors(&[&[1.0]]), "1 vectors for 2 texts"),
            (vectors(&[&[1.0], &[]]), "vector 1 is empty"),
            (vectors(&[&[1.0], &[1.0, 2.0]]), "of 1 and of 2"),
            (vectors(&[&[1.0], &[f32::NAN]]), "else than numbers"),
            (vectors(&[&[f32::INFINITY], &[1.0]]), "else than numbers"),
        ] {
            let words = wrong.checked(2).unwrap_err().to_string();
            assert!(words.contains(says), "{words}");
        }
    }
}
