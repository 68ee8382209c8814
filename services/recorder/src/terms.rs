//! What somebody searches for. Pure.
//!
//! Words that all have to occur; `wor*` stands for every word that begins so, and `"two words"` for
//! these, one behind the other. Nothing of it reaches a database but words: quotes, operators and
//! wildcards of the database are none of them.

use std::ops::Range;

use nexus_contracts::OrgId;

use crate::words::{Word, belongs, sign, words};

/// Most words of one search.
const MOST_WORDS: usize = 32;

/// Longest text of one search, in bytes.
const MOST_BYTES: usize = 1_024;

/// What all has to occur in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    all: Vec<Term>,
}

/// Words one behind the other.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Term {
    words: Vec<String>,
    /// Whether the last word may go on.
    is_open: bool,
}

impl Terms {
    /// Reads what was typed.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn parse(typed: &str) -> Result<Self, &'static str> {
        if typed.len() > MOST_BYTES {
            return Err("`q` is longer than 1024 bytes; search for fewer words");
        }
        let mut all = Vec::new();
        let mut rest = typed.trim_start();
        while !rest.is_empty() {
            let (term, behind) = Term::take(rest);
            all.extend(term);
            rest = behind.trim_start();
        }
        match all
            .iter()
            .map(|term: &Term| term.words.len())
            .sum::<usize>()
        {
            0 => Err("`q` holds no word; give at least one letter or digit"),
            count if count > MOST_WORDS => Err("`q` has more than 32 words; search for fewer"),
            _ => Ok(Self { all }),
        }
    }

    /// As an expression of FTS5 over all words, within an organisation. It does not say which words
    /// stand one behind the other; see [`Terms::phrases`].
    #[must_use]
    pub fn fts(&self, org: OrgId) -> String {
        let mut expression = format!("\"{}\"", sign(org));
        for term in &self.all {
            let last = term.words.len().saturating_sub(1);
            for (at, word) in term.words.iter().enumerate() {
                let star = if term.is_open && at == last { " *" } else { "" };
                expression.push_str(&format!(" AND \"{word}\"{star}"));
            }
        }
        expression
    }

    /// As patterns of LIKE over [`crate::words::indexed`]; every one has to match.
    pub fn patterns(&self) -> impl Iterator<Item = String> {
        self.all.iter().map(Term::pattern)
    }

    /// The patterns of more than one word.
    pub fn phrases(&self) -> impl Iterator<Item = String> {
        let phrases = self.all.iter().filter(|term| term.words.len() > 1);
        phrases.map(Term::pattern)
    }

    /// Where a text with these words was hit, in bytes: in order, without overlap.
    #[must_use]
    pub fn hits(&self, found: &[Word]) -> Vec<Range<usize>> {
        let mut hits: Vec<Range<usize>> = self
            .all
            .iter()
            .flat_map(|term| {
                let windows = found.windows(term.words.len());
                windows.filter(|window| term.is(window)).filter_map(span)
            })
            .collect();
        hits.sort_unstable_by_key(|hit| (hit.start, hit.end));
        hits.dedup_by(|next, before| {
            let overlaps = next.start < before.end;
            if overlaps {
                before.end = before.end.max(next.end);
            }
            overlaps
        });
        hits
    }
}

impl Term {
    /// The term a text begins with, and the rest. No term where nothing of it is a word.
    fn take(text: &str) -> (Option<Self>, &str) {
        let (item, behind) = match text.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => {
                let end = text.find(|c: char| c.is_whitespace() || c == '"');
                text.split_at(end.unwrap_or(text.len()))
            }
        };
        let (is_starred, behind) = match behind.strip_prefix('*') {
            Some(behind) if text.starts_with('"') => (true, behind),
            _ => (item.ends_with('*'), behind),
        };
        let words: Vec<String> = words(item).map(|word| word.text).collect();
        if words.is_empty() {
            return (None, behind);
        }
        // `up-*` asks for nothing that begins with a word.
        let is_open = is_starred && item.trim_end_matches('*').ends_with(belongs);
        (Some(Self { words, is_open }), behind)
    }

    /// Words hold neither `%` nor `_`.
    fn pattern(&self) -> String {
        let end = if self.is_open { "" } else { " " };
        format!("% {}{end}%", self.words.join(" "))
    }

    fn is(&self, window: &[Word]) -> bool {
        let last = self.words.len().saturating_sub(1);
        let mut pairs = window.iter().zip(&self.words).enumerate();
        pairs.all(|(at, (found, word))| {
            found.text == *word || (self.is_open && at == last && found.text.starts_with(word))
        })
    }
}

fn span(window: &[Word]) -> Option<Range<usize>> {
    Some(window.first()?.range.start..window.last()?.range.end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(typed: &str) -> Vec<String> {
        Terms::parse(typed).unwrap().patterns().collect()
    }

    #[test]
    fn words_beginnings_and_phrases() {
        assert_eq!(patterns("Big  red*"), ["% big %", "% red%"]);
        assert_eq!(patterns("\"Big red\" x"), ["% big red %", "% x %"]);
        assert_eq!(patterns("\"big re\"* \"open"), ["% big re%", "% open %"]);
    }

    #[test]
    fn what_is_no_word_divides_words() {
        assert_eq!(patterns("don't"), ["% don t %"]);
        assert_eq!(patterns("a@b.example"), ["% a b example %"]);
        assert_eq!(patterns("世界"), ["% 世 界 %"]);
        assert_eq!(patterns("up-* -x"), ["% up %", "% x %"]);
    }

    #[test]
    fn nothing_of_a_databases_language_gets_through() {
        let org = OrgId(uuid::Uuid::nil());
        let typed = "a\" OR NEAR(b) text:c ^d {e} 100% f_g \\ '; -- \"\"\"";
        let terms = Terms::parse(typed).unwrap();
        let allowed = |c: char| belongs(c) || " %".contains(c);
        assert!(terms.patterns().all(|pattern| pattern.chars().all(allowed)));
        let expression = terms.fts(org);
        assert!(
            expression.starts_with(&format!("\"{}\" AND \"a\"", sign(org))),
            "{expression}"
        );
        for part in expression.split(" AND ") {
            let word = part.strip_suffix(" *").unwrap_or(part);
            let word = word
                .strip_prefix('"')
                .and_then(|word| word.strip_suffix('"'));
            assert!(word.is_some_and(|word| !word.contains('"')), "{expression}");
        }
    }

    #[test]
    fn nothing_and_too_much_are_refused() {
        assert!(Terms::parse(" \"-\" * ").is_err());
        assert!(Terms::parse(&"a ".repeat(33)).is_err());
        assert!(Terms::parse(&"a".repeat(1_025)).is_err());
    }

    #[test]
    fn hits_are_where_the_words_are() {
        let text = "The red, red ball is redder";
        let found: Vec<Word> = words(text).collect();
        let hits = |typed: &str| -> Vec<&str> {
            let terms = Terms::parse(typed).unwrap();
            let hits = terms.hits(&found).into_iter();
            hits.map(|hit| &text[hit]).collect()
        };
        assert_eq!(hits("red"), ["red", "red"]);
        assert_eq!(hits("\"red ball\" red*"), ["red", "red ball", "redder"]);
        assert_eq!(hits("blue"), Vec::<&str>::new());
    }
}
