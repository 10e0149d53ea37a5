//! What tokens may do: file types, an end of their own, and tokens that the operator keeps in a file.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use dropslip::domain::{Actor, ActorKind, Caller, Scopes, TypeLimit};
use dropslip::tokens::{Token, Tokens};
use reqwest::StatusCode;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::harness::{Bed, Db, Setup, TestBroker, answer, new_file, slip};
use crate::process::{run, text};

impl TestBroker {
    async fn token_for(&self, kind: ActorKind, types: &str, expires_at: Option<OffsetDateTime>) -> String {
        let caller = Caller {
            actor: Actor { id: 1, kind },
            tenant: "default".parse().unwrap(),
            scopes: Scopes::all(),
            types: if types.is_empty() { TypeLimit::default() } else { types.parse().unwrap() },
            dialect: None,
        };
        let tokens = Tokens::new(self.database.clone(), None);
        tokens.create_until(&caller, expires_at, OffsetDateTime::now_utc()).await.unwrap().1.reveal().to_owned()
    }

    async fn send(&self, method: &str, path: &str, token: &str, body: Option<Value>) -> (StatusCode, Value) {
        let request = self.http.request(method.parse().unwrap(), format!("{}{path}", self.base)).bearer_auth(token);
        answer(if let Some(body) = body { request.body(body.to_string()) } else { request }).await
    }

    async fn listed(&self, token: &str) -> Vec<i64> {
        let (status, page) = self.send("GET", "/v2/files.json", token, None).await;
        assert_eq!(status, 200, "{page}");
        page["files"].as_array().unwrap().iter().map(|file| file["id"].as_i64().unwrap()).collect()
    }
}

fn image() -> Value {
    json!({"type": "image", "filename": "a.gif", "mimeType": "image/gif"})
}

/// The smallest picture there is.
const GIF: &[u8] = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;";

