//! `/openapi.json` tells the truth: about every route, and, as schemathesis finds, about every answer.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use serde_json::{Map, Value, json};

use crate::authorization::table;
use crate::harness::{Bed, Db, Setup, TestBroker, answer, from_servers, new_file, project};
use crate::kayako_classic::client::{Pair, SECRET, is_signed};

/// Of every operation, beside the examples, the edge cases and the chains. Both databases at once took four to six minutes with it on two cores
/// that had other work too.
const EXAMPLES_EACH: &str = "300";
/// What the store says when it tells of an object.
const NOTIFICATIONS: &str = "told-by-the-store-0123456789abcdef0123456789";
const SEED: &str = "20260102";
const CHAINS_SECONDS: &str = "20";

async fn document(broker: &TestBroker) -> Value {
    let response = broker.http.get(format!("{}/openapi.json", broker.base)).send().await.unwrap();
    assert_eq!(response.status(), 200);
    response.json().await.unwrap()
}

fn operations(document: &Value) -> Vec<(String, String, &Map<String, Value>)> {
    let paths = document["paths"].as_object().unwrap().iter();
    let found: Vec<_> = paths
        .flat_map(|(path, item)| item.as_object().unwrap().iter().map(move |(method, operation)| (path, method, operation)))
        .filter(|(_, method, _)| ["get", "put", "post", "delete", "patch"].contains(&method.as_str()))
        .map(|(path, method, operation)| (path.clone(), method.to_uppercase(), operation.as_object().unwrap()))
        .collect();
    assert!(found.len() >= 10, "{found:?}");
    found
}

/// A broker whose limits are not in the way of thousands of requests, where small files come in parts too, with an active file.
async fn broker_to_try(db: Db) -> TestBroker {
    let mut setup = Setup::on(Bed::Embedded).database(db).setting("DROPSLIP_MULTIPART_THRESHOLD", "1");
    setup = setup.setting("DROPSLIP_NOTIFICATIONS_TOKEN", NOTIFICATIONS);
    for limit in ["REQUESTS_PER_SECOND", "OPEN_SLIPS", "RESERVED_BYTES"] {
        setup = setup.setting(&format!("DROPSLIP_ACTOR_{limit}"), "0").setting(&format!("DROPSLIP_TENANT_{limit}"), "0");
    }
    let broker = setup.start().await;
    let slip = broker.text_slip().await;
    broker.drop_bytes(&slip, b"Hello").await;
    assert_eq!((slip.id, broker.confirm(slip.id).await.0.as_u16()), (1, 200));
    broker
}

/// How many files of each operation's own schemathesis is told of.
const SEEDS_EACH: usize = 4;

/// For each operation some files in the state that it needs.
async fn seeds(broker: &TestBroker) -> Value {
    let mut seeds = Map::new();
    for row in table::rows() {
        let mut there = Vec::new();
        for _ in 0..SEEDS_EACH {
            let object = broker.object(row.state, &broker.token).await;
            if row.state == "attached" {
                broker.put_on_ticket(&object, &broker.token).await;
            }
            there.push(json!({"id": object.id, "key": object.key, "etag": object.etag, "ticket": object.ticket}));
        }
        if row.state != "-" {
            seeds.insert(format!("{} {}", row.method, row.path), there.into());
        }
    }
    seeds.into()
}

/// Statuses of answers, by operation.
fn statuses(broker: &TestBroker) -> BTreeMap<String, BTreeSet<u16>> {
    let mut statuses = BTreeMap::<_, BTreeSet<_>>::new();
    for line in fs::read_to_string(broker.folder.path().join("statuses")).unwrap().lines() {
        let (status, operation) = line.split_once(' ').unwrap();
        statuses.entry(operation.to_owned()).or_default().insert(status.parse().unwrap());
    }
    statuses
}

/// Runs schemathesis and gives what it said.
async fn schemathesis(broker: &TestBroker, seeds: &Value, phases: &str, more: &[&str]) -> String {
    let wish = json!({"types": ["artifact", "attachment", "image"]});
    let (_, made) = answer(broker.request("POST", "/companion/tokens.json").body(wish.to_string())).await;
    let endpoint = made["companionEndpoint"].as_str().unwrap();
    let mut command = Command::new(from_servers("TEST_PYTHON"));
    command.env("UPLOAD_TOKEN", endpoint.rsplit_once('/').unwrap().1);
    command.env("SEEDS", seeds.to_string()).env("NOTIFICATIONS", NOTIFICATIONS).env("STATUSES", broker.folder.path().join("statuses"));
    // One salt may be used for every call.
    let pair = Pair::of_embedded(broker, &broker.token);
    let signed = json!({"apikey": pair.apikey, "salt": "-17", "signature": pair.signature("-17")});
    command.env("SIGNED", signed.to_string());
    let config = project().join("tests/openapi");
    // What it keeps for its next run is gone with the broker.
    command.current_dir(broker.folder.path()).env("PYTHONPATH", &config).env("PYTHONDONTWRITEBYTECODE", "1").env("COLUMNS", "160");
    command.args(["-m", "schemathesis.cli", "--config-file", config.join("schemathesis.toml").to_str().unwrap(), "run"]);
    command.args([&format!("{}/openapi.json", broker.base), "--checks", "all", "--phases", phases]);
    command.args(["--max-examples", EXAMPLES_EACH, "--seed", SEED]).args(more);
    command.args(["--header", &format!("Authorization: Bearer {}", broker.token), "--no-color"]);
    // The broker under test runs in this process: its runtime must not be kept from running.
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "seed {SEED}: {said}");
    for phase in phases.split(',') {
        assert!(said.to_lowercase().contains(&format!("✅ {phase}")), "{phase}: {said}");
    }
    said
}

