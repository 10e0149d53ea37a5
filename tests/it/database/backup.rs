//! The guide in docs/backup.md, carried out: a database is lost and comes back from its copy, with every file that it knew.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use dropslip::database::Database;
use dropslip::domain::sqlite_url::path_in;
use dropslip::domain::{FileId, FileState, sqlite_url};

use crate::faults::world::{Program, World, granted};
use crate::harness::{Db, answer, execute, from_servers, project, unique};
use crate::process::{self, Serving, text};

/// A command of the guide as it stands there, with the guide's places and names replaced by those of the test.
fn as_written(world: &World, command: &str, places: &[(&str, &str)]) -> Command {
    let guide = fs::read_to_string(project().join("docs/backup.md")).unwrap();
    assert!(guide.lines().any(|line| line.trim() == command), "‘{command}’ is not in docs/backup.md");
    let command = places.iter().fold(command.to_owned(), |command, (place, real)| command.replace(place, real));
    if let Some(arguments) = command.strip_prefix("dropslip ") {
        return world.command(None, &arguments.split(' ').collect::<Vec<_>>());
    }
    let mut shell = Command::new("bash");
    shell.args(["-euc", &command]);
    shell
}

fn said(mut command: Command) -> (Option<i32>, String) {
    let output = command.output().unwrap();
    (output.status.code(), format!("{}{}", text(&output.stdout), text(&output.stderr)))
}

fn done(command: Command) {
    let (code, said) = said(command);
    assert_eq!(code, Some(0), "{said}");
}

/// Runs it while slips are asked for, at least twenty.
async fn done_among_others(world: &World, program: &Program, mut command: Command) {
    let mut child = command.spawn().unwrap();
    let (mut asked, mut ended) = (0, None);
    while ended.is_none() || asked < 20 {
        granted(world.authorize(program, "kept", None).await);
        asked += 1;
        ended = ended.or_else(|| child.try_wait().unwrap());
    }
    assert!(child.wait().unwrap().success());
}

/// The role that a broker uses in production: it owns its database and may do nothing else.
const ROLE: &str = "broker_of_tests";

/// A database that belongs to [`ROLE`].
async fn of_a_role() -> String {
    let server = from_servers("TEST_POSTGRES_URL");
    let name = unique("test_");
    execute(
        &server,
        &format!("DO $$ BEGIN CREATE ROLE {ROLE} LOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"),
    )
    .await;
    execute(&server, &format!("CREATE DATABASE {name} OWNER {ROLE}")).await;
    let (base, _) = server.rsplit_once('/').unwrap();
    format!("{}/{name}", base.replace("//postgres@", &format!("//{ROLE}@")))
}

