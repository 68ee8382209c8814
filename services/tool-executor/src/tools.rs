//! The tools, one file each. [`crate::registry`] lists them.

pub mod ask_model;
pub mod current_time;
pub mod http_request;
pub mod load_web_page;
pub mod math_solver;
pub mod perplexity_search;
pub mod read_result;
pub mod web_search;

pub use ask_model::AskModel;
pub use current_time::CurrentTime;
pub use http_request::HttpRequest;
pub use load_web_page::LoadWebPage;
pub use math_solver::MathSolver;
pub use perplexity_search::PerplexitySearch;
pub use read_result::ReadResult;
pub use web_search::WebSearch;
