//! Bucket notifications by HTTP: S3's event messages as MinIO, SeaweedFS, Ceph, Amazon SNS and `EventBridge` post them. For stores, not for
//! clients.
//!
//! It has a secret of its own, which opens nothing else: who knows it can have uploads confirmed that are in the bucket anyway.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, Response, StatusCode};
use axum::middleware::Next;
use serde::Serialize;
use time::OffsetDateTime;
use tokio::sync::Semaphore;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::http::auth::presented;
use super::http::body::{json, read_body_up_to};
use super::http::openapi::Part;
use super::http::rendering::{BASIC, BEARER, JSON, Rendering, nothing_else};
use super::http::wording::{Errors, Wording, wording};
use super::http::{AppState, Fault, answered, to_its_end};
use crate::field_names;
use crate::metrics::Operation;

/// The longest message: about a thousand records of a kilobyte.
const MAX_MESSAGE_BYTES: usize = 1024 * 1024;

/// How many messages are worked on at the same time; whoever comes then is to come again.
const AT_ONCE: usize = 32;

/// How long a store waits for the answer. SeaweedFS gives up after ten seconds; its next message finds what was done meanwhile.
const TIMEOUT: Duration = Duration::from_secs(8);

static PLACES: Semaphore = Semaphore::const_new(AT_ONCE);

/// What became of the objects that a message spoke of.
#[derive(Serialize, ToSchema)]
struct NotifiedBody {
    /// Active files now.
    activated: usize,
    /// Not what was granted: deleted.
    refused: usize,
    /// No uploads of this broker, or settled before.
    ignored: usize,
}

/// The URL, with its own answer to wrong methods and panics; and what is documented of it.
pub(super) fn router() -> Router<AppState> {
    let router = Router::from(routes()).method_not_allowed_fallback(|| async { Fault::MethodNotAllowed });
    router.layer(axum::middleware::from_fn(async |request, next: Next| answered(next, request, Operation::Other, &FAULTS).await))
}

/// Amazon SNS sends the user and password of a URL only when it is asked for them.
static FAULTS: Rendering =
    Rendering { status: Fault::status, content_type: JSON, body: error_body, challenges: &[BEARER, BASIC], finish: nothing_else };

/// What is documented of it.
pub(super) fn described() -> Part {
    Part::from(routes().into_openapi())
}

fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(receive))
}

/// Say that objects arrived
///
/// For the object store: every temp file whose upload a message names is confirmed, as if its client had done so. What is no upload
/// of this broker is passed over, so a store may tell of everything. Any number of repetitions makes one activation.
#[utoipa::path(
    post,
    path = "/notifications/s3",
    operation_id = "notifyOfObjects",
    tag = "Operating",
    security(("notifications" = []), ("notificationsBasic" = [])),
    request_body(content = serde_json::Value, description = "An event message of S3, MinIO or Ceph (`Records`), of SeaweedFS' filer (`event_type`, `key`) or of EventBridge (`detail-type`, `detail`); \
        or any of them in a message of Amazon SNS (`Message`)."),
    responses(
        (status = 200, body = NotifiedBody, description = "All of it is settled."),
        (status = 400, body = Errors, description = "It is no such message.",
            example = json!({"errors": {"body": ["must be a bucket notification of S3, MinIO, SeaweedFS or EventBridge"]}})),
        (status = 401, body = Errors, description = "The secret is missing or wrong.",
            example = json!({"errors": {"authorization": ["must be a good token, as Bearer or as the user of Basic"]}})),
        (status = 408, body = Errors, description = "The message took too long to arrive.",
            example = json!({"errors": {"body": ["must arrive within 15 seconds"]}})),
        (status = 413, body = Errors, description = "The message is longer than 1 MiB.", example = json!({"errors": {"body": ["must be 1048576 bytes or shorter"]}})),
        (status = 415, body = Errors, description = "The message is compressed (`Content-Encoding`).",
            example = json!({"errors": {"body": ["must be sent as it is, without Content-Encoding: ‘gzip’ is not read"]}})),
        (status = 503, body = Errors, description = "Not all of it could be settled yet: say it again.",
            example = json!({"errors": {"server": ["not available now, try again"]}}))
    )
)]
async fn receive(State(state): State<AppState>, request: Request<Body>) -> Result<Response<Body>, Fault> {
    let secret = state.notifications.as_ref().ok_or(Fault::NotFound)?;
    // MinIO and SeaweedFS send it as Bearer; Ceph knows nothing but the user and password of a URL.
    if !presented(request.headers()).is_some_and(|presented| secret.is(&presented)) {
        return Err(Fault::Unauthenticated);
    }
    let place = PLACES.try_acquire().map_err(|_| Fault::Unavailable("too many bucket notifications at once".to_owned()))?;
    let message = read_body_up_to(MAX_MESSAGE_BYTES, request).await?;
    let broker = state.broker.clone();
    let settled = to_its_end(async move {
        // Held until the work is done, also when nobody waits for it any more.
        let _place = place;
        Box::pin(broker.bucket_events(&message, OffsetDateTime::now_utc())).await
    });
    let settled = tokio::time::timeout(TIMEOUT, settled).await;
    match settled.unwrap_or_else(|_| Err(Fault::Unavailable("a bucket notification is still worked on".to_owned()))) {
        Ok(notified) => {
            let (activated, refused, ignored) = (notified.activated, notified.refused, notified.ignored);
            Ok(json(StatusCode::OK, &NotifiedBody { activated, refused, ignored }))
        }
        // An object store that is answered 409 or 429 gives up; what keeps changing is settled by the next message.
        Err(Fault::Changing) => Err(Fault::Unavailable("the upload keeps changing".to_owned())),
        Err(fault) => Err(fault),
    }
}

/// By field, with the bound that a body has here.
fn error_body(fault: &Fault) -> Vec<u8> {
    let mut said = wording(fault);
    if let (Fault::BodyTooLarge, Wording::One(sentence)) = (fault, &mut said) {
        sentence.message = format!("must be {MAX_MESSAGE_BYTES} bytes or shorter").into();
    }
    serde_json::to_vec(&said.by_field(field_names::name)).unwrap_or_default()
}
