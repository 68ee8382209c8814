//! Two orders made one.
//!
//! Reciprocal rank fusion: `score(d) = Σ 1 / (k + rank(d))` with `k = 60` and ranks from 1, over
//! the orders that hold `d`. Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion outperforms
//! Condorcet and individual Rank Learning Methods", SIGIR 2009. It needs no common scale of scores,
//! which BM25 and cosines do not have.

use std::collections::HashMap;

use super::{Key, Scored};

/// From the paper.
const K: f64 = 60.0;

/// A chunk of the common order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Fused {
    pub(crate) key: Key,
    pub(crate) revision: i64,
    /// The sum.
    pub(crate) score: f64,
    /// Its score by words, if it has any of them.
    pub(crate) bm25: Option<f64>,
    /// The cosine of its vector and the query's, if it was among the nearest.
    pub(crate) cosine: Option<f64>,
}

/// The best of both, best first.
pub(crate) fn fuse(lexical: &[Scored], nearest: &[Scored], most: usize) -> Vec<Fused> {
    let mut fused: HashMap<Key, Fused> = HashMap::new();
    let mut add = |list: &[Scored], set: &dyn Fn(&mut Fused, f64)| {
        for (rank, scored) in (1_u32..).zip(list) {
            let entry = fused.entry(scored.key).or_insert(Fused {
                key: scored.key,
                revision: scored.revision,
                score: 0.0,
                bm25: None,
                cosine: None,
            });
            entry.score += 1.0 / (K + f64::from(rank));
            set(entry, scored.score);
        }
    };
    add(lexical, &|entry, score| entry.bm25 = Some(score));
    add(nearest, &|entry, score| entry.cosine = Some(score));
    let mut all: Vec<Fused> = fused.into_values().collect();
    all.sort_unstable_by(|a, b| {
        let by_score = b.score.total_cmp(&a.score);
        by_score.then_with(|| a.key.cmp(&b.key))
    });
    all.truncate(most);
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn scored(ids: &[u128]) -> Vec<Scored> {
        let scored = |id: &u128| Scored {
            key: Key {
                document: Uuid::from_u128(*id),
                ordinal: 0,
            },
            revision: 1,
            score: 0.5,
        };
        ids.iter().map(scored).collect()
    }

    #[test]
    fn what_both_found_is_before_what_one_found() {
        let fused = fuse(&scored(&[1, 2]), &scored(&[3, 2]), 10);
        let ids: Vec<u128> = fused
            .iter()
            .map(|fused| fused.key.document.as_u128())
            .collect();
        assert_eq!(ids, [2, 1, 3]);
        assert!((fused[0].score - 2.0 / 62.0).abs() < 1e-12);
        assert_eq!((fused[1].bm25, fused[1].cosine), (Some(0.5), None));
        assert_eq!(fuse(&scored(&[1, 2]), &[], 1).len(), 1);
    }
}