async fn schemathesis_finds_nothing(db: Db) {
    let broker = broker_to_try(db).await;
    let seeds = seeds(&broker).await;
    let first = broker.text_slip().await.id;
    let said = schemathesis(&broker, &seeds, "examples,coverage,fuzzing", &[]).await;
    // It leaves out the operation that the document itself came from.
    let tried = operations(&document(&broker).await).len() - 1;
    assert!(said.contains(&format!("Tested: {tried}")), "{said}");
    // Every operation was carried out, and refused for what is not there. Without a token it is asked below: whether schemathesis leaves
    // the token out of a request, and of which, is chance.
    let statuses = statuses(&broker);
    for (path, method, _) in operations(&document(&broker).await) {
        let label = format!("{method} {path}");
        let Some(met) = statuses.get(&label) else {
            assert_eq!(label, "GET /openapi.json");
            continue;
        };
        assert!(met.iter().any(|status| (200..400).contains(status)), "{label} never succeeded: {met:?}");
        if path.contains("{id}") || path.contains("{upload_id}") {
            assert!(met.contains(&404), "{label} was never asked about what is not there: {met:?}");
        }
    }
    // Rules refuse most of what is generated, above all two names that differ; not all.
    let granted = broker.text_slip().await.id - first;
    assert!(granted > 40, "only {granted} requests were granted: {said}");

    // Chains of requests, on their own and for a time: it ends a round whenever the broker's state makes a replay come out otherwise.
    let said = schemathesis(&broker, &json!({}), "stateful", &["--max-time", CHAINS_SECONDS]).await;
    let chains = said.lines().find_map(|line| line.trim().strip_prefix("Scenarios:")).unwrap().trim().parse::<u32>().unwrap();
    println!("{db:?}: {granted} granted, {chains} chains, seed {SEED}");
    assert!(chains > 20, "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn schemathesis_finds_nothing_on_sqlite() {
    schemathesis_finds_nothing(Db::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn schemathesis_finds_nothing_on_postgres() {
    schemathesis_finds_nothing(Db::Postgres).await;
}

#[tokio::test]
async fn the_document_is_openapi_3_1() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let document = document(&broker).await;
    assert_eq!(document["openapi"], "3.1.0");
    let file = broker.folder.path().join("openapi.json");
    fs::write(&file, document.to_string()).unwrap();
    let output =
        Command::new(from_servers("TEST_PYTHON")).args(["-m", "openapi_spec_validator", "--schema", "3.1"]).arg(&file).output().unwrap();
    assert!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));

    let names: Vec<_> =
        operations(&document).iter().map(|(_, _, operation)| operation["operationId"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
}

#[tokio::test]
async fn every_documented_operation_is_a_route_under_each_of_its_servers_and_knows_no_other_method() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let document = document(&broker).await;
    for (path, item) in document["paths"].as_object().unwrap() {
        let documented: BTreeSet<String> =
            operations(&document).into_iter().filter(|(at, ..)| at == path).map(|(_, method, _)| method).collect();
        let servers = item.get("servers").unwrap_or(&document["servers"]).as_array().unwrap();
        assert_eq!(servers.len(), if path.starts_with("/v2/") { 2 } else { 1 }, "{path}");
        for server in servers {
            let url = format!("{}{}", server["url"].as_str().unwrap(), filled(path));
            let response = broker.http.request("REPORT".parse().unwrap(), &url).send().await.unwrap();
            if path == "/api/Core/TestAPI" {
                // It takes whatever method there is.
                assert_eq!(response.status(), 401, "{url}");
                continue;
            }
            assert_eq!(response.status(), 405, "{url}");
            let allowed = response.headers()["allow"].to_str().unwrap().split(',').map(|method| method.trim().to_owned());
            assert_eq!(allowed.filter(|method| method != "HEAD").collect::<BTreeSet<_>>(), documented, "{url}");
        }
    }
}

#[tokio::test]
async fn every_documented_operation_is_refused_without_its_token() {
    let setup = Setup::on(Bed::Embedded).setting("DROPSLIP_NOTIFICATIONS_TOKEN", NOTIFICATIONS);
    let broker = setup.setting("DROPSLIP_SECRETS", SECRET).start().await;
    let document = document(&broker).await;
    let (status, made) = answer(broker.request("POST", "/companion/tokens.json").body(json!({"types": ["attachment"]}).to_string())).await;
    assert_eq!(status, 201, "{made}");
    let (_, upload_token) = made["companionEndpoint"].as_str().unwrap().rsplit_once('/').unwrap();
    let mut open = Vec::new();
    for (path, method, operation) in operations(&document) {
        let documented = operation["responses"].as_object().unwrap().contains_key("401");
        // None of its own: that of the whole document.
        let secured = operation.get("security").unwrap_or(&document["security"]).as_array().unwrap();
        if secured.iter().all(|way| way == &json!({})) && !path.contains("{upload_token}") {
            open.push(format!("{method} {path}"));
            assert!(!documented, "{method} {path}");
            continue;
        }
        let url = format!("{}{}", broker.base, filled(&path));
        for token in [None, Some("Bearer 1"), Some("Bearer dslip_0123456789abcdef_0123456789abcdef0123456789abcdef0123456789abcdef")] {
            let mut request = broker.http.request(method.parse().unwrap(), &url);
            if let Some(token) = token {
                request = request.header("authorization", token);
            }
            assert_eq!((documented, request.send().await.unwrap().status().as_u16()), (true, 401), "{method} {path} with {token:?}");
        }
        // It was the token that was missing: with a good one, whatever else is wrong is said.
        let mut url = format!("{}{}", broker.base, filled(&path.replace("{upload_token}", upload_token)));
        if is_signed(&path) {
            url = format!("{url}?{}", broker.pair().says("1"));
        }
        let mut request = broker.http.request(method.parse().unwrap(), url);
        if !path.contains("{upload_token}") {
            request = request.bearer_auth(if path.starts_with("/notifications/") { NOTIFICATIONS } else { &broker.token });
        }
        let status = request.send().await.unwrap().status().as_u16();
        assert!(status != 401 && status < 500, "{method} {path} with a good token: {status}");
    }
    assert_eq!(open, ["GET /healthz", "GET /openapi.json", "GET /readyz"]);
}

/// A documented path with something in each place.
fn filled(path: &str) -> String {
    ["{tid}", "{id}", "{upload_id}", "{part_number}", "{upload_token}", "{ticketid}", "{ticketpostid}"]
        .iter()
        .fold(path.to_owned(), |path, name| path.replace(name, "1"))
}

#[tokio::test]
async fn what_is_documented_for_uppy_is_under_a_token_and_at_the_root_too() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let document = document(&broker).await;
    let parameters = document["paths"]["/companion/s3/multipart/{upload_id}/batch"]["get"]["parameters"].as_array().unwrap();
    assert!(parameters.iter().all(|parameter| parameter["required"] == true), "{parameters:?}");
    let methods = |path: &str| -> BTreeSet<_> {
        operations(&document).into_iter().filter(|(at, ..)| at == path).map(|(_, method, _)| method).collect()
    };
    let paths: Vec<_> = document["paths"].as_object().unwrap().keys().filter(|path| path.starts_with("/companion/s3/")).collect();
    assert_eq!(paths.len(), 7, "{paths:?}");
    for path in paths {
        let bare = path.strip_prefix("/companion").unwrap();
        assert_eq!(methods(path), methods(&format!("/u/{{upload_token}}{bare}")), "{path}");
        let response = broker.http.request("REPORT".parse().unwrap(), format!("{}{}", broker.base, filled(bare))).send().await.unwrap();
        assert_eq!(response.status(), 405, "{bare}");
        let allowed = response.headers()["allow"].to_str().unwrap().split(',').map(|method| method.trim().to_owned());
        assert_eq!(allowed.filter(|method| method != "HEAD").collect::<BTreeSet<_>>(), methods(path), "{bare}");
    }
}

