//! Objects on their way into the bucket.
//!
//! `s3s-fs` never waits for the disk. So it writes every new object into a folder beside the bucket, which no request can name. What
//! it wrote there is synced, renamed into its place, and the folders are synced: only then is the upload answered.
//!
//! **Bytes and entity tag agree whenever the power goes.** A new object comes last, after its side files. Where one is replaced, the old
//! tag goes first: of an object without one `s3s-fs` counts the tag from the bytes.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::TryStreamExt as _;
use s3s::dto::{ETag, ETagCondition, HeadObjectInput, IfMatch, IfNoneMatch, PutObjectInput, PutObjectOutput, StreamingBlob};
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};

use super::key_locks::Guarded;
use super::uploads::{asking, patient, to_its_end};
use crate::{disk, random};

/// The folder for objects on their way. The name of a bucket in a request cannot begin with a dot.
pub(super) const NEW: &str = ".new";

/// The files that `s3s-fs` keeps beside an object, by its pinned version: what headers say of it, and its entity tag.
pub(super) fn side_files(root: &Path, bucket: &str, key: &str) -> [PathBuf; 2] {
    let [bucket, key] = [bucket, key].map(|text| URL_SAFE_NO_PAD.encode(text));
    ["metadata", "internal"].map(|kind| root.join(format!(".bucket-{bucket}.object-{key}.{kind}.json")))
}

/// An object in the folder for new ones; gone when this is dropped, unless it was put into its place.
pub(super) struct Staged {
    root: PathBuf,
    pub(super) name: String,
}

impl Staged {
    pub(super) fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), name: hex::encode(random::bytes::<16>()) }
    }

    pub(super) fn object(&self) -> PathBuf {
        self.root.join(NEW).join(&self.name)
    }

    /// Begins to write it. The folder is made again if it is gone, but not the bucket's.
    pub(super) fn create(&self) -> io::Result<fs::File> {
        match fs::File::create_new(self.object()) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                // Two may do so at once.
                let _ = fs::create_dir(self.root.join(NEW));
                fs::File::create_new(self.object())
            }
            made => made,
        }
    }

    pub(super) fn sides(&self) -> [PathBuf; 2] {
        side_files(&self.root, NEW, &self.name)
    }

    /// Puts a file that has no side files where it belongs in the root; it is on the disk when this returns.
    pub(super) fn place_alone(&self, target: &Path) -> io::Result<()> {
        disk::sync(&self.object())?;
        fs::rename(self.object(), target)?;
        disk::sync(&self.root)
    }

    /// Puts the object into its place; it is on the disk when this returns. Call it with the key's lock held.
    pub(super) fn place(&self, bucket: &str, key: &str) -> io::Result<()> {
        let bucket_folder = self.root.join(bucket);
        let target = bucket_folder.join(key);
        let folder = target.parent().unwrap_or(&bucket_folder);
        disk::sync(&self.object())?;
        for side in self.sides() {
            // A copy of an object without side files has none.
            unless_missing(disk::sync(&side))?;
        }
        fs::create_dir_all(folder)?;
        if target.try_exists()? {
            let [_, old_tag] = side_files(&self.root, bucket, key);
            unless_missing(fs::remove_file(old_tag))?;
            disk::sync(&self.root)?;
            fs::rename(self.object(), &target)?;
            sync_up(folder, &bucket_folder)?;
            return self.place_sides(bucket, key);
        }
        let placed = self.place_sides(bucket, key).and_then(|()| {
            fs::rename(self.object(), &target)?;
            sync_up(folder, &bucket_folder)
        });
        if placed.is_err() {
            // A refused upload leaves nothing.
            let _ = fs::remove_file(&target);
            for side in side_files(&self.root, bucket, key) {
                let _ = fs::remove_file(side);
            }
        }
        placed
    }

    fn place_sides(&self, bucket: &str, key: &str) -> io::Result<()> {
        for (staged, side) in self.sides().iter().zip(side_files(&self.root, bucket, key)) {
            match fs::rename(staged, &side) {
                Err(error) if error.kind() == ErrorKind::NotFound => unless_missing(fs::remove_file(side))?,
                renamed => renamed?,
            }
        }
        disk::sync(&self.root)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.object());
        for side in self.sides() {
            let _ = fs::remove_file(side);
        }
    }
}

