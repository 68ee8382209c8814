//! The program as it is run by hand, in runs that fit into CI.

mod mutants;
mod program;
mod storms;
mod wipes;
