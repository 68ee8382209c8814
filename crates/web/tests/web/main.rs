//! The crate as a whole, against servers that misbehave.

mod addresses;
mod bodies;
mod fetching;
mod fixtures;
mod guarding;
mod urls;
