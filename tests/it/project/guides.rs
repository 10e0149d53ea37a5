//! The guides' programs: each is run as it is printed, on real stores, with both methods, and through peers that fail first.
//! Swift has no compiler here: its code is parsed.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

use aws_sdk_s3::types::{CorsConfiguration, CorsRule};
use dropslip::domain::FileId;
use serde_json::Value;

use crate::browser::run_script;
use crate::faults::proxy::{Break, INTERNAL_ERROR, Proxy};
use crate::harness::{Bed, Setup, TestBroker, from_servers, project, short_lived};

/// Guide, and the files that it must hold word for word.
const GUIDES: [(&str, &[&str]); 6] = [
    ("curl.md", &["curl/upload.sh"]),
    ("fetch.md", &["fetch/dropslip.mjs"]),
    ("node.md", &["node/upload.mjs"]),
    ("python.md", &["python/upload.py"]),
    ("swift.md", &["swift/Dropslip.swift", "swift/BackgroundUploads.swift"]),
    ("kotlin.md", &["kotlin/Dropslip.kt"]),
];

/// Those that run here as a program of one argument.
#[derive(Debug, Clone, Copy)]
enum Client {
    Curl,
    Fetch,
    Kotlin,
    Node,
    Python,
}

const RUNNABLE: [Client; 5] = [Client::Curl, Client::Fetch, Client::Kotlin, Client::Node, Client::Python];

fn example(path: &str) -> PathBuf {
    project().join("examples").join(path)
}

/// The jars that the Kotlin guide's class is compiled against and runs with.
fn class_path() -> Vec<String> {
    let compiler = project().join("tests/kotlin/node_modules/kotlin-compiler/lib/kotlin-stdlib.jar").display().to_string();
    let debian = ["okhttp", "okio", "com.android.json"].map(|jar| format!("/usr/share/java/{jar}.jar"));
    [compiler].into_iter().chain(debian).collect()
}

/// Compiles the Kotlin guide's class once for all tests.
fn kotlin_classes() -> &'static Path {
    static CLASSES: LazyLock<PathBuf> = LazyLock::new(|| {
        let library = project().join("tests/kotlin/node_modules/kotlin-compiler/lib");
        let compiler = ["kotlin-compiler", "kotlin-stdlib", "kotlinx-coroutines-core-jvm", "kotlin-reflect", "annotations-13.0"];
        let compiler = compiler.map(|jar| library.join(format!("{jar}.jar")).display().to_string()).join(":");
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("kotlin-guide");
        let output = Command::new("java")
            .args(["-cp", &compiler, "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler", "-no-stdlib", "-no-reflect", "-Werror"])
            .args(["-cp", &class_path().join(":")])
            .arg("-d")
            .arg(&folder)
            .args([example("kotlin/Dropslip.kt"), project().join("tests/kotlin/Main.kt")])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        folder
    });
    &CLASSES
}

impl Client {
    fn command(self) -> Command {
        let mut command = match self {
            Self::Curl => Command::new(example("curl/upload.sh")),
            Self::Fetch | Self::Node => Command::new("node"),
            Self::Kotlin => Command::new("java"),
            Self::Python => Command::new(from_servers("TEST_PYTHON")),
        };
        match self {
            Self::Curl => &mut command,
            Self::Fetch => command.arg(PathBuf::from(from_servers("TEST_BROWSER")).join("run_fetch_guide.mjs")),
            Self::Kotlin => {
                let classes = [vec![kotlin_classes().display().to_string()], class_path()].concat();
                command.args(["-cp", &classes.join(":"), "-Dfile.encoding=UTF-8", "MainKt"])
            }
            Self::Node => command.arg(example("node/upload.mjs")),
            Self::Python => command.arg(example("python/upload.py")),
        };
        command
    }

