//! Random choices that come out the same for the same seed. The engine has one source of
//! randomness for all its answers; this one belongs to one answer.
//!
//! Gumbel's trick: the largest of `logit / temperature + noise` is distributed as a sample of the
//! softmax is. Since it only moves logits, a grammar may forbid tokens before or after it.

/// A token outside the nucleus moves down by this much: never chosen unless a grammar leaves
/// nothing else.
const OUTSIDE: f32 = 1e6;

/// The randomness of one answer.
#[derive(Clone, Debug)]
pub(crate) struct Noise {
    state: u64,
    temperature: f64,
    top_p: f64,
}

impl Noise {
    /// For this seed; `temperature` above 0, `top_p` in (0, 1].
    pub(crate) const fn new(seed: u64, temperature: f64, top_p: f64) -> Self {
        Self {
            state: seed,
            temperature,
            top_p,
        }
    }

    /// Logits whose largest one is the choice.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "logits are 32 bits wide; what is lost is noise"
    )]
    pub(crate) fn over(&mut self, logits: &[f32]) -> Vec<f32> {
        let least = self.least(logits);
        logits
            .iter()
            .map(|&logit| {
                let uniform = self.uniform();
                let gumbel = -(-uniform.ln()).ln();
                let moved = (f64::from(logit) / self.temperature + gumbel) as f32;
                if logit < least {
                    moved - OUTSIDE
                } else {
                    moved
                }
            })
            .collect()
    }

    /// The smallest logit of the nucleus: the likeliest tokens that together reach `top_p`.
    fn least(&self, logits: &[f32]) -> f32 {
        if self.top_p >= 1.0 {
            return f32::NEG_INFINITY;
        }
        let mut sorted = logits.to_vec();
        sorted.sort_by(|one, other| other.total_cmp(one));
        let most = f64::from(sorted.first().copied().unwrap_or_default());
        let weight = |logit: f32| ((f64::from(logit) - most) / self.temperature).exp();
        let all: f64 = sorted.iter().map(|&logit| weight(logit)).sum();
        let mut sum = 0.0;
        for &logit in &sorted {
            sum += weight(logit);
            if sum >= self.top_p * all {
                return logit;
            }
        }
        f32::NEG_INFINITY
    }

    /// In (0, 1): `SplitMix64` (Steele, Lea and Flood 2014), its upper 53 bits.
    #[expect(
        clippy::cast_precision_loss,
        reason = "53 bits fit the mantissa exactly"
    )]
    fn uniform(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        ((mixed >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::Noise;

    fn choices(mut noise: Noise, logits: &[f32], count: usize) -> Vec<usize> {
        let mut choose = || {
            let moved = noise.over(logits);
            (0..moved.len())
                .max_by(|&a, &b| moved[a].total_cmp(&moved[b]))
                .unwrap()
        };
        (0..count).map(|_| choose()).collect()
    }

    #[test]
    fn one_seed_chooses_alike_and_as_often_as_the_logits_say() {
        let logits = [0.0, 1.0, 2.0];
        let first = choices(Noise::new(7, 1.0, 1.0), &logits, 9000);
        assert_eq!(first, choices(Noise::new(7, 1.0, 1.0), &logits, 9000));
        assert_ne!(first, choices(Noise::new(8, 1.0, 1.0), &logits, 9000));
        let share = |token| first.iter().filter(|&&choice| choice == token).count() as f64 / 9000.0;
        // softmax(0, 1, 2) = 0.090, 0.245, 0.665
        assert!((share(0) - 0.090).abs() < 0.02, "{}", share(0));
        assert!((share(2) - 0.665).abs() < 0.02, "{}", share(2));
    }

    #[test]
    fn the_nucleus_is_all_there_is_unless_it_is_forbidden() {
        let chosen = choices(Noise::new(1, 1.0, 0.6), &[0.0, 1.0, 2.0], 500);
        assert!(chosen.iter().all(|&token| token == 2));
        let forbidden = [0.0, 1.0, f32::NEG_INFINITY];
        let chosen = choices(Noise::new(1, 1.0, 0.6), &forbidden, 500);
        assert!(chosen.iter().all(|&token| token != 2));
    }
}
