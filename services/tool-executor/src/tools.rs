//! The tools, one file each. [`crate::registry`] lists them.

pub mod add_document;
pub mod ask_model;
pub mod current_time;
pub mod execute_code;
pub mod forget;
pub mod http_request;
pub mod load_web_page;
pub mod math_solver;
pub mod perplexity_search;
pub mod read_result;
pub mod recall;
pub mod remember;
pub mod search_documents;
pub mod web_search;

pub use add_document::AddDocument;
pub use ask_model::AskModel;
pub use current_time::CurrentTime;
pub use execute_code::ExecuteCode;
pub use forget::Forget;
pub use http_request::HttpRequest;
pub use load_web_page::LoadWebPage;
pub use math_solver::MathSolver;
pub use perplexity_search::PerplexitySearch;
pub use read_result::ReadResult;
pub use recall::Recall;
pub use remember::Remember;
pub use search_documents::SearchDocuments;
pub use web_search::WebSearch;
