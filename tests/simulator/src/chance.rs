//! Chance without state: what happens somewhere depends on the seed and on the place alone.
//!
//! So a fault can be left out, or an act dropped, and everything else stays as it was: that is what
//! makes a failing history shrink.

/// One round of `splitmix64`: every bit of the input moves every bit of the output.
#[must_use]
pub(crate) const fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// Names something by its text: FNV-1a, eight bytes at a time.
#[must_use]
pub(crate) fn name(text: &str) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for part in text.as_bytes().chunks(8) {
        let word = part
            .iter()
            .fold(0, |word, byte| (word << 8) | u64::from(*byte));
        hash = (hash ^ word).wrapping_mul(0x0100_0000_01b3).rotate_left(23);
    }
    mix(hash)
}

/// A place where something may happen, by its parts.
#[must_use]
pub(crate) fn place(parts: &[u64]) -> u64 {
    parts.iter().fold(0, |place, part| mix(place ^ *part))
}

/// Draws one number after another; for whatever is drawn once, at the beginning.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(mix(seed))
    }

    pub(crate) const fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// One of `0..count`; 0 of none.
    pub(crate) fn below(&mut self, count: u64) -> u64 {
        self.draw().checked_rem(count).unwrap_or_default()
    }

    /// One of `from..to`, as a time.
    pub(crate) fn between(&mut self, from: i64, to: i64) -> i64 {
        within(self.draw(), from, to)
    }

    /// Whether it happens, so many times in a hundred.
    pub(crate) fn happens(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of these.
    pub(crate) fn pick<T: Copy>(&mut self, from: &[T], otherwise: T) -> T {
        let at = usize::try_from(self.below(from.len() as u64)).unwrap_or_default();
        from.get(at).copied().unwrap_or(otherwise)
    }
}

/// The moment of `from..to` that a draw stands for.
#[must_use]
pub(crate) fn within(draw: u64, from: i64, to: i64) -> i64 {
    let wide = u64::try_from(to.saturating_sub(from)).unwrap_or_default();
    let part = mix(draw).checked_rem(wide).unwrap_or_default();
    from.saturating_add(i64::try_from(part).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_place_draws_the_same_and_others_do_not() {
        let of = |text: &str| place(&[7, name(text), 0]);
        assert_eq!(of("a"), of("a"));
        let all: std::collections::BTreeSet<u64> =
            (0..1000).map(|at| of(&format!("m{at}"))).collect();
        assert_eq!(all.len(), 1000);
    }

    #[test]
    fn what_happens_one_time_in_ten_does() {
        let mut dice = Dice::new(1);
        let count = (0..10_000).filter(|_| dice.happens(10)).count();
        assert!((900..1100).contains(&count), "{count}");
        assert!((0..100).all(|_| (5..9).contains(&dice.between(5, 9))));
        assert_eq!((dice.below(0), within(3, 5, 5)), (0, 5));
    }
}
