//! What a text is made of: prose, code, data, and words to look for.

use super::cues::{
    CODE_CUES, CONSTRAINT_CUES, EXPLAINING_CUES, GO_ON_CUES, LOOKUP_CUES, SEQUENCE_CUES,
    SMALL_TALK_CUES, WEIGHING_CUES, WORKING_OUT_CUES, begins, found, has,
};
use super::{
    CODE, CODE_WORDS, CONSTRAINTS, DATA, EXPLAINING, FORMULAS, Feature, LENGTH, PARTS, SMALL_TALK,
    TOKEN, TRIVIAL, WEIGHING, WORKING_OUT, count, feature,
};

/// Cues are looked for in so many bytes at the beginning and at the end: there people ask. What
/// lies between was pasted, and its words are not theirs.
const HEAD: usize = 1024;
const TAIL: usize = 512;

/// A sentence has so many words; fewer before a full stop are an abbreviation.
const SENTENCE: usize = 3;

const SMALL_TALK_WORDS: usize = 6;
const TRIVIAL_WORDS: usize = 12;
const GO_ON_WORDS: usize = 5;

const LATEX: [&str; 6] = [r"\(", r"\[", r"\frac", r"\sum", r"\int", r"\sqrt"];
const SIGNS: [char; 10] = ['=', '^', '∑', '∫', '√', '≤', '≥', '≠', '∂', '∞'];
const CODE_MARKS: [&str; 7] = ["`", "()", "::", "->", "=>", "!=", "=="];

/// A text, taken apart.
pub(super) struct Text {
    /// Everything that is neither code nor data.
    prose: String,
    /// The words of its beginning and end in lower case, with one space around each.
    words: String,
    code_lines: usize,
    data_lines: usize,
    list_items: usize,
}

impl Text {
    /// Takes a text apart.
    pub(super) fn read(text: &str) -> Self {
        let mut this = Self {
            prose: String::new(),
            words: String::new(),
            code_lines: 0,
            data_lines: 0,
            list_items: 0,
        };
        let mut fenced = false;
        for line in text.lines() {
            let trimmed = line.trim();
            // A fence in the middle of a line counts too: people write "Mend this: ```". Two in one
            // line are code within a sentence.
            let fence = ["```", "~~~"]
                .into_iter()
                .find(|fence| trimmed.matches(fence).count() % 2 == 1);
            if fenced {
                this.code_lines += usize::from(!trimmed.is_empty());
                // One with a word behind it opens, and nothing opens inside a fence.
                fenced = fence.is_none_or(|fence| !trimmed.ends_with(fence));
            } else if let Some(fence) = fence {
                this.code_lines += 1;
                fenced = true;
                let before = trimmed.split(fence).next().unwrap_or_default();
                this.prose.push_str(before);
                this.prose.push('\n');
            } else if is_data(trimmed) {
                this.data_lines += 1;
            } else {
                this.list_items += usize::from(is_item(trimmed));
                this.prose.push_str(line);
                this.prose.push('\n');
            }
        }
        this.words = words(&this.prose);
        this
    }

    /// Whether it only asks for more of the same.
    pub(super) fn goes_on(&self) -> bool {
        let mut words = self.words.split_whitespace();
        let some = words.clone().next().is_some() && words.clone().count() <= GO_ON_WORDS;
        some && words.all(|word| has(GO_ON_CUES, word))
    }

    /// What it adds.
    pub(super) fn features(&self) -> Vec<Feature> {
        let find = |list| found(list, &self.words);
        let constraints = find(CONSTRAINT_CUES).len() + self.list_items;
        let marks = CODE_MARKS.iter().filter(|mark| self.prose.contains(**mark));
        let code_words = find(CODE_CUES).len() + marks.count();
        let judged = [
            EXPLAINING.said(&find(EXPLAINING_CUES)),
            WEIGHING.said(&find(WEIGHING_CUES)),
            WORKING_OUT.said(&find(WORKING_OUT_CUES)),
            CONSTRAINTS.counted(count(constraints)),
            CODE.counted(count(self.code_lines)),
            CODE_WORDS.counted(count(code_words)),
            DATA.counted(count(self.data_lines)),
        ];
        let mut features: Vec<Feature> = judged.into_iter().flatten().collect();
        let nothing = features.is_empty();
        features.extend(LENGTH.counted(count(self.prose.len() / TOKEN)));
        features.extend(PARTS.counted(count(self.parts())));
        features.extend(FORMULAS.counted(count(self.signs())));
        if nothing {
            features.extend(self.lightness());
        }
        features
    }

    /// Sentences, questions and words of sequence.
    fn parts(&self) -> usize {
        let ends = |c: char| matches!(c, '.' | '?' | '!' | '\n' | '。' | '？');
        let sentences = self.prose.split(ends);
        let sentences = sentences.filter(|one| one.split_whitespace().count() >= SENTENCE);
        sentences.count() + found(SEQUENCE_CUES, &self.words).len()
    }

    fn signs(&self) -> usize {
        let signs = self.prose.chars().filter(|sign| SIGNS.contains(sign));
        let latex = LATEX.iter().map(|word| self.prose.matches(word).count());
        signs.count() + latex.sum::<usize>()
    }

    /// What speaks for a simple question.
    fn lightness(&self) -> Option<Feature> {
        let words = self.words.split_whitespace().count();
        if words <= SMALL_TALK_WORDS && begins(SMALL_TALK_CUES, &self.words) {
            return feature("small_talk", "a greeting or thanks".to_owned(), SMALL_TALK);
        }
        let trivial = begins(LOOKUP_CUES, &self.words) || is_sum(&self.prose);
        if words <= TRIVIAL_WORDS && trivial {
            return feature("trivial", "one thing to look up".to_owned(), TRIVIAL);
        }
        None
    }
}

/// Whether a line is JSON, CSV or of a table.
fn is_data(line: &str) -> bool {
    let braces = ["{", "}", "[", "]", "\""];
    let json = braces.iter().any(|brace| line.starts_with(brace))
        && (line.len() <= 3 || line.contains("\":") || line.ends_with(','));
    let signs = |sign| line.matches(sign).count();
    // A sentence may hold a pipeline or "one of a,b,c,d"; its words must not be lost.
    let table = (line.starts_with('|') && signs('|') >= 3) || signs('\t') >= 3;
    let csv = signs(',') >= 3 && line.split_whitespace().count() <= signs(',');
    json || table || csv
}

/// Whether a line is an item of a list.
fn is_item(line: &str) -> bool {
    let bullet = ["- ", "* ", "• "].iter().any(|mark| line.starts_with(mark));
    let number = line.trim_start_matches(|c: char| c.is_ascii_digit());
    bullet || (number.len() < line.len() && (number.starts_with(". ") || number.starts_with(") ")))
}

/// Whether it is nothing but numbers and signs between them.
fn is_sum(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_digit() || c.is_whitespace() || "+-*/×÷().,%?=".contains(c);
    text.chars().all(fits) && text.chars().any(|c| c.is_ascii_digit())
}

/// The words at both ends of a text.
fn words(text: &str) -> String {
    let middle = HEAD..text.len().saturating_sub(TAIL);
    let mut words = String::from(" ");
    let mut ended = true;
    for (at, letter) in text.char_indices() {
        if middle.contains(&at) {
            continue;
        }
        if letter.is_alphanumeric() {
            words.extend(letter.to_lowercase());
            ended = false;
        } else if !ended {
            words.push(' ');
            ended = true;
        }
    }
    if !ended {
        words.push(' ');
    }
    words
}
