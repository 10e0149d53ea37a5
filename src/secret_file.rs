//! Files of settings and secrets: those that are made once and that only their owner can read, and those of the operator's that decide who
//! may do what. All of them are text: a mark before it (as Windows programs write it) is left out, and UTF-16 is refused by its name.

use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use crate::disk;
use crate::domain::text;
use crate::random;

/// Most bytes of a file that holds settings, a rule or a secret.
const LARGEST: usize = 1024 * 1024;

/// The secret kept at `path`; made by `make` and written there the first time. Of several who make it at once all get the same.
///
/// # Errors
/// When the file can be neither read nor written.
pub fn read_or_create(path: &Path, make: impl FnOnce() -> String) -> io::Result<String> {
    let replaced = match read_text(path) {
        Ok(kept) if !kept.trim().is_empty() => return Ok(kept.trim().to_owned()),
        Ok(_) => true,
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return Err(error),
    };
    if let Some(folder) = path.parent() {
        disk::make_folders(folder)?;
    }
    // Written aside and put in its place as a whole: a crash leaves the whole secret or none.
    let secret = make();
    let aside = Aside::new(path, &secret)?;
    if replaced || !aside.link(path)? {
        return aside.rename(path).map(|()| secret);
    }
    Ok(read_text(path)?.trim().to_owned())
}

/// Gives a file of before its present name, unless there is one of that name already. It is not kept under both: who replaces a secret
/// must not meet the old one again.
///
/// # Errors
/// When it cannot be renamed.
pub fn rename_first(before: &Path, path: &Path) -> io::Result<()> {
    if path.try_exists()? || !before.try_exists()? {
        return Ok(());
    }
    fs::rename(before, path)?;
    disk::sync(path.parent().unwrap_or(path))
}

/// Copies a file with a secret to a new one, which its owner alone can read: whole and durable, or not there.
///
/// # Errors
/// When it cannot be read or written; a file that exists is never replaced.
pub fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let aside = Aside::new(to, read_text(from)?.trim())?;
    fs::hard_link(&aside.0, to)?;
    disk::sync(to.parent().unwrap_or(to))
}

/// A secret that is not in its place yet; gone when dropped.
struct Aside(PathBuf);

impl Aside {
    fn new(path: &Path, secret: &str) -> io::Result<Self> {
        let aside = Self(path.with_extension(format!("{}.new", hex::encode(random::bytes::<8>()))));
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&aside.0)?;
        file.write_all(secret.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        Ok(aside)
    }

    /// Puts it in its place, unless another one came first; `false` where the file system has no links.
    fn link(&self, path: &Path) -> io::Result<bool> {
        match fs::hard_link(&self.0, path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Ok(false),
            // What is signed with it must not outlive it.
            _ => disk::sync(path.parent().unwrap_or(path))?,
        }
        Ok(true)
    }

