//! HTTP: one listener for people, one for probes, and errors that say what to do.

mod admin;
mod guard;
mod json;
mod listen;
mod problem;

#[cfg(test)]
mod tests;

pub use json::ProblemJson;
pub use problem::Problem;

pub(crate) use admin::admin_routes;
pub(crate) use listen::{Listening, Mounted, bind, serve};
