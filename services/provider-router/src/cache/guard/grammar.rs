//! Words that say nothing by themselves, and of which language they are.

/// Languages by their words of grammar, each list sorted.
pub(super) const LANGUAGES: [(&str, &[&str]); 4] = [
    ("en", ENGLISH),
    ("de", GERMAN),
    ("fr", FRENCH),
    ("es", SPANISH),
];

const ENGLISH: &[&str] = &[
    "a", "an", "and", "are", "as", "at", "be", "been", "being", "can", "could", "do", "does",
    "doing", "for", "get", "give", "has", "have", "having", "he", "her", "him", "his", "how", "i",
    "if", "in", "is", "it", "its", "let", "me", "my", "need", "of", "on", "or", "our", "please",
    "she", "should", "tell", "that", "the", "their", "them", "there", "these", "they", "this",
    "those", "to", "us", "want", "was", "we", "were", "what", "whats", "which", "who", "will",
    "with", "would", "you", "your",
];

const GERMAN: &[&str] = &[
    "aber", "als", "am", "an", "auf", "aus", "bei", "bin", "bist", "da", "das", "dass", "dem",
    "den", "der", "des", "die", "du", "ein", "eine", "einem", "einen", "einer", "es", "für",
    "gibt", "habe", "haben", "hat", "ich", "ihr", "im", "in", "ist", "kann", "kannst", "können",
    "man", "mein", "meine", "mir", "mit", "nach", "oder", "sich", "sie", "sind", "so", "und",
    "uns", "vom", "von", "war", "was", "welche", "welcher", "welches", "wenn", "wer", "werden",
    "wie", "wir", "wird", "wo", "zu", "zum", "zur",
];

const FRENCH: &[&str] = &[
    "au", "aux", "avec", "ce", "ces", "cette", "comment", "dans", "de", "des", "du", "elle", "en",
    "est", "et", "il", "ils", "je", "la", "le", "les", "ma", "me", "mes", "moi", "mon", "nous",
    "on", "ou", "par", "pour", "puis", "que", "quel", "quelle", "quelles", "quels", "qui", "sa",
    "se", "ses", "son", "sont", "sur", "ta", "te", "tes", "ton", "tu", "un", "une", "vous", "à",
];

const SPANISH: &[&str] = &[
    "al", "como", "con", "cuál", "cuáles", "cómo", "de", "del", "el", "ella", "en", "es", "esta",
    "este", "está", "ha", "han", "hay", "la", "las", "lo", "los", "me", "mi", "mis", "nos", "o",
    "para", "por", "que", "qué", "se", "sin", "son", "su", "sus", "te", "tu", "un", "una", "unas",
    "uno", "unos", "y", "yo",
];

/// Words of which a question is made whatever it is about, and those of politeness; sorted.
const FILLING: &[&str] = &[
    "advance",
    "advice",
    "advise",
    "bitte",
    "bonjour",
    "danke",
    "describe",
    "erkläre",
    "explain",
    "explanation",
    "explique",
    "favor",
    "find",
    "give",
    "gracias",
    "hallo",
    "happens",
    "hello",
    "help",
    "hey",
    "hi",
    "hola",
    "kind",
    "kindly",
    "know",
    "mean",
    "meaning",
    "means",
    "merci",
    "please",
    "por",
    "question",
    "quick",
    "recommend",
    "sag",
    "show",
    "so",
    "somebody",
    "someone",
    "steps",
    "tell",
    "thank",
    "thanks",
    "understand",
    "want",
    "way",
    "whether",
    "wonder",
    "wondering",
    "zeig",
    "zeige",
];

/// Whether a word, in small letters, says nothing by itself.
pub(super) fn is_grammar(word: &str) -> bool {
    let listed = |list: &[&str]| list.binary_search(&word).is_ok();
    listed(FILLING) || LANGUAGES.iter().any(|(_, grammar)| listed(grammar))
}

#[cfg(test)]
mod tests {
    use super::{FILLING, LANGUAGES};

    #[test]
    fn the_lists_can_be_searched() {
        let all = LANGUAGES.iter().map(|(_, list)| *list).chain([FILLING]);
        for list in all {
            assert!(list.is_sorted());
        }
    }
}