    /// Puts it in the place of what is there.
    fn rename(&self, path: &Path) -> io::Result<()> {
        fs::rename(&self.0, path)?;
        disk::sync(path.parent().unwrap_or(path))
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// What is in a file of settings or with a secret, which may be a pipe too.
///
/// # Errors
/// When it cannot be read, is larger than 1 MiB, or is no UTF-8.
pub fn read_text(path: &Path) -> io::Result<String> {
    text_of(&bounded(fs::File::open(path)?, LARGEST)?)
}

fn bounded(file: fs::File, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(most as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > most { Err(io::Error::other(format!("it is larger than {most} bytes"))) } else { Ok(bytes) }
}

fn text_of(bytes: &[u8]) -> io::Result<String> {
    text::utf8(bytes).map(ToOwned::to_owned).map_err(|why| io::Error::other(format!("it {why}")))
}

/// What is in a file that decides who may do what; at most `most` bytes.
///
/// # Errors
/// When it cannot be read, is longer, is no plain file, or anybody may write it.
pub fn read_trusted(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    // Looked at before it is opened: to open a pipe would wait for who writes it.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no plain file"));
    }
    let file = fs::File::open(path)?;
    if others_may(&file.metadata()?, WRITE) {
        return Err(io::Error::other("anybody may write it; take that right away (chmod o-w)"));
    }
    bounded(file, most)
}

/// The same of a file that holds a text.
///
/// # Errors
/// The same, and when it is no UTF-8.
pub fn read_trusted_text(path: &Path, most: usize) -> io::Result<String> {
    text_of(&read_trusted(path, most)?)
}

/// Whether everybody on the machine may read it.
#[must_use]
pub fn anybody_reads(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|about| others_may(&about, READ))
}

const READ: u32 = 0o004;
const WRITE: u32 = 0o002;

#[cfg(unix)]
fn others_may(about: &fs::Metadata, right: u32) -> bool {
    std::os::unix::fs::PermissionsExt::mode(&about.permissions()) & right != 0
}

#[cfg(not(unix))]
fn others_may(_: &fs::Metadata, _: u32) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_made_once_and_only_its_owner_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/secret");
        assert_eq!(read_or_create(&path, || "one".to_owned()).unwrap(), "one");
        assert_eq!(read_or_create(&path, || "two".to_owned()).unwrap(), "one");
        #[cfg(unix)]
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions()) & 0o777, 0o600);
    }

    #[test]
    fn those_who_make_a_secret_at_once_get_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let barrier = std::sync::Barrier::new(16);
        let got: Vec<String> = std::thread::scope(|scope| {
            let make = |number: usize| {
                let (path, barrier) = (&path, &barrier);
                move || {
                    barrier.wait();
                    read_or_create(path, || number.to_string()).unwrap()
                }
            };
            let makers: Vec<_> = (0..16).map(|number| scope.spawn(make(number))).collect();
            makers.into_iter().map(|maker| maker.join().unwrap()).collect()
        });
        assert!(got.iter().all(|one| *one == got[0]), "{got:?}");
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", got[0]));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left aside");
        // One that was emptied is made anew.
        fs::write(&path, "\n").unwrap();
        assert_eq!(read_or_create(&path, || "another".to_owned()).unwrap(), "another");
    }

    #[test]
    fn a_file_of_before_is_renamed_once() {
        let folder = tempfile::tempdir().unwrap();
        let (before, path) = (folder.path().join("before"), folder.path().join("now"));
        rename_first(&before, &path).unwrap();
        assert!(!path.exists());
        fs::write(&before, "old\n").unwrap();
        rename_first(&before, &path).unwrap();
        assert_eq!((fs::read_to_string(&path).unwrap().as_str(), before.exists()), ("old\n", false));
        fs::write(&before, "other\n").unwrap();
        rename_first(&before, &path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "old\n", "what has the name stays");
    }

    #[test]
    fn a_copy_of_a_secret_replaces_nothing_and_only_its_owner_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let (secret, target) = (folder.path().join("secret"), folder.path().join("copy"));
        assert!(copy(&secret, &target).is_err() && !target.exists());
        fs::write(&secret, "one\n").unwrap();
        copy(&secret, &target).unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "one\n");
        #[cfg(unix)]
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&target).unwrap().permissions()) & 0o777, 0o600);
        fs::write(&secret, "two\n").unwrap();
        assert_eq!(copy(&secret, &target).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!((fs::read_to_string(&target).unwrap().as_str(), fs::read_dir(folder.path()).unwrap().count()), ("one\n", 2));
    }

    #[test]
    fn what_anybody_can_write_decides_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.toml");
        fs::write(&path, "12345").unwrap();
        let chmod = |mode| fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        chmod(0o640);
        assert_eq!(read_trusted(&path, 5).unwrap(), b"12345");
        assert!(!anybody_reads(&path));
        assert!(read_trusted(&path, 4).unwrap_err().to_string().contains("larger than 4 bytes"));
        chmod(0o644);
        assert!(read_trusted(&path, 5).is_ok() && anybody_reads(&path));
        chmod(0o646);
        assert!(read_trusted(&path, 5).unwrap_err().to_string().contains("chmod o-w"));
        assert!(read_trusted(folder.path(), 5).is_err());
    }
}