/// `OpenApiRouter` takes no route without its documentation, so what must not be is a route beside it. Those of the
/// upload page are files for browsers and no operations, and those of the operator's address are nothing that callers get at.
#[test]
fn no_route_is_added_without_its_documentation() {
    let folder = project().join("src/api");
    let below = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let folders: Vec<_> = below.chain([folder.clone()]).collect();
    let files = folders.into_iter().flat_map(|folder| fs::read_dir(folder).unwrap()).map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.file_name().is_none_or(|name| name != "page.rs" && name != "admin.rs"));
    let mut documented = 0;
    for path in files.filter(|path| path.extension().is_some_and(|extension| extension == "rs")) {
        let text = fs::read_to_string(&path).unwrap();
        documented += text.matches("routes!(").count();
        for line in text.lines().filter(|line| [".route(", ".route_service(", ".nest_service("].iter().any(|call| line.contains(call))) {
            // A 404, or the methods of a documented route under a further prefix.
            let harmless = [
                "any(|| async { Fault::NotFound })",
                "route(&format!(\"{prefix}{path}\"), documented)",
                // Documented with one of their methods, or with one of their paths.
                "route(path, any(hook::test))",
                "route(path, any(create::by_body))",
            ];
            assert!(harmless.iter().any(|words| line.contains(words)), "{}: {line}", path.display());
        }
    }
    assert!(documented >= 15, "only {documented} routes were found: does this test still read the sources?");
}

