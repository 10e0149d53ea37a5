//! The S3 store that `serve` starts when no bucket is configured: files on disk, real signatures, for one machine.
//!
//! The protocol is the crate `s3s`, the files are `s3s-fs`. Around them stand some things that dropslip's promises need and
//! those crates do not give:
//!
//! - **One at a time for each key.** `s3s-fs` replaces an object's bytes and its entity tag in two steps. A copy between them
//!   would take new bytes under the old tag, and a conditional copy would be no condition.
//! - **A refused upload leaves nothing, and neither does a copy for which there is no room.** `s3s-fs` compares checksums after the
//!   object is in place, and keeps the half of a copy.
//! - **A form costs no memory.** `s3s` holds its file there until all of it has come; `forms` sees to it that it is on the disk by then.
//! - **A slow upload blocks nobody.** What `s3s-fs` would write under a lock is written down before.
//! - **A deleted object leaves nothing.** `s3s-fs` keeps its side files.
//! - **What is answered is on the disk.** `s3s-fs` never waits for it. New objects and parts are written aside, synced, and renamed.
//! - **A bucket that is gone stays gone.** `s3s-fs` makes its folder again for the next object, and deletes from one that is not there.

mod forms;
mod key_locks;
mod parts;
mod reader;
mod staged;
mod uploads;

use std::collections::BTreeSet;
use std::fs::{File, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderName, Method, Request, Response, StatusCode, header};
use axum::middleware::map_request;
use axum::response::IntoResponse as _;
use s3s::auth::SimpleAuth;
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CopyObjectInput,
    CopyObjectOutput, CopyPartResult, CopySource, CreateMultipartUploadInput, CreateMultipartUploadOutput, DeleteObjectInput,
    DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput, GetObjectInput, GetObjectOutput, HeadBucketInput, HeadBucketOutput,
    HeadObjectInput, HeadObjectOutput, ListMultipartUploadsInput, ListMultipartUploadsOutput, ListObjectsV2Input, ListObjectsV2Output,
    ListPartsInput, ListPartsOutput, PutObjectInput, PutObjectOutput, Range, UploadPartCopyInput, UploadPartCopyOutput, UploadPartInput,
    UploadPartOutput,
};
use s3s::service::S3ServiceBuilder;
use s3s::{S3, S3Request, S3Response, S3Result};
use s3s_fs::FileSystem;
use tower::ServiceExt as _;
use tower_http::cors::CorsLayer;
use tower_http::timeout::TimeoutBody;

use crate::bucket::{StaticCredentials, cors};
use crate::listener::Bounds;
use crate::origins::Origins;
use crate::{disk, random, secret_file};
use key_locks::Guarded;
use staged::{Conditions, NEW, Staged, on_disk};
use uploads::{BODY_PAUSE, in_order, remove_leftovers, to_its_end};

/// The one bucket's name.
pub const BUCKET: &str = "dropslip";

/// The largest file it takes in one POST, in bytes. Larger ones come in parts, of which a cut loses one.
pub const MAX_POST_BYTES: u64 = 512 * 1024 * 1024;

/// What its connections may cost. The buffer is small: each form that is read holds about two of them.
pub const BOUNDS: Bounds = Bounds { connections: 256, buffer_bytes: 16 * 1024 };

/// Who writes to a folder: two stores on one would not know of each other's locks.
pub enum FolderLock {
    /// This process, for as long as the lock lives.
    Ours(Lock),
    /// Another one, whose store listens there.
    Theirs(SocketAddr),
}

/// The right to write to a folder.
pub struct Lock(File);

impl Lock {
    /// Tells others where the store listens.
    ///
    /// # Errors
    /// When the lock's file cannot be written.
    pub fn tell(&mut self, address: SocketAddr) -> std::io::Result<()> {
        self.0.set_len(0)?;
        self.0.rewind()?;
        writeln!(self.0, "{address}")?;
        self.0.sync_all()
    }
}

