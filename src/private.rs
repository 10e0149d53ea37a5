//! What belongs to this process's user alone: the files it makes, those that lie there from before, and its memory.
//!
//! Whatever is mended is named by its folder, held open, and its name in it: a link that somebody put there is neither followed nor
//! changed. No file is opened to read or write: closing one would end the locks that SQLite holds on it in this process.

use std::ffi::CStr;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, openat, statat};

const FILE: Mode = Mode::RUSR.union(Mode::WUSR);
const FOLDER: Mode = Mode::RWXU;

/// How deep folders are looked into. Keys of objects are three deep.
const DEEPEST: usize = 64;

/// From here on each file that this process makes is 0600 and each folder 0700, and nobody reads its memory.
///
/// Called once, before there are threads: a umask is the whole process's. A memory that no core dump may hold can also not be looked at
/// by another process of the same user, such as a debugger; root still can.
pub fn keep_to_own_user() {
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    // A kernel that knows no such thing is no reason to refuse service.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

/// What is dropslip's in a folder of its own.
#[derive(Debug, Clone, Copy)]
pub struct Own<'a> {
    /// How the names of its files begin.
    pub files: &'a [&'a str],
    /// Its folders, with all that is in them.
    pub trees: &'a [&'a str],
    /// Folders that may lie beside them and are left as they are.
    pub beside: &'a [&'a str],
}

/// What others on this machine could get at and no longer can; and what they still can.
#[derive(Debug, Default)]
pub struct Mended {
    /// How many files were made 0600.
    pub files: u64,
    /// How many folders were made 0700.
    pub folders: u64,
    /// One of them.
    pub example: Option<PathBuf>,
    /// How many could not be.
    pub refused: u64,
    /// Why the first of those could not be.
    pub refusal: Option<Refusal>,
    /// A folder that holds others' things too, and so was left as it is.
    pub shared: Option<PathBuf>,
}

/// Why others can still get at something.
#[derive(Debug)]
pub struct Refusal {
    /// What it is.
    pub path: PathBuf,
    /// What the system says.
    pub error: io::Error,
}

impl fmt::Display for Mended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "others on this machine could get at {} files and {} folders", self.files, self.folders)?;
        if let Some(example) = &self.example {
            write!(f, ", such as {}", example.display())?;
        }
        f.write_str(": they are private now")
    }
}

impl Mended {
    /// Whether anything was changed.
    #[must_use]
    pub fn any(&self) -> bool {
        self.files + self.folders > 0
    }

    /// Makes a folder private, and in it what is `own`. One that holds other folders too, or that all may write to, may be others' way
    /// to their things: then only what is in it is made private. Does nothing where there is no such folder.
    pub fn own_folder(&mut self, path: &Path, own: Own<'_>) {
        let Some((folder, about)) = self.opened(path) else { return };
        let Some(names) = self.names(&folder, path) else { return };
        let sticky = Mode::from_raw_mode(about.st_mode).contains(Mode::SVTX);
        let shared = sticky || names.iter().any(|(name, kind)| *kind == FileType::Directory && !own.knows_folder(name));
        if is_open(&about) && shared {
            self.shared = Some(path.to_owned());
        } else if is_open(&about) {
            let closed = rustix::fs::fchmod(&folder, FOLDER);
            self.count(closed, FileType::Directory, || path.to_owned());
        }
        let folders = names.iter().filter(|(name, kind)| *kind == FileType::Directory && own.trees.iter().any(|tree| is(name, tree)));
        let files = names.iter().filter(|(name, kind)| *kind == FileType::RegularFile && own.knows_file(name));
        // What is few and secret first.
        for (name, _) in files {
            self.entry(folder.as_fd(), name, path);
        }
        for (name, _) in folders {
            self.tree(folder.as_fd(), name, path, 0);
        }
    }

    /// Makes a file private, and those whose names are its own and one of `endings`; their folder is left as it is.
    pub fn file(&mut self, path: &Path, endings: &[&str]) {
        let Some(name) = path.file_name() else { return };
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let Some((folder, _)) = self.opened(parent) else { return };
        for ending in std::iter::once(&"").chain(endings) {
            let mut whole = name.as_encoded_bytes().to_vec();
            whole.extend(ending.as_bytes());
            whole.push(0);
            if let Ok(name) = CStr::from_bytes_with_nul(&whole) {
                self.entry(folder.as_fd(), name, parent);
            }
        }
    }