#[tokio::test]
async fn the_document_names_the_rules_and_the_url_of_this_installation() {
    let policy = r#"
name = "invoice"
title = "Invoices from suppliers"
min_size = 1
max_size = "20 MiB"
dispositions = ["attachment"]
slip_lifetime = "30m"
sniff = "reject"
unconfirmed = "discard"
content_types = [{ type = "application/pdf", extensions = ["pdf"] }]
"#;
    let setup = Setup::on(Bed::Embedded).policy("invoice.toml", policy).setting("DROPSLIP_PUBLIC_URL", "https://uploads.example.com");
    let broker = setup.start().await;
    let document = document(&broker).await;
    assert_eq!(document["servers"][0]["url"], "https://uploads.example.com");
    let ask = &document["paths"]["/v2/files/ref.json"];
    assert_eq!(ask["servers"][1]["url"], "https://uploads.example.com/desk/api");
    let members = &document["components"]["schemas"]["NewFile"]["properties"];
    assert_eq!(members["type"]["enum"], json!(["invoice"]));
    assert_eq!(members["size"]["maximum"], 20 << 20);
    assert_eq!(members["disposition"]["enum"], json!(["attachment", "", null]));

    // The examples are requests that this installation grants.
    let examples = ask["post"]["requestBody"]["content"]["application/json"]["examples"].as_object().unwrap();
    assert_eq!(examples.keys().collect::<Vec<_>>(), ["invoice", "wrapped"]);
    for example in examples.values() {
        broker.authorize(&example["value"]).await;
    }
}

#[tokio::test]
async fn where_files_are_put_the_document_demands_their_size() {
    for (method, demanded) in [("post", false), ("put", true)] {
        let broker = Setup::on(Bed::SeaweedFs).setting("DROPSLIP_S3_METHOD", method).start().await;
        let fields = document(&broker).await["components"]["schemas"]["NewFile"].take();
        assert_eq!(fields["required"].as_array().unwrap().contains(&json!("size")), demanded, "{method}: {fields}");
        assert_eq!(fields["properties"]["size"]["type"] == "integer", demanded, "{method}: {fields}");
        let status =
            broker.request("POST", "/v2/files/ref.json").body(new_file("a.txt", "text/plain").to_string()).send().await.unwrap().status();
        assert_eq!(status.as_u16(), if demanded { 400 } else { 201 }, "{method}");
    }
}

#[tokio::test]
async fn the_document_needs_no_token_holds_none_and_is_answered_once() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let url = format!("{}/openapi.json", broker.base);
    let first = broker.http.get(&url).send().await.unwrap();
    assert_eq!(first.headers()["content-type"], "application/json");
    assert_eq!(first.headers()["cache-control"], "no-cache");
    let etag = first.headers()["etag"].to_str().unwrap().to_owned();
    let text = first.text().await.unwrap();
    for secret in [&broker.token, &broker.secret_access_key, &broker.access_key_id] {
        assert!(!text.contains(secret.as_str()));
    }
    for (asked, status) in
        [(etag.clone(), 304), (format!("\"other\", W/{etag}"), 304), ("*".to_owned(), 304), ("\"other\"".to_owned(), 200)]
    {
        let again = broker.http.get(&url).header("if-none-match", &asked).send().await.unwrap();
        assert_eq!(again.status(), status, "{asked}");
        assert_eq!(again.headers()["etag"], etag.as_str());
        assert_eq!(again.text().await.unwrap(), if status == 200 { text.as_str() } else { "" });
    }
}

#[tokio::test]
async fn a_whole_number_may_be_written_with_a_point() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let with = |size: &str| new_file("a.txt", "text/plain").to_string().replacen('{', &format!("{{\"size\":{size},"), 1);
    for (size, status) in [("17.0", 201), ("1.7e1", 201), ("17.5", 400), ("-17.0", 400), ("1e300", 400)] {
        let response = broker.request("POST", "/v2/files/ref.json").body(with(size)).send().await.unwrap();
        assert_eq!(response.status(), status, "{size}");
    }
}
