//! What was looked for and not found: what the answer is kept under, if it will do again.

use super::guard::Features;
use super::index::Direction;
use super::kept::{Kept, Unfit};
use super::key::{Key, Scope};

/// What an answer would be kept under.
pub struct Sought {
    /// The question, to the letter.
    pub key: Key,
    /// What its last message means, where that was looked for too.
    pub meaning: Option<Meaning>,
}

/// What the last message means.
pub struct Meaning {
    /// Where it is compared with others.
    pub room: Scope,
    /// Its vector.
    pub direction: Direction,
    /// What the vector does not show.
    pub features: Features,
}

/// An answer, and what it is to be kept under if it will do again.
pub struct Fit {
    /// Under what.
    pub sought: Box<Sought>,
    /// The answer, or why it will not do.
    pub kept: Result<Kept, Unfit>,
}
