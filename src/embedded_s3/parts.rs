//! Parts of uploads, and what becomes of them. `s3s-fs` would delete the parts while it puts them together: a power cut then, and both
//! are lost.

use std::fs::{self, File};
use std::io::{self, Read, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::StreamExt as _;
use s3s::crypto::{Checksum as _, Md5};
use s3s::dto::{ETag, StreamingBlob};
use s3s::{S3Result, s3_error};
use tokio::io::AsyncWriteExt as _;

use super::key_locks::Guarded;
use super::staged::{Staged, on_disk, unless_missing};
use super::uploads::patient;
use crate::disk;

/// How much is read at once.
const PIECE: usize = 256 * 1024;

impl Guarded {
    /// Writes a part down; it is on the disk when this returns.
    pub(super) async fn write_part(&self, upload_id: &str, number: i32, body: StreamingBlob) -> S3Result<ETag> {
        let failed = |error: io::Error| s3_error!(error, InternalError);
        let staged = Staged::new(&self.root);
        let mut file = tokio::fs::File::create(staged.object()).await.map_err(failed)?;
        let mut md5 = Md5::new();
        let mut pieces = patient(body);
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|error| s3_error!(error, IncompleteBody))?;
            md5.update(&piece);
            file.write_all(&piece).await.map_err(failed)?;
        }
        file.flush().await.map_err(failed)?;
        drop(file);
        let target = self.part_path(upload_id, number);
        on_disk(move || staged.place_alone(&target)).await?;
        Ok(ETag::Strong(hex::encode(md5.finalize())))
    }

    /// Copies the bytes of an object, or the range of them that `bytes=first-last` says, into a part.
    pub(super) async fn copy_part(&self, source: &Path, range: Option<&str>, upload_id: &str, number: i32) -> S3Result<ETag> {
        let length = tokio::fs::metadata(source).await.map_err(|error| s3_error!(error, NoSuchKey))?.len();
        let (first, wanted) = match range {
            Some(range) => wanted_range(range, length)?,
            None => (0, length),
        };
        let (staged, source, target) = (Staged::new(&self.root), source.to_owned(), self.part_path(upload_id, number));
        let md5 = on_disk(move || {
            let mut from = File::open(source)?;
            from.seek(SeekFrom::Start(first))?;
            let md5 = pour(&mut from.take(wanted), &mut File::create(staged.object())?)?;
            staged.place_alone(&target)?;
            Ok(md5)
        })
        .await?;
        Ok(ETag::Strong(hex::encode(md5)))
    }

    /// Puts parts 1 to `count` together as one object and ends the upload. The parts go only when the object is on the disk.
    pub(super) async fn put_together(&self, bucket: &str, key: &str, upload_id: &str, count: i32) -> S3Result<ETag> {
        let (store, bucket, key, upload_id) = (self.clone(), bucket.to_owned(), key.to_owned(), upload_id.to_owned());
        on_disk(move || {
            let staged = Staged::new(&store.root);
            let mut whole = File::create(staged.object())?;
            let mut of_tags = Md5::new();
            for number in 1..=count {
                of_tags.update(&pour(&mut File::open(store.part_path(&upload_id, number))?, &mut whole)?);
            }
            let tag = format!("{}-{count}", hex::encode(of_tags.finalize()));
            let [metadata, internal] = staged.sides();
            unless_missing(fs::copy(upload_metadata(&store.root, &bucket, &key, &upload_id), metadata).map(|_| ()))?;
            fs::write(internal, serde_json::json!({"e_tag": tag}).to_string())?;
            staged.place(&bucket, &key)?;
            store.end_upload(&bucket, &key, &upload_id)?;
            Ok(ETag::Strong(tag))
        })
        .await
    }

    /// Forgets an upload and its parts. Once its own file is gone for good, the next start removes what else a power cut leaves.
    pub(super) fn end_upload(&self, bucket: &str, key: &str, upload_id: &str) -> io::Result<()> {
        unless_missing(fs::remove_file(self.root.join(format!(".upload-{upload_id}.json"))))?;
        disk::sync(&self.root)?;
        unless_missing(fs::remove_file(upload_metadata(&self.root, bucket, key, upload_id)))?;
        let parts = format!(".upload_id-{upload_id}.part-");
        for entry in fs::read_dir(&self.root)? {
            let entry = entry?;
            if entry.file_name().to_str().is_some_and(|name| name.starts_with(&parts)) {
                unless_missing(fs::remove_file(entry.path()))?;
            }
        }
        Ok(())
    }

    /// Waits until an upload that was just begun is on the disk.
    pub(super) async fn keep_upload(&self, bucket: &str, key: &str, upload_id: &str) -> S3Result<()> {
        let root = self.root.clone();
        let files = [root.join(format!(".upload-{upload_id}.json")), upload_metadata(&root, bucket, key, upload_id)];
        on_disk(move || files.iter().chain([&root]).try_for_each(|file| disk::sync(file))).await
    }
}

/// The file with what headers are to say of the object that an upload becomes; named by the pinned version of `s3s-fs`.
fn upload_metadata(root: &Path, bucket: &str, key: &str, upload_id: &str) -> std::path::PathBuf {
    let [bucket, key] = [bucket, key].map(|text| URL_SAFE_NO_PAD.encode(text));
    root.join(format!(".bucket-{bucket}.object-{key}.upload-{upload_id}.metadata.json"))
}

/// Copies all that is left to read, and tells its MD5.
fn pour(from: &mut impl Read, to: &mut File) -> io::Result<[u8; 16]> {
    let mut piece = vec![0; PIECE];
    let mut md5 = Md5::new();
    loop {
        let read = from.read(&mut piece)?;
        if read == 0 {
            return Ok(md5.finalize());
        }
        md5.update(&piece[..read]);
        to.write_all(&piece[..read])?;
    }
}

/// Where `bytes=first-last` of so many bytes begins, and how many it names.
fn wanted_range(range: &str, length: u64) -> S3Result<(u64, u64)> {
    let invalid = || s3_error!(InvalidArgument, "The range must be bytes=first-last.");
    let (first, last) = range.strip_prefix("bytes=").and_then(|range| range.split_once('-')).ok_or_else(invalid)?;
    let first: u64 = first.parse().map_err(|_| invalid())?;
    let last = if last.is_empty() { length.saturating_sub(1) } else { last.parse().map_err(|_| invalid())? };
    if first > last || last >= length {
        return Err(s3_error!(InvalidRange));
    }
    Ok((first, last - first + 1))
}

#[cfg(test)]
mod tests {
    use super::wanted_range;

    #[test]
    fn a_range_of_a_copy_is_within_the_object() {
        let is = |range: &str| wanted_range(range, 10).ok();
        assert_eq!([is("bytes=0-9"), is("bytes=3-3"), is("bytes=4-")], [Some((0, 10)), Some((3, 1)), Some((4, 6))]);
        for refused in ["bytes=0-10", "bytes=5-4", "bytes=10-", "bytes=-3", "0-1", "bytes=1", "bytes=0-18446744073709551615"] {
            assert_eq!(is(refused), None, "{refused}");
        }
        assert!(wanted_range("bytes=0-", 0).is_err());
    }
}
