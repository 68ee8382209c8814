//! What only Redis has: raw clients, its connections, its memory, its ways to lose a group.
//! Everything all buses share is in the conformance suite.

mod connections;
mod groups;
mod memory;
mod raw;
mod setup;
mod streams;
