//! What Uppy is answered.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::{Object, Type};

use crate::api::http::AppState;
use crate::api::http::instants::Seconds;
use crate::domain::File;

pub(super) const EXAMPLE_KEY: &str = "temp/01a20173b129-a49807ba1f6e4c3d8b5a9e0c7d2f4b61";

/// A slip for one request. Uppy 6 sends a form whatever `method` says.
#[derive(Serialize, ToSchema)]
#[schema(as = UppyParams, description = "A slip for one request.")]
pub(super) struct ParamsBody {
    /// `POST`: a form for `url`. `PUT`: the bytes go to `url`, with `headers`.
    #[schema(schema_with = methods)]
    pub(super) method: &'static str,
    /// Where the bytes go, without a token.
    #[schema(format = "uri")]
    pub(super) url: String,
    /// With `POST`, the fields of the form, to be sent before `file`. `key` names the upload from now on, also with `PUT`.
    #[schema(value_type = BTreeMap<String, String>)]
    pub(super) fields: BTreeMap<&'static str, String>,
    /// With `PUT`, the headers to send exactly so. Else empty.
    #[schema(value_type = BTreeMap<String, String>)]
    pub(super) headers: BTreeMap<&'static str, String>,
}

fn methods() -> Object {
    Object::builder().schema_type(Type::String).enum_values(Some(["POST", "PUT"])).build()
}

/// A confirmed upload.
#[derive(Serialize, ToSchema)]
#[schema(as = UppyDone)]
pub(super) struct DoneBody {
    /// Where the file's record is read, with a token.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required, nullable = false, format = "uri")]
    pub(super) location: Option<String>,
    /// The upload's key.
    pub(super) key: String,
    /// The file's number.
    #[schema(minimum = 1)]
    pub(super) id: i64,
}

/// An upload token, as the URL that Uppy is given.
#[derive(Serialize, ToSchema)]
#[schema(as = UploadToken)]
#[serde(rename_all = "camelCase")]
pub(super) struct TokenBody {
    /// For Uppy's option of this name. It is a secret.
    #[schema(format = "uri")]
    pub(super) companion_endpoint: String,
    /// When the token ends, UTC.
    #[schema(value_type = String, format = DateTime)]
    pub(super) expires_at: Seconds,
    /// Names of the file types that may be uploaded with it, each once.
    pub(super) types: Vec<String>,
}

impl DoneBody {
    /// `location` is where the file's record is read: the object itself is for nobody but dropslip. Uppy does without it where no dialect
    /// has such a path.
    pub(super) fn new(file: &File, state: &AppState) -> Self {
        let location = state.files.map(|files| format!("{}{}", state.public_url, (files.record)(file.id)));
        Self { location, key: file.staging_key.to_string(), id: file.id.0 }
    }
}