/// Takes the right to write to `data_dir`, or finds out who has it.
///
/// # Errors
/// When the lock's file cannot be read or written.
pub fn lock(data_dir: &Path) -> anyhow::Result<FolderLock> {
    disk::make_folders(data_dir)?;
    let path = data_dir.join("embedded-s3.lock");
    let mut file = File::options().read(true).write(true).create(true).truncate(false).open(&path)?;
    match file.try_lock() {
        Ok(()) => Ok(FolderLock::Ours(Lock(file))),
        Err(TryLockError::WouldBlock) => {
            let mut address = String::new();
            file.read_to_string(&mut address)?;
            let address = address.trim().parse().map_err(|_| anyhow::anyhow!("another dropslip is starting here, try again"))?;
            Ok(FolderLock::Theirs(address))
        }
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

/// What tells this folder from every other: made once, kept in it.
///
/// # Errors
/// When it can be neither read nor written.
pub fn identity(data_dir: &Path) -> std::io::Result<String> {
    secret_file::read_or_create(&data_dir.join("embedded-s3-identity"), || hex::encode(random::bytes::<8>()))
}

/// The store's credentials: made once, kept in `data_dir`. Its bucket is made with them, and never again: an empty one in the place of
/// one that is gone would look as if it had lost all objects.
///
/// # Errors
/// When they can be neither read nor written.
pub fn credentials(data_dir: &Path) -> anyhow::Result<StaticCredentials> {
    let make = || {
        let fresh = StaticCredentials {
            access_key_id: format!("DROPSLIP{}", hex::encode_upper(random::bytes::<6>())),
            secret_access_key: hex::encode(random::bytes::<32>()),
        };
        serde_json::to_string(&fresh).unwrap_or_default()
    };
    let path = data_dir.join("embedded-s3-credentials.json");
    if !path.try_exists()? {
        disk::make_folders(&data_dir.join("bucket").join(BUCKET))?;
    }
    let kept = secret_file::read_or_create(&path, make)?;
    serde_json::from_str(&kept).map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))
}

/// The store as a web service, for pages from `origins`. Files go to `data_dir/bucket`.
///
/// # Errors
/// When the folder is not there.
pub fn router(data_dir: &Path, credentials: &StaticCredentials, origins: &[String]) -> anyhow::Result<Router> {
    let root = data_dir.join("bucket");
    if !root.join(BUCKET).is_dir() {
        let folder = root.join(BUCKET);
        anyhow::bail!("the bucket's folder {} is gone: put it back, or make an empty one if its files are lost", folder.display());
    }
    remove_leftovers(&root)?;
    staged::empty(&root)?;
    let files = FileSystem::new(&root).map_err(|error| anyhow::anyhow!("{}: {error:?}", root.display()))?;

    let mut builder = S3ServiceBuilder::new(Guarded::new(files, root.clone()));
    builder.set_auth(SimpleAuth::from_single(&credentials.access_key_id, credentials.secret_access_key.as_str()));
    let mut limits = S3Config::default();
    limits.post_object_max_file_size = MAX_POST_BYTES;
    limits.form_max_field_size = 64 * 1024;
    limits.form_max_fields_size = forms::MOST_FIELD_BYTES;
    limits.form_max_parts = forms::MOST_PARTS;
    builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(limits))));
    let s3 = builder.build();

    let service = tower::service_fn(move |mut request: Request<Body>| {
        let (s3, root) = (s3.clone(), root.clone());
        // Another unit, or several ranges: as if nobody had asked (RFC 9110, section 14.2). `s3s` would refuse it.
        let range = request.headers().get(header::RANGE).map(|range| range.to_str().is_ok_and(|range| Range::parse(range).is_ok()));
        if range == Some(false) {
            request.headers_mut().remove(header::RANGE);
        }
        async move {
            let request = forms::on_its_way(&root, request).await;
            let answer = s3.oneshot(request).await;
            let response: Response<Body> = answer.map_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response(), |r| r.map(Body::new));
            Ok::<_, std::convert::Infallible>(response)
        }
    });
    // Uploads only: `s3s` wants to know the length of every other body, which the timeout's wrapper does not tell.
    let patient = map_request(async |request: Request<Body>| {
        let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let is_form = content_type.to_ascii_lowercase().starts_with("multipart/");
        if is_form { request.map(|body| Body::new(TimeoutBody::new(BODY_PAUSE, body))) } else { request }
    });
    let origins = Origins::new(origins);
    let let_in = let_in(&origins);
    let bound = map_request(move |mut request: Request<Body>| {
        origins.bound(request.headers_mut());
        std::future::ready(request)
    });
    Ok(Router::new().fallback_service(service).layer(patient).layer(let_in).layer(bound))
}