    fn opened(&mut self, path: &Path) -> Option<(OwnedFd, Stat)> {
        let opened = openat(CWD, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        let opened = opened.and_then(|folder| rustix::fs::fstat(&folder).map(|about| (folder, about)));
        self.or_refused(opened, || path.to_owned())
    }

    fn names(&mut self, folder: &OwnedFd, path: &Path) -> Option<Vec<(std::ffi::CString, FileType)>> {
        let mut found = Vec::new();
        for entry in self.or_refused(Dir::read_from(folder), || path.to_owned())? {
            let entry = self.or_refused(entry, || path.to_owned())?;
            let name = entry.file_name();
            if is(name, ".") || is(name, "..") {
                continue;
            }
            let kind = match entry.file_type() {
                // Some file systems do not say.
                FileType::Unknown => statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).map_or(FileType::Unknown, |about| kind_of(&about)),
                kind => kind,
            };
            found.push((name.to_owned(), kind));
        }
        Some(found)
    }

    /// A folder and all that is in it.
    fn tree(&mut self, parent: BorrowedFd<'_>, name: &CStr, parent_path: &Path, depth: usize) {
        if self.entry(parent, name, parent_path) != Some(FileType::Directory) || depth > DEEPEST {
            return;
        }
        let path = joined(parent_path, name);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let Some(folder) = self.or_refused(openat(parent, name, flags, Mode::empty()), || path.clone()) else { return };
        for (name, kind) in self.names(&folder, &path).unwrap_or_default() {
            if kind == FileType::Directory {
                self.tree(folder.as_fd(), &name, &path, depth + 1);
            } else {
                self.entry(folder.as_fd(), &name, &path);
            }
        }
    }

    /// One file or folder, if it is there; what it is.
    fn entry(&mut self, folder: BorrowedFd<'_>, name: &CStr, folder_path: &Path) -> Option<FileType> {
        let about = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW);
        let about = self.or_refused(about, || joined(folder_path, name))?;
        let kind = kind_of(&about);
        let mode = match kind {
            FileType::RegularFile => FILE,
            FileType::Directory => FOLDER,
            _ => return Some(kind),
        };
        if is_open(&about) {
            self.count(change(folder, name, mode), kind, || joined(folder_path, name));
        }
        Some(kind)
    }

    fn count(&mut self, changed: rustix::io::Result<()>, kind: FileType, path: impl Fn() -> PathBuf) {
        if self.or_refused(changed, &path).is_none() {
            return;
        }
        *(if kind == FileType::Directory { &mut self.folders } else { &mut self.files }) += 1;
        self.example.get_or_insert_with(path);
    }

    /// What is not there is no failure: others may come and go meanwhile.
    fn or_refused<T>(&mut self, result: rustix::io::Result<T>, path: impl FnOnce() -> PathBuf) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(rustix::io::Errno::NOENT) => None,
            Err(error) => {
                self.refused += 1;
                self.refusal.get_or_insert_with(|| Refusal { path: path(), error: error.into() });
                None
            }
        }
    }
}

impl Own<'_> {
    fn knows_file(&self, name: &CStr) -> bool {
        self.files.iter().any(|beginning| name.to_bytes().starts_with(beginning.as_bytes()))
    }

    fn knows_folder(&self, name: &CStr) -> bool {
        self.trees.iter().chain(self.beside).any(|known| is(name, known))
    }
}

fn is(name: &CStr, known: &str) -> bool {
    name.to_bytes() == known.as_bytes()
}

fn joined(folder: &Path, name: &CStr) -> PathBuf {
    folder.join(String::from_utf8_lossy(name.to_bytes()).as_ref())
}

fn kind_of(about: &Stat) -> FileType {
    FileType::from_raw_mode(about.st_mode)
}

/// Whether others than its owner can do anything with it.
fn is_open(about: &Stat) -> bool {
    Mode::from_raw_mode(about.st_mode).intersects(Mode::RWXG | Mode::RWXO)
}

