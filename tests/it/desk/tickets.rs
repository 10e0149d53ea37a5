//! Files on tickets: attached whole or not at all, listed, taken off, downloaded one by one and in one archive.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use tokio::task::JoinSet;

use crate::desk::downloads::{PNG, told};
use crate::faults::proxy::{Break, Proxy};
use crate::harness::{Bed, Db, Setup, TestBroker, answer, error_fields, from_servers, new_file};

impl TestBroker {
    async fn attach(&self, ticket: i64, body: &Value) -> (StatusCode, Value) {
        self.call("PUT", &format!("/v2/tickets/{ticket}/files.json"), Some(body)).await
    }

    async fn on_ticket(&self, ticket: i64) -> Vec<i64> {
        let (status, body) = self.call("GET", &format!("/v2/tickets/{ticket}/files.json"), None).await;
        assert_eq!(status, 200, "{body}");
        numbers(&body)
    }

    /// As somebody else.
    async fn ask_as(&self, token: &str, method: &str, path: &str, body: &Value) -> (StatusCode, Value) {
        let request = self.http.request(method.parse().unwrap(), format!("{}{path}", self.base)).bearer_auth(token);
        answer(request.body(body.to_string())).await
    }
}

fn numbers(page: &Value) -> Vec<i64> {
    page["files"].as_array().unwrap().iter().map(|file| file["id"].as_i64().unwrap()).collect()
}

