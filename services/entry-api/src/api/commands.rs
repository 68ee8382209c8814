//! What is done once it is accepted: storing it, waiting a little, and asking again.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use nexus_contracts::events::MessageFailed;
use nexus_service_kit::Problem;

use super::{Api, Shared, Taken, WaitQuery};
use crate::answer::{Ending, Final};
use crate::problem::{self, unknown_command, unknown_conversation};
use crate::submission::Submission;
use crate::view::CommandView;

/// Tells what became of a command that was answered 202.
#[utoipa::path(
    get, path = "/v1/commands/{command_id}", tag = "conversations",
    params(("command_id" = String, Path),
        ("wait" = Option<String>, Query,
            description = "Answer only when it is known, or after this long: `30s`, `500ms`.")),
    responses(
        (status = 200, body = CommandView),
        (status = 404, description = "There is no such command."),
        (status = 422, description = "`wait` does not read."),
        (status = 503, description = "The store cannot be read; try again."),
    )
)]
pub async fn get_command(
    State(api): Shared,
    Path(id): Path<String>,
    query: Result<Query<WaitQuery>, QueryRejection>,
) -> Result<Json<CommandView>, Problem> {
    let Query(query) = query.map_err(|rejection| problem::unread_query(&rejection))?;
    let wait = api.wait(&query)?;
    let known = api.known(&id, unknown_command).await?;
    if known.submission.kind.starts_run() {
        return Err(unknown_command(&id));
    }
    let of = Taken::of(&known.submission);
    let known = api.until_ended(of, wait).await?;
    let known = known.ok_or_else(|| unknown_command(&id))?;
    Ok(Json(CommandView::of(&known)))
}

/// What became of a command in the time there was.
pub(super) enum Outcome {
    /// It is done.
    Done(CommandView),
    /// Nobody has answered it yet; it is kept and will be.
    Pending(CommandView),
}

impl Outcome {
    /// 200 when it is done, else 202 with where to ask again.
    pub(super) fn into_response(self) -> Response {
        match self {
            Self::Done(view) => Json(view).into_response(),
            Self::Pending(view) => pending(view),
        }
    }
}

/// 202 with where to ask again.
pub(super) fn pending(view: CommandView) -> Response {
    let location = format!("/v1/commands/{}", view.command_id);
    let headers = [(header::LOCATION, location)];
    (StatusCode::ACCEPTED, headers, Json(view)).into_response()
}

impl Api {
    /// Stores a command and waits a little for what becomes of it. One that was refused is a
    /// problem.
    pub(super) async fn command(&self, submission: Submission) -> Result<Outcome, Problem> {
        let taken = self.take(submission).await?;
        self.outcome(taken).await
    }

    pub(super) async fn outcome(&self, of: Taken) -> Result<Outcome, Problem> {
        let known = self.until_ended(of, self.config.command_wait).await?;
        // Erased meanwhile, with its conversation.
        let known = known.ok_or_else(|| unknown_conversation(&of.conversation.to_string()))?;
        match &known.last {
            None => Ok(Outcome::Pending(CommandView::of(&known))),
            Some(last) if last.ending == Ending::Failed => Err(refusal(last)),
            Some(_) => Ok(Outcome::Done(CommandView::of(&known))),
        }
    }
}

fn refusal(last: &Final) -> Problem {
    match serde_json::from_slice::<MessageFailed>(&last.payload) {
        Ok(failed) => problem::refused(&failed),
        Err(error) => {
            tracing::error!(%error, "a stored refusal does not read");
            Problem::internal()
        }
    }
}