/// Linux before 6.6 cannot change a mode without following links. A descriptor that is for nothing but naming cannot be a link's target.
#[cfg(target_os = "linux")]
fn change(folder: BorrowedFd<'_>, name: &CStr, mode: Mode) -> rustix::io::Result<()> {
    use std::os::fd::AsRawFd as _;

    let named = openat(folder, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    // It may have been put there since it was looked at.
    if kind_of(&rustix::fs::fstat(&named)?) == FileType::Symlink {
        return Ok(());
    }
    rustix::fs::chmod(format!("/proc/self/fd/{}", named.as_raw_fd()), mode)
}

#[cfg(not(target_os = "linux"))]
fn change(folder: BorrowedFd<'_>, name: &CStr, mode: Mode) -> rustix::io::Result<()> {
    rustix::fs::chmodat(folder, name, mode, AtFlags::SYMLINK_NOFOLLOW)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    const OWN: Own<'_> = Own { files: &["secret", "data.db"], trees: &["bucket"], beside: &["lost+found"] };

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
    }

    fn chmod(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// A folder in which all is wide: `secret-1`, `data.db-wal`, `notes` and `bucket/b/files/one`.
    fn wide() -> (tempfile::TempDir, PathBuf) {
        let above = tempfile::tempdir().unwrap();
        let data = above.path().join("data");
        fs::create_dir_all(data.join("bucket/b/files")).unwrap();
        for name in ["secret-1", "data.db-wal", "notes", "bucket/b/files/one"] {
            fs::write(data.join(name), name).unwrap();
            chmod(&data.join(name), 0o666);
        }
        for name in ["bucket/b/files", "bucket/b", "bucket", ""] {
            chmod(&data.join(name), 0o777);
        }
        chmod(above.path(), 0o755);
        (above, data)
    }

    #[test]
    fn what_is_own_is_made_private_once_and_nothing_else() {
        let (above, data) = wide();
        fs::create_dir(data.join("lost+found")).unwrap();
        let mut mended = Mended::default();
        mended.own_folder(&data, OWN);
        assert_eq!((mended.files, mended.folders, mended.refused), (3, 4, 0), "{mended}");
        for (name, expected) in [("", 0o700), ("secret-1", 0o600), ("data.db-wal", 0o600), ("notes", 0o666), ("bucket", 0o700)] {
            assert_eq!(mode(&data.join(name)), expected, "{name}");
        }
        assert_eq!((mode(&data.join("bucket/b/files")), mode(&data.join("bucket/b/files/one"))), (0o700, 0o600));
        assert_eq!(mode(above.path()), 0o755, "the folder above is another's");
        let mut again = Mended::default();
        again.own_folder(&data, OWN);
        assert!(!again.any() && again.shared.is_none(), "{again}");
        // One that was put there since, behind closed doors.
        chmod(&data.join("bucket/b/files/one"), 0o604);
        again.own_folder(&data, OWN);
        assert_eq!((again.files, again.folders), (1, 0), "{again}");
        again.own_folder(&above.path().join("nowhere"), OWN);
        assert_eq!(again.refused, 0);
    }

    #[test]
    fn a_folder_that_is_others_way_to_their_things_stays_open_and_what_is_own_in_it_does_not() {
        for (other, mode_before) in [(Some("theirs"), 0o755), (None, 0o1777)] {
            let (_above, data) = wide();
            if let Some(other) = other {
                fs::create_dir(data.join(other)).unwrap();
                chmod(&data.join(other), 0o755);
            }
            chmod(&data, mode_before);
            let mut mended = Mended::default();
            mended.own_folder(&data, OWN);
            assert_eq!((mode(&data), mended.shared.as_deref()), (mode_before, Some(data.as_path())));
            assert_eq!((mode(&data.join("secret-1")), mode(&data.join("bucket/b"))), (0o600, 0o700));
            assert!(other.is_none_or(|other| mode(&data.join(other)) == 0o755));
        }
    }

    #[test]
    fn links_are_not_followed() {
        let (above, data) = wide();
        let outside = above.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("file"), "theirs").unwrap();
        chmod(&outside.join("file"), 0o644);
        chmod(&outside, 0o755);
        symlink(outside.join("file"), data.join("secret-2")).unwrap();
        symlink(outside.join("file"), data.join("bucket/b/two")).unwrap();
        symlink(&outside, data.join("bucket/c")).unwrap();
        let mut mended = Mended::default();
        mended.own_folder(&data, OWN);
        mended.file(&data.join("secret-2"), &[]);
        assert_eq!((mode(&outside), mode(&outside.join("file"))), (0o755, 0o644));
        assert_eq!((mended.files, mended.refused), (3, 0), "{mended}");
    }

    #[test]
    fn a_file_elsewhere_is_made_private_with_its_side_files_and_its_folder_is_not() {
        let (above, _) = wide();
        for name in ["d.db", "d.db-wal", "d.db-other"] {
            fs::write(above.path().join(name), name).unwrap();
            chmod(&above.path().join(name), 0o640);
        }
        let mut mended = Mended::default();
        mended.file(&above.path().join("d.db"), &["-wal", "-shm"]);
        let modes = ["d.db", "d.db-wal", "d.db-other", ""].map(|name| mode(&above.path().join(name)));
        assert_eq!((modes, mended.files), ([0o600, 0o600, 0o640, 0o755], 2));
    }
}
