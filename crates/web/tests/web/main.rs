//! The crate as a whole, against servers that misbehave.

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