async fn a_token_for_some_file_types_meets_no_others(db: Db) {
    let broker = Setup::on(Bed::Embedded).database(db).start().await;
    for kind in [ActorKind::Users, ActorKind::Customers] {
        let all = broker.token_for(kind, "", None).await;
        let images = broker.token_for(kind, "image", None).await;
        let both = broker.token_for(kind, "image,attachment", None).await;

        let (status, body) = broker.send("POST", "/v2/files/ref.json", &images, Some(new_file("a.txt", "text/plain"))).await;
        assert_eq!((status.as_u16(), body), (403, json!({"errors": {"authorization": ["must be for the file type ‘attachment’"]}})));
        let unknown = json!({"type": "no-such-type", "filename": "a", "mimeType": ""});
        assert_eq!(broker.send("POST", "/v2/files/ref.json", &images, Some(unknown)).await.0, 400);

        let mut made = Vec::new();
        for (token, file, bytes) in [(&both, new_file("a.txt", "text/plain"), &b"hello"[..]), (&images, image(), GIF)] {
            let (status, body) = broker.send("POST", "/v2/files/ref.json", token, Some(file)).await;
            assert_eq!(status, 201, "{body}");
            let slip = slip(body);
            broker.drop_bytes(&slip, bytes).await;
            made.push(slip);
        }
        let (text, picture) = (&made[0], &made[1]);
        let path = format!("/v2/files/{}", text.id);
        for (method, path) in [
            ("GET", format!("{path}.json")),
            ("PATCH", format!("{path}.json")),
            ("PUT", format!("{path}.json")),
            ("POST", format!("{path}/ref.json")),
            ("GET", format!("{path}/parts.json")),
            ("DELETE", format!("{path}/parts.json")),
            ("DELETE", format!("{path}.json")),
            ("POST", format!("{path}/restore.json")),
            ("POST", format!("/companion/s3/confirm?key={}", text.param("key"))),
        ] {
            assert_eq!(broker.send(method, &path, &images, None).await.0, 404, "{method} {path}: another type's file is no file");
        }
        for slip in [text, picture] {
            let (status, body) = broker.send("PATCH", &format!("/v2/files/{}.json", slip.id), &both, None).await;
            assert_eq!(status, 200, "{body}");
        }
        // No order, filter or list of numbers shows more, and nothing is counted that is not shown.
        let (token, id) = (&images, text.id);
        for query in [
            format!("ids={id}"),
            "orderBy=createdAt&orderMode=desc".to_owned(),
            "orderBy=size&filter=%7B%22type%22:%22attachment%22%7D".to_owned(),
            "filter=%7B%22$or%22:%5B%7B%22type%22:%22attachment%22%7D,%7B%22type%22:%22image%22%7D%5D%7D".to_owned(),
            "q=a".to_owned(),
        ] {
            let (status, page) = broker.send("GET", &format!("/v2/files.json?{query}"), token, None).await;
            let files = page["files"].as_array().unwrap();
            assert!(page["pagination"]["records"].as_u64().is_none_or(|records| records == files.len() as u64), "{query}: {page}");
            let whole = broker.send("GET", &format!("/v2/files.json?{query}"), &both, None).await.1["files"].take();
            let (images, others): (Vec<_>, Vec<_>) = whole.as_array().unwrap().iter().partition(|file| file["type"] == "image");
            assert!(others.iter().any(|file| file["id"] == id), "{query} is about another type's file: {whole}");
            let numbers = |files: &[&Value]| files.iter().map(|file| file["id"].clone()).collect::<Vec<_>>();
            assert_eq!((status.as_u16(), numbers(&files.iter().collect::<Vec<_>>())), (200, numbers(&images)), "{query}");
        }
        let (status, removed) = broker.send("DELETE", &format!("/v2/files.json?ids={id}"), token, None).await;
        assert!(status == 200 && removed.to_string().contains("notFound"), "{removed}");
        let (all, both, images) = (broker.listed(&all).await, broker.listed(&both).await, broker.listed(&images).await);
        assert_eq!(all, both);
        assert!(
            both.contains(&text.id) && both.contains(&picture.id) && !images.contains(&text.id) && images[0] == picture.id,
            "{both:?} {images:?}"
        );
    }
    let images = broker.token_for(ActorKind::Users, "image", None).await;
    let (_, types) = broker.send("GET", "/v2/file-types.json", &images, None).await;
    let names: Vec<_> = types["fileTypes"].as_array().unwrap().iter().map(|rule| rule["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["image"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_for_some_file_types_meets_no_others_on_sqlite() {
    a_token_for_some_file_types_meets_no_others(Db::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_for_some_file_types_meets_no_others_on_postgres() {
    a_token_for_some_file_types_meets_no_others(Db::Postgres).await;
}

/// A back end that only uploads, or only cleans up, is no way to what others uploaded.
async fn who_may_not_read_gets_no_link(db: Db) {
    let broker = Setup::on(Bed::Embedded).database(db).start().await;
    let file = broker.active_note("a").await;
    let (path, links) = (format!("/v2/files/{file}.json"), ["downloadURL", "proxyKey", "s3Path"]);
    let restore = format!("/v2/files/{file}/restore.json");
    let writer = broker.new_token("default", 9, "files:write").await;
    let deleter = broker.new_token("default", 9, "files:delete").await;
    for (token, method, path) in [(&writer, "PATCH", &path), (&writer, "PUT", &path), (&deleter, "POST", &restore)] {
        let (status, body) = broker.send(method, path, token, Some(json!({}))).await;
        assert_eq!(
            (status.as_u16(), body),
            (403, json!({"errors": {"authorization": ["must have the scope files:read"]}})),
            "{method} {path}"
        );
    }
    // Nor by saying what is so already.
    for body in [json!({"updatedAt": "2026-01-01T00:00:00Z"}), json!({"disposition": "attachment"}), json!({"file": {"id": file}})] {
        assert_eq!(broker.send("PATCH", &path, &writer, Some(body.clone())).await.0.as_u16(), 403, "{body}");
    }
    // What they do, and their own, they are told of.
    let (status, renamed) = broker.send("PATCH", &path, &writer, Some(json!({"filename": "b.txt"}))).await;
    assert_eq!((status.as_u16(), &renamed["file"]["filename"]), (200, &json!("b.txt")));
    let (status, again) = broker.send("PATCH", &path, &writer, Some(json!({}))).await;
    assert_eq!((status.as_u16(), &again["file"]["filename"]), (200, &json!("b.txt")), "asked again by who did it");
    let gone = broker.http.delete(format!("{}{path}", broker.base)).bearer_auth(&deleter).send().await.unwrap();
    assert_eq!(gone.status(), 204);
    let (status, restored) = broker.send("POST", &restore, &deleter, None).await;
    assert_eq!((status.as_u16(), &restored["file"]["state"]), (200, &json!("active")));
    let asked = async || {
        let request = broker.http.post(format!("{}/v2/files/ref.json", broker.base)).bearer_auth(&writer).header("idempotency-key", "k");
        answer(request.body(new_file("own.txt", "text/plain").to_string())).await
    };
    let own = slip(asked().await.1);
    broker.drop_bytes(&own, b"mine").await;
    let confirmed = broker.send("PATCH", &format!("/v2/files/{}.json", own.id), &writer, None).await.1;
    let again = broker.send("PATCH", &format!("/v2/files/{}.json", own.id), &writer, None).await.1;
    assert_eq!(again, confirmed, "repeated after an answer that was lost");
    let by_key = asked().await.1;
    assert_eq!(by_key["file"]["id"], own.id);
    for answer in [renamed, restored, confirmed, by_key] {
        for link in links {
            assert_eq!(answer["file"][link], "", "{link}");
        }
    }
    let reader = broker.new_token("default", 9, "files:read,files:write").await;
    assert!(broker.send("PATCH", &path, &reader, None).await.1["file"]["downloadURL"].as_str().unwrap().contains("proxyKey="));
}

#[tokio::test]
async fn who_may_not_read_gets_no_link_on_sqlite() {
    who_may_not_read_gets_no_link(Db::Sqlite).await;
}

#[tokio::test]
async fn who_may_not_read_gets_no_link_on_postgres() {
    who_may_not_read_gets_no_link(Db::Postgres).await;
}

#[tokio::test]
async fn an_upload_token_is_for_no_more_than_its_maker() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let images = broker.token_for(ActorKind::Users, "image", None).await;
    let (status, body) = broker.send("POST", "/companion/tokens.json", &images, Some(json!({"types": ["attachment", "image"]}))).await;
    assert_eq!((status.as_u16(), &body["message"]), (403, &json!("the token must be for the file type ‘attachment’")));
    let (status, body) = broker.send("POST", "/companion/tokens.json", &images, Some(json!({"types": ["image"]}))).await;
    assert_eq!(status, 201, "{body}");
    let (status, body) = broker.send("GET", "/companion/s3/params?filename=a.gif", &images, None).await;
    assert_eq!(status, 200, "its one type is the default: {body}");
    let refused = broker.send("GET", "/companion/s3/params?filename=a.txt&metadata[fileType]=attachment", &images, None).await;
    assert_eq!(
        refused,
        (
            StatusCode::BAD_REQUEST,
            json!({"message": "fileType must be one of ‘image’", "errors": {"fileType": ["must be one of ‘image’"]}})
        )
    );
}

/// Asks with a token until the answer has that status.
async fn until(broker: &TestBroker, token: &str, status: u16) {
    let deadline = Instant::now() + Duration::from_secs(15);
    loop {
        let (answered, body) = broker.send("GET", "/v2/files.json", token, None).await;
        if answered == status {
            return;
        }
        assert!(Instant::now() < deadline, "{answered} {body}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_token_ends_when_it_was_told_to_and_what_was_made_of_it_too() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let past = broker.token_for(ActorKind::Users, "", Some(OffsetDateTime::now_utc())).await;
    assert_eq!(broker.send("GET", "/v2/files.json", &past, None).await.0, 401);
    let ends_at = OffsetDateTime::now_utc() + time::Duration::seconds(4);
    let short = broker.token_for(ActorKind::Users, "", Some(ends_at)).await;
    assert_eq!(broker.send("GET", "/v2/files.json", &short, None).await.0, 200);
    let (status, made) = broker.send("POST", "/companion/tokens.json", &short, Some(json!({"types": ["image"], "seconds": 3600}))).await;
    assert_eq!(status, 201, "{made}");
    let told = OffsetDateTime::parse(made["expiresAt"].as_str().unwrap(), &time::format_description::well_known::Rfc3339).unwrap();
    assert!(told <= ends_at, "{made}");
    until(&broker, &short, 401).await;
    let endpoint = made["companionEndpoint"].as_str().unwrap();
    assert_eq!(answer(broker.http.get(format!("{endpoint}/s3/params?filename=a.gif"))).await.0, 401);
}

/// Feeds the program a text.
fn fed(folder: &Path, arguments: &[&str], input: &str) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dropslip"));
    command.env_clear().current_dir(folder).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_a_file_come_and_go_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.toml");
    let made = run(
        folder.path(),
        &[],
        &[
            "token",
            "create",
            "--print-only",
            "--user",
            "7",
            "--type",
            "customers",
            "--tenant",
            "acme",
            "--scopes",
            "files:read,files:write",
            "--file-types",
            "image,attachment",
            "--expires-in",
            "30d",
        ],
    );
    let (token, entry) = (text(&made.stdout).trim().to_owned(), text(&made.stderr));
    assert!(
        made.status.success() && !entry.contains(&token) && fs::read_dir(folder.path()).unwrap().count() == 0,
        "nothing is kept: {entry}"
    );
    let by_hand = Token::generate().reveal().to_owned();
    let (code, hash, said) = fed(folder.path(), &["token", "hash"], &format!("{by_hand}\n"));
    assert_eq!((code, hash.trim().len()), (Some(0), 64), "{said}");
    for bad in ["", "hunter2", &format!("{by_hand} {by_hand}")] {
        let (code, out, said) = fed(folder.path(), &["token", "hash"], bad);
        assert!(code == Some(1) && out.is_empty() && !said.contains("hunter2") && !said.contains(&by_hand), "{said}");
    }
    let second = format!("[[token]]\nname = \"by hand\"\nsha256 = \"{}\"\nuser = 8\nscopes = [\"files:read\"]\n", hash.trim());
    fs::write(&path, format!("{entry}\n{second}")).unwrap();

    let broker = Setup::on(Bed::Embedded).setting("DROPSLIP_TOKENS_FILE", path.to_str().unwrap()).start().await;
    let (status, body) = broker.send("POST", "/v2/files/ref.json", &token, Some(new_file("a.txt", "text/plain"))).await;
    assert_eq!((status.as_u16(), &body["file"]["createdBy"]), (201, &json!({"id": 7, "type": "customers"})), "{body}");
    let artifact = json!({"type": "artifact", "filename": "a.zip", "mimeType": ""});
    assert_eq!(broker.send("POST", "/v2/files/ref.json", &token, Some(artifact)).await.0, 403, "not one of its file types");
    assert_eq!(broker.send("POST", "/v2/files/ref.json", &by_hand, Some(image())).await.0, 403, "it may read only");
    assert_eq!(broker.send("GET", "/v2/files.json", &by_hand, None).await.0, 200);
    let (mut half, secret) = by_hand.rsplit_once('_').map(|(half, secret)| (half.to_owned(), secret.to_owned())).unwrap();
    half.push('_');
    half.extend(secret.chars().rev());
    assert_eq!(broker.send("GET", "/v2/files.json", &half, None).await.0, 401, "the same public half with another secret");
    assert_eq!(broker.send("GET", "/v2/files.json", hash.trim(), None).await.0, 401, "the hash is no token");

    // An upload token made of one ends with it.
    let (status, made) = broker.send("POST", "/companion/tokens.json", &token, Some(json!({"types": ["image"]}))).await;
    assert_eq!(status, 201, "{made}");
    let endpoint = made["companionEndpoint"].as_str().unwrap().to_owned();
    let uploads = async || answer(broker.http.get(format!("{endpoint}/s3/params?filename=a.gif"))).await.0.as_u16();
    assert_eq!(uploads().await, 200);

    fs::write(&path, format!("{second}\n[[token]]\nname = 3\n")).unwrap();
    let failure = broker.server.tokens.reload().await.unwrap_err();
    assert!(failure.starts_with("DROPSLIP_TOKENS_FILE: line 8: "), "{failure}");
    assert_eq!(
        (uploads().await, broker.send("GET", "/v2/files.json", &token, None).await.0.as_u16()),
        (200, 200),
        "a broken file takes nothing away"
    );

    fs::write(&path, &second).unwrap();
    until(&broker, &token, 401).await;
    assert_eq!((uploads().await, broker.send("GET", "/v2/files.json", &by_hand, None).await.0.as_u16()), (401, 200));
    fs::write(&path, format!("{second}expires_at = 2020-01-01T00:00:00Z\n")).unwrap();
    until(&broker, &by_hand, 401).await;
    fs::write(&path, &entry).unwrap();
    until(&broker, &token, 200).await;
    assert_eq!(broker.send("GET", "/v2/files.json", &broker.token, None).await.0, 200, "tokens of the database are as they were");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_in_both_file_and_database_ends_with_either() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.toml");
    fs::write(&path, "").unwrap();
    let broker = Setup::on(Bed::Embedded).setting("DROPSLIP_TOKENS_FILE", path.to_str().unwrap()).start().await;
    let tokens = Tokens::new(broker.database.clone(), None);
    let entry = |token: &str, end: &str| {
        let hash = hex::encode(Token::parse(token).unwrap().sha256());
        format!("[[token]]\nname = \"a\"\nsha256 = \"{hash}\"\nuser = 8\nscopes = [\"files:read\", \"files:write\"]\n{end}\n")
    };
    let upload_token = async |token: &str| {
        let (status, made) = broker.send("POST", "/companion/tokens.json", token, Some(json!({"types": ["image"]}))).await;
        assert_eq!(status, 201, "{made}");
        made["companionEndpoint"].as_str().unwrap().to_owned()
    };
    let uploads = async |endpoint: &str| answer(broker.http.get(format!("{endpoint}/s3/params?filename=a.gif"))).await.0.as_u16();
    let actor = async |token: &str| {
        let (status, body) = broker.send("POST", "/v2/files/ref.json", token, Some(image())).await;
        assert_eq!(status, 201, "{body}");
        body["file"]["createdBy"]["id"].as_i64().unwrap()
    };
    let [revoked, both, over] = [
        broker.token_for(ActorKind::Users, "", None).await,
        broker.token_for(ActorKind::Users, "", None).await,
        broker.token_for(ActorKind::Users, "", None).await,
    ];
    let expired = broker.token_for(ActorKind::Users, "", Some(OffsetDateTime::now_utc())).await;
    let in_file_alone = Token::generate().reveal().to_owned();
    assert_eq!(actor(&revoked).await, 1, "the database says whose it is");
    let before = upload_token(&revoked).await;

    let ended = entry(&over, "expires_at = 2020-01-01T00:00:00Z");
    let others = [&revoked, &both, &expired, &in_file_alone].map(|token| entry(token, "")).concat();
    fs::write(&path, format!("{others}{ended}")).unwrap();
    broker.server.tokens.reload().await.unwrap();
    for token in [&revoked, &both, &in_file_alone] {
        assert_eq!(actor(token).await, 8, "the file says whose it is");
    }
    for token in [&expired, &over] {
        assert_eq!(broker.send("GET", "/v2/files.json", token, None).await.0, 401);
    }
    let [of_revoked, of_both, of_file] = [upload_token(&revoked).await, upload_token(&both).await, upload_token(&in_file_alone).await];
    for endpoint in [&before, &of_revoked, &of_both, &of_file] {
        assert_eq!(uploads(endpoint).await, 200);
    }

    let hash = Token::parse(&revoked).unwrap().sha256();
    let id = tokens.list().await.unwrap().into_iter().find(|row| row.secret_sha256 == hash).unwrap().id;
    assert!(tokens.revoke(id, OffsetDateTime::now_utc()).await.unwrap());
    until(&broker, &revoked, 401).await;
    let endpoints = [&before, &of_revoked, &of_both, &of_file];
    assert_eq!(futures_util::future::join_all(endpoints.map(|endpoint| uploads(endpoint))).await, [401, 401, 200, 200]);

    fs::write(&path, "").unwrap();
    broker.server.tokens.reload().await.unwrap();
    assert_eq!(actor(&both).await, 1, "it is again what the database says");
    assert_eq!([uploads(&of_both).await, uploads(&of_file).await], [200, 401]);
    assert_eq!(broker.send("GET", "/v2/files.json", &in_file_alone, None).await.0, 401);
}

#[test]
fn a_file_of_tokens_that_is_broken_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.toml");
    let hash = "ab".repeat(32);
    let good = format!("[[token]]\nname = \"a\"\nsha256 = \"{hash}\"\nuser = 1\n");
    let cases = [
        (format!("{good}scopes = \"all\"\n"), 0o600, "line 5: "),
        (good.replace(&hash, "dslip_0123456789abcdef_hunter2"), 0o600, "line 3: "),
        (good.clone(), 0o602, "chmod o-w"),
        ("x".repeat(1024 * 1024 + 1), 0o600, "larger than"),
    ];
    let settings = [
        ("DROPSLIP_LISTEN", "127.0.0.1:0"),
        ("DROPSLIP_EMBEDDED_S3_LISTEN", "127.0.0.1:0"),
        ("DROPSLIP_TOKENS_FILE", path.to_str().unwrap()),
    ];
    for (content, mode, said) in cases {
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        let output = run(folder.path(), &settings, &["serve"]);
        let complaint = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{complaint}");
        assert!(complaint.contains("DROPSLIP_TOKENS_FILE") && complaint.contains(said) && !complaint.contains("hunter2"), "{complaint}");
    }
}

#[test]
fn the_command_line_makes_limited_tokens_and_lists_them() {
    let folder = tempfile::tempdir().unwrap();
    let create = |arguments: &[&str]| run(folder.path(), &[], &[&["token", "create", "--user", "1"], arguments].concat());
    let made = create(&["--file-types", "image", "--expires-in", "12h"]);
    assert!(made.status.success() && text(&made.stderr).contains(" until 20"), "{}", text(&made.stderr));
    assert!(create(&[]).status.success());
    let listed = text(&run(folder.path(), &[], &["token", "list"]).stdout);
    let lines: Vec<_> = listed.lines().collect();
    assert!(lines[1].ends_with(" image") && lines[1].matches('T').count() == 2 && lines[2].ends_with(" all"), "{listed}");
    for bad in [["--file-types", "Image"], ["--file-types", ""], ["--expires-in", "soon"], ["--expires-in", "9999999y"]] {
        let refused = create(&bad);
        assert!(!refused.status.success() && text(&refused.stderr).contains(bad[0]), "{bad:?}: {}", text(&refused.stderr));
    }
    for (bad, said) in [
        (["--user", "0"], "from 1 up"),
        (["--user", "-5"], "from 1 up"),
        (["--user", "9223372036854775808"], "from 1 up"),
        (["--user", "1.5"], "from 1 up"),
        (["--expires-in", "0s"], "1s or longer"),
        (["--expires-in", "999ms"], "1s or longer"),
    ] {
        for more in [&[][..], &["--print-only"]] {
            let user = if bad[0] == "--user" { &[][..] } else { &["--user", "1"] };
            let refused = run(folder.path(), &[], &[&["token", "create"], user, &bad, more].concat());
            let complaint = text(&refused.stderr);
            assert!(refused.status.code() == Some(2) && refused.stdout.is_empty() && complaint.contains(said), "{bad:?}: {complaint}");
        }
    }
    assert_eq!(text(&run(folder.path(), &[], &["token", "list"]).stdout), listed, "what is refused is not kept");
}
