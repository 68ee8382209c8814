//! Documents and memories over HTTP.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, header};
use nexus_retrieval::{DocumentId, Error, Ingest, MemoryId, Page, Search, Viewer};
use nexus_service_kit::Problem;
use nexus_web::{ContentType, Fetched};
use reqwest::Url;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::documents_view::{
    AddedDocument, Deleted, DocumentList, DocumentToAdd, FoundParts, MemoryList, PartView, ToFind,
    ToList,
};
use super::{Api, Shared};

/// The collection of documents that name none.
const COLLECTION: &str = "documents";

/// Most parts of one search, and documents or memories of one list.
const MOST: usize = 50;

pub(super) fn described() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(add_document, list_documents))
        .routes(routes!(find_documents))
        .routes(routes!(delete_document))
        .routes(routes!(list_memories, forget_memories))
        .routes(routes!(forget_memory))
}

fn failed(error: &Error) -> Problem {
    if matches!(error, Error::Store(_) | Error::Interrupted(_)) {
        tracing::error!(%error, "a request about documents failed");
        return Problem::unavailable(
            "documents cannot be reached; see `nexus doctor`, then try again",
        );
    }
    Problem::bad_request(error.to_string())
}

fn query<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, Problem> {
    let Query(query) = query.map_err(|error| Problem::bad_request(error.body_text()))?;
    Ok(query)
}

impl Api {
    fn viewer(&self) -> Result<Viewer, Problem> {
        let principal = self.principal()?;
        Ok(Viewer {
            org: principal.org_id,
            user: Some(principal.user_id),
        })
    }

    /// The text of what is no text.
    async fn text_of(
        &self,
        source: &str,
        kind: ContentType,
        body: Bytes,
    ) -> Result<(String, Option<String>), Problem> {
        // Readers name what they read; nothing is fetched from there.
        let url = Url::parse(source)
            .or_else(|_not_an_address| Url::parse("file:///document"))
            .map_err(|error| Problem::bad_request(error.to_string()))?;
        let document = Fetched {
            url,
            content_type: kind,
            body,
        };
        let page = self.knowledge.reader.read(document).await;
        let page = page.map_err(|error| Problem::bad_request(error.to_string()))?;
        Ok((page.markdown, page.title))
    }
}

/// Keeps a document, or a new version of it: the body is the document, `Content-Type` says what it is
/// (`text/plain`, `text/markdown`, `text/csv`, `text/html`, `application/pdf`).
#[utoipa::path(post, path = "/v1/documents", tag = "documents", params(DocumentToAdd),
    request_body(content = Vec<u8>, content_type = "text/markdown"),
    responses((status = 200, body = AddedDocument), (status = 400, description = "A problem")))]
async fn add_document(
    State(api): Shared,
    about: Result<Query<DocumentToAdd>, QueryRejection>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<AddedDocument>, Problem> {
    let about = query(about)?;
    let body = body.map_err(|error| Problem::bad_request(error.body_text()))?;
    let principal = api.principal()?;
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|value| value.to_str().ok());
    let kind = ContentType::parse(kind.unwrap_or("text/plain"));
    // What is not plain text was mostly written elsewhere.
    let is_foreign = matches!(kind.essence(), "text/html" | "application/pdf");
    let (text, title, content_type) = match kind.essence() {
        "text/plain" | "text/markdown" | "text/csv" => {
            let text = String::from_utf8(body.to_vec());
            let text = text.map_err(|_not_text| {
                Problem::bad_request("the document is not UTF-8; convert it and send it again")
            })?;
            (text, None, kind.essence().to_owned())
        }
        "text/html" | "application/pdf" => {
            let (text, title) = api.text_of(&about.source, kind, body).await?;
            (text, title, "text/markdown".to_owned())
        }
        other => {
            return Err(Problem::bad_request(format!(
                "documents of the type `{other}` are not read; send text/plain, text/markdown, \
                 text/csv, text/html or application/pdf"
            )));
        }
    };
    let ingest = Ingest {
        owner: (!about.shared).then_some(principal.user_id),
        collection: about.collection.unwrap_or_else(|| COLLECTION.to_owned()),
        title: about
            .title
            .or(title)
            .unwrap_or_else(|| about.source.clone()),
        source: about.source,
        content_type,
        text,
        untrusted: about.untrusted.unwrap_or(is_foreign),
        privacy: about.privacy,
        apart: false,
    };
    let now = api.deps.clock.now();
    let documents = api.knowledge.all.documents();
    let added = documents.ingest(principal.org_id, ingest, now).await;
    let added = added.map_err(|error| failed(&error))?;
    Ok(Json(AddedDocument::of(added)))
}

