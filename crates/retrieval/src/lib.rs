#![doc = include_str!("../README.md")]

mod backfill;
mod cache;
mod chroma;
mod chunk;
mod config;
mod embed;
mod error;
mod external;
mod index;
mod ingest;
mod listing;
mod memory;
mod migrations;
mod model;
mod refresh;
mod remove;
mod retrieval;
mod rows;
mod search;
mod spaces;
mod words;

pub use backfill::Backfilled;
pub use chroma::{Chroma, ChromaConfig};
pub use chunk::{Chunk, chunks};
pub use config::Limits;
pub use embed::{EmbedError, Embedder, Embeddings, Space, TextKind};
pub use error::Error;
pub use external::{Entry, Near, Scope, VectorError, VectorIndex};
pub use ingest::{Ingest, Ingested, Outcome};
pub use listing::{CollectionInfo, DocumentInfo};
pub use memory::{Item, Memory, MemoryId, Recall, Recalled, Remember, Remembered};
pub use model::{DocumentId, Page, Viewer};
pub use remove::Deleted;
pub use retrieval::Retrieval;
pub use search::{Found, Hit, Mode, Search};
