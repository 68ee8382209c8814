//! How much is taken, kept and given.

use serde::Deserialize;

/// Limits, each with a default; all of them are meant to be configurable by whoever runs a service.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Largest text of one document, in bytes.
    pub document_bytes: usize,
    /// Most characters of one chunk. About four characters of English are a token, and models for
    /// embeddings read at least 512 tokens.
    pub chunk_chars: usize,
    /// Most chunks of one document.
    pub chunks_per_document: usize,
    /// Most documents of one organisation.
    pub documents_per_org: usize,
    /// Most chunks of all documents of one organisation: what bounds its index in memory.
    pub chunks_per_org: usize,
    /// Largest memory, in bytes.
    pub memory_bytes: usize,
    /// Most memories of one person.
    pub memories_per_user: usize,
    /// Longest query, in bytes.
    pub query_bytes: usize,
    /// Most results of one search, and most rows of one page of a list.
    pub results: usize,
    /// About how many bytes the indexes of all organisations may take in memory together. One that
    /// is larger by itself is kept while it is the one in use.
    pub index_bytes: usize,
    /// Most texts handed to the embedder at once.
    pub embed_batch: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            document_bytes: 8 << 20,
            chunk_chars: 1_000,
            chunks_per_document: 10_000,
            documents_per_org: 10_000,
            chunks_per_org: 100_000,
            memory_bytes: 4 << 10,
            memories_per_user: 2_000,
            query_bytes: 4 << 10,
            results: 50,
            index_bytes: 512 << 20,
            embed_batch: 64,
        }
    }
}
