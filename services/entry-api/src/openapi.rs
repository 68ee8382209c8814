//! The description of the HTTP interface.

use std::sync::Arc;

use axum::Router;
use utoipa::OpenApi;
use utoipa::openapi::OpenApi as Document;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::Api;
use crate::api::approvals::{
    __path_decide_approval, __path_list_approvals, decide_approval, list_approvals,
};
use crate::api::commands::{__path_get_command, get_command};
use crate::api::conversations::{
    __path_branch_conversation, __path_delete_conversation, __path_import_conversation,
    __path_patch_conversation, branch_conversation, delete_conversation, import_conversation,
    patch_conversation,
};
use crate::api::messages::{
    __path_delete_message, __path_get_events, __path_get_message, __path_post_message,
    delete_message, get_events, get_message, post_message,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Nexus",
        description = "Say something to the agent and get its answer. Errors are RFC 9457 \
                       problems (application/problem+json) with a stable `code`.",
    ),
    tags(
        (name = "messages", description = "Messages to the agent and their answers."),
        (name = "approvals", description = "Tool calls that wait for a person."),
        (name = "conversations", description = "What was said, and what is done with it."),
    )
)]
struct Base;

fn described() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::with_openapi(Base::openapi())
        .routes(routes!(post_message))
        .routes(routes!(get_message, delete_message))
        .routes(routes!(get_events))
        .routes(routes!(list_approvals))
        .routes(routes!(decide_approval))
        .routes(routes!(patch_conversation, delete_conversation))
        .routes(routes!(branch_conversation))
        .routes(routes!(import_conversation))
        .routes(routes!(get_command))
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
