//! The description of the HTTP interface.

use std::sync::Arc;

use axum::Router;
use utoipa::OpenApi;
use utoipa::openapi::OpenApi as Document;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::{
    __path_delete_message, __path_get_events, __path_get_message, __path_post_message, Api,
    delete_message, get_events, get_message, post_message,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Nexus",
        description = "Say something to the agent and get its answer. Errors are RFC 9457 \
                       problems (application/problem+json) with a stable `code`.",
    ),
    tags((name = "messages", description = "Messages to the agent and their answers."))
)]
struct Base;

fn described() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::with_openapi(Base::openapi())
        .routes(routes!(post_message))
        .routes(routes!(get_message, delete_message))
        .routes(routes!(get_events))
}

/// The routes of this service.
pub(crate) fn router() -> Router<Arc<Api>> {
    described().split_for_parts().0
}

/// The description of this service's routes (`OpenAPI` 3.1).
#[must_use]
pub fn openapi() -> Document {
    described().into_openapi()
}
