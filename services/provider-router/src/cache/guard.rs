//! Whether two messages may count as the same: what a vector does not show, looked at word by word.
//!
//! A vector says what a text is about. `10 miles to kilometres` and `10 kilometres to miles` are about
//! the same, and so are two questions of which one has a `not`; to answer one with the answer to the
//! other is wrong all the same. So two texts have to agree here as well:
//!
//! | feature | of both | example of a difference |
//! |---|---|---|
//! | quantities | numbers, ordinals, units, currencies, in their order | `10 miles`, `12 miles`; `MB`, `Mb` |
//! | names | words with a capital inside a sentence, acronyms, in their order | `Vienna`, `Graz` |
//! | verbatim | what is quoted, and what looks like code, to the letter, in its order | `7 / 2`, `7 // 2` |
//! | closed words | negations, `or`, quantifiers, question words, tense, conditions, comparatives, times | `with`, `without` |
//! | manner | `how`, and what ought to be: not where a text is said in quite other words | `How can I cancel`, `Can I cancel` |
//! | order | all words but those of grammar, with `and` and `he`, `she`, `they`: not where a text is said in quite other words | `he owes me`, `I owe him` |
//! | direction | `from`, `to`, `before`, `than` and what follows | `from A to B`, `from B to A` |
//! | language | which one most of the words of grammar are of | `What is`, `Was ist` |
//! | content | all other words: the same in the same order; or, where the texts have little in common, at least one | `start`, `stop` |
//!
//! The last line is what carries: in a text that is nearly the same, one word that stands for another
//! is more often a difference than a synonym, and no list knows all pairs. Only where somebody said it
//! in quite other words is the vector believed, and then all lines above still hold.
//!
//! Features are hashes with a secret of the process: whoever reads the memory reads no text.

mod grammar;
mod read;
mod words;

use sha2::{Digest, Sha256};

use grammar::LANGUAGES;
use read::{Piece, pieces};
use words::Meaning;

/// Above this share of common words, of the shorter text, two texts are nearly the same.
const NEARLY_THE_SAME: f32 = 0.5;

/// Fewer words of content than this are too few for a text to be said in quite other words.
const ENOUGH: usize = 3;

/// What is hashed beside a word, so that nobody finds the word by trying all.
pub type Salt = [u8; 16];

type Mark = u64;

/// In what two texts differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// A number, a unit, or their order.
    Quantities,
    /// A name, or the order of names.
    Names,
    /// Something quoted, or code.
    Verbatim,
    /// A negation, a quantifier, a question word, a tense, a condition, a comparative, a time.
    Closed,
    /// What is from where, and to where.
    Direction,
    /// The language.
    Language,
    /// Any other word.
    Content,
    /// The order of all of them: what a `not` is about, and who does something to whom.
    Order,
}

/// What is compared of a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Features {
    said: Reading,
    /// The same with its two clauses the other way round, where a comma is between them: `For beginners,
    /// which guitar is best?`
    turned: Option<Reading>,
}

/// What a text says, in one order of its clauses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Reading {
    quantities: Vec<Mark>,
    names: Vec<Mark>,
    verbatim: Vec<Mark>,
    /// Sorted.
    closed: Vec<Mark>,
    /// Sorted.
    manner: Vec<Mark>,
    direction: Vec<Mark>,
    language: Option<&'static str>,
    content: Vec<Mark>,
    /// Content, closed words, `and` and third persons, in their order.
    order: Vec<Mark>,
    /// All words, those of grammar too; sorted.
    all: Vec<Mark>,
}

impl Features {
    /// Those of this text.
    #[must_use]
    pub fn of(text: &str, salt: &Salt) -> Self {
        Self {
            said: Reading::of(text, salt),
            turned: turned(text).map(|text| Reading::of(&text, salt)),
        }
    }

    /// Whether the two may count as the same.
    ///
    /// # Errors
    /// The first [`Difference`].
    pub fn agree(&self, other: &Self) -> Result<(), Difference> {
        let as_said = self.said.agree(&other.said);
        let turned = |one: &Self, other: &Self| {
            let turned = one.turned.as_ref();
            turned.is_some_and(|turned| turned.agree(&other.said).is_ok())
        };
        match as_said {
            Err(_) if turned(self, other) || turned(other, self) => Ok(()),
            as_said => as_said,
        }
    }
}

/// A text of two clauses, the second one first.
fn turned(text: &str) -> Option<String> {
    let (first, second) = text.split_once(", ")?;
    let quoted = text.contains(['"', '`', '“', '„', '«', '\'', '’']);
    if quoted || second.contains(',') {
        return None;
    }
    // What begins with a capital only for being first does so no more.
    let mut letters = first.chars();
    let capital = letters.next()?.to_lowercase();
    let second = second.trim_end().trim_end_matches(['.', '?', '!']);
    Some(format!("{second} {}{}", capital, letters.as_str()))
}

impl Reading {
    fn of(text: &str, salt: &Salt) -> Self {
        let mut reader = Reader {
            salt,
            features: Self::default(),
            votes: [0; LANGUAGES.len()],
            towards: None,
        };
        for piece in pieces(text) {
            reader.take(&piece);
        }
        reader.end()
    }

    fn agree(&self, other: &Self) -> Result<(), Difference> {
        let same = |one: bool, difference| if one { Ok(()) } else { Err(difference) };
        same(self.quantities == other.quantities, Difference::Quantities)?;
        same(self.verbatim == other.verbatim, Difference::Verbatim)?;
        same(self.names == other.names, Difference::Names)?;
        same(self.closed == other.closed, Difference::Closed)?;
        same(self.direction == other.direction, Difference::Direction)?;
        let languages = self.language.zip(other.language);
        same(
            languages.is_none_or(|(one, other)| one == other),
            Difference::Language,
        )?;
        if self.is_said_otherwise(other) {
            return Ok(());
        }
        same(self.content == other.content, Difference::Content)?;
        same(self.manner == other.manner, Difference::Closed)?;
        same(self.order == other.order, Difference::Order)
    }

