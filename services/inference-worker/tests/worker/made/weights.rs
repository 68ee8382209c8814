//! Weights, and files of them.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use anyhow::Result;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::Value;

/// A matrix or a vector.
#[derive(Clone)]
pub(crate) struct Weight {
    pub(crate) shape: Vec<usize>,
    pub(crate) numbers: Vec<f32>,
}

impl Weight {
    pub(crate) fn constant(shape: &[usize], number: f32) -> Self {
        let count = shape.iter().product();
        Self {
            shape: shape.to_vec(),
            numbers: vec![number; count],
        }
    }

    /// Ones at these places of a matrix.
    pub(crate) fn ones_at(
        rows: usize,
        columns: usize,
        places: impl IntoIterator<Item = (usize, usize)>,
    ) -> Self {
        let mut weight = Self::constant(&[rows, columns], 0.0);
        for (row, column) in places {
            weight.numbers[row * columns + column] = 1.0;
        }
        weight
    }
}

pub(crate) type Weights = BTreeMap<String, Weight>;

/// Normally distributed numbers from a seed.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(crate) fn weight(&mut self, shape: &[usize]) -> Weight {
        let mut weight = Weight::constant(shape, 0.0);
        for number in &mut weight.numbers {
            let (one, other) = (1.0 - self.uniform(), self.uniform());
            let normal = (-2.0 * one.ln()).sqrt() * (std::f64::consts::TAU * other).cos();
            *number = (normal * 0.2) as f32;
        }
        weight
    }
}

pub(crate) fn write_weights(folder: &Path, weights: &Weights) -> Result<()> {
    let bytes = |weight: &Weight| -> Vec<u8> {
        weight
            .numbers
            .iter()
            .flat_map(|number| number.to_le_bytes())
            .collect()
    };
    let bytes: BTreeMap<_, _> = weights
        .iter()
        .map(|(name, weight)| (name, bytes(weight)))
        .collect();
    let mut views = Vec::new();
    for (name, weight) in weights {
        let view = TensorView::new(Dtype::F32, weight.shape.clone(), &bytes[name])?;
        views.push((name.clone(), view));
    }
    let about = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let file = safetensors::serialize(views, Some(about))?;
    Ok(std::fs::write(folder.join("model.safetensors"), file)?)
}

pub(crate) fn write_json(folder: &Path, name: &str, value: &Value) -> Result<()> {
    Ok(std::fs::write(folder.join(name), value.to_string())?)
}
