//! An inverted index with Okapi BM25.
//!
//! ```text
//! score(q, d) = Σ idf(t) · tf · (k1 + 1) / (tf + k1 · (1 − b + b · |d| / avgdl))
//! idf(t) = ln(1 + (N − n + 0.5) / (n + 0.5))
//! ```
//!
//! Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009; the 1 in
//! the logarithm, as Lucene has it, keeps a word that most chunks hold from counting against them.

use std::collections::HashMap;
use std::sync::Arc;

/// How soon more of the same word stops telling more.
const K1: f64 = 1.2;
/// How much longer chunks are held against them.
const B: f64 = 0.75;

/// Words of chunks.
#[derive(Default)]
pub(super) struct Lexical {
    pub(super) ids: HashMap<Arc<str>, u32>,
    terms: Vec<Option<Term>>,
    free: Vec<u32>,
    /// Of each slot, which words it has and how many in all.
    chunks: Vec<Chunk>,
    /// Bytes of all words, and how many entries there are in all lists.
    text_bytes: usize,
    postings: usize,
}

struct Term {
    text: Arc<str>,
    /// Slots with the word, and how often it stands there.
    postings: Vec<(u32, u32)>,
}

#[derive(Clone, Default)]
struct Chunk {
    terms: Vec<u32>,
    length: u32,
}

impl Lexical {
    /// Adds a chunk in a slot that is free.
    pub(super) fn add(&mut self, slot: u32, words: Vec<String>) {
        let length = u32::try_from(words.len()).unwrap_or(u32::MAX);
        let mut counts: HashMap<String, u32> = HashMap::new();
        for word in words {
            *counts.entry(word).or_default() += 1;
        }
        let mut terms = Vec::with_capacity(counts.len());
        for (word, count) in counts {
            let id = self.id(&word);
            if let Some(Some(term)) = self.terms.get_mut(id as usize) {
                term.postings.push((slot, count));
            }
            terms.push(id);
        }
        self.postings += terms.len();
        let at = slot as usize;
        if self.chunks.len() <= at {
            self.chunks.resize(at + 1, Chunk::default());
        }
        if let Some(chunk) = self.chunks.get_mut(at) {
            *chunk = Chunk { terms, length };
        }
    }

    /// Removes chunks, and words that no other has.
    pub(super) fn remove(&mut self, slots: &[u32]) {
        let mut gone: Vec<u32> = Vec::new();
        for slot in slots {
            if let Some(chunk) = self.chunks.get_mut(*slot as usize) {
                gone.append(&mut chunk.terms);
                chunk.length = 0;
            }
        }
        self.postings = self.postings.saturating_sub(gone.len());
        gone.sort_unstable();
        gone.dedup();
        let mut slots = slots.to_vec();
        slots.sort_unstable();
        for id in gone {
            let Some(place) = self.terms.get_mut(id as usize) else {
                continue;
            };
            let Some(term) = place else { continue };
            term.postings
                .retain(|(slot, _)| slots.binary_search(slot).is_err());
            if term.postings.is_empty() {
                self.text_bytes = self.text_bytes.saturating_sub(term.text.len());
                self.ids.remove(&term.text);
                *place = None;
                self.free.push(id);
            }
        }
    }

    fn id(&mut self, word: &str) -> u32 {
        if let Some(id) = self.ids.get(word) {
            return *id;
        }
        let text: Arc<str> = Arc::from(word);
        self.text_bytes += text.len();
        let term = Term {
            text: Arc::clone(&text),
            postings: Vec::new(),
        };
        let id = super::take(&mut self.free, &mut self.terms);
        super::set(&mut self.terms, id, term);
        self.ids.insert(text, id);
        id
    }

