//! Conversations as a whole.

use nexus_entry_api::view::{Accepted, CommandView};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Client, PATIENCE, refused};
use crate::exit::Failure;

/// A page of conversations.
#[derive(Clone, Debug, Deserialize)]
pub struct Page {
    /// The conversations, the most recent first.
    pub conversations: Vec<Summary>,
    /// Where the next page begins.
    #[serde(default)]
    pub next: Option<String>,
}

/// A conversation in a list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Summary {
    /// The conversation.
    pub conversation_id: String,
    /// Its title.
    #[serde(default)]
    pub title: String,
    /// When something last happened.
    #[serde(default)]
    pub updated_at: String,
    /// The rest.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// A conversation with a page of what was said; the first page is its end.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Conversation {
    /// As in the list.
    #[serde(flatten)]
    pub summary: Summary,
    /// What was said, oldest first.
    pub messages: Vec<Said>,
    /// Where the page before begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Something that was said.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Said {
    /// `user` or `assistant`.
    pub role: String,
    /// The text.
    pub text: String,
    /// The run it started or ended; nothing where it was said elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    /// The provider that said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The model that said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The rest.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// What was found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Found {
    /// The findings, the latest first.
    pub hits: Vec<Hit>,
    /// The rest.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// Something that was found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Hit {
    /// The conversation.
    pub conversation_id: String,
    /// The text around it.
    pub snippet: Vec<Piece>,
    /// The rest.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// Part of a text.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Piece {
    /// The text.
    pub text: String,
    /// Whether it is what was searched for.
    pub hit: bool,
}

impl Client {
    /// A page of conversations.
    ///
    /// # Errors
    /// As [`Client::submit`].
    pub async fn conversations(&self, limit: u32, before: Option<&str>) -> Result<Page, Failure> {
        let mut url = self.address(&["v1", "conversations"])?;
        url.query_pairs_mut()
            .append_pair("limit", &limit.to_string())
            .extend_pairs(before.map(|before| ("before", before)));
        self.read(self.http.get(url).timeout(PATIENCE)).await
    }

    /// A conversation with everything that was said, page by page from its end.
    ///
    /// # Errors
    /// As [`Client::submit`].
    pub async fn conversation(&self, id: &str) -> Result<Conversation, Failure> {
        let mut whole: Conversation = self.page_of(id, None).await?;
        while let Some(before) = whole.next.take() {
            let page = self.page_of(id, Some(&before)).await?;
            let later = std::mem::replace(&mut whole.messages, page.messages);
            whole.messages.extend(later);
            whole.next = page.next;
        }
        Ok(whole)
    }

    async fn page_of(&self, id: &str, before: Option<&str>) -> Result<Conversation, Failure> {
        let mut url = self.address(&["v1", "conversations", id])?;
        if let Some(before) = before {
            url.query_pairs_mut().append_pair("before", before);
        }
        self.read(self.http.get(url).timeout(PATIENCE)).await
    }

    /// What was said with these words.
    ///
    /// # Errors
    /// As [`Client::submit`].
    pub async fn search(&self, words: &str, limit: u32) -> Result<Found, Failure> {
        let mut url = self.address(&["v1", "conversations", "search"])?;
        url.query_pairs_mut()
            .append_pair("q", words)
            .append_pair("limit", &limit.to_string());
        self.read(self.http.get(url).timeout(PATIENCE)).await
    }

    /// A conversation as a document, byte by byte as the node gives it.
    ///
    /// # Errors
    /// As [`Client::submit`].
    pub async fn export(&self, id: &str) -> Result<Vec<u8>, Failure> {
        let url = self.address(&["v1", "conversations", id, "export"])?;
        let response = self.http.get(url).timeout(PATIENCE).send().await;
        let response = refused(response.map_err(|error| self.away(&error))?).await?;
        let bytes = response.bytes().await;
        Ok(bytes.map_err(|error| self.away(&error))?.to_vec())
    }

    /// Opens a conversation with a document.
    ///
    /// # Errors
    /// As [`Client::submit`].
    pub async fn import(&self, document: Vec<u8>) -> Result<CommandView, Failure> {
        let request = self.http.post(self.url("/v1/conversations/import"));
        let request = request
            .header("content-type", "application/json")
            .body(document);
        self.settled(self.read(request.timeout(PATIENCE)).await?)
            .await
    }

    /// Gives a conversation another title.
    ///
    /// # Errors
    /// As [`Client::submit`].
    pub async fn rename(&self, id: &str, title: &str) -> Result<CommandView, Failure> {
        let url = self.address(&["v1", "conversations", id])?;
        let request = self.http.patch(url).json(&json!({ "title": title }));
        self.settled(self.read(request.timeout(PATIENCE)).await?)
            .await
    }

    /// Erases a conversation.
    ///
    /// # Errors
    /// As [`Client::submit`].
    pub async fn delete(&self, id: &str) -> Result<CommandView, Failure> {
        let url = self.address(&["v1", "conversations", id])?;
        let request = self.http.delete(url).timeout(PATIENCE);
        self.settled(self.read(request).await?).await
    }

    /// Goes on from an earlier point with another message.
    ///
    /// # Errors
    /// As [`Client::submit`].
    pub async fn branch(&self, id: &str, message: &Value) -> Result<Accepted, Failure> {
        let url = self.address(&["v1", "conversations", id, "branch"])?;
        let request = self.http.post(url).json(message).timeout(PATIENCE);
        self.read(request).await
    }
}
