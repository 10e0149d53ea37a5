//! Folders whose names mean something elsewhere, in a URL above all: everything is in them, and nothing beside them.

use std::fs;
use std::path::{Path, PathBuf};

use dropslip::domain::sqlite_url;
use serde_json::Value;

use crate::process::{Serving, run, text};

const EMBEDDED: [(&str, &str); 2] = [("DROPSLIP_LISTEN", "127.0.0.1:0"), ("DROPSLIP_EMBEDDED_S3_LISTEN", "127.0.0.1:0")];

/// Folders, each below one of the test's own; those that begin with a slash are told by their whole path.
const FOLDERS: [&str; 20] = [
    "/app%2Flogin/data",
    "/what?",
    "/what?mode=memory",
    "/50%20off",
    "/100%",
    "/%ff",
    "/#1",
    "/two  words ",
    "/it's \"quoted\" `so` $HOME",
    "/Zoë/文件/📁",
    "/e\u{301}tude",
    "/slash/",
    "/:memory:",
    "/mode=memory",
    "/a&b=c;d",
    "app%2Flogin/data",
    "what?/#",
    "file:data",
    "sqlite:data",
    "./50%20off/../50%25off/",
];

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

fn done(folder: &Path, settings: &[(&str, &str)], arguments: &[&str]) -> String {
    let output = run(folder, settings, arguments);
    assert!(output.status.success(), "{settings:?} {arguments:?}: {}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// Starts, uploads and confirms, and works with every command that opens the database.
fn everything_works(folder: &Path, settings: &[(&str, &str)], token: &Path) {
    fs::write(folder.join("upload.txt"), "hello\n").unwrap();
    let serving = Serving::start(folder, settings, ")");
    let token = token.to_str().unwrap();
    let said = done(folder, &[], &["upload", "--server", serving.url(), "--token-file", token, "upload.txt"]);
    assert!(said.contains("active"), "{said}");
    drop(serving);
    done(folder, settings, &["token", "create", "--user", "7"]);
    assert!(done(folder, settings, &["token", "list"]).contains("users 7"));
    assert!(done(folder, settings, &["audit"]).starts_with("audited 1 files and 1 objects: 0 lost"));
    done(folder, settings, &["backup", "copy.db"]);
    assert!(fs::read(folder.join("copy.db")).unwrap().len() > 4096);
    let rows: Vec<Value> = serde_json::from_slice(&run(folder, settings, &["check", "--json"]).stdout).unwrap();
    for check in ["database", "confirm", "clean-up"] {
        let row = rows.iter().find(|row| row["check"] == check).unwrap_or_else(|| panic!("no {check} in {rows:?}"));
        assert_eq!(row["status"], "ok", "{settings:?}: {row}");
    }
}

#[test]
fn everything_is_in_the_folder_of_data_and_nothing_beside_it() {
    for named in FOLDERS {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let data = folder.join(named.trim_start_matches('/'));
        let told = if named.starts_with('/') { folder.display().to_string() + named } else { named.to_owned() };
        // The folder for temporary files is named as oddly.
        let temporary = folder.join(format!("temporary {}", named.replace('/', "")));
        fs::create_dir(&temporary).unwrap();
        if named.contains("..") {
            fs::create_dir(folder.join("50%20off")).unwrap();
        }
        let settings = [&EMBEDDED[..], &[("DROPSLIP_DATA_DIR", &told), ("TMPDIR", temporary.to_str().unwrap())]].concat();
        everything_works(folder, &settings, &data.join("development-token"));

        let data = fs::canonicalize(&data).unwrap();
        let outside: Vec<PathBuf> = files(&fs::canonicalize(folder).unwrap()).into_iter().filter(|path| !path.starts_with(&data)).collect();
        let mut names: Vec<_> = outside.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
        names.sort_unstable();
        assert_eq!(names, ["copy.db", "copy.db.installation-secret", "upload.txt"], "{named}: {outside:?}");
        assert!(data.join("dropslip.db").is_file() && data.join("bucket/dropslip/files").is_dir(), "{named}");
        assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0, "{named}: nothing stays");

        // What the program says of its settings is itself a file of settings, for the same database.
        fs::write(folder.join("settings.toml"), done(folder, &settings, &["config"])).unwrap();
        assert!(done(folder, &[], &["--config", "settings.toml", "token", "list"]).contains("users 7"), "{named}");
    }
}

#[test]
fn a_path_of_two_slashes_is_no_path_in_this_folder() {
    let folder = tempfile::tempdir().unwrap();
    let told = format!("/{}/data", folder.path().display());
    done(folder.path(), &[("DROPSLIP_DATA_DIR", &told)], &["token", "create", "--user", "7"]);
    let found = files(folder.path());
    assert!(found.contains(&folder.path().join("data/dropslip.db")), "{found:?}");
    assert!(found.iter().all(|path| path.starts_with(folder.path().join("data"))), "{found:?}");
}

#[test]
fn a_database_url_says_any_path_by_percent_signs_and_old_ones_mean_what_they_did() {
    for (url, file) in [
        ("sqlite:d.db", "d.db"),
        ("sqlite://d.db?mode=rwc", "d.db"),
        ("sqlite:two words #1.db", "two words #1.db"),
        ("sqlite:50%20off.db", "50 off.db"),
        ("sqlite:50%2520off.db", "50%20off.db"),
        ("sqlite:100%.db", "100%.db"),
        ("sqlite:what%3F.db", "what?.db"),
        ("sqlite:%231/Zo%C3%AB.db", "#1/Zoë.db"),
        ("sqlite:Zoë/mode=memory.db", "Zoë/mode=memory.db"),
    ] {
        for (url, file) in [(url.to_owned(), PathBuf::from(file)), (sqlite_url(Path::new(file)), PathBuf::from(file))] {
            let folder = tempfile::tempdir().unwrap();
            let settings = [("DROPSLIP_DATABASE_URL", url.as_str())];
            done(folder.path(), &settings, &["token", "create", "--user", "7"]);
            let mut found = files(folder.path());
            found.retain(|path| path.extension().is_some_and(|extension| extension == "db"));
            assert_eq!(found, [folder.path().join(&file)], "{url}");
            let copy = folder.path().join("file:copy%20?.db");
            for target in ["file:copy%20?.db", "what? 50%25.db"] {
                done(folder.path(), &settings, &["backup", target]);
                assert!(folder.path().join(target).is_file(), "{url}: {target}");
            }
            let again = [("DROPSLIP_DATABASE_URL", sqlite_url(&copy))];
            assert!(done(folder.path(), &[(again[0].0, &again[0].1)], &["token", "list"]).contains("users 7"), "{url}");
        }
    }
}

#[test]
fn a_place_that_cannot_be_is_refused_by_the_name_of_its_setting() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a file"), "x").unwrap();
    let database = "DROPSLIP_DATABASE_URL";
    for (setting, value, said) in [
        ("DROPSLIP_DATA_DIR", "a file", "DROPSLIP_DATA_DIR: "),
        ("DROPSLIP_DATA_DIR", "a file/data", "DROPSLIP_DATA_DIR: "),
        (database, "sqlite:a file/d.db", "DROPSLIP_DATABASE_URL: "),
        (database, "sqlite:what?/d.db", "in its path, write ? as %3F"),
        (database, "sqlite:", "must be a file"),
        (database, "sqlite:%3Amemory%3A", "must be a file"),
        (database, "sqlite:d.db?cache=shared&mode=memory", "must be a file"),
    ] {
        let settings = [&EMBEDDED[..], &[(setting, value)]].concat();
        let output = run(folder.path(), &settings, &["serve"]);
        let complaint = text(&output.stderr);
        let other = if setting == database { "DROPSLIP_DATA_DIR" } else { database };
        assert!(output.status.code() == Some(1) && complaint.contains(said), "{value}: {complaint}");
        assert!(complaint.contains(setting) && !complaint.contains(other), "{value}: {complaint}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}