    /// The slots that are seen and hold a word of the query, with their scores.
    pub(super) fn search(
        &self,
        mut query: Vec<String>,
        seen: &dyn Fn(u32) -> bool,
    ) -> Vec<(u32, f64)> {
        // In an order of their own, so that sums come out the same however the index came to be.
        query.sort_unstable();
        query.dedup();
        let seen: Vec<bool> = (0_u32..)
            .zip(&self.chunks)
            .map(|(slot, _)| seen(slot))
            .collect();
        let is_seen = |slot: u32| seen.get(slot as usize).copied().unwrap_or_default();
        let lengths = self.chunks.iter().zip(&seen).filter(|(_, seen)| **seen);
        let (total, length) = lengths.fold((0_u64, 0_u64), |(total, length), (chunk, _)| {
            (total + 1, length + u64::from(chunk.length))
        });
        if length == 0 {
            return Vec::new();
        }
        let average = length as f64 / total as f64;
        let mut scores = vec![0.0_f64; self.chunks.len()];
        for word in query {
            let id = self.ids.get(word.as_str());
            let Some(Some(term)) = id.and_then(|id| self.terms.get(*id as usize)) else {
                continue;
            };
            let found = term.postings.iter().filter(|(slot, _)| is_seen(*slot));
            let with = found.clone().count() as f64;
            let idf = (1.0 + (total as f64 - with + 0.5) / (with + 0.5)).ln();
            for (slot, count) in found {
                let at = *slot as usize;
                if let (Some(score), Some(chunk)) = (scores.get_mut(at), self.chunks.get(at)) {
                    *score += idf * weight(*count, chunk.length, average);
                }
            }
        }
        let scored = (0_u32..).zip(scores);
        scored.filter(|(_, score)| *score > 0.0).collect()
    }

    /// About how many bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        // A list entry, and the word's number at its chunk; a word twice with what holds it.
        self.postings * 12 + self.text_bytes + self.terms.len() * 120 + self.chunks.len() * 32
    }

    /// All it holds, in an order that does not depend on how it came to be.
    #[cfg(test)]
    pub(super) fn dump(&self, name: &dyn Fn(u32) -> String) -> Vec<(String, Vec<(String, u32)>)> {
        let mut dump: Vec<_> = self
            .terms
            .iter()
            .flatten()
            .map(|term| {
                let named = term
                    .postings
                    .iter()
                    .map(|(slot, count)| (name(*slot), *count));
                let mut named: Vec<_> = named.collect();
                named.sort();
                (term.text.to_string(), named)
            })
            .collect();
        dump.sort();
        dump
    }
}

fn weight(count: u32, length: u32, average: f64) -> f64 {
    let tf = f64::from(count);
    tf * (K1 + 1.0) / (tf + K1 * (1.0 - B + B * f64::from(length) / average))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: three chunks, `a` in two of them.
    #[test]
    fn scores_are_those_of_the_formula() {
        let mut index = Lexical::default();
        for (slot, text) in [(0, "a b"), (1, "a a c d"), (2, "e f")] {
            index.add(slot, text.split(' ').map(str::to_owned).collect());
        }
        let found = index.search(vec!["a".into(), "nowhere".into()], &|_| true);
        let idf = (1.0 + 1.5 / 2.5_f64).ln();
        let average = 8.0 / 3.0;
        let one = idf * 2.2 / (1.0 + 1.2 * (0.25 + 0.75 * 2.0 / average));
        let two = idf * 2.0 * 2.2 / (2.0 + 1.2 * (0.25 + 0.75 * 4.0 / average));
        let [(0, first), (1, second)] = found[..] else {
            panic!("{found:?}")
        };
        assert!((first - one).abs() < 1e-12 && (second - two).abs() < 1e-12);
    }

    #[test]
    fn what_is_not_seen_does_not_count() {
        let mut index = Lexical::default();
        index.add(0, vec!["a".into(), "b".into()]);
        let alone = index.search(vec!["a".into()], &|_| true);
        index.add(1, vec!["a".into(); 9]);
        assert_eq!(index.search(vec!["a".into()], &|slot| slot == 0), alone);
        index.remove(&[1]);
        assert_eq!(index.search(vec!["a".into()], &|slot| slot == 0), alone);
    }
}
