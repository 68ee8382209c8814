//! JSON in and out, with clear words for what cannot be read.

use axum::Json;
use axum::extract::rejection::{BytesRejection, JsonRejection};
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Problem;

/// As [`axum::Json`], but what cannot be read is answered with a [`Problem`].
#[derive(Clone, Copy, Debug, Default)]
pub struct ProblemJson<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for ProblemJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match Json::<T>::from_request(request, state).await {
            Ok(Json(value)) => Ok(Self(value)),
            Err(rejection) => Err(problem(&rejection)),
        }
    }
}

impl<T: Serialize> IntoResponse for ProblemJson<T> {
    fn into_response(self) -> Response {
        Json(self.0).into_response()
    }
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        problem(&rejection)
    }
}

fn problem(rejection: &JsonRejection) -> Problem {
    let reason = || {
        use std::error::Error as _;
        let causes = std::iter::successors(rejection.source(), |error| (*error).source());
        causes
            .last()
            .map_or_else(|| rejection.body_text(), ToString::to_string)
    };
    match rejection {
        JsonRejection::JsonSyntaxError(_) => {
            Problem::bad_request(format!("the body is not JSON in UTF-8: {}", reason()))
                .with_code("malformed_json", "The body is not JSON")
        }
        JsonRejection::JsonDataError(_) => {
            let text = rejection.body_text();
            // axum: "Failed to deserialize the JSON body into the target type: <path>: <reason>".
            let detail = text
                .split_once("target type: ")
                .map_or(text.as_str(), |(_, tail)| tail);
            Problem::unprocessable(detail).with_code("wrong_type", "A field has the wrong type")
        }
        JsonRejection::MissingJsonContentType(_) => Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "The body must be JSON",
            "send the header `Content-Type: application/json`",
        ),
        JsonRejection::BytesRejection(BytesRejection::FailedToBufferBody(_))
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE =>
        {
            Problem::too_large("the body is larger than `http.body_limit` allows; send less")
        }
        _ => Problem::bad_request(format!("the body could not be read: {}", reason())),
    }
}