async fn comes_back(db: Db) {
    let mut world = match db {
        Db::Sqlite => World::new(db).await,
        Db::Postgres => World::at(&of_a_role().await).await,
    };
    let mut program = world.start(None).await;
    let folder = world.folder.path().display().to_string();
    let database = path_in(&world.database_url);
    let places = [
        ("/backup", folder.as_str()),
        ("/var/lib/dropslip/dropslip.db", &database),
        ("postgres://dropslip@db.internal/dropslip", &world.database_url),
    ];
    let places: Vec<(&str, String)> = places.map(|(place, real)| (place, real.to_owned())).into();
    let places: Vec<(&str, &str)> = places.iter().map(|(place, real)| (*place, real.as_str())).collect();

    // What the copy must know: files, one of them confirmed after the disaster, and a slip that nobody used.
    for _ in 0..3 {
        let (slip, bytes) = world.uploaded(&program, "kept").await;
        assert_eq!(world.confirm(&program, slip.id).await.unwrap().status, 200);
        world.must_keep(slip.id, &bytes);
    }
    let (later, later_bytes) = world.uploaded(&program, "kept").await;
    world.slip(&program, "kept").await;

    // The copy is made while slips are asked for.
    match db {
        Db::Sqlite => {
            done_among_others(&world, &program, as_written(&world, "dropslip backup /backup/dropslip.db", &places)).await;
            let (again, said) = said(as_written(&world, "dropslip backup /backup/dropslip.db", &places));
            assert!(again == Some(1) && said.contains("exists"), "a copy is never replaced: {said}");
        }
        Db::Postgres => {
            let dump = "pg_dump --format=custom --file=/backup/dropslip.dump --dbname=postgres://dropslip@db.internal/dropslip";
            done_among_others(&world, &program, as_written(&world, dump, &places)).await;
        }
    }

    // What it cannot know.
    let (lost, _) = world.uploaded(&program, "kept").await;
    assert_eq!(world.confirm(&program, lost.id).await.unwrap().status, 200);

    // The disaster.
    program.signal("-KILL");
    program.end().await;
    match db {
        Db::Sqlite => {
            for file in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
                if file.to_string_lossy().starts_with(&database) {
                    fs::remove_file(file).unwrap();
                }
            }
            done(as_written(&world, "install -m 600 /backup/dropslip.db /var/lib/dropslip/dropslip.db", &places));
        }
        Db::Postgres => {
            let (_, name) = world.database_url.rsplit_once('/').unwrap();
            let server = from_servers("TEST_POSTGRES_URL");
            let sql = format!("DROP DATABASE {name} WITH (FORCE)");
            let dropped = Command::new("psql").args([server.as_str(), "-qc", &sql]).output().unwrap();
            assert!(dropped.status.success(), "{}", text(&dropped.stderr));
            let created = "psql postgres://postgres@db.internal/postgres -c \"CREATE DATABASE dropslip OWNER dropslip\"";
            done(as_written(
                &world,
                created,
                &[
                    ("postgres://postgres@db.internal/postgres", &server),
                    ("DATABASE dropslip OWNER dropslip", &format!("DATABASE {name} OWNER {ROLE}")),
                ],
            ));
            let restore = "pg_restore --exit-on-error --single-transaction --no-owner --dbname=postgres://dropslip@db.internal/dropslip /backup/dropslip.dump";
            done(as_written(&world, restore, &places));
        }
    }

    // Numbers that were given away after the copy are not given again.
    let further = match db {
        Db::Sqlite => "sqlite3 /var/lib/dropslip/dropslip.db \"UPDATE sqlite_sequence SET seq = seq + 1000000 WHERE name = 'files'\"",
        Db::Postgres => {
            "psql postgres://dropslip@db.internal/dropslip -c \"SELECT setval('files_id_seq', (SELECT last_value FROM files_id_seq) + 1000000)\""
        }
    };
    done(as_written(&world, further, &places));
    let program = world.start(None).await;
    world.assert_ready(&program, "restored").await;
    let (code, said) = said(as_written(&world, "dropslip reconcile", &places));
    assert!(code == Some(1) && said.contains(" 0 lost, 0 forged, 1 orphaned"), "the file that the copy does not know is named: {said}");
    assert_eq!(world.confirm(&program, later.id).await.unwrap().status, 200, "what had arrived can be confirmed");
    world.must_keep(later.id, &later_bytes);
    let next = world.slip(&program, "kept").await;
    assert!(next.id > lost.id + 100_000, "{} was given after {}", next.id, lost.id);
    assert_eq!(
        world.ask(&program, "GET", &format!("/v2/files/{}.json", lost.id), None, &serde_json::Value::Null).await.unwrap().status,
        404
    );

    let database = Database::open(&world.database_url).await.unwrap();
    for (id, bytes) in world.kept() {
        let file = database.find_file(&"default".parse().unwrap(), FileId(id)).await.unwrap().unwrap();
        assert_eq!(file.state(), FileState::Active);
        let object = world.s3.get_object().bucket(&world.bucket).key(file.sealed_key().unwrap().as_str()).send().await.unwrap();
        assert_eq!(object.body.collect().await.unwrap().to_vec(), bytes, "file {id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_database_comes_back_from_its_copy_on_sqlite() {
    comes_back(Db::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_database_comes_back_from_its_copy_on_postgres() {
    comes_back(Db::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_takes_nothing_over_and_leaves_nothing_half_done() {
    let mut world = World::new(Db::Sqlite).await;
    let folder = tempfile::tempdir().unwrap();
    let names = || {
        let mut names: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    let target = folder.path().join("copy.db");
    let backup = |world: &World| said(world.command(None, &["backup", target.to_str().unwrap()]));
    // What somebody else, or a backup that was killed, left where the copy was once written first.
    let (victim, planted) = (folder.path().join("victim"), folder.path().join("copy.db.partial"));
    fs::write(&victim, "precious").unwrap();
    std::os::unix::fs::symlink(&victim, &planted).unwrap();
    assert_eq!(backup(&world).0, Some(0));
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    let copy = fs::symlink_metadata(&target).unwrap();
    assert!(copy.is_file() && copy.permissions().mode() & 0o777 == 0o600, "{copy:?}");
    assert_eq!(names(), ["copy.db", "copy.db.partial", "victim"]);

    fs::remove_file(&target).unwrap();
    world.set("DROPSLIP_DATABASE_URL", &sqlite_url(&folder.path().join("nothing.db")));
    let (code, complaint) = backup(&world);
    assert!(code == Some(1) && complaint.contains("unable to open"), "{complaint}");
    assert_eq!(names(), ["copy.db.partial", "victim"], "a copy that failed leaves nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_broker_goes_on_with_newer_tables_and_does_not_start_on_them() {
    for db in [Db::Sqlite, Db::Postgres] {
        let world = World::new(db).await;
        let program = world.start(None).await;
        // What a newer version leaves behind: one migration more.
        world
            .execute(
                "INSERT INTO _sqlx_migrations (version, description, installed_on, success, checksum, execution_time) \
                 SELECT 9999, 'newer', installed_on, success, checksum, execution_time FROM _sqlx_migrations WHERE version = 1",
            )
            .await;
        let (slip, _) = world.uploaded(&program, "kept").await;
        assert_eq!(world.confirm(&program, slip.id).await.unwrap().status, 200);
        world.assert_ready(&program, "beside a newer one").await;
        let refused = world.command(None, &["serve"]).output().unwrap();
        let complaint = text(&refused.stderr);
        assert!(refused.status.code() == Some(1) && complaint.contains("made by another version of dropslip"), "{db:?}: {complaint}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_the_embedded_mode_has_the_secret_without_which_all_links_would_end() {
    let folder = tempfile::tempdir().unwrap();
    let settings = [("DROPSLIP_LISTEN", "127.0.0.1:0"), ("DROPSLIP_EMBEDDED_S3_LISTEN", "127.0.0.1:0")];
    let at = |name: &str| folder.path().join(name);
    let start = || Serving::start(folder.path(), &settings, ")");
    let run = |arguments: &[&str]| {
        let output = process::run(folder.path(), &settings, arguments);
        (output.status.code(), text(&output.stdout) + &text(&output.stderr))
    };
    let broker = start();
    fs::write(at("a.txt"), "Hello").unwrap();
    assert_eq!(run(&["upload", "--server", broker.url(), "a.txt"]).0, Some(0));
    let token = fs::read_to_string(at("data/development-token")).unwrap();
    let http = reqwest::Client::new();
    let asked = async |request: reqwest::RequestBuilder| answer(request.bearer_auth(token.trim())).await.1;
    let file = asked(http.get(format!("{}/v2/files/1.json", broker.url()))).await;
    let made = asked(http.post(format!("{}/companion/tokens.json", broker.url())).body(r#"{"types": ["attachment"]}"#)).await;
    let paths = [
        format!("/v2/files/1/download?proxyKey={}", file["file"]["proxyKey"].as_str().unwrap()),
        format!("{}/s3/params?filename=a.txt", made["companionEndpoint"].as_str().unwrap().strip_prefix(broker.url()).unwrap()),
    ];
    let statuses = async |broker: &Serving| {
        let mut statuses = Vec::new();
        for path in &paths {
            statuses.push(http.get(format!("{}{path}", broker.url())).send().await.unwrap().status().as_u16());
        }
        statuses
    };
    assert_eq!(statuses(&broker).await, [200, 200]);

    let (code, said) = run(&["backup", "copy.db"]);
    assert!(code == Some(0) && said.contains("copied the installation secret to copy.db.installation-secret"), "{said}");
    let kept = fs::metadata(at("copy.db.installation-secret")).unwrap();
    assert_eq!(kept.permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read(at("copy.db.installation-secret")).unwrap(), fs::read(at("data/installation-secret")).unwrap());
    // What is there is never replaced, and then there is no half of a copy.
    fs::write(at("other.db.installation-secret"), "precious").unwrap();
    let (code, said) = run(&["backup", "other.db"]);
    assert!(code == Some(1) && said.contains("never replaced") && !at("other.db").exists(), "{said}");
    assert_eq!(fs::read_to_string(at("other.db.installation-secret")).unwrap(), "precious");

    broker.terminate();
    for name in ["dropslip.db", "dropslip.db-wal", "dropslip.db-shm", "installation-secret"] {
        let _ = fs::remove_file(at("data").join(name));
    }
    fs::copy(at("copy.db"), at("data/dropslip.db")).unwrap();
    let without = start();
    assert_eq!(statuses(&without).await, [401, 401], "by another secret");
    without.terminate();
    fs::copy(at("copy.db.installation-secret"), at("data/installation-secret")).unwrap();
    assert_eq!(statuses(&start()).await, [200, 200]);
}
