//! The agent loop: what it does step by step, and what holds whatever happens in whatever order.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests"
)]

mod approvals;
mod asking;
mod conversations;
mod fuzz;
mod history;
mod limits;
mod past;
mod properties;
mod steps;
mod summaries;
mod taint;
mod tools;
mod world;