async fn files_are_attached_listed_and_taken_off(db: Db) {
    let broker = Setup::on(Bed::Embedded).database(db).start().await;
    let (a, b, c) = (broker.active_note("a").await, broker.active_note("b").await, broker.active_note("c").await);
    assert_eq!(broker.on_ticket(7).await, Vec::<i64>::new());
    let (status, body) = broker.attach(7, &json!({"files": [{"id": a}]})).await;
    assert_eq!((status.as_u16(), numbers(&body)), (200, vec![a]), "{body}");
    assert!(body["files"][0]["downloadURL"].as_str().unwrap().contains("/download?proxyKey="));
    // Added to what is there, and again changes nothing; both shapes.
    let (status, body) = broker.attach(7, &json!({"ids": [c, a, c]})).await;
    assert_eq!((status.as_u16(), numbers(&body)), (200, vec![c, a]), "{body}");
    // One file may be on several tickets.
    assert_eq!(broker.attach(8, &json!({"files": [{"id": a}, {"id": b}]})).await.0, 200);
    assert_eq!((broker.on_ticket(7).await, broker.on_ticket(8).await), (vec![c, a], vec![b, a]));
    let (_, page) = broker.call("GET", "/desk/api/v2/tickets/7/files.json?pageSize=1", None).await;
    let cursor = page["meta"]["page"]["nextCursor"].as_str().unwrap();
    let (_, rest) = broker.call("GET", &format!("/desk/api/v2/tickets/7/files.json?pageSize=1&cursor={cursor}"), None).await;
    assert_eq!((numbers(&page), numbers(&rest), &rest["pagination"]["hasMorePages"]), (vec![c], vec![a], &json!(false)));
    // Clients that count pages come to the end too.
    for (query, ids, more) in
        [("page=1", vec![c], true), ("page=2", vec![a], false), ("pageOffset=1", vec![a], false), ("page=3", vec![], false)]
    {
        let (_, page) = broker.call("GET", &format!("/v2/tickets/7/files.json?pageSize=1&{query}"), None).await;
        assert_eq!((numbers(&page), &page["pagination"]["hasMorePages"]), (ids, &json!(more)), "{query}");
    }
    assert_eq!(broker.describe(c, &json!({"filename": "c.txt"})).await.0, 200);
    // Selected, ordered and counted like any list, as Desk's clients ask.
    for (query, ids) in [
        ("orderBy=createdAt&orderMode=asc", vec![a, c]),
        ("orderBy=createdAt&orderMode=desc&filter={}", vec![c, a]),
        (r#"filter={"filename":"c.txt"}"#, vec![c]),
        (&format!("ids={a},{b}"), vec![a]),
        ("q=C.T", vec![c]),
        ("filter={\"state\":\"deleted\"}", vec![]),
    ] {
        let (status, page) = broker.call("GET", &format!("/v2/tickets/7/files.json?{query}"), None).await;
        let records = page["pagination"]["records"].as_u64();
        assert_eq!((status.as_u16(), numbers(&page), records), (200, ids.clone(), Some(ids.len() as u64)), "{query}: {page}");
    }
    let (_, first) = broker.call("GET", "/v2/tickets/7/files.json?pageSize=1", None).await;
    assert_eq!((&first["pagination"]["records"], &first["pagination"]["pages"]), (&json!(2), &json!(2)));
    for (query, field) in [("filter={\"x\":1}", "filter.x"), ("orderBy=up", "orderBy"), ("page=0", "page")] {
        let (status, answer) = broker.call("GET", &format!("/v2/tickets/7/files.json?{query}"), None).await;
        assert_eq!((status.as_u16(), error_fields(&answer)), (400, vec![field.to_owned()]), "{query}");
    }

    assert_eq!(broker.request("GET", &format!("/v2/tickets/7/files/{a}/download")).send().await.unwrap().status(), 302);
    for nowhere in
        [format!("7/files/{b}"), format!("9/files/{a}"), "7/files/999999".to_owned(), format!("x/files/{a}"), "7/files/x".to_owned()]
    {
        let (status, _) = broker.call("GET", &format!("/v2/tickets/{nowhere}/download"), None).await;
        assert_eq!(status, 404, "{nowhere}");
    }
    let gone = broker.request("DELETE", &format!("/v2/tickets/7/files/{a}.json")).send().await.unwrap();
    assert_eq!(gone.status(), 204);
    assert_eq!(broker.call("DELETE", &format!("/v2/tickets/7/files/{a}.json"), None).await.0, 404);
    assert_eq!((broker.on_ticket(7).await, broker.on_ticket(8).await), (vec![c], vec![b, a]), "it stays on the other one");
    assert_eq!(broker.read(a).await.1["file"]["state"], "active");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_attached_listed_and_taken_off_on_sqlite() {
    files_are_attached_listed_and_taken_off(Db::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_attached_listed_and_taken_off_on_postgres() {
    files_are_attached_listed_and_taken_off(Db::Postgres).await;
}

/// The number of a post is another system's: it is told again, and moves a file.
async fn files_of_a_ticket_say_to_which_post_they_belong(db: Db) {
    let broker = Setup::on(Bed::Embedded).database(db).start().await;
    let (a, b) = (broker.active_note("a").await, broker.active_note("b").await);
    let posts = |page: &Value| page["files"].as_array().unwrap().iter().map(|file| file["post"].clone()).collect::<Vec<_>>();
    let largest = 9_007_199_254_740_992_i64;
    for (body, expected) in [
        (json!({"ids": [a, b]}), [json!(null), json!(null)]),
        (json!({"ids": [a], "post": 31}), [json!(null), json!(31)]),
        (json!({"ids": [a, b], "post": null}), [json!(null), json!(31)]),
        (json!({"files": [{"id": b}], "post": largest}), [json!(largest), json!(31)]),
        (json!({"files": [{"id": a}, {"id": b}], "post": 32}), [json!(32), json!(32)]),
    ] {
        let (status, page) = broker.attach(7, &body).await;
        assert_eq!((status.as_u16(), posts(&page)), (200, expected.to_vec()), "{body}: {page}");
        let (_, page) = broker.call("GET", "/v2/tickets/7/files.json", None).await;
        assert_eq!(posts(&page), expected, "{body}");
    }
    for bad in [json!(0), json!(-1), json!("31"), json!(1.5), json!(largest + 1), json!([31]), json!(true)] {
        let (status, answer) = broker.attach(8, &json!({"ids": [a], "post": bad})).await;
        assert_eq!((status.as_u16(), error_fields(&answer)), (400, vec!["post".to_owned()]), "{bad}: {answer}");
    }
    assert_eq!(broker.on_ticket(8).await, [0; 0]);
    assert_eq!(broker.attach(8, &json!({"ids": [a]})).await.0, 200, "another ticket");
    let (_, page) = broker.call("GET", "/v2/tickets/8/files.json", None).await;
    assert_eq!(posts(&page), [json!(null)]);
    let (_, page) = broker.call("GET", "/v2/tickets/7/files.json?fields=post&filter={}", None).await;
    assert_eq!(page["files"], json!([{"id": b, "post": 32}, {"id": a, "post": 32}]));
    let (_, page) = broker.call("GET", "/v2/files.json", None).await;
    assert!(page["files"].as_array().unwrap().iter().all(|file| file.get("post").is_none()), "no post without a ticket: {page}");
    assert!(broker.read(a).await.1["file"].get("post").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_a_ticket_say_to_which_post_they_belong_on_sqlite() {
    files_of_a_ticket_say_to_which_post_they_belong(Db::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_a_ticket_say_to_which_post_they_belong_on_postgres() {
    files_of_a_ticket_say_to_which_post_they_belong(Db::Postgres).await;
}

/// There is no deadlock, and who is told that a file is attached finds it attached.
async fn attaching_at_once_is_as_one_after_the_other(db: Db) {
    let broker = Setup::on(Bed::Embedded).database(db).start().await;
    let mut ids = Vec::new();
    for name in 0..6 {
        ids.push(broker.active_note(&format!("n{name}")).await);
    }
    let (forwards, backwards): (Vec<i64>, Vec<i64>) = (ids.clone(), ids.iter().rev().copied().collect());
    let (unsure, mut attached_once) = (ids[3], 0);
    for ticket in 1..=20 {
        let attached = async |ids: &[i64]| {
            let (status, body) = broker.attach(ticket, &json!({ "ids": ids })).await;
            // The one that is deleted meanwhile may be missed, and then nothing is attached.
            assert!(status == 200 || status == 400 && body["errors"].to_string().contains("not found"), "{status} {body}");
            status == 200
        };
        let deleted_and_restored = async {
            assert_eq!(broker.request("DELETE", &format!("/v2/files/{unsure}.json")).send().await.unwrap().status(), 204);
            assert_eq!(broker.call("POST", &format!("/v2/files/{unsure}/restore.json"), None).await.0, 200);
        };
        let told =
            futures_util::join!(attached(&forwards), attached(&backwards), attached(&forwards), attached(&backwards), deleted_and_restored);
        let all = told.0 || told.1 || told.2 || told.3;
        assert_eq!(broker.on_ticket(ticket).await, if all { backwards.clone() } else { Vec::new() }, "ticket {ticket}: {told:?}");
        attached_once += usize::from(all);
    }
    assert!(attached_once > 0, "nothing was ever attached");
}

#[tokio::test(flavor = "multi_thread")]
async fn attaching_at_once_is_as_one_after_the_other_on_sqlite() {
    attaching_at_once_is_as_one_after_the_other(Db::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attaching_at_once_is_as_one_after_the_other_on_postgres() {
    attaching_at_once_is_as_one_after_the_other(Db::Postgres).await;
}

/// An operator's command, or another broker.
#[tokio::test(flavor = "multi_thread")]
async fn attaching_waits_for_another_process_that_writes_to_sqlite() {
    let broker = Setup::on(Bed::Embedded).database(Db::Sqlite).start().await;
    let id = broker.active_note("a").await;
    let database = broker.folder.path().join("test.db");
    let writing = "import sqlite3, sys\nd = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)\n\
        for n in range(300): d.execute('BEGIN IMMEDIATE'); d.execute(\"UPDATE files SET size = size\"); d.execute('COMMIT'); print(n, flush=True)";
    let mut command = Command::new(from_servers("TEST_PYTHON"));
    let mut other = command.args(["-c", writing]).arg(&database).stdout(Stdio::piped()).spawn().unwrap();
    let mut written = BufReader::new(other.stdout.take().unwrap());
    assert!(written.read_line(&mut String::new()).unwrap() > 0, "it wrote nothing");
    let mut meanwhile = 0;
    for ticket in 1..=60 {
        meanwhile += usize::from(other.try_wait().unwrap().is_none());
        let (status, body) = broker.attach(ticket, &json!({"ids": [id]})).await;
        assert_eq!(status, 200, "{body}");
    }
    assert!(other.wait().unwrap().success() && meanwhile > 0, "nothing was attached meanwhile");
}

/// Some clients stop after the upload and attach the number.
#[tokio::test(flavor = "multi_thread")]
async fn attaching_confirms_what_has_arrived_and_names_what_has_not() {
    for (bed, db) in [(Bed::Embedded, Db::Postgres), (Bed::SeaweedFs, Db::Sqlite), (Bed::LocalStack, Db::Sqlite)] {
        let broker = Setup::on(bed).database(db).start().await;
        let active = broker.active_note("a").await;
        let (arrived, missing) = (broker.text_slip().await, broker.text_slip().await);
        broker.drop_bytes(&arrived, b"Hello").await;
        let (status, body) = broker.attach(7, &json!({"files": [{"id": active}, {"id": missing.id}, {"id": arrived.id}]})).await;
        assert_eq!((status.as_u16(), error_fields(&body)), (409, vec!["files[1].id".to_owned()]), "{bed:?}: {body}");
        assert_eq!(body["errors"]["files[1].id"], json!(["nothing was uploaded yet"]));
        assert_eq!(broker.on_ticket(7).await, Vec::<i64>::new(), "all or none");
        let (status, body) = broker.attach(7, &json!({"ids": [active, arrived.id]})).await;
        assert_eq!((status.as_u16(), numbers(&body)), (200, vec![arrived.id, active]), "{bed:?}: {body}");
        assert_eq!(broker.read(arrived.id).await.1["file"]["state"], "active");
        // Each is dated when it became active, and not when the request began: who syncs by time must not miss the last one.
        let (one, other) = (broker.text_slip().await, broker.text_slip().await);
        broker.drop_bytes(&one, b"one").await;
        broker.drop_bytes(&other, b"other").await;
        assert_eq!(broker.attach(8, &json!({"ids": [one.id, other.id]})).await.0, 200);
        let updated = async |id| broker.read(id).await.1["file"]["updatedAt"].clone();
        assert_ne!(updated(one.id).await, updated(other.id).await);
        // What is not what was granted is named too, and deleted as at any confirmation.
        let other = broker.s3.put_object().bucket(&broker.bucket).key(missing.param("key")).content_type("text/html");
        other.body(b"<html>".to_vec().into()).send().await.unwrap();
        let (status, body) = broker.attach(7, &json!({"ids": [missing.id]})).await;
        assert_eq!((status.as_u16(), error_fields(&body)), (422, vec!["ids[0]".to_owned()]), "{bed:?}: {body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_ones_own_is_neither_attached_nor_told() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let mine = broker.active_note("a").await;
    let stranger = broker.new_token("other", 1, "files:read,files:write").await;
    let customer = broker.new_customer("default", 9).await;
    let blind = broker.new_token("default", 1, "files:write").await;
    let mute = broker.new_token("default", 1, "files:read").await;
    let attach = json!({"files": [{"id": mine}, {"id": 999_999}]});
    let (status, body) = broker.ask_as(&stranger, "PUT", "/v2/tickets/7/files.json", &attach).await;
    let same = json!({"errors": {"files[0].id": ["not found"], "files[1].id": ["not found"]}});
    assert_eq!((status.as_u16(), body), (400, same), "another tenant's is the same as none");
    assert_eq!(broker.attach(7, &json!({"ids": [mine]})).await.0, 200);
    let nothing = json!({});
    for (token, method, path, status) in [
        (&stranger, "GET", "/v2/tickets/7/files.zip".to_owned(), 404),
        (&stranger, "GET", format!("/v2/tickets/7/files/{mine}/download"), 404),
        (&stranger, "DELETE", format!("/v2/tickets/7/files/{mine}.json"), 404),
        (&customer, "GET", "/v2/tickets/7/files.zip".to_owned(), 404),
        (&customer, "GET", format!("/v2/tickets/7/files/{mine}/download"), 404),
        (&customer, "DELETE", format!("/v2/tickets/7/files/{mine}.json"), 404),
        (&customer, "PUT", "/v2/tickets/7/files.json".to_owned(), 404),
        (&blind, "GET", "/v2/tickets/7/files.zip".to_owned(), 403),
        (&blind, "GET", "/v2/tickets/7/files.json".to_owned(), 403),
        (&blind, "GET", format!("/v2/tickets/7/files/{mine}/download"), 403),
        (&mute, "PUT", "/v2/tickets/7/files.json".to_owned(), 403),
        (&mute, "DELETE", format!("/v2/tickets/7/files/{mine}.json"), 403),
    ] {
        let body = if method == "PUT" { json!({"ids": [mine]}) } else { nothing.clone() };
        let (got, body) = broker.ask_as(token, method, &path, &body).await;
        assert_eq!(got.as_u16(), status, "{method} {path}: {body}");
    }
    for token in [&stranger, &customer] {
        let (_, page) = broker.ask_as(token, "GET", "/v2/tickets/7/files.json", &nothing).await;
        assert_eq!(numbers(&page), Vec::<i64>::new());
    }
    // A link's key is for its own path.
    let key = broker.read(mine).await.1["file"]["proxyKey"].as_str().unwrap().to_owned();
    for path in [format!("/v2/tickets/7/files/{mine}/download?proxyKey={key}"), format!("/v2/tickets/7/files.zip?proxyKey={key}")] {
        assert_eq!(broker.http.get(format!("{}{path}", broker.base)).send().await.unwrap().status(), 401, "{path}");
    }
    for bad in ["0", "-1", "x", "99999999999999999999", "7.json"] {
        assert_eq!(broker.call("GET", &format!("/v2/tickets/{bad}/files.json"), None).await.0, 404, "{bad}");
    }
    assert_eq!(broker.call("GET", "/v2/tickets/8/files.zip", None).await.0, 404, "of nothing there is no archive");
}

/// What Python and Info-ZIP find in an archive: names and bytes.
fn unpacked(broker: &TestBroker, archive: Vec<u8>) -> BTreeMap<String, Vec<u8>> {
    let folder = broker.folder.path().join("unpacked");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir(&folder).unwrap();
    let path = folder.join("files.zip");
    std::fs::write(&path, archive).unwrap();
    let tested = Command::new("unzip").arg("-tqq").arg(&path).output().unwrap();
    assert!(tested.status.success(), "{}{}", String::from_utf8_lossy(&tested.stdout), String::from_utf8_lossy(&tested.stderr));
    // One entry after the other, as readers do that do not look back: without its size told before, only deflate tells where it ends.
    let streamed = "import struct, sys, zlib\nb = open(sys.argv[1], 'rb').read()\nwhile b[:4] == b'PK\\3\\4':\n \
        flags, method = struct.unpack('<HH', b[6:10])\n name, extra = struct.unpack('<HH', b[26:30])\n assert flags & 8 and method == 8, (flags, method)\n \
        z = zlib.decompressobj(-15)\n packed = b[30 + name + extra:]\n plain = z.decompress(packed)\n assert z.eof\n b = z.unused_data\n \
        assert b[:16] == struct.pack('<4sIII', b'PK\\7\\10', zlib.crc32(plain), len(packed) - len(b), len(plain))\n b = b[16:]\n\
        assert b[:4] in (b'PK\\1\\2', b'PK\\5\\6'), b[:4]";
    let output = Command::new(from_servers("TEST_PYTHON")).args(["-c", streamed]).arg(&path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let script = "import json, sys, zipfile\nz = zipfile.ZipFile(sys.argv[1])\nassert z.testzip() is None\n\
        print(json.dumps([[i.filename, list(z.read(i)), bool(i.flag_bits & 0x800)] for i in z.infolist()]))";
    let output = Command::new(from_servers("TEST_PYTHON")).args(["-c", script]).arg(&path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let entries: Vec<(String, Vec<u8>, bool)> = serde_json::from_slice(&output.stdout).unwrap();
    assert!(entries.iter().all(|(_, _, unicode)| *unicode));
    let number = entries.len();
    let files: BTreeMap<_, _> = entries.into_iter().map(|(name, bytes, _)| (name, bytes)).collect();
    assert_eq!(files.len(), number, "two of one name");
    files
}

async fn an_archive_has_every_file_of_a_ticket(bed: Bed, db: Db) {
    let broker = Setup::on(bed).database(db).start().await;
    let mut expected = BTreeMap::new();
    let mut ids = Vec::new();
    for (name, mime, bytes, entry) in [
        ("note.txt", "text/plain", b"one".as_slice(), "note (3).txt"),
        ("Note.txt", "text/plain", b"two", "Note (2).txt"),
        ("note.txt", "text/plain", b"three", "note.txt"),
        ("grüße 👩\u{200d}🔬.txt", "text/plain", b"Hello", "grüße 👩\u{200d}🔬.txt"),
        ("con.txt", "text/plain", b"device", "_con.txt"),
        ("dot.png", "image/png", PNG, "dot.png"),
    ] {
        ids.push(broker.active(&new_file(name, mime), bytes).await["id"].clone());
        expected.insert(entry.to_owned(), bytes.to_vec());
    }
    assert_eq!(broker.attach(7, &json!({"ids": ids})).await.0, 200);
    for prefix in ["/v2", "/desk/api/v2"] {
        let answer = broker.request("GET", &format!("{prefix}/tickets/7/files.zip")).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let headers = answer.headers().clone();
        assert_eq!(told(&headers, "content-type"), "application/zip");
        assert_eq!(told(&headers, "content-disposition"), "attachment; filename=\"ticket-7.zip\"");
        assert_eq!((told(&headers, "x-content-type-options"), told(&headers, "cache-control")), ("nosniff", "private, no-store"));
        assert_eq!(unpacked(&broker, answer.bytes().await.unwrap().to_vec()), expected, "{bed:?} {db:?}");
        let head = broker.request("HEAD", &format!("{prefix}/tickets/7/files.zip")).send().await.unwrap();
        assert_eq!(head.headers().get("content-length"), None, "that of the archive is not 0");
        assert_eq!((head.status().as_u16(), told(head.headers(), "content-type")), (200, "application/zip"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_has_every_file_of_a_ticket_on_embedded() {
    an_archive_has_every_file_of_a_ticket(Bed::Embedded, Db::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_has_every_file_of_a_ticket_on_seaweedfs() {
    an_archive_has_every_file_of_a_ticket(Bed::SeaweedFs, Db::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_has_every_file_of_a_ticket_on_localstack() {
    an_archive_has_every_file_of_a_ticket(Bed::LocalStack, Db::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_goes_on_from_page_to_page_of_records() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let mut ids = Vec::new();
    for number in 0..205 {
        ids.push(broker.active_note(&format!("file {number}")).await);
    }
    for some in ids.chunks(100) {
        assert_eq!(broker.attach(7, &json!({"ids": some})).await.0, 200);
    }
    let answer = broker.request("GET", "/v2/tickets/7/files.zip").send().await.unwrap();
    let files = unpacked(&broker, answer.bytes().await.unwrap().to_vec());
    assert_eq!((files.len(), &files["note.txt"], &files["note (205).txt"]), (205, &b"file 204".to_vec(), &b"file 0".to_vec()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_breaks_with_its_store_and_waits_for_its_client() {
    let proxy = Proxy::to(&from_servers("TEST_SEAWEEDFS_URL")).await;
    let broker = Setup::on(Bed::SeaweedFs).setting("DROPSLIP_S3_ENDPOINT", format!("http://{}", proxy.address)).start().await;
    let bytes: Vec<u8> = (0..24_usize << 20).map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()[2]).collect();
    let mut ids = Vec::new();
    for name in ["a.bin", "b.bin"] {
        let wish = json!({"type": "artifact", "filename": name, "mimeType": "application/octet-stream"});
        ids.push(broker.active(&wish, &bytes).await["id"].clone());
    }
    assert_eq!(broker.attach(7, &json!({"ids": ids})).await.0, 200);

    let before = proxy.answered();
    let mut slow = broker.request("GET", "/v2/tickets/7/files.zip").send().await.unwrap();
    let mut whole = slow.chunk().await.unwrap().unwrap().to_vec();
    let (mut seen, deadline) = (0, std::time::Instant::now() + Duration::from_mins(1));
    loop {
        let now = proxy.answered() - before;
        if now > 0 && now == seen {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "it never stops");
        seen = now;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert!(seen < 20 << 20, "{seen} bytes were read for a client who took none");
    while let Some(piece) = slow.chunk().await.unwrap() {
        whole.extend(piece);
    }
    assert_eq!(&whole[whole.len() - 22..whole.len() - 18], b"PK\x05\x06");
    let block = &bytes[..usize::from(u16::MAX)];
    assert!(whole.windows(block.len()).take(100).any(|window| window == block), "the first file begins near the beginning");

    proxy.breaks("GET /", Break::CutAnswer(1 << 20));
    let cut = broker.request("GET", "/v2/tickets/7/files.zip").send().await.unwrap();
    assert_eq!(cut.status(), 200);
    cut.bytes().await.unwrap_err();
    proxy.breaks("GET /", Break::Refuse);
    let away = broker.request("GET", "/v2/tickets/7/files.zip").send().await.unwrap();
    assert_eq!(away.status(), 503, "what cannot even begin is answered");
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_searches_leave_connections_and_turns_to_others() {
    let broker = Setup::on(Bed::Embedded).database(Db::Postgres).start().await;
    let id = broker.active_note("a").await;
    assert_eq!(broker.attach(7, &json!({"ids": [id]})).await.0, 200);
    // No list of a ticket ends while somebody holds this table, and more of them ask than there are connections. In this order each
    // page may look at all files of the ticket.
    let mut locking = PgConnection::connect(&broker.database_url).await.unwrap();
    sqlx::raw_sql("BEGIN; LOCK TABLE ticket_files IN ACCESS EXCLUSIVE MODE").execute(&mut locking).await.unwrap();
    let mut lists = JoinSet::new();
    for _ in 0..40 {
        lists.spawn(answer(broker.request("GET", "/v2/tickets/7/files.json?orderBy=size")));
    }
    let colleague = broker.new_token("default", 2, "files:read").await;
    let mut watching = PgConnection::connect(&broker.database_url).await.unwrap();
    let waiting = "SELECT COUNT(*) FROM pg_locks WHERE NOT granted AND relation = 'ticket_files'::regclass";
    while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut watching).await.unwrap() < 3 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for _ in 0..20 {
        assert_eq!(broker.read(id).await.0, 200);
        for path in ["/v2/files.json", "/v2/files.json?orderBy=createdAt&page=1"] {
            let (status, page) = answer(broker.http.get(format!("{}{path}", broker.base)).bearer_auth(&colleague)).await;
            assert_eq!((status.as_u16(), numbers(&page)), (200, vec![id]), "{path}");
        }
    }
    assert!(lists.try_join_next().is_none(), "the lists waited all the time");
    sqlx::raw_sql("ROLLBACK").execute(&mut locking).await.unwrap();
    let answers = lists.join_all().await;
    assert!(answers.iter().all(|(status, body)| *status == 200 && numbers(body) == [id]), "{answers:?}");
}