/// Syncs a folder and those above it up to the bucket's. All of them, each time: one of them may be new, and whoever made it may not
/// have synced it yet.
fn sync_up(folder: &Path, bucket_folder: &Path) -> io::Result<()> {
    let inside = folder.ancestors().take_while(|above| above.starts_with(bucket_folder));
    inside.into_iter().try_for_each(disk::sync)
}

pub(super) fn unless_missing(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// Work on files that waits for the disk.
pub(super) async fn on_disk<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> S3Result<T> {
    let done = tokio::task::spawn_blocking(work).await.map_err(|ended| s3_error!(ended, InternalError))?;
    done.map_err(|error| s3_error!(error, InternalError))
}

/// Removes what was on its way when the store ended, and makes the folder for what comes.
pub(super) fn empty(root: &Path) -> io::Result<()> {
    let folder = root.join(NEW);
    if folder.try_exists()? {
        fs::remove_dir_all(&folder)?;
    }
    let sides = format!(".bucket-{}.object-", URL_SAFE_NO_PAD.encode(NEW));
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(|name| name.starts_with(&sides)) {
            fs::remove_file(entry.path())?;
        }
    }
    fs::create_dir(folder)
}

/// What the object that is there now must be like.
#[derive(Default)]
pub(super) struct Conditions {
    pub(super) if_match: Option<IfMatch>,
    pub(super) if_none_match: Option<IfNoneMatch>,
}

impl Guarded {
    /// Refuses to write where conditions do not hold or the bucket is gone; call it with the key's lock held.
    pub(super) async fn judge_target(&self, bucket: &str, key: &str, conditions: Conditions) -> S3Result<()> {
        self.there(bucket).await?;
        if Path::new(key).components().any(|part| matches!(part, Component::ParentDir | Component::RootDir)) {
            return Err(s3_error!(InvalidArgument, "The key leads out of the bucket."));
        }
        let target = self.root.join(bucket).join(key);
        if conditions.if_none_match.is_some() && tokio::fs::try_exists(&target).await.unwrap_or(true) {
            return Err(s3_error!(PreconditionFailed, "There is an object already."));
        }
        if let Some(wanted) = conditions.if_match {
            let head = HeadObjectInput { bucket: bucket.to_owned(), key: key.to_owned(), ..HeadObjectInput::default() };
            let found = self.files.head_object(asking(head)).await.ok().map(|found| found.output.e_tag);
            let holds = match (&wanted, &found) {
                (ETagCondition::Any, found) => found.is_some(),
                (ETagCondition::ETag(wanted), Some(Some(tag))) => ETag::strong_cmp(wanted, tag),
                (ETagCondition::ETag(_), _) => false,
            };
            if !holds {
                return Err(s3_error!(PreconditionFailed, "There is no such object."));
            }
        }
        Ok(())
    }

    /// Writes an object without any lock, so that a slow client keeps nobody waiting but itself, and puts it into its place.
    pub(super) async fn put(&self, mut request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let staged = Staged::new(&self.root);
        let input = &mut request.input;
        let bucket = std::mem::replace(&mut input.bucket, NEW.to_owned());
        let key = std::mem::replace(&mut input.key, staged.name.clone());
        let conditions = Conditions { if_match: input.if_match.take(), if_none_match: input.if_none_match.take() };
        self.there(&bucket).await?;
        let broken = Arc::new(AtomicBool::new(false));
        let noted = broken.clone();
        input.body =
            input.body.take().map(|body| StreamingBlob::wrap(patient(body).inspect_err(move |_| noted.store(true, Ordering::Relaxed))));
        let answer = match self.files.put_object(request).await {
            Err(error) if broken.load(Ordering::Relaxed) => return Err(s3_error!(error, IncompleteBody)),
            answer => answer?,
        };
        let store = self.clone();
        to_its_end(async move {
            let _guard = store.writing(&bucket, &key).await;
            store.judge_target(&bucket, &key, conditions).await?;
            on_disk({
                let (bucket, key) = (bucket.clone(), key.clone());
                move || staged.place(&bucket, &key)
            })
            .await
        })
        .await?;
        Ok(answer)
    }
}
