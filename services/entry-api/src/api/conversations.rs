//! `/v1/conversations`: changing, branching, deleting and importing. Reading is the recorder's.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use nexus_contracts::events::{
    ConversationBranch, ConversationConfigure, ConversationDelete, ConversationImport,
    ConversationRename,
};
use nexus_contracts::{ConversationId, Extra};
use nexus_service_kit::Problem;

use super::commands::{Outcome, pending};
use super::{Api, Shared, read_body, read_headers};
use crate::problem::unknown_conversation;
use crate::request::{self, Change, MAX_BODY_BYTES, MAX_DOCUMENT_BYTES};
use crate::submission::{Headers, Kind, Subject, Submission};
use crate::view::{Accepted, CommandView, ConversationChange, Document, NewBranch};

/// Gives a conversation another title, other settings, or both.
///
/// Settings replace all that the conversation had, and hold for what is asked from then on.
#[utoipa::path(
    patch, path = "/v1/conversations/{id}", tag = "conversations",
    params(("id" = String, Path)), request_body = ConversationChange,
    responses(
        (status = 200, body = CommandView, description = "It is done."),
        (status = 202, body = CommandView, description = "Stored; ask again at `Location`."),
        (status = 404, description = "There is no such conversation."),
        (status = 422, description = "Readable, but not acceptable; `detail` says why."),
        (status = 503, description = "Nothing was accepted; try again."),
    )
)]
pub async fn patch_conversation(
    State(api): Shared,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let conversation = read_id(&id)?;
    let headers = read_headers(&headers)?;
    let change = request::parse_change(&read_body(body, MAX_BODY_BYTES).await?)?;
    if let Some(settings) = &change.settings {
        api.check_names(settings)?;
    }
    let mut outcome = None;
    // Both are stored before either is waited for.
    let mut taken = Vec::new();
    for submission in api.changes(conversation, change, &headers).await? {
        taken.push(api.take(submission).await?);
    }
    for of in taken {
        let this = api.outcome(of).await?;
        let waits = matches!(outcome, Some(Outcome::Pending(_)));
        outcome = if waits { outcome } else { Some(this) };
    }
    let outcome = outcome.ok_or_else(|| unknown_conversation(&id))?;
    Ok(outcome.into_response())
}

/// Erases a conversation, everywhere.
///
/// What goes on in it ends (`cancelled`). Every service that keeps anything of it erases that.
#[utoipa::path(
    delete, path = "/v1/conversations/{id}", tag = "conversations",
    params(("id" = String, Path)),
    responses(
        (status = 200, body = CommandView, description = "It is gone."),
        (status = 202, body = CommandView, description = "Stored; ask again at `Location`."),
        (status = 404, description = "There is no such conversation."),
        (status = 503, description = "Nothing was accepted; try again."),
    )
)]
pub async fn delete_conversation(
    State(api): Shared,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let conversation_id = read_id(&id)?;
    let headers = read_headers(&headers)?;
    let principal = api.principal().await?;
    let event = ConversationDelete {
        conversation_id,
        extra: Extra::new(),
    };
    let sender = api.sender(principal, headers);
    let subject = Subject::of(conversation_id);
    let outcome = api
        .command(Submission::new(sender, Kind::Delete, subject, &event)?)
        .await?;
    Ok(outcome.into_response())
}

/// Goes on from an earlier point with another message.
///
/// A new conversation begins: it remembers everything said before the message that started
/// `run_id`, and is asked `text` instead. The old one stays as it is.
#[utoipa::path(
    post, path = "/v1/conversations/{id}/branch", tag = "conversations",
    request_body = NewBranch,
    params(("id" = String, Path),
        ("Idempotency-Key" = Option<String>, Header,
            description = "The same key and body give the same answer, and one branch.")),
    responses(
        (status = 202, body = Accepted, description = "Stored; see `Location`."),
        (status = 400, description = "Not readable as JSON."),
        (status = 404, description = "The conversation was deleted."),
        (status = 413, description = "Too long."),
        (status = 422, description = "Readable, but not acceptable; `detail` says why."),
        (status = 503, description = "Nothing was accepted; try again."),
    )
)]
pub async fn branch_conversation(
    State(api): Shared,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let parent = read_id(&id)?;
    let headers = read_headers(&headers)?;
    let principal = api.principal().await?;
    let at = request::parse_branch(&read_body(body, MAX_BODY_BYTES).await?)?;
    api.check_names(&at.settings)?;
    let event = ConversationBranch {
        conversation_id: parent,
        run_id: at.run_id,
        text: at.text,
        settings: at.settings,
        metadata: at.metadata,
        extra: Extra::new(),
    };
    let subject = Subject {
        parent: Some(parent),
        ..Subject::default()
    };
    let sender = api.sender(principal, headers);
    api.accept(Submission::new(sender, Kind::Branch, subject, &event)?)
        .await
}

/// Opens a conversation with what was said elsewhere.
#[utoipa::path(
    post, path = "/v1/conversations/import", tag = "conversations", request_body = Document,
    params(("Idempotency-Key" = Option<String>, Header,
        description = "The same key and body give the same answer, and one conversation.")),
    responses(
        (status = 201, body = CommandView, description = "It is there; see `Location`."),
        (status = 202, body = CommandView, description = "Stored; ask again at `Location`."),
        (status = 400, description = "Not readable as JSON."),
        (status = 413, description = "Too long."),
        (status = 422, description = "Readable, but not acceptable; `detail` says why."),
        (status = 503, description = "Nothing was accepted; try again."),
    )
)]
pub async fn import_conversation(
    State(api): Shared,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let headers = read_headers(&headers)?;
    let principal = api.principal().await?;
    let body = read_body(body, MAX_DOCUMENT_BYTES).await?;
    let event = ConversationImport {
        conversation: request::parse_document(&body)?,
        extra: Extra::new(),
    };
    let sender = api.sender(principal, headers);
    let submission = Submission::new(sender, Kind::Import, Subject::default(), &event)?;
    Ok(match api.command(submission).await? {
        Outcome::Pending(view) => pending(view),
        Outcome::Done(view) => {
            let location = format!("/v1/conversations/{}", view.conversation_id);
            let headers = [(header::LOCATION, location)];
            (StatusCode::CREATED, headers, Json(view)).into_response()
        }
    })
}

impl Api {
    /// The commands a change consists of.
    async fn changes(
        &self,
        conversation_id: ConversationId,
        change: Change,
        headers: &Headers,
    ) -> Result<Vec<Submission>, Problem> {
        let principal = self.principal().await?;
        let mut commands = Vec::new();
        if let Some(title) = change.title {
            let event = ConversationRename {
                conversation_id,
                title,
                extra: Extra::new(),
            };
            let sender = self.sender(principal.clone(), headers.clone());
            let subject = Subject::of(conversation_id);
            commands.push(Submission::new(sender, Kind::Rename, subject, &event)?);
        }
        if let Some(settings) = change.settings {
            let event = ConversationConfigure {
                conversation_id,
                settings,
                extra: Extra::new(),
            };
            let mut headers = headers.clone();
            // Beside a title under the same key, this is a command of its own.
            headers.idempotency_key = headers.idempotency_key.map(|key| key + " settings");
            let sender = self.sender(principal, headers);
            let subject = Subject::of(conversation_id);
            commands.push(Submission::new(sender, Kind::Configure, subject, &event)?);
        }
        Ok(commands)
    }
}

fn read_id(id: &str) -> Result<ConversationId, Problem> {
    id.parse().map_err(|_not_an_id| unknown_conversation(id))
}