    /// Whether the two have something, but little, in common.
    fn is_said_otherwise(&self, other: &Self) -> bool {
        let sorted = |content: &[Mark]| {
            let mut content = content.to_vec();
            content.sort_unstable();
            content
        };
        let (one, two) = (sorted(&self.content), sorted(&other.content));
        let enough = one.len().min(two.len()) >= ENOUGH;
        enough
            && common(&one, &two) > 0
            && share(&one, &two) < NEARLY_THE_SAME
            && share(&self.all, &other.all) < NEARLY_THE_SAME
    }
}

/// How many marks both have; both sorted.
fn common(one: &[Mark], other: &[Mark]) -> usize {
    let mut rest = other.iter().peekable();
    let shared = one.iter().filter(|mark| {
        while rest.next_if(|next| next < mark).is_some() {}
        rest.next_if(|next| next == mark).is_some()
    });
    shared.count()
}

/// Those both have, of the shorter one.
fn share(one: &[Mark], other: &[Mark]) -> f32 {
    let few = |count: usize| f32::from(u16::try_from(count).unwrap_or(u16::MAX));
    few(common(one, other)) / few(one.len().min(other.len()).max(1))
}

/// Reads features off the pieces of a text.
struct Reader<'a> {
    salt: &'a Salt,
    features: Reading,
    /// How many words of grammar are of each language.
    votes: [usize; LANGUAGES.len()],
    /// A word of direction that waits for what it leads to, and whether that may be any word.
    towards: Option<(String, Leads)>,
}

/// What a word of direction leads to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Leads {
    /// Whatever comes.
    Anywhere,
    /// Something with an article before it, a name or a number: `to` is mostly something else.
    OnlyTo,
}

impl Reader<'_> {
    fn mark(&self, kind: &str, text: &str) -> Mark {
        let mut hash = Sha256::new();
        for part in [self.salt.as_slice(), kind.as_bytes(), &[0], text.as_bytes()] {
            hash.update(part);
        }
        let hash: [u8; 32] = hash.finalize().into();
        let first = hash.first_chunk().copied().unwrap_or_default();
        u64::from_be_bytes(first)
    }

    fn take(&mut self, piece: &Piece) {
        match piece {
            Piece::Verbatim(text) => {
                let mark = self.mark("verbatim", text);
                self.features.verbatim.push(mark);
                self.arrive(text);
            }
            Piece::Number(number) => self.number(number),
            Piece::Unit(unit) => self.unit(unit),
            Piece::Word { word, named } => {
                let mark = self.mark("word", word);
                self.features.all.push(mark);
                if *named {
                    let mark = self.mark("name", word);
                    self.features.names.push(mark);
                    self.landed();
                }
                self.word(word);
            }
        }
    }

    fn number(&mut self, number: &str) {
        let mark = self.mark("number", number);
        self.features.quantities.push(mark);
        self.landed();
        self.arrive(number);
    }

    fn unit(&mut self, unit: &str) {
        let mark = self.mark("unit", unit);
        self.features.quantities.push(mark);
        self.arrive(unit);
    }

    fn word(&mut self, word: &str) {
        for (votes, (_, grammar)) in self.votes.iter_mut().zip(LANGUAGES) {
            if grammar.binary_search(&word).is_ok() {
                *votes += 1;
            }
        }
        if let Some(same) = words::beside_content(word) {
            let mark = self.mark("beside", same);
            self.features.order.push(mark);
        }
        match words::meaning(word) {
            Meaning::Number(number) => self.number(number),
            Meaning::Unit(unit) => self.unit(unit),
            Meaning::Closed(same) => {
                let mark = self.mark("closed", same);
                self.features.closed.push(mark);
                self.features.order.push(mark);
            }
            Meaning::Manner(same) => {
                let mark = self.mark("manner", same);
                self.features.manner.push(mark);
            }
            Meaning::Direction => self.towards = Some((word.to_owned(), Leads::Anywhere)),
            Meaning::To => self.towards = Some((word.to_owned(), Leads::OnlyTo)),
            Meaning::Article => self.landed(),
            Meaning::Grammar => {}
            Meaning::Content => {
                let stem = words::stem(word);
                let mark = self.mark("content", stem);
                self.features.content.push(mark);
                self.features.order.push(mark);
                self.arrive(stem);
            }
        }
    }

    /// What comes is no verb.
    fn landed(&mut self) {
        if let Some((_, leads)) = &mut self.towards {
            *leads = Leads::Anywhere;
        }
    }

    fn arrive(&mut self, at: &str) {
        if let Some((towards, Leads::Anywhere)) = self.towards.take() {
            let mark = self.mark(&towards, at);
            self.features.direction.push(mark);
        }
    }

    fn end(self) -> Reading {
        let mut features = self.features;
        features.closed.sort_unstable();
        features.manner.sort_unstable();
        features.all.sort_unstable();
        // Where the same words are counted for two languages, it is neither.
        let most = self.votes.iter().copied().max().unwrap_or_default();
        let mut leading = LANGUAGES
            .iter()
            .zip(self.votes)
            .filter(|(_, votes)| *votes == most && most > 0);
        features.language = match (leading.next(), leading.next()) {
            (Some(((language, _), _)), None) => Some(language),
            _ => None,
        };
        features
    }
}

#[cfg(test)]
mod tests;
