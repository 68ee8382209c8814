//! Nexus as a person or an operator runs it: real processes, real servers, counted from outside.

pub mod cluster;
pub mod http;
pub mod ledger;
pub mod questions;
