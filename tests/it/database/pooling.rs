//! Postgres behind `PgBouncer`, which gives each client a session of its own, or not.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dropslip::database::{Database, DatabaseError};
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use tempfile::TempDir;

use crate::harness::{Db, answer, database, from_servers, new_file, slip};
use crate::process::{Serving, run, text};

const EMBEDDED: [(&str, &str); 2] = [("DROPSLIP_LISTEN", "127.0.0.1:0"), ("DROPSLIP_EMBEDDED_S3_LISTEN", "127.0.0.1:0")];

/// A part of what is said where a pooler has no sessions.
const REFUSAL: &str = "pool by session";

/// `PgBouncer` before the tests' Postgres, with nothing told to be ignored; ends with this value.
struct Bouncer {
    process: Child,
    port: u16,
    folder: TempDir,
}

impl Bouncer {
    async fn pooling(mode: &str, settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = from_servers("TEST_POSTGRES_URL");
        let (_, server_port) = server.rsplit_once('/').unwrap().0.rsplit_once(':').unwrap();
        let path = folder.path().join("pgbouncer.ini");
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={server_port} user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = any\npool_mode = {mode}\nmax_client_conn = 300\n{settings}\n"
        );
        fs::write(&path, text).unwrap();
        // It refuses to run as root.
        let is_root = text_of("id", &["-u"]) == "0";
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let mut command = Command::new("pgbouncer");
        command.env("PATH", format!("{}:/usr/sbin", std::env::var("PATH").unwrap())).arg("-q").arg(&path);
        if is_root {
            command.args(["-u", "postgres"]);
        }
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let bouncer = Self { process, port, folder };
        let deadline = Instant::now() + Duration::from_secs(30);
        while let Err(error) = PgConnection::connect_with(&plain(&bouncer.url("postgres"))).await {
            let log = fs::read_to_string(bouncer.folder.path().join("log")).unwrap();
            assert!(Instant::now() < deadline, "{error}: {log}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bouncer
    }

    fn url(&self, name: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{name}", self.port)
    }

    /// The same database by this way.
    fn to(&self, direct: &str) -> String {
        self.url(direct.rsplit_once('/').unwrap().1)
    }
}

impl Drop for Bouncer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn plain(url: &str) -> sqlx::postgres::PgConnectOptions {
    url.parse::<sqlx::postgres::PgConnectOptions>().unwrap().extra_float_digits(None)
}

fn text_of(program: &str, arguments: &[&str]) -> String {
    text(&Command::new(program).args(arguments).output().unwrap().stdout).trim().to_owned()
}

/// Everything that a broker does with its database, by the real program.
async fn everything_works(url: &str) {
    let folder = tempfile::tempdir().unwrap();
    let settings =
        [&EMBEDDED[..], &[("DROPSLIP_DATABASE_URL", url), ("DROPSLIP_SWEEP_GRACE", "0"), ("DROPSLIP_DELETED_RETENTION", "0")]].concat();
    let ask = |arguments: &[&str]| {
        let output = run(folder.path(), &settings, arguments);
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        text(&output.stdout)
    };
    // Several at once bring the tables up to date, one after the other.
    std::thread::scope(|scope| {
        for user in ["1", "2", "3", "4"] {
            scope.spawn(move || ask(&["token", "create", "--user", user]));
        }
    });
    // The sessions of the first broker are the second one's afterwards, without what was left in them.
    for round in 0..2 {
        let serving = Serving::start(folder.path(), &settings, ")");
        let token = fs::read_to_string(folder.path().join("data/development-token")).unwrap();
        let http = reqwest::Client::new();
        let call = async |method: &str, path: &str, body: Option<Value>| {
            let request = http.request(method.parse().unwrap(), format!("{}{path}", serving.url())).bearer_auth(token.trim());
            answer(request.body(body.map(|body| body.to_string()).unwrap_or_default())).await
        };
        let delete = async |id: i64| {
            let request = http.delete(format!("{}/v2/files/{id}.json", serving.url())).bearer_auth(token.trim());
            assert_eq!(request.send().await.unwrap().status(), 204);
        };
        fs::write(folder.path().join("note.txt"), "hello").unwrap();
        let uploaded = run(folder.path(), &[], &["upload", "--server", serving.url(), "note.txt", "note.txt", "note.txt"]);
        assert!(uploaded.status.success(), "{}", text(&uploaded.stderr));
        // More at once than there are connections.
        let slips = (0..60).map(|_| call("POST", "/v2/files/ref.json", Some(new_file("many.txt", "text/plain"))));
        for (status, body) in futures_util::future::join_all(slips).await {
            assert_eq!(status, 201, "{body}");
            delete(slip(body).id).await;
        }
        for query in ["", "?q=NOTE", "?orderBy=filename", "?filter=%7B%22size%22:5%7D", "?q=note&orderBy=size&page=1"] {
            let (status, page) = call("GET", &format!("/v2/files.json{query}"), None).await;
            assert_eq!((status.as_u16(), page["files"].as_array().map(Vec::len)), (200, Some(3)), "{round} {query}: {page}");
        }
        let (_, page) = call("GET", "/v2/files.json", None).await;
        let renamed = page["files"][0]["id"].as_i64().unwrap();
        let path = format!("/v2/files/{renamed}.json");
        assert_eq!(call("PATCH", &path, Some(json!({"filename": "other.txt"}))).await.1["file"]["filename"], "other.txt");
        for file in page["files"].as_array().unwrap() {
            delete(file["id"].as_i64().unwrap()).await;
        }
        assert_eq!(http.get(format!("{}/readyz", serving.url())).send().await.unwrap().status(), 200);
        assert_eq!(serving.terminate().0, 0);
        ask(&["sweep", "--once"]);
        assert_eq!(ask(&["sweep", "--dry-run"]), "waiting: 0 expired temp files, 0 doomed objects, 0 deleted files to purge\n");
        assert_eq!(ask(&["audit"]), "audited 0 files and 0 objects: 0 lost, 0 forged, 0 orphaned\n");
        assert!(ask(&["token", "list"]).contains("users 4"));
    }
    assert_eq!(database_row(folder.path(), &settings)["status"], "ok");
}

/// What `dropslip check` says of the database.
fn database_row(folder: &std::path::Path, settings: &[(&str, &str)]) -> Value {
    let rows: Vec<Value> = serde_json::from_slice(&run(folder, settings, &["check", "--json"]).stdout).unwrap();
    rows.into_iter().find(|row| row["check"] == "database").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_that_pools_by_session_is_as_good_as_the_database_itself() {
    let bouncer = Bouncer::pooling("session", "default_pool_size = 40").await;
    let direct = database(Db::Postgres, &bouncer.folder).await;
    everything_works(&bouncer.to(&direct)).await;
    let direct = database(Db::Postgres, &bouncer.folder).await;
    everything_works(&direct).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_without_sessions_is_refused_in_words_and_nothing_is_made() {
    for (mode, more) in [
        ("transaction", ""),
        ("transaction", "server_round_robin = 1"),
        ("transaction", "default_pool_size = 1"),
        ("transaction", "min_pool_size = 10"),
        ("transaction", "server_round_robin = 1\nmin_pool_size = 10"),
        ("statement", ""),
    ] {
        let bouncer = Bouncer::pooling(mode, more).await;
        let direct = database(Db::Postgres, &bouncer.folder).await;
        let pooled = bouncer.to(&direct);
        let folder = tempfile::tempdir().unwrap();
        let settings = [&EMBEDDED[..], &[("DROPSLIP_DATABASE_URL", pooled.as_str())]].concat();
        for command in [&["serve"][..], &["token", "create", "--user", "1"], &["token", "list"], &["sweep", "--once"]] {
            let began = Instant::now();
            let refused = run(folder.path(), &settings, command);
            let said = text(&refused.stderr);
            assert!(refused.status.code() == Some(1) && said.contains(REFUSAL), "{mode} {more} {command:?}: {said}");
            assert!(began.elapsed() < Duration::from_secs(10), "{mode} {more} {command:?} took {:?}", began.elapsed());
        }
        let row = database_row(folder.path(), &settings);
        assert!(row["status"] == "error" && row["found"].as_str().unwrap().contains(REFUSAL), "{mode} {more}: {row}");
        let mut connection = PgConnection::connect(&direct).await.unwrap();
        let tables: i64 =
            sqlx::query_scalar("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetch_one(&mut connection).await.unwrap();
        assert_eq!(tables, 0, "{mode} {more}");
        let direct = [&EMBEDDED[..], &[("DROPSLIP_DATABASE_URL", direct.as_str())]].concat();
        assert!(run(folder.path(), &direct, &["token", "create", "--user", "1"]).status.success(), "the same settings otherwise");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_without_sessions_is_seen_while_others_use_it() {
    let bouncer = Bouncer::pooling("transaction", "default_pool_size = 5").await;
    let direct = database(Db::Postgres, &bouncer.folder).await;
    let pooled = bouncer.to(&direct);
    let others: Vec<_> = (0..8)
        .map(|_| {
            let options = plain(&pooled);
            tokio::spawn(async move {
                let mut connection = PgConnection::connect_with(&options).await.unwrap();
                loop {
                    sqlx::raw_sql("SELECT pg_sleep(0.001)").execute(&mut connection).await.unwrap();
                }
            })
        })
        .collect();
    for _ in 0..20 {
        let refused = Database::open(&pooled).await.err();
        assert!(matches!(refused, Some(DatabaseError::Pooled)), "{refused:?}");
    }
    for other in others {
        assert!(!other.is_finished(), "nobody else used it");
        other.abort();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bounds_of_time_are_in_force_behind_a_pooler_and_without_one() {
    let bouncer = Bouncer::pooling("session", "default_pool_size = 40").await;
    let direct = database(Db::Postgres, &bouncer.folder).await;
    for url in [bouncer.to(&direct), direct.clone()] {
        let database = Database::open(&url).await.unwrap();
        let mut holding = PgConnection::connect(&direct).await.unwrap();
        let mut holding = holding.begin().await.unwrap();
        sqlx::raw_sql("LOCK TABLE storage IN ACCESS EXCLUSIVE MODE").execute(&mut *holding).await.unwrap();
        let refused = database.bind_storage("x").await.unwrap_err();
        assert!(matches!(refused, DatabaseError::Unavailable(_)) && refused.to_string().contains("statement timeout"), "{url}: {refused}");
        holding.rollback().await.unwrap();
        assert_eq!(database.bind_storage("x").await.unwrap(), "x");
        database.close().await;
    }
}