/// What any store is asked to let pages do.
fn let_in(origins: &Origins) -> CorsLayer {
    origins
        .layer()
        .allow_methods(parsed::<Method>(&cors::METHODS))
        .expose_headers(parsed::<HeaderName>(&cors::EXPOSED))
        .max_age(Duration::from_secs(cors::MAX_AGE_SECONDS.unsigned_abs().into()))
}

fn parsed<T: FromStr>(names: &[&str]) -> Vec<T> {
    names.iter().filter_map(|name| name.parse().ok()).collect()
}

impl Guarded {
    /// Sees to it that deleted objects stay deleted: waits for the disk, and removes what `s3s-fs` remembers of them beside their bytes.
    async fn forget(&self, bucket: &str, keys: Vec<String>) -> S3Result<()> {
        let (root, bucket) = (self.root.clone(), bucket.to_owned());
        on_disk(move || {
            let targets = keys.iter().map(|key| root.join(&bucket).join(key));
            let folders: BTreeSet<PathBuf> =
                targets.filter_map(|target| Some(target.ancestors().skip(1).find(|above| above.is_dir())?.to_owned())).collect();
            folders.iter().try_for_each(|folder| disk::sync(folder))?;
            for side in keys.iter().flat_map(|key| staged::side_files(&root, &bucket, key)) {
                staged::unless_missing(std::fs::remove_file(side))?;
            }
            disk::sync(&root)
        })
        .await
    }
}

#[async_trait::async_trait]
impl S3 for Guarded {
    async fn head_bucket(&self, request: S3Request<HeadBucketInput>) -> S3Result<S3Response<HeadBucketOutput>> {
        self.files.head_bucket(request).await
    }

    async fn head_object(&self, request: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        let _guard = self.reading(&request.input.bucket, &request.input.key).await;
        self.look(request).await
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let _guard = self.reading(&request.input.bucket, &request.input.key).await;
        self.read(request).await
    }

    async fn list_objects_v2(&self, request: S3Request<ListObjectsV2Input>) -> S3Result<S3Response<ListObjectsV2Output>> {
        self.files.list_objects_v2(request).await
    }

    /// Also what a form does: `s3s` turns it into a put when signature and conditions hold.
    async fn put_object(&self, mut request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        if let Some(arrived) = request.extensions.remove::<forms::Arrived>() {
            request.input.body = Some(arrived.bytes().await?);
        }
        if request.input.key.ends_with('/') {
            return Err(s3s::s3_error!(InvalidArgument, "A key must not end with a slash."));
        }
        self.put(request).await
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let (bucket, key) = (request.input.bucket.clone(), request.input.key.clone());
        self.there(&bucket).await?;
        let answer = self.files.create_multipart_upload(request).await?;
        self.keep_upload(&bucket, &key, answer.output.upload_id.as_deref().unwrap_or_default()).await?;
        Ok(answer)
    }

    async fn upload_part(&self, request: S3Request<UploadPartInput>) -> S3Result<S3Response<UploadPartOutput>> {
        let UploadPartInput { upload_id, part_number, body, .. } = request.input;
        self.known_part(&upload_id, part_number).await?;
        let body = body.ok_or_else(|| s3s::s3_error!(IncompleteBody))?;
        let e_tag = Some(self.write_part(&upload_id, part_number, body).await?);
        self.still_known(&upload_id, part_number).await?;
        Ok(S3Response::new(UploadPartOutput { e_tag, ..UploadPartOutput::default() }))
    }

