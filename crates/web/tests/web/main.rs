//! The crate as a whole, against servers that misbehave.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod addresses;
mod answers;
mod bodies;
mod fetching;
mod fixtures;
mod guarding;
mod hidden;
mod hostile;
mod pages;
mod pdf;
mod requests;
mod searches;
mod urls;
