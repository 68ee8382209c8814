//! Vectors of texts: who makes them, and what is taken from them.

use std::fmt;

use async_trait::async_trait;
use nexus_contracts::OrgId;
use nexus_contracts::settings::Privacy;

/// Most numbers of one vector. The largest models there are give 4,096.
const MOST_DIMENSIONS: usize = 8_192;

/// What a text is for. Some models make other vectors of questions than of what answers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextKind {
    /// It will be searched.
    Document,
    /// It is searched for.
    Query,
}

/// Vectors of one model.
#[derive(Clone, Debug, PartialEq)]
pub struct Embeddings {
    /// The model, by the name that tells it from every other: only vectors of the same model are
    /// compared.
    pub model: String,
    /// Numbers of each vector.
    pub dimensions: usize,
    /// One for each text, in order.
    pub vectors: Vec<Vec<f32>>,
}

/// Why there are no vectors. Never a reason to store nothing or to find nothing: search goes on
/// with words alone and says so.
#[derive(Clone, Debug, thiserror::Error)]
pub enum EmbedError {
    /// The embedder could not be reached, or refused for now.
    #[error("the embedder gave no vectors: {0}")]
    Unavailable(String),
    /// It answered with something else than was asked for.
    #[error("the embedder gave vectors that cannot be used: {0}")]
    Malformed(String),
}

/// Makes vectors of texts.
#[async_trait]
pub trait Embedder: Send + Sync {
    /// One vector for each text, all of the same model, in the order of the texts. They must go no
    /// further than `privacy` says, so it may be another model for each of its values.
    ///
    /// # Errors
    /// When there are none now; whoever asked goes on without.
    async fn embed(
        &self,
        org: OrgId,
        texts: Vec<String>,
        kind: TextKind,
        privacy: Privacy,
    ) -> Result<Embeddings, EmbedError>;
}

/// What makes vectors comparable: the same model and as many numbers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Space {
    /// The model.
    pub model: String,
    /// Numbers of each vector.
    pub dimensions: usize,
}

impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} dimensions)", self.model, self.dimensions)
    }
}

/// Asks for vectors and checks what came: as many as texts, all of one size, all finite, and each
/// made to have length 1, so that the product of two is their cosine.
pub(crate) async fn embed(
    embedder: &dyn Embedder,
    org: OrgId,
    texts: Vec<String>,
    (kind, privacy): (TextKind, Privacy),
) -> Result<(Space, Vec<Vec<f32>>), EmbedError> {
    let wanted = texts.len();
    let Embeddings {
        model,
        dimensions,
        vectors,
    } = embedder.embed(org, texts, kind, privacy).await?;
    let malformed = |reason: String| Err(EmbedError::Malformed(reason));
    if model.is_empty() || model.len() > 200 || model.contains('\0') {
        return malformed("the model has no name of 1 to 200 bytes".to_owned());
    }
    if dimensions == 0 || dimensions > MOST_DIMENSIONS {
        return malformed(format!(
            "{dimensions} dimensions, not 1 to {MOST_DIMENSIONS}"
        ));
    }
    if vectors.len() != wanted {
        return malformed(format!("{} vectors for {wanted} texts", vectors.len()));
    }
    let mut normalised = Vec::with_capacity(vectors.len());
    for vector in vectors {
        if vector.len() != dimensions {
            return malformed(format!("{} numbers of {dimensions}", vector.len()));
        }
        match normalise(vector) {
            Some(vector) => normalised.push(vector),
            None => return malformed("a vector is zero or not finite".to_owned()),
        }
    }
    Ok((Space { model, dimensions }, normalised))
}

/// The vector of length 1 that points the same way; none of zero or of what is not finite.
fn normalise(mut vector: Vec<f32>) -> Option<Vec<f32>> {
    let square: f64 = vector.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
    let length = square.sqrt();
    if !length.is_finite() || length <= f64::from(f32::MIN_POSITIVE) {
        return None;
    }
    for number in &mut vector {
        *number = (f64::from(*number) / length) as f32;
    }
    Some(vector)
}

/// As the database holds it: numbers of 32 bits, least byte first.
pub(crate) fn to_bytes(vector: &[f32]) -> Vec<u8> {
    vector
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect()
}

/// As it was kept; none when it has another size.
pub(crate) fn from_bytes(bytes: &[u8], dimensions: usize) -> Option<Vec<f32>> {
    let (numbers, rest) = bytes.as_chunks::<4>();
    let fits = rest.is_empty() && numbers.len() == dimensions;
    fits.then(|| {
        numbers
            .iter()
            .map(|four| f32::from_le_bytes(*four))
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_come_back_as_they_were_kept() {
        let vector = vec![0.5, -1.25, f32::MIN_POSITIVE];
        let bytes = to_bytes(&vector);
        assert_eq!(bytes.len(), 12);
        assert_eq!(from_bytes(&bytes, 3), Some(vector));
        assert_eq!(from_bytes(&bytes, 2), None);
        assert_eq!(from_bytes(&bytes[..11], 3), None);
    }

    #[test]
    fn what_has_no_direction_is_no_vector() {
        assert_eq!(normalise(vec![3.0, 4.0]), Some(vec![0.6, 0.8]));
        assert_eq!(normalise(vec![f32::MAX, 0.0]), Some(vec![1.0, 0.0]));
        for bad in [0.0, f32::NAN, f32::INFINITY] {
            assert_eq!(normalise(vec![bad, 0.0]), None);
        }
    }
}