    async fn upload_part_copy(&self, request: S3Request<UploadPartCopyInput>) -> S3Result<S3Response<UploadPartCopyOutput>> {
        let store = self.clone();
        to_its_end(async move {
            let input = request.input;
            let CopySource::Bucket { bucket, key, .. } = &input.copy_source else { return Err(s3s::s3_error!(NotImplemented)) };
            store.known_part(&input.upload_id, input.part_number).await?;
            let _guard = store.reading(bucket, key).await;
            store.judge_source(&input, bucket, key).await?;
            let (source, range) = (store.root.join(&**bucket).join(&**key), input.copy_source_range.as_deref());
            let e_tag = Some(store.copy_part(&source, range, &input.upload_id, input.part_number).await?);
            store.still_known(&input.upload_id, input.part_number).await?;
            let copy_part_result = Some(CopyPartResult { e_tag, ..CopyPartResult::default() });
            Ok(S3Response::new(UploadPartCopyOutput { copy_part_result, ..UploadPartCopyOutput::default() }))
        })
        .await
    }

    async fn list_parts(&self, request: S3Request<ListPartsInput>) -> S3Result<S3Response<ListPartsOutput>> {
        self.known_upload(&request.input.upload_id).await?;
        let mut answer = self.files.list_parts(request).await?;
        answer.output.parts = answer.output.parts.map(in_order);
        Ok(answer)
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let store = self.clone();
        to_its_end(async move {
            let input = request.input;
            let _guard = store.writing(&input.bucket, &input.key).await;
            let conditions = Conditions { if_match: input.if_match.clone(), if_none_match: input.if_none_match.clone() };
            store.judge_target(&input.bucket, &input.key, conditions).await?;
            store.known_upload(&input.upload_id).await?;
            let count = store.judge_completion(&input).await?;
            let e_tag = Some(store.put_together(&input.bucket, &input.key, &input.upload_id, count).await?);
            let (bucket, key) = (Some(input.bucket), Some(input.key));
            Ok(S3Response::new(CompleteMultipartUploadOutput { bucket, key, e_tag, ..CompleteMultipartUploadOutput::default() }))
        })
        .await
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let store = self.clone();
        to_its_end(async move {
            let AbortMultipartUploadInput { bucket, key, upload_id, .. } = request.input;
            let _guard = store.writing(&bucket, &key).await;
            store.known_upload(&upload_id).await?;
            let ending = store.clone();
            on_disk(move || ending.end_upload(&bucket, &key, &upload_id)).await?;
            Ok(S3Response::new(AbortMultipartUploadOutput::default()))
        })
        .await
    }

    async fn list_multipart_uploads(
        &self,
        request: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        self.there(&request.input.bucket).await?;
        Ok(S3Response::new(self.open_uploads(&request.input).await?))
    }

    async fn copy_object(&self, mut request: S3Request<CopyObjectInput>) -> S3Result<S3Response<CopyObjectOutput>> {
        let store = self.clone();
        to_its_end(async move {
            let (to_bucket, to_key) = (request.input.bucket.clone(), request.input.key.clone());
            let CopySource::Bucket { bucket, key, .. } = &request.input.copy_source else { return Err(s3s::s3_error!(NotImplemented)) };
            let _guards = store.writing_all([(&**bucket, &**key), (&to_bucket, &to_key)]).await;
            store.judge_target(&to_bucket, &to_key, Conditions::default()).await?;
            let staged = Staged::new(&store.root);
            (request.input.bucket, request.input.key) = (NEW.to_owned(), staged.name.clone());
            let answer = store.files.copy_object(request).await?;
            on_disk(move || staged.place(&to_bucket, &to_key)).await?;
            Ok(answer)
        })
        .await
    }

    async fn delete_objects(&self, request: S3Request<DeleteObjectsInput>) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let bucket = request.input.bucket.clone();
        let keys: Vec<String> = request.input.delete.objects.iter().map(|object| object.key.clone()).collect();
        let _guards = self.writing_all(keys.iter().map(|key| (bucket.as_str(), key.as_str()))).await;
        self.there(&bucket).await?;
        let answer = self.files.delete_objects(request).await?;
        self.forget(&bucket, keys).await?;
        Ok(answer)
    }

    async fn delete_object(&self, request: S3Request<DeleteObjectInput>) -> S3Result<S3Response<DeleteObjectOutput>> {
        let (bucket, key) = (request.input.bucket.clone(), request.input.key.clone());
        let _guard = self.writing(&bucket, &key).await;
        let answer = self.files.delete_object(request).await?;
        self.forget(&bucket, vec![key]).await?;
        Ok(answer)
    }
}
