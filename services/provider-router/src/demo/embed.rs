//! Vectors of the demo: of what a text is made, not of what it means.
//!
//! Every word and every three letters in a row of a word are hashed to one of the numbers of the
//! vector, with a sign, and the whole is brought to length 1. Texts with the same words are near each
//! other, also when some are misspelt; texts that say the same in other words are not. That is enough
//! to try things out without a network. A real model understands; this one only compares letters.

/// The one model there is.
pub const MODEL: &str = "demo-embed-1";

/// How many numbers a vector has when nobody says.
pub const USUAL_LENGTH: usize = 256;

/// Most numbers a vector can have.
pub const MOST_LENGTH: usize = 4096;

/// What three letters in a row weigh beside their word.
const GRAM: f32 = 0.25;

/// What a word of grammar weighs beside a word of meaning.
const GRAMMAR: f32 = 0.2;

/// Words that many texts share whatever they are about.
const OF_GRAMMAR: &[&str] = &[
    "a", "an", "and", "are", "at", "be", "by", "can", "could", "das", "de", "dem", "den", "der",
    "die", "do", "does", "ein", "eine", "el", "en", "es", "est", "for", "from", "has", "have",
    "how", "i", "ich", "in", "is", "ist", "it", "its", "la", "le", "les", "me", "my", "of", "on",
    "one", "or", "please", "que", "should", "tell", "that", "the", "there", "this", "to", "un",
    "una", "und", "une", "was", "we", "what", "whats", "which", "who", "wie", "will", "with",
    "would", "you", "your",
];

/// The vector of a text; the same for the same text, always.
#[must_use]
pub fn vector(text: &str, length: usize) -> Vec<f32> {
    let mut vector = vec![0.0; length];
    for word in words(text) {
        let weight = if OF_GRAMMAR.binary_search(&word.as_str()).is_ok() {
            GRAMMAR
        } else {
            1.0
        };
        add(&mut vector, &word, weight);
        let letters: Vec<char> = format!("<{word}>").chars().collect();
        for gram in letters.windows(3) {
            let gram: String = gram.iter().collect();
            add(&mut vector, &gram, weight * GRAM);
        }
    }
    let norm = vector.iter().map(|number| number * number).sum::<f32>();
    let norm = norm.sqrt();
    if norm > 0.0 {
        vector.iter_mut().for_each(|number| *number /= norm);
    } else if let Some(first) = vector.first_mut() {
        // Of no words at all; a vector of zeros has no direction.
        *first = 1.0;
    }
    vector
}

/// Words in small letters, without apostrophes. What is no word still counts, sign by sign.
fn words(text: &str) -> Vec<String> {
    let text = text.to_lowercase().replace(['\'', '’'], "");
    let mut words = vec![String::new()];
    for letter in text.chars() {
        match words.last_mut() {
            Some(word) if letter.is_alphanumeric() => word.push(letter),
            _ if letter.is_whitespace() => words.push(String::new()),
            _ => words.extend([letter.to_string(), String::new()]),
        }
    }
    let sentence_sign = |word: &String| matches!(word.as_str(), "?" | "." | "," | "!" | "¿" | "¡");
    words.retain(|word| !word.is_empty() && !sentence_sign(word));
    words
}

/// FNV-1a: the same on every machine and in every version.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn add(vector: &mut [f32], feature: &str, weight: f32) {
    let hash = hash(feature);
    let sign = if hash >> 63 == 0 { weight } else { -weight };
    let place = u64::try_from(vector.len())
        .ok()
        .and_then(|length| (hash >> 8).checked_rem(length));
    let place = place.and_then(|place| usize::try_from(place).ok());
    if let Some(number) = place.and_then(|place| vector.get_mut(place)) {
        *number += sign;
    }
}

#[cfg(test)]
mod tests {
    use super::{OF_GRAMMAR, USUAL_LENGTH, vector};

    fn alike(one: &str, other: &str) -> f32 {
        let (one, other) = (vector(one, USUAL_LENGTH), vector(other, USUAL_LENGTH));
        one.iter().zip(&other).map(|(one, other)| one * other).sum()
    }

    #[test]
    fn the_same_words_are_near_and_others_are_far() {
        let asked = "How do I bake sourdough bread?";
        assert!((alike(asked, asked) - 1.0).abs() < 1e-5);
        assert!(alike(asked, "how do i bake sourdough bread") > 0.99);
        assert!(alike(asked, "How do I bake sourdouh bread?") > 0.7);
        assert!(alike(asked, "Who painted the Mona Lisa?") < 0.2);
    }

    #[test]
    fn a_vector_has_length_one_and_is_always_the_same() {
        for text in ["a", "?", "Grüße, 世界 👋🏽", "7 // 2"] {
            for length in [1, 8, 256, 4096] {
                let one = vector(text, length);
                assert_eq!((one.len(), &one), (length, &vector(text, length)));
                let norm: f32 = one.iter().map(|number| number * number).sum();
                assert!((norm - 1.0).abs() < 1e-4, "{text} {length}: {norm}");
            }
        }
    }

    #[test]
    fn the_words_of_grammar_can_be_searched() {
        assert!(OF_GRAMMAR.is_sorted());
    }
}
