//! What must be on the disk before it counts. The bytes of a file are when the file was synced; its name is when its folder was.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Waits until the bytes of a file are on the disk, or the names in a folder.
///
/// # Errors
/// When it cannot be opened, or the disk fails.
pub fn sync(path: &Path) -> io::Result<()> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    File::open(path)?.sync_all()
}

/// Makes a folder and those above it that are missing. The names of all that it made are on the disk.
///
/// # Errors
/// When one cannot be made, or the disk fails.
pub fn make_folders(folder: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = folder.ancestors().take_while(|above| !above.as_os_str().is_empty() && !above.exists()).collect();
    fs::create_dir_all(folder)?;
    for above in missing.into_iter().rev().filter_map(Path::parent) {
        sync(above)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_folders_are_made_and_those_that_are_there_stay() {
        let top = tempfile::tempdir().unwrap();
        let deep = top.path().join("a/b/c");
        make_folders(&deep).unwrap();
        fs::write(deep.join("file"), "kept").unwrap();
        make_folders(&deep).unwrap();
        sync(&deep.join("file")).unwrap();
        assert_eq!(fs::read(deep.join("file")).unwrap(), b"kept");
        assert!(make_folders(&deep.join("file/under")).is_err() && sync(&top.path().join("nothing")).is_err());
    }
}
