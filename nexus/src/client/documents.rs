//! The documents and memories of a node.

use nexus_contracts::settings::Privacy;
use nexus_tool_executor::api::documents_view::{
    AddedDocument, Deleted, DocumentList, DocumentView, FoundParts, MemoryList, MemoryView,
};
use reqwest::header::CONTENT_TYPE;

use super::{Client, PATIENCE};
use crate::exit::Failure;

/// A file to keep.
#[derive(Debug)]
pub struct NewDocument<'a> {
    /// What it is: a media type.
    pub content_type: &'a str,
    /// The query of `POST /v1/documents`.
    pub about: Vec<(&'static str, String)>,
    /// Its bytes.
    pub body: Vec<u8>,
}

impl Client {
    /// Keeps a document.
    ///
    /// # Errors
    /// As [`Client::submit`].
    pub async fn add_document(&self, document: NewDocument<'_>) -> Result<AddedDocument, Failure> {
        let mut url = self.address(&["v1", "documents"])?;
        url.query_pairs_mut().extend_pairs(&document.about);
        let request = self.http.post(url).body(document.body);
        let request = request.header(CONTENT_TYPE, document.content_type);
        // It is cut and embedded before it is answered.
        self.read(request.timeout(PATIENCE * 4)).await
    }

    /// Every document, the newest first.
    ///
    /// # Errors
    /// As [`Client::submit`].
    pub async fn documents(&self, collection: Option<&str>) -> Result<Vec<DocumentView>, Failure> {
        let (mut all, mut before) = (Vec::new(), None::<String>);
        loop {
            let mut url = self.address(&["v1", "documents"])?;
            let pairs = [("collection", collection), ("before", before.as_deref())];
            let pairs = pairs
                .into_iter()
                .filter_map(|(name, value)| Some((name, value?)));
            url.query_pairs_mut().extend_pairs(pairs);
            let page: DocumentList = self.read(self.http.get(url).timeout(PATIENCE)).await?;
            all.extend(page.documents);
            before = page.next;
            if before.is_none() {
                return Ok(all);
            }
        }
    }

    /// Parts of documents that fit.
    ///
    /// # Errors
    /// As [`Client::submit`].
    pub async fn find_documents(
        &self,
        (query, privacy): (&str, Privacy),
        collection: Option<&str>,
        limit: usize,
    ) -> Result<FoundParts, Failure> {
        let mut url = self.address(&["v1", "documents", "search"])?;
        url.query_pairs_mut()
            .append_pair("q", query)
            .append_pair("limit", &limit.to_string())
            .append_pair("privacy", privacy.as_str());
        if let Some(collection) = collection {
            url.query_pairs_mut().append_pair("collection", collection);
        }
        self.read(self.http.get(url).timeout(PATIENCE)).await
    }

    /// Deletes a document.
    ///
    /// # Errors
    /// As [`Client::submit`]; also when there is none.
    pub async fn delete_document(&self, id: &str) -> Result<Deleted, Failure> {
        let url = self.address(&["v1", "documents", id])?;
        self.read(self.http.delete(url).timeout(PATIENCE)).await
    }

    /// What is remembered of whoever asks, the newest first.
    ///
    /// # Errors
    /// As [`Client::submit`].
    pub async fn memories(&self) -> Result<Vec<MemoryView>, Failure> {
        let (mut all, mut before) = (Vec::new(), None::<String>);
        loop {
            let mut url = self.address(&["v1", "memories"])?;
            url.query_pairs_mut()
                .extend_pairs(before.iter().map(|before| ("before", before)));
            let page: MemoryList = self.read(self.http.get(url).timeout(PATIENCE)).await?;
            all.extend(page.memories);
            before = page.next;
            if before.is_none() {
                return Ok(all);
            }
        }
    }

    /// Forgets one thing, or everything.
    ///
    /// # Errors
    /// As [`Client::submit`]; also when there is none.
    pub async fn forget(&self, id: Option<&str>) -> Result<Deleted, Failure> {
        let url = match id {
            None => self.address(&["v1", "memories"])?,
            Some(id) => self.address(&["v1", "memories", id])?,
        };
        self.read(self.http.delete(url).timeout(PATIENCE)).await
    }
}