/// Lists documents, the newest first.
#[utoipa::path(get, path = "/v1/documents", tag = "documents", params(ToList),
    responses((status = 200, body = DocumentList)))]
async fn list_documents(
    State(api): Shared,
    which: Result<Query<ToList>, QueryRejection>,
) -> Result<Json<DocumentList>, Problem> {
    let which = query(which)?;
    let documents = api.knowledge.all.documents();
    let page = which.page(MOST)?;
    let listed = documents.documents(api.viewer()?, which.collection.as_deref(), page);
    let listed = listed.await.map_err(|error| failed(&error))?;
    Ok(Json(DocumentList::of(listed, MOST)))
}

/// Finds parts of documents by words and, where there are vectors, by meaning.
#[utoipa::path(get, path = "/v1/documents/search", tag = "documents", params(ToFind),
    responses((status = 200, body = FoundParts), (status = 400, description = "A problem")))]
async fn find_documents(
    State(api): Shared,
    what: Result<Query<ToFind>, QueryRejection>,
) -> Result<Json<FoundParts>, Problem> {
    let what = query(what)?;
    let search = Search {
        viewer: api.viewer()?,
        collections: what.collection.map(|name| vec![name]),
        query: what.q,
        privacy: what.privacy,
        limit: what.limit.unwrap_or(10).clamp(1, MOST),
    };
    let documents = api.knowledge.all.documents();
    let found = documents.search(search).await;
    let found = found.map_err(|error| failed(&error))?;
    Ok(Json(FoundParts {
        mode: found.mode.as_str().to_owned(),
        reason: found.reason,
        parts: found.hits.into_iter().map(PartView::of).collect(),
        withheld: found.withheld,
    }))
}

/// Deletes a document for good.
#[utoipa::path(delete, path = "/v1/documents/{id}", tag = "documents",
    params(("id" = String, Path, description = "The document's id")),
    responses((status = 200, body = Deleted), (status = 404, description = "A problem")))]
async fn delete_document(
    State(api): Shared,
    Path(id): Path<String>,
) -> Result<Json<Deleted>, Problem> {
    let unknown =
        || Problem::not_found("there is no document of this id; GET /v1/documents lists them");
    let id: DocumentId = id.parse().map_err(|_not_an_id| unknown())?;
    let deleted = api
        .knowledge
        .all
        .documents()
        .delete(api.viewer()?, id)
        .await;
    match deleted.map_err(|error| failed(&error))?.count {
        0 => Err(unknown()),
        deleted => Ok(Json(Deleted { deleted })),
    }
}

/// Lists what is remembered of whoever asks, the newest first.
#[utoipa::path(get, path = "/v1/memories", tag = "memories", params(ToList),
    responses((status = 200, body = MemoryList)))]
async fn list_memories(
    State(api): Shared,
    which: Result<Query<ToList>, QueryRejection>,
) -> Result<Json<MemoryList>, Problem> {
    let (which, principal) = (query(which)?, api.principal()?);
    let page: Page = which.page(MOST)?;
    let memory = api.knowledge.all.memory();
    let listed = memory.list(principal.org_id, principal.user_id, page).await;
    let listed = listed.map_err(|error| failed(&error))?;
    Ok(Json(MemoryList::of(listed, MOST)))
}

/// Forgets one thing for good.
#[utoipa::path(delete, path = "/v1/memories/{id}", tag = "memories",
    params(("id" = String, Path, description = "The memory's id")),
    responses((status = 200, body = Deleted), (status = 404, description = "A problem")))]
async fn forget_memory(
    State(api): Shared,
    Path(id): Path<String>,
) -> Result<Json<Deleted>, Problem> {
    let unknown =
        || Problem::not_found("there is no memory of this id; GET /v1/memories lists them");
    let principal = api.principal()?;
    let id: MemoryId = id.parse().map_err(|_not_an_id| unknown())?;
    let memory = api.knowledge.all.memory();
    let forgotten = memory.forget(principal.org_id, principal.user_id, id).await;
    match forgotten.map_err(|error| failed(&error))?.count {
        0 => Err(unknown()),
        deleted => Ok(Json(Deleted { deleted })),
    }
}

/// Forgets everything that is remembered of whoever asks, for good.
#[utoipa::path(delete, path = "/v1/memories", tag = "memories",
    responses((status = 200, body = Deleted)))]
async fn forget_memories(State(api): Shared) -> Result<Json<Deleted>, Problem> {
    let principal = api.principal()?;
    let memory = api.knowledge.all.memory();
    let forgotten = memory.forget_all(principal.org_id, principal.user_id).await;
    let deleted = forgotten.map_err(|error| failed(&error))?.count;
    Ok(Json(Deleted { deleted }))
}
