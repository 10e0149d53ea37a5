//! `GET /file-types.json`: what may be uploaded here, so that a page can refuse early and in plain words.
//!
//! Beyond Desk. What it says is advice: step 1 judges every request by the rule itself.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::auth::Authenticated;
use crate::api::http::AppState;
use crate::api::http::openapi::AnyCall;
use crate::domain::FileType;

/// What may be uploaded here.
#[derive(Serialize, ToSchema)]
#[schema(as = FileTypes)]
#[serde(rename_all = "camelCase")]
pub(super) struct FileTypesBody {
    file_types: Vec<FileTypeBody>,
}

/// A rule: what may be uploaded under its name.
#[derive(Serialize, ToSchema)]
#[schema(as = FileType)]
#[serde(rename_all = "camelCase")]
struct FileTypeBody {
    /// What requests call it.
    name: String,
    /// One line for people.
    title: String,
    content_types: Vec<ContentTypeBody>,
    /// Lower case, without dot; refused whatever the content type.
    refused_extensions: Vec<String>,
    /// Fewest bytes.
    min_size: u64,
    /// Most bytes.
    max_size: u64,
    #[schema(value_type = Vec<String>)]
    dispositions: Vec<&'static str>,
}

/// A content type, and the extensions that go with it.
#[derive(Serialize, ToSchema)]
#[schema(as = AllowedContentType)]
struct ContentTypeBody {
    /// `image/png`, or `image/*` for every subtype.
    r#type: String,
    /// Lower case, without dot; `*` stands for any.
    extensions: Vec<String>,
}

/// List the file types
///
/// What may be uploaded here, with this token. It is advice, for refusing early and in plain words: step 1 judges every request by the rules themselves.
/// Any good token may ask.
#[utoipa::path(
    get,
    path = "/file-types.json",
    operation_id = "listFileTypes",
    responses((status = 200, body = FileTypesBody, description = "Every file type that the token is for, by name."), AnyCall)
)]
pub(super) async fn list(State(state): State<AppState>, Authenticated(caller): Authenticated) -> Json<FileTypesBody> {
    let rules = state.broker.file_types();
    let for_token = rules.iter().filter(|rule| caller.types.allows(&rule.name));
    Json(FileTypesBody { file_types: for_token.map(FileTypeBody::new).collect() })
}

impl FileTypeBody {
    fn new(rule: &FileType) -> Self {
        let content_type = |allowed: &crate::domain::file_type::AllowedType| ContentTypeBody {
            r#type: allowed.pattern.clone(),
            extensions: allowed.extensions.clone(),
        };
        Self {
            name: rule.name.clone(),
            title: rule.title.clone(),
            content_types: rule.content_types.iter().map(content_type).collect(),
            refused_extensions: rule.refused_extensions.clone(),
            min_size: rule.min_size,
            max_size: rule.max_size,
            dispositions: rule.dispositions.iter().map(|disposition| disposition.as_str()).collect(),
        }
    }
}
