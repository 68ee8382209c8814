//! The tools, one file each. [`crate::registry`] lists them.

pub mod ask_model;
pub mod current_time;
pub mod math_solver;
pub mod read_result;

pub use ask_model::AskModel;
pub use current_time::CurrentTime;
pub use math_solver::MathSolver;
pub use read_result::ReadResult;