    /// Runs it with one file.
    async fn upload(self, server: &str, token: &str, file: &Path) -> Output {
        let mut command = self.command();
        command.env_clear().env("PATH", std::env::var("PATH").unwrap()).env("LC_ALL", "C.UTF-8");
        command.env("DROPSLIP_SERVER", server).env("DROPSLIP_TOKEN", token).arg(file);
        // The broker under test runs in this process: its runtime must not be kept from running.
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    /// Uploads and finds the file active, with its name and exactly its bytes.
    async fn uploads(self, broker: &TestBroker, server: &str, file: &Path) {
        let output = self.upload(server, &broker.token, file).await;
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{self:?}: {printed}{}", String::from_utf8_lossy(&output.stderr));
        let told: Value = serde_json::from_str(&printed).unwrap_or_else(|_| panic!("{self:?}: {printed}"));
        let id = told["id"].as_i64().unwrap();
        let (_, read) = broker.read(id).await;
        let bytes = std::fs::read(file).unwrap();
        assert_eq!((&told["state"], &read["file"]["state"]), (&"active".into(), &"active".into()), "{self:?}");
        assert_eq!(read["file"]["size"], bytes.len(), "{self:?}");
        assert_eq!(read["file"]["filename"], file.file_name().unwrap().to_str().unwrap(), "{self:?}");
        let sealed =
            broker.database.find_file(&"default".parse().unwrap(), FileId(id)).await.unwrap().unwrap().sealed_key().unwrap().to_string();
        assert!(broker.bytes_of(&sealed).await == bytes, "{self:?}: other bytes");
    }

    /// Is refused, says why, and ends with a failure.
    async fn is_refused(self, broker: &TestBroker, token: &str, file: &Path, said: &str) {
        let output = self.upload(&broker.base, token, file).await;
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{self:?}: {complaint}");
        assert!(complaint.contains(said) && output.stdout.is_empty(), "{self:?}: {complaint}");
        assert!(!complaint.contains(token), "{self:?}: {complaint}");
    }
}

/// A file with this name, in a folder of its own.
fn file(folder: &tempfile::TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

/// More than any buffer on the way holds, and every byte there is.
fn many_bytes() -> Vec<u8> {
    (0..3_000_017_u32).map(|i| u8::try_from((i ^ (i >> 8)) & 0xff).unwrap()).collect()
}

fn signing(bed: Bed, method: &str) -> Setup {
    Setup::on(bed).setting("DROPSLIP_S3_METHOD", method)
}

async fn all_upload(bed: Bed, method: &str) {
    let broker = signing(bed, method).start().await;
    let folder = tempfile::tempdir().unwrap();
    let files = [
        file(&folder, "plain.bin", &many_bytes()),
        file(&folder, "it's an \u{e4}\u{f6} 文書 🖇 ;type=x,a&b=$HOME [1-3]{a,b}.txt", "one line\r\n--\r\n".as_bytes()),
        file(&folder, "@-.txt", b"x"),
    ];
    for client in RUNNABLE {
        for file in &files {
            client.uploads(&broker, &broker.base, file).await;
        }
    }
    assert_eq!(broker.objects().await.len(), RUNNABLE.len() * files.len(), "nothing but the sealed files is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guides_programs_upload_forms_to_the_embedded_store() {
    all_upload(Bed::Embedded, "post").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guides_programs_upload_forms_to_seaweedfs() {
    all_upload(Bed::SeaweedFs, "post").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guides_programs_upload_forms_to_localstack() {
    all_upload(Bed::LocalStack, "post").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guides_programs_put_to_the_embedded_store() {
    all_upload(Bed::Embedded, "put").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guides_programs_put_to_seaweedfs() {
    all_upload(Bed::SeaweedFs, "put").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guides_programs_put_to_localstack() {
    all_upload(Bed::LocalStack, "put").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guides_programs_show_refusals_and_fail() {
    let broker = Setup::on(Bed::Embedded).policy("attachment.toml", short_lived("10m", 10)).start().await;
    let folder = tempfile::tempdir().unwrap();
    let wrong = file(&folder, "a \"b\".exe", b"MZ");
    let large = file(&folder, "large.txt", &[b'a'; 11]);
    // The extension and the bytes disagree, which only shows in step 3.
    let disguised = file(&folder, "picture.txt", b"\x89PNG\r\n\x1a\n");
    let unfit = "mimeType must be one that is taken here; a file that ends in ‘.exe’ is not";
    for client in RUNNABLE {
        client.is_refused(&broker, &broker.token, &wrong, unfit).await;
        client.is_refused(&broker, &broker.token, &large, "size must be 10 or lower").await;
        client.is_refused(&broker, &broker.token, &disguised, "422").await;
        client.is_refused(&broker, "dslip_wrong_token", &large, "401").await;
    }
}

/// Busy once, with a time to come back that no client would choose by itself.
const BUSY: Break = Break::Answer("HTTP/1.1 503 Busy\r\nretry-after: 3\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");

const EXPIRED: Break =
    Break::Answer("HTTP/1.1 403 Forbidden\r\ncontent-length: 34\r\nconnection: close\r\n\r\n<Error><Code>Expired</Code></Error");

/// Uploads through peers that break once where `broker` and `store` say.
async fn gets_through(client: Client, method: &str, broker: Option<(&'static str, Break)>, object_store: Option<Break>) -> Duration {
    let before_store = Proxy::to(&from_servers("TEST_SEAWEEDFS_URL")).await;
    let public = format!("http://{}", before_store.address);
    let started = signing(Bed::SeaweedFs, method).setting("DROPSLIP_S3_PUBLIC_ENDPOINT", public).start().await;
    let before_broker = Proxy::to(&started.base).await;
    if let Some((on, how)) = broker {
        before_broker.breaks_times(on, how, 1);
    }
    if let Some(how) = object_store {
        before_store.breaks_times("HTTP/1.1", how, 1);
    }
    let folder = tempfile::tempdir().unwrap();
    let file = file(&folder, "note.txt", b"gets through");
    let since = Instant::now();
    client.uploads(&started, &format!("http://{}", before_broker.address), &file).await;
    let took = since.elapsed();
    assert_eq!((before_broker.hits(), before_store.hits()), (broker.map_or(0, |_| 1), object_store.map_or(0, |_| 1)), "{client:?}");
    assert_eq!(started.objects().await.len(), 1, "{client:?}: one file for one upload");
    took
}

async fn all_get_through(method: &'static str) {
    let mut running = tokio::task::JoinSet::new();
    let failed = std::sync::Arc::new(Mutex::new(Vec::new()));
    for client in RUNNABLE {
        let failed = failed.clone();
        running.spawn(async move {
            let cases = [
                (Some(("POST /v2", BUSY)), None),
                (Some(("POST /v2", Break::CutAnswer(0))), None),
                (Some(("PATCH /v2", Break::CutAnswer(0))), None),
                (None, Some(BUSY)),
                (None, Some(Break::Answer(INTERNAL_ERROR))),
                (None, Some(Break::Refuse)),
                (None, Some(Break::CutAnswer(0))),
                (None, Some(EXPIRED)),
            ];
            for (broker, object_store) in cases {
                let case = format!("{client:?} {broker:?} {object_store:?}");
                let busy = [broker.map(|(_, how)| how), object_store].contains(&Some(BUSY));
                match tokio::spawn(gets_through(client, method, broker, object_store)).await {
                    Ok(took) if !busy || took >= Duration::from_secs(3) => {}
                    Ok(took) => failed.lock().unwrap().push(format!("{case}: back after {took:?}")),
                    Err(why) => failed.lock().unwrap().push(format!("{case}: {why}")),
                }
            }
        });
    }
    running.join_all().await;
    assert_eq!(*failed.lock().unwrap(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guides_programs_get_through_when_something_fails_once() {
    all_get_through("post").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guides_programs_get_through_with_put_when_something_fails_once() {
    all_get_through("put").await;
}

/// What README.md says a bucket's CORS rules are, for this page.
async fn let_in(broker: &TestBroker, origin: &str) {
    let rule = CorsRule::builder().allowed_origins(origin).allowed_methods("POST").allowed_methods("PUT").allowed_headers("*");
    let rules = CorsConfiguration::builder().cors_rules(rule.expose_headers("ETag").build().unwrap()).build().unwrap();
    broker.s3.put_bucket_cors().bucket(&broker.bucket).cors_configuration(rules).send().await.unwrap();
}

async fn uploads_in_chromium(bed: Bed, method: &str) {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let origin = format!("http://127.0.0.1:{port}");
    let broker = signing(bed, method).setting("DROPSLIP_CORS_ORIGINS", &origin).start().await;
    if bed != Bed::Embedded {
        let_in(&broker, &origin).await;
    }
    let environment = [("BROKER", broker.base.clone()), ("TOKEN", broker.token.clone()), ("PAGE_PORT", port.to_string())];
    run_script("fetch_guide.test.mjs", &environment).await;
    assert_eq!(broker.objects().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fetch_guide_uploads_forms_in_chromium() {
    for bed in [Bed::Embedded, Bed::SeaweedFs, Bed::LocalStack] {
        uploads_in_chromium(bed, "post").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fetch_guide_puts_in_chromium() {
    for bed in [Bed::Embedded, Bed::SeaweedFs, Bed::LocalStack] {
        uploads_in_chromium(bed, "put").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guides_programs_give_up_on_a_broker_that_is_away() {
    let folder = tempfile::tempdir().unwrap();
    let file = file(&folder, "note.txt", b"nobody is there");
    // A port that nobody listens on: it was ours a moment ago.
    let away = format!("http://{}", std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    for client in RUNNABLE {
        let output = client.upload(&away, "dslip_some_token", &file).await;
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{client:?}: {complaint}");
        assert!(complaint.contains("note.txt") && !complaint.contains("dslip_some_token"), "{client:?}: {complaint}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kayakos_page_prints_its_program_and_that_uploads_past_the_broker() {
    let page = std::fs::read_to_string(project().join("docs/kayako-files.md")).unwrap();
    let code = std::fs::read_to_string(example("kayako/upload.sh")).unwrap();
    assert!(page.contains(&format!("\n```bash\n{code}```\n")), "docs/kayako-files.md does not hold examples/kayako/upload.sh as it is");
    let broker = Setup::on(Bed::Embedded).start().await;
    let (server, token, folder) = (broker.base.clone(), broker.token.clone(), tempfile::tempdir().unwrap());
    let path = file(&folder, "it's a \"note\" \u{e4}.txt", b"past the broker");
    let output = tokio::task::spawn_blocking(move || {
        let mut command = Command::new(example("kayako/upload.sh"));
        command.env_clear().env("PATH", std::env::var("PATH").unwrap()).env("LC_ALL", "C.UTF-8");
        command.env("DROPSLIP_SERVER", server).env("DROPSLIP_TOKEN", token).arg(path).output().unwrap()
    });
    let output = output.await.unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_str(&printed).unwrap_or_else(|_| panic!("{printed}"));
    let (_, read) = broker.read(told["data"]["id"].as_i64().unwrap()).await;
    assert_eq!((&read["file"]["state"], &read["file"]["filename"]), (&"active".into(), &told["data"]["name"]), "{read}");
    assert_eq!((&told["data"]["size"], &told["status"]), (&15.into(), &200.into()), "{told}");
}

#[test]
fn every_guide_prints_the_programs_that_are_tested() {
    for (guide, files) in GUIDES {
        let text = std::fs::read_to_string(project().join("docs/guides").join(guide)).unwrap();
        for path in files {
            let code = std::fs::read_to_string(example(path)).unwrap();
            assert!(text.contains(&format!("\n{code}```\n")), "docs/guides/{guide} does not hold examples/{path} as it is");
            assert!(text.contains(&format!("examples/{path}")), "docs/guides/{guide} does not name examples/{path}");
        }
    }
}

#[test]
fn the_swift_of_the_guide_parses() {
    let parse = |path: &Path| {
        let output =
            Command::new(from_servers("TEST_PYTHON")).arg(project().join("tests/oracles/parse_swift.py")).arg(path).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr))
    };
    let (_, files) = GUIDES.iter().find(|(guide, _)| *guide == "swift.md").unwrap();
    for path in *files {
        assert_eq!(parse(&example(path)), (Some(0), String::new()), "{path}");
    }
    let folder = tempfile::tempdir().unwrap();
    let (code, said) = parse(&file(&folder, "broken.swift", b"struct Broken {\n    let a: Int = \n"));
    assert_eq!((code, said.contains("line ")), (Some(1), true), "{said}");
}
