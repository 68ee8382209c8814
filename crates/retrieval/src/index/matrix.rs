//! Vectors of one space, one behind the other.

use std::collections::HashMap;

/// Sums kept beside each other: as many as a processor adds at once, so that the compiler can.
const LANES: usize = 16;

/// Vectors of length 1.
#[derive(Default)]
pub(super) struct Matrix {
    dimensions: usize,
    numbers: Vec<f32>,
    /// Whose each row is.
    slots: Vec<u32>,
    rows: HashMap<u32, usize>,
}

impl Matrix {
    /// Adds the vector of a slot that has none. One of another size is left out.
    pub(super) fn add(&mut self, slot: u32, vector: &[f32]) {
        if self.slots.is_empty() {
            self.dimensions = vector.len();
        }
        if vector.len() == self.dimensions && self.dimensions > 0 {
            self.rows.insert(slot, self.slots.len());
            self.slots.push(slot);
            self.numbers.extend_from_slice(vector);
        }
    }

    /// Removes the vector of a slot; the last row takes its place.
    pub(super) fn remove(&mut self, slot: u32) {
        let Some(row) = self.rows.remove(&slot) else {
            return;
        };
        let Some(last) = self.slots.pop() else { return };
        let tail = self.slots.len() * self.dimensions;
        if last != slot {
            let start = row * self.dimensions;
            self.numbers.copy_within(tail.., start);
            if let Some(place) = self.slots.get_mut(row) {
                *place = last;
            }
            self.rows.insert(last, row);
        }
        self.numbers.truncate(tail);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The slots that are seen, with the cosine of their vector and the query's; only those that
    /// point the same way at all.
    pub(super) fn search(&self, query: &[f32], seen: &dyn Fn(u32) -> bool) -> Vec<(u32, f64)> {
        if query.len() != self.dimensions || self.dimensions == 0 {
            return Vec::new();
        }
        let rows = self
            .slots
            .iter()
            .zip(self.numbers.chunks_exact(self.dimensions));
        rows.filter(|(slot, _)| seen(**slot))
            .map(|(slot, row)| (*slot, f64::from(product(row, query))))
            .filter(|(_, cosine)| *cosine > 0.0)
            .collect()
    }

    pub(super) fn bytes(&self) -> usize {
        self.numbers.capacity() * 4 + self.slots.len() * 40
    }
}

fn product(one: &[f32], other: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (one.as_chunks::<LANES>(), other.as_chunks::<LANES>());
    let mut sums = [0.0_f32; LANES];
    for (a, b) in a.iter().zip(b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_sums_of_products() {
        let one: Vec<f32> = (0..37_u8).map(f32::from).collect();
        let other: Vec<f32> = (0..37_u8).map(|x| f32::from(x) - 9.0).collect();
        let plain: f32 = one.iter().zip(&other).map(|(a, b)| a * b).sum();
        assert_eq!(product(&one, &other), plain);
    }

    #[test]
    fn the_others_stay_when_one_goes() {
        let mut matrix = Matrix::default();
        for (slot, vector) in [(5, [1.0, 0.0]), (6, [0.6, 0.8]), (7, [0.0, 1.0])] {
            matrix.add(slot, &vector);
        }
        matrix.add(8, &[1.0]);
        for (gone, left) in [(5, vec![7, 6]), (9, vec![7, 6]), (6, vec![7]), (7, vec![])] {
            matrix.remove(gone);
            let found = matrix.search(&[0.1, 1.0], &|_| true);
            let mut slots: Vec<u32> = found.iter().map(|(slot, _)| *slot).collect();
            slots.sort_unstable_by(|a, b| b.cmp(a));
            assert_eq!(slots, left);
        }
        assert!(matrix.is_empty() && matrix.numbers.is_empty());
    }
}
