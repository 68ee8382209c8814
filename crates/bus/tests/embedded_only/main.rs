//! What only the embedded bus has: a file, its one owner, and readers beside it.

mod beside;
mod crash;
mod fuzz;
mod owner;
mod recovery;
mod setup;
