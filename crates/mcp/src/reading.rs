//! Resources and prompts: what a server offers to be read. All of it is data of the server's, and
//! its addresses are opened by the server alone.

use rmcp::model::{
    ClientRequest, GetPromptRequest, GetPromptRequestParams, JsonObject, ListPromptsRequest,
    ListResourcesRequest, PaginatedRequestParams, ReadResourceRequest, ReadResourceRequestParams,
    Role, ServerResult,
};
use serde::Serialize;
use tokio::time::timeout;

use crate::content::CallResult;
use crate::error::Error;
use crate::server::Shared;
use crate::text::{clean, line};

/// Entries of one list.
const MOST: usize = 1000;
/// Pages of one list.
const MOST_PAGES: usize = 64;
/// Longest name or address, in bytes.
const LONGEST_NAME: usize = 2048;
/// Longest description, in bytes.
const LONGEST: usize = 4096;

/// A resource that can be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ResourceInfo {
    /// Its name at the server.
    pub uri: String,
    /// What the server calls it.
    pub name: String,
    /// The server's words.
    pub description: Option<String>,
    /// Media type, as the server says.
    pub mime: Option<String>,
}

/// A prompt that can be filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PromptInfo {
    /// The server's name for it.
    pub name: String,
    /// The server's words.
    pub description: Option<String>,
    /// Names of its arguments, and whether each must be given.
    pub arguments: Vec<(String, bool)>,
}

/// One message of a filled-in prompt.
#[derive(Debug, Clone, PartialEq)]
pub struct PromptText {
    /// Whether the server puts it into the assistant's mouth.
    pub assistant: bool,
    /// What it says.
    pub content: CallResult,
}

impl Shared {
    async fn request(
        &self,
        what: &'static str,
        request: ClientRequest,
    ) -> Result<ServerResult, Error> {
        let live = self
            .live()
            .ok_or_else(|| self.unread(what, &self.health().to_string()))?;
        match timeout(self.patience(), live.peer.send_request(request)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(self.unread(what, &error.to_string())),
            Err(_) => Err(self.unread(what, "no answer in time")),
        }
    }

    fn unread(&self, what: &'static str, reason: &str) -> Error {
        Error::Reading {
            server: self.name.clone(),
            what,
            reason: line(reason, 500),
        }
    }

    pub(crate) async fn resources(&self) -> Result<Vec<ResourceInfo>, Error> {
        let mut all = Vec::new();
        let mut cursor = None;
        for _ in 0..MOST_PAGES {
            let params = PaginatedRequestParams::default().with_cursor(cursor);
            let request =
                ClientRequest::ListResourcesRequest(ListResourcesRequest::with_param(params));
            let ServerResult::ListResourcesResult(page) =
                self.request("resources", request).await?
            else {
                return Err(self.unread("resources", "an answer to something else"));
            };
            all.extend(page.resources.into_iter().map(|it| ResourceInfo {
                uri: line(&it.uri, LONGEST_NAME),
                name: line(&it.name, LONGEST_NAME),
                description: it.description.map(|it| clean(&it, LONGEST)),
                mime: it.mime_type.map(|it| line(&it, LONGEST_NAME)),
            }));
            cursor = page.next_cursor;
            if cursor.is_none() && all.len() <= MOST {
                return Ok(all);
            }
            if all.len() > MOST {
                break;
            }
        }
        Err(self.unread("resources", "it lists too many"))
    }

    pub(crate) async fn read_resource(&self, uri: &str) -> Result<CallResult, Error> {
        if uri.len() > LONGEST_NAME || uri.chars().any(char::is_control) {
            return Err(self.unread("resource", "that is not an address"));
        }
        let params = ReadResourceRequestParams::new(uri);
        let request = ClientRequest::ReadResourceRequest(ReadResourceRequest::new(params));
        match self.request("resource", request).await? {
            ServerResult::ReadResourceResult(result) => Ok(CallResult::of_resources(
                result.contents,
                self.config.limits.result_bytes,
            )),
            _ => Err(self.unread("resource", "an answer to something else")),
        }
    }

    pub(crate) async fn prompts(&self) -> Result<Vec<PromptInfo>, Error> {
        let mut all = Vec::new();
        let mut cursor = None;
        for _ in 0..MOST_PAGES {
            let params = PaginatedRequestParams::default().with_cursor(cursor);
            let request = ClientRequest::ListPromptsRequest(ListPromptsRequest::with_param(params));
            let ServerResult::ListPromptsResult(page) = self.request("prompts", request).await?
            else {
                return Err(self.unread("prompts", "an answer to something else"));
            };
            all.extend(page.prompts.into_iter().map(prompt));
            cursor = page.next_cursor;
            if cursor.is_none() && all.len() <= MOST {
                return Ok(all);
            }
            if all.len() > MOST {
                break;
            }
        }
        Err(self.unread("prompts", "it lists too many"))
    }

    pub(crate) async fn prompt(
        &self,
        name: &str,
        arguments: JsonObject,
    ) -> Result<Vec<PromptText>, Error> {
        let params = GetPromptRequestParams::new(name).with_arguments(arguments);
        let request = ClientRequest::GetPromptRequest(GetPromptRequest::new(params));
        let ServerResult::GetPromptResult(result) = self.request("prompt", request).await? else {
            return Err(self.unread("prompt", "an answer to something else"));
        };
        if result.messages.len() > MOST {
            return Err(self.unread("prompt", "it has too many messages"));
        }
        let most = self.config.limits.result_bytes / result.messages.len().max(1);
        let messages = result.messages.into_iter().map(|message| PromptText {
            assistant: message.role == Role::Assistant,
            content: CallResult::of(vec![message.content], None, most),
        });
        Ok(messages.collect())
    }
}

fn prompt(it: rmcp::model::Prompt) -> PromptInfo {
    let arguments = it.arguments.unwrap_or_default().into_iter().take(MOST);
    PromptInfo {
        name: line(&it.name, LONGEST_NAME),
        description: it.description.map(|it| clean(&it, LONGEST)),
        arguments: arguments
            .map(|it| (line(&it.name, LONGEST_NAME), it.required == Some(true)))
            .collect(),
    }
}
