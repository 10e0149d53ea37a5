//! What the program leaves on disk and in memory is its user's alone, whatever the umask, and what older versions left becomes so.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::database::upgrades::fixture::{Installation, YOUNG, versions};
use crate::harness::{Db, answer, new_file};
use crate::process::{Serving, text};

const PROGRAM: &str = env!("CARGO_BIN_EXE_dropslip");
const PATIENCE: Duration = Duration::from_secs(20);

/// Embedded, on ports of the system's choice; large files come in parts.
const SETTINGS: [(&str, &str); 4] = [
    ("DROPSLIP_LISTEN", "127.0.0.1:0"),
    ("DROPSLIP_EMBEDDED_S3_LISTEN", "127.0.0.1:0"),
    ("DROPSLIP_MULTIPART_THRESHOLD", "6 MB"),
    ("DROPSLIP_PART_SIZE", "5 MiB"),
];

/// What others can get at below `folder`, and the folder: each with its mode. A link's own mode says nothing.
fn open_to_others(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(path) = waiting.pop() {
        let about = fs::symlink_metadata(&path).unwrap();
        let (mode, expected) = (about.mode() & 0o7777, if about.is_dir() { 0o700 } else { 0o600 });
        if !about.is_symlink() && mode != expected {
            found.push((path.clone(), format!("{mode:o}")));
        }
        if about.is_dir() {
            waiting.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    found.sort();
    found
}

fn assert_private(folder: &Path) {
    let open = open_to_others(folder);
    assert!(open.is_empty(), "others can get at {open:#?}");
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Everything below and the folder itself, open to all.
fn open_up(folder: &Path) {
    let done = Command::new("chmod").args(["-R", "a+rwX"]).arg(folder).status().unwrap();
    assert!(done.success());
}

/// A folder, and the program in it under a umask.
struct Desk {
    folder: tempfile::TempDir,
    umask: &'static str,
}

impl Desk {
    fn under(umask: &'static str) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), umask }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, settings: &[(&str, &str)], arguments: &[&str]) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &format!("umask {}; exec \"$0\" \"$@\"", self.umask), PROGRAM]).args(arguments);
        command
            .env_clear()
            .current_dir(self.folder.path())
            .env("XDG_STATE_HOME", self.path("state"))
            .envs(SETTINGS)
            .envs(settings.iter().copied())
            .stdin(Stdio::null());
        command
    }

    fn serve(&self, settings: &[(&str, &str)]) -> Serving {
        Serving::by(&mut self.command(settings, &["serve"]), fs::File::create(self.path("log")).unwrap(), "dropslip listens on ")
    }

    fn run(&self, settings: &[(&str, &str)], arguments: &[&str]) -> Output {
        let output = self.command(settings, arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}{}", text(&output.stdout), text(&output.stderr));
        output
    }

    fn upload(&self, broker: &Serving, name: &str, size: usize) {
        fs::write(self.path(name), vec![b'a'; size]).unwrap();
        self.run(&Self::as_client(broker), &["upload", "--json", name]);
    }

    fn as_client(broker: &Serving) -> [(&str, &str); 1] {
        [("DROPSLIP_SERVER", broker.url())]
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap()
    }

    /// The lines of the log, or of a command's stderr, that tell of mending.
    fn told(log: &str) -> Vec<String> {
        log.lines().filter(|line| line.contains("could get at")).map(ToOwned::to_owned).collect()
    }
}

/// A part of an upload that goes on: a file of the store's that no client ever ends.
async fn part_of_an_open_upload(broker: &Serving, token: &str) {
    let http = reqwest::Client::new();
    let mut file = new_file("large.txt", "text/plain");
    (file["size"], file["multipart"]) = (json!(11 << 20), json!(true));
    let post = |path: String, body: &Value| http.post(format!("{}{path}", broker.url())).bearer_auth(token).body(body.to_string());
    let (status, slip) = answer(post("/v2/files/ref.json".to_owned(), &file)).await;
    assert_eq!((status.as_u16(), &slip["method"]), (201, &json!("MULTIPART")), "{slip}");
    let path = format!("/v2/files/{}/parts.json", slip["file"]["id"]);
    let (_, signed) = answer(post(path, &json!({"partNumbers": [1]}))).await;
    let part = &signed["parts"][0];
    let mut request = http.put(part["url"].as_str().unwrap()).body(vec![b'a'; 5 << 20]);
    for (name, value) in part["headers"].as_object().unwrap() {
        request = request.header(name, value.as_str().unwrap());
    }
    assert_eq!(request.send().await.unwrap().status(), 200);
}

/// A client that is killed after its upload began: its state is left for `--resume`.
fn left_for_resuming(desk: &Desk, broker: &Serving) {
    fs::write(desk.path("interrupted.txt"), vec![b'a'; 11 << 20]).unwrap();
    let mut client =
        desk.command(&Desk::as_client(broker), &["upload", "--json", "interrupted.txt"]).stdout(Stdio::null()).spawn().unwrap();
    let deadline = Instant::now() + PATIENCE;
    let state = desk.path("state/dropslip/uploads");
    while fs::read_dir(&state).map_or(0, Iterator::count) == 0 {
        assert!(Instant::now() < deadline, "nothing is remembered");
        std::thread::sleep(Duration::from_millis(5));
    }
    client.kill().unwrap();
    client.wait().unwrap();
}

async fn nobody_else_gets_at_what_is_left_under(umask: &'static str) {
    let desk = Desk::under(umask);
    fs::create_dir(desk.path("copies")).unwrap();
    chmod(&desk.path("copies"), 0o700);
    let broker = desk.serve(&[]);
    let token = text(&desk.run(&[], &["token", "create", "--user", "7"]).stdout).trim().to_owned();
    desk.upload(&broker, "form.txt", 2_000);
    desk.upload(&broker, "parts.txt", 11 << 20);
    part_of_an_open_upload(&broker, &token).await;
    desk.run(&[], &["backup", "copies/copy.db"]);
    let data = desk.path("data");
    let side_files = [
        "dropslip.db",
        "dropslip.db-wal",
        "dropslip.db-shm",
        "dropslip.db.starting",
        "embedded-s3.lock",
        "development-token",
        "installation-secret",
        "../copies/copy.db.installation-secret",
    ];
    for name in side_files {
        assert!(data.join(name).exists(), "this walk is to see {name}");
    }
    let objects = fs::read_dir(data.join("bucket/dropslip/files")).unwrap().count();
    let beside: Vec<String> = fs::read_dir(data.join("bucket")).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
    assert!(objects == 2 && beside.iter().any(|name| name.starts_with(".upload_id-")), "this walk is to see {beside:?}");
    for folder in ["data", "copies"] {
        assert_private(&desk.path(folder));
    }
    // Killed: what it would have tidied up lies there.
    drop(broker);
    assert_private(&data);

    let broker = desk.serve(&[("DROPSLIP_S3_METHOD", "put")]);
    desk.upload(&broker, "put.txt", 3_000);
    drop(broker);
    // A store that answers nobody: the client has begun and goes no further.
    let broker = desk.serve(&[("DROPSLIP_S3_PUBLIC_ENDPOINT", "http://127.0.0.1:1")]);
    left_for_resuming(&desk, &broker);
    assert_eq!(broker.terminate().0, 0);
    for folder in ["data", "copies", "state"] {
        assert_private(&desk.path(folder));
    }
    assert_eq!(Desk::told(&desk.log()), Vec::<String>::new(), "nothing was there to be mended");

    // And the walk finds what is open.
    let (file, folder) = (data.join("dropslip.db"), data.join("bucket/dropslip"));
    chmod(&file, 0o640);
    chmod(&folder, 0o711);
    assert_eq!(open_to_others(&data), [(folder, "711".to_owned()), (file, "640".to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_gets_at_what_the_program_leaves_whatever_the_umask() {
    for umask in ["000", "022", "777"] {
        nobody_else_gets_at_what_is_left_under(umask).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_older_version_left_open_is_made_private_at_the_start() {
    for version in versions() {
        let mut installation = Installation::copy(&version, Db::Sqlite, YOUNG).await;
        let data = installation.data_folder();
        open_up(&data);
        let open = open_to_others(&data);
        assert!(open.len() > 10 && open.iter().any(|(path, _)| path.ends_with("bucket/dropslip/files")), "{open:#?}");
        installation.upgrade();
        assert_private(&data);
        let told = Desk::told(&installation.log());
        let line: Value = serde_json::from_str(&told[0]).unwrap();
        let counted = line["files"].as_u64().unwrap() + line["folders"].as_u64().unwrap();
        assert_eq!((told.len(), counted, line["level"].as_str()), (1, open.len() as u64, Some("WARN")), "{told:?}");
        installation.assert_whole();
        // One alone, behind closed doors; and once all is private nothing is said.
        chmod(&data.join("installation-secret"), 0o644);
        installation.upgrade();
        assert_private(&data);
        assert_eq!(Desk::told(&installation.log()).len(), 1);
        installation.upgrade();
        assert_eq!(Desk::told(&installation.log()), Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_and_clients_make_private_what_they_find_open_and_say_so() {
    let desk = Desk::under("022");
    drop(desk.serve(&[]));
    let (data, elsewhere) = (desk.path("data"), desk.path("elsewhere"));
    open_up(&data);
    let said = desk.run(&[], &["token", "list"]);
    assert_eq!(Desk::told(&text(&said.stderr)).len(), 1, "{said:?}");
    for folder in ["bucket/dropslip", "bucket/.new", "bucket"] {
        chmod(&data.join(folder), 0o700);
    }
    assert_private(&data);

    // A database elsewhere: its files, and not their folder, which is somebody else's.
    fs::create_dir(&elsewhere).unwrap();
    chmod(&elsewhere, 0o755);
    let database = ("DROPSLIP_DATABASE_URL", "sqlite:elsewhere/my.db");
    desk.run(&[database], &["token", "create", "--user", "7"]);
    open_up(&elsewhere.join("my.db"));
    let said = desk.run(&[database], &["token", "list"]);
    assert_eq!(Desk::told(&text(&said.stderr)).len(), 1, "{said:?}");
    assert_eq!(open_to_others(&elsewhere), [(elsewhere.clone(), "755".to_owned())]);
    let said = desk.run(&[database], &["token", "list"]);
    assert_eq!(text(&said.stderr), "", "said once");

    let broker = desk.serve(&[]);
    let state = desk.path("state/dropslip");
    fs::create_dir_all(state.join("uploads")).unwrap();
    fs::write(state.join("uploads/old"), "7\n").unwrap();
    open_up(&state);
    fs::write(desk.path("a.txt"), "hello").unwrap();
    let said = desk.run(&Desk::as_client(&broker), &["upload", "--json", "a.txt"]);
    assert_eq!(Desk::told(&text(&said.stderr)).len(), 1, "{said:?}");
    assert_private(&state);
}

/// The user that owns nothing, on every Linux.
const NOBODY: u32 = 65_534;

/// The program and a folder, both within reach of [`NOBODY`]; these tests run as root, which may do everything.
fn for_nobody(mode: u32) -> (tempfile::TempDir, PathBuf, PathBuf) {
    assert!(is_root(), "this test starts programs as another user, which takes root");
    let folder = tempfile::tempdir().unwrap();
    chmod(folder.path(), 0o755);
    let (program, data) = (folder.path().join("dropslip"), folder.path().join("data"));
    fs::copy(PROGRAM, &program).unwrap();
    chmod(&program, 0o755);
    fs::create_dir(&data).unwrap();
    chmod(&data, mode);
    (folder, program, data)
}

fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

fn as_nobody(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().current_dir("/").uid(NOBODY).gid(NOBODY);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_folder_of_another_user_is_warned_about_and_served() {
    let (folder, program, data) = for_nobody(0o777);
    let log = folder.path().join("log");
    let mut command = as_nobody(&program);
    command.envs(SETTINGS).env("DROPSLIP_DATA_DIR", &data).arg("serve");
    let broker = Serving::by(&mut command, fs::File::create(&log).unwrap(), "dropslip listens on ");
    assert_eq!(reqwest::get(format!("{}/readyz", broker.url())).await.unwrap().status(), 200);
    let log = fs::read_to_string(&log).unwrap();
    let warning = log.lines().find(|line| line.contains("cannot be changed")).unwrap_or_else(|| panic!("{log}"));
    assert!(warning.contains(r#""level":"WARN""#) && warning.contains(data.to_str().unwrap()), "{warning}");
    // What it makes there is its own.
    assert_eq!(open_to_others(&data), [(data.clone(), "777".to_owned())]);
}

#[test]
fn no_other_process_of_its_user_reads_its_memory() {
    let (_folder, program, data) = for_nobody(0o700);
    std::os::unix::fs::chown(&data, Some(NOBODY), Some(NOBODY)).unwrap();
    // What needs the same right as to attach a debugger.
    let reads = |id: u32, what: &str| {
        let path = format!("/proc/{id}/{what}");
        as_nobody(Path::new("/usr/bin/head"))
            .args(["-c", "1", &path])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap()
            .success()
    };
    let mut other = as_nobody(Path::new("/bin/sleep")).arg("60").spawn().unwrap();
    let deadline = Instant::now() + PATIENCE;
    // Until it is that program, it is this one.
    while fs::read_to_string(format!("/proc/{}/comm", other.id())).unwrap().trim() != "sleep" {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(reads(other.id(), "environ") && reads(other.id(), "maps"), "of an ordinary program it does");
    other.kill().unwrap();
    other.wait().unwrap();

    let mut command = as_nobody(&program);
    command.envs(SETTINGS).env("DROPSLIP_DATA_DIR", &data).arg("serve");
    let broker = Serving::by(&mut command, Stdio::piped(), "dropslip listens on ");
    for what in ["environ", "maps", "mem"] {
        assert!(!reads(broker.id(), what), "{what} of a broker is read by its user");
    }
    assert!(reads(broker.id(), "status"));
    // What its own user asks of it all the same: a reload, where there is no shell.
    let output = as_nobody(&program).args(["reload", "--pid", &broker.id().to_string()]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let (code, log) = broker.terminate();
    assert!(code == 0 && log.contains("reloaded"), "{code} {log}");
}
