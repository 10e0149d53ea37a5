//! Step 2 in one request: the bytes go to the store with a form or with a presigned PUT, and nothing else does.
//!
//! The request has a `Content-Length`, because stores refuse chunked ones; in a form `file` comes last, because they ignore what follows it.

use indicatif::ProgressBar;
use reqwest::multipart::{Form, Part};
use reqwest::{Body, StatusCode};
use url::Url;

use super::failure::Failure;
use super::object_store::ObjectStore;
use super::slip::Params;
use super::source::Source;

/// Sends the form with the file's bytes.
pub(super) async fn drop_bytes(store: &ObjectStore, url: &Url, params: &Params, source: &Source, bar: &ProgressBar) -> Result<(), Failure> {
    let _connection = store.connection().await;
    bar.reset();
    let (reading, bytes) = source.read(0..source.size(), bar).await?;
    let form = form(params, Part::stream_with_length(Body::wrap_stream(bytes), source.size()))?;
    store.send(store.http.post(url.clone()).multipart(form), url, &reading, source.size()).await
}

/// Sends the file's bytes to a presigned URL.
pub(super) async fn put_bytes(store: &ObjectStore, url: &Url, headers: &Params, source: &Source, bar: &ProgressBar) -> Result<(), Failure> {
    let headers = headers.headers()?;
    let _connection = store.connection().await;
    bar.reset();
    let (reading, bytes) = source.read(0..source.size(), bar).await?;
    match store.put(url, headers, &reading, bytes, source.size()).await {
        // The URL is for the first to come, and nobody else has it: an earlier try arrived, and only its answer was lost.
        Err(failure) if failure.is_answer(StatusCode::PRECONDITION_FAILED) => Ok(()),
        done => done,
    }
}

fn form(params: &Params, file: Part) -> Result<Form, Failure> {
    let mut form = Form::new();
    let mut file = file;
    for (field, value) in &params.0 {
        if field.eq_ignore_ascii_case("content-type") {
            // Some stores keep the type of the part and not that of the form.
            file = file.mime_str(value).map_err(|_| Failure::BrokerNonsense("its form has a bad Content-Type".to_owned()))?;
        }
        form = form.text(field.clone(), value.clone());
    }
    // The key is in the form, so the name says nothing to the store; but without any, some take the part for one more field.
    Ok(form.part("file", file.file_name("file")))
}
