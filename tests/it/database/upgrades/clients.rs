//! What clients of an older version hold: tokens, upload tokens, links, slips, Idempotency-Keys.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::fixture::{Installation, PART, YOUNG, array, encoded, lines, listed, numbers, sha256, texts};
use super::{rows, secrets};
use crate::harness::{Db, answer, execute};

pub async fn old_tokens_are_what_they_were(version: &Path, db: Db) {
    let mut old = Installation::copy(version, db, YOUNG).await;
    old.upgrade();
    for token in array(&old.facts["tokens"]) {
        let status = old.ask("GET", "/v2/files.json", token["text"].as_str().unwrap(), None).await.0;
        assert_eq!(status, if token["state"] == "revoked" { 401 } else { 200 }, "{token}");
    }
    let stored = array(&old.facts["tokens"]).iter().filter(|token| token["name"] != "development").count();
    assert_eq!(old.run(&["token", "list"]).lines().count(), stored + 1, "a line each below the head");

    // Scopes and file types.
    let wish = |file_type: &str| json!({"type": file_type, "filename": "new.png", "mimeType": "image/png"});
    for (token, file_type, status) in [
        ("reader", "attachment", 403),
        ("pictures only", "attachment", 403),
        ("pictures only", "image", 201),
        ("customer", "attachment", 201),
        ("all of acme", "artifact", 201),
        ("all of acme", "unheard-of", 400),
    ] {
        let (answered, said) = old.ask("POST", "/v2/files/ref.json", old.token(token), Some(&wish(file_type))).await;
        assert_eq!(answered, status, "{token}, {file_type}: {said}");
    }
    // Whose files they reach.
    let active = old.files("active");
    let of = |is_theirs: &dyn Fn(&Value) -> bool| numbers(active.iter().copied().filter(|file| is_theirs(file)));
    let made_by_customer = |file: &Value| file["record"]["createdBy"] == json!({"id": 7, "type": "customers"});
    for (token, expected) in [
        ("reader", of(&|file| file["tenant"] == "default")),
        ("pictures only", of(&|file| file["tenant"] == "default" && file["record"]["type"] == "image")),
        ("customer", of(&|file| file["tenant"] == "default" && made_by_customer(file))),
        ("customer of acme", of(&|file| file["tenant"] == "acme" && made_by_customer(file))),
    ] {
        assert!(!expected.is_empty(), "{token} had files");
        assert_eq!(listed(&old, old.token(token), "").await, expected, "{token}");
    }
    let of_default = active.iter().find(|file| file["tenant"] == "default").unwrap();
    old.must(404, "GET", &format!("/v2/files/{}.json", of_default["id"]), old.token("all of acme"), None).await;

    // They can be ended as ever.
    let number = array(&old.facts["tokens"]).iter().position(|token| token["name"] == "reader").unwrap() + 1;
    let stored = old.run(&["token", "list"]);
    assert!(stored.lines().nth(number).unwrap().contains("files:read"), "{stored}");
    let number = stored.lines().nth(number).unwrap().split_whitespace().next().unwrap().to_owned();
    old.run(&["token", "revoke", &number]);
    let deadline = Instant::now() + Duration::from_secs(20);
    while old.ask("GET", "/v2/files.json", old.token("reader"), None).await.0 != 401 {
        assert!(Instant::now() < deadline, "a token that was revoked goes on working");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

pub async fn old_slips_can_be_gone_on_with(version: &Path, db: Db) {
    let mut old = Installation::copy(version, db, YOUNG).await;
    old.upgrade();
    // First of all: what is done below makes other answers.
    for used in array(&old.facts["idempotencyKeys"]) {
        let asked = async |body: &Value| {
            let request = old.request("POST", "/v2/files/ref.json", used["token"].as_str());
            answer(request.header("idempotency-key", used["key"].as_str().unwrap()).body(body.to_string())).await
        };
        let (status, said) = asked(&used["request"]).await;
        let is_waiting = old.files("waiting").iter().any(|file| file["id"] == used["file"]);
        assert_eq!((status.as_u16(), &said["file"]["id"]), (if is_waiting { 201 } else { 200 }, &used["file"]), "{said}");
        let mut other = used["request"].clone();
        other["filename"] = json!("another.txt");
        assert_eq!(asked(&other).await.0, 422, "{used}");
    }

    for file in old.files("arrived") {
        old.must(200, "PATCH", &format!("/v2/files/{}.json", file["id"]), old.of_all(&file["tenant"]), None).await;
        old.assert_has_its_bytes(file).await;
    }
    let picture = old.files("active").into_iter().find(|file| file["record"]["type"] == "image").unwrap();
    let picture = old.bytes(&format!("/v2/files/{}/download", picture["id"]), Some(old.of_all(&picture["tenant"]))).await;
    for file in old.files("waiting") {
        let (path, token) = (format!("/v2/files/{}", file["id"]), old.of_all(&file["tenant"]));
        old.must(409, "PATCH", &format!("{path}.json"), token, None).await;
        let slip = old.must(201, "POST", &format!("{path}/ref.json"), token, None).await;
        let bytes = if file["record"]["type"] == "image" { picture.as_slice() } else { b"Sent after the upgrade." };
        old.drop_bytes(&slip["url"], &slip["params"], bytes).await;
        let said = old.must(200, "PATCH", &format!("{path}.json"), token, None).await;
        assert_eq!((&said["file"]["state"], &said["file"]["filename"]), (&json!("active"), &file["record"]["filename"]), "{said}");
    }
    for file in old.files("in parts") {
        let (path, token) = (format!("/v2/files/{}", file["id"]), old.of_all(&file["tenant"]));
        let arrived = old.must(200, "GET", &format!("{path}/parts.json"), token, None).await;
        let sent: BTreeSet<_> = array(&old.facts["parts"])
            .iter()
            .filter(|part| part["file"] == file["id"])
            .map(|part| &part["number"])
            .map(Value::as_u64)
            .collect();
        let there: BTreeSet<_> = array(&arrived["parts"]).iter().map(|part| part["partNumber"].as_u64()).collect();
        assert_eq!(there, sent, "the parts that had arrived are there: {arrived}");
        let missing: Vec<_> = (1..=arrived["partCount"].as_u64().unwrap()).filter(|number| !there.contains(&Some(*number))).collect();
        assert!(!missing.is_empty());
        let signed = old.must(200, "POST", &format!("{path}/parts.json"), token, Some(&json!({"partNumbers": missing}))).await;
        for part in array(&signed["parts"]) {
            assert!(part["size"].as_u64().unwrap() <= PART as u64);
            old.put(&part["url"], lines(part["size"].as_u64().unwrap())).await;
        }
        old.must(200, "PATCH", &format!("{path}.json"), token, None).await;
        old.assert_has_its_bytes(file).await;
    }
    old.assert_whole();
}

pub async fn old_upload_tokens_and_links_work(version: &Path, db: Db) {
    let mut old = Installation::copy(version, db, YOUNG).await;
    // Read before the upgrade: this is what the old version left.
    let mut signed = BTreeMap::new();
    for token in array(&old.facts["uploadTokens"]) {
        let (text, of) = (token["text"].as_str().unwrap(), token["of"].as_str().unwrap());
        let key = if text.starts_with("dj1.") {
            rows::secret(&old.database_url, "secret", "shared_keys WHERE name = 'upload tokens'").await
        } else {
            rows::secret(&old.database_url, "secret_sha256", &format!("tokens WHERE lookup = '{}'", secrets::maker(text))).await
        };
        signed.insert(of, (token, secrets::upload_token(text, &key)));
    }
    let signed: BTreeMap<_, _> = signed.into_iter().map(|(of, (token, text))| (of.to_owned(), (token.clone(), text))).collect();
    old.upgrade();

    let in_query = |path: &str, token: &str| format!("/u/{token}/s3/{path}");
    for (of, (token, text)) in &signed {
        for file_type in ["attachment", "artifact", "image"] {
            let query = format!("params?filename=new.{}&metadata[fileType]={file_type}", if file_type == "image" { "png" } else { "txt" });
            let status = answer(old.request("GET", &in_query(&query, text), None)).await.0;
            let is_for_it = texts(&token["types"]).contains(&file_type);
            assert_eq!(status, if is_for_it { 200 } else { 400 }, "{of}: {file_type}");
        }
        let forged = format!("{}{}", &text[..text.len() - 1], if text.ends_with('0') { '1' } else { '0' });
        assert_eq!(answer(old.request("GET", &in_query("params?filename=new.txt", &forged), None)).await.0, 401, "{of}");
    }
    // Good for 24 hours after the secret was first used, and no longer; whatever is made since then goes on.
    let params = |text: &str| in_query("params?filename=new.txt&metadata[fileType]=attachment", text);
    let status = async |old: &Installation, text: &str| answer(old.request("GET", &params(text), None)).await.0.as_u16();
    let wish = json!({"types": ["attachment"]});
    let made = old.must(201, "POST", "/companion/tokens.json", old.token("all of default"), Some(&wish)).await;
    let (_, new) = made["companionEndpoint"].as_str().unwrap().rsplit_once("/u/").unwrap();
    let (_, before) = &signed["all of default"];
    assert!(new.starts_with("du2.") && before.starts_with("du1."), "{new} {before}");
    // A proof by the stored hash is none for what is made now.
    let hash = rows::secret(&old.database_url, "secret_sha256", &format!("tokens WHERE lookup = '{}'", secrets::maker(new))).await;
    assert_eq!([status(&old, new).await, status(&old, &secrets::forged(new, &hash)).await], [200, 401]);
    for (hours, expected) in [(23, 200), (24, 401)] {
        let moment = secrets::hours_ago(db, hours);
        execute(&old.database_url, &format!("UPDATE moments SET happened_at = {moment} WHERE name = 'installation secret'")).await;
        old.upgrade();
        for (of, (_, text)) in &signed {
            let is_for_it = texts(&signed[of].0["types"]).contains(&"attachment");
            let expected = if expected == 200 && !is_for_it { 400 } else { expected };
            assert_eq!(status(&old, text).await, expected, "{of} after {hours} hours");
        }
        assert_eq!(status(&old, new).await, 200);
    }
    execute(&old.database_url, &format!("UPDATE moments SET happened_at = {}", secrets::hours_ago(db, 0))).await;
    old.upgrade();

    for file in old.files("in parts of Uppy") {
        let (_, text) = &signed["all of default"];
        let upload = |path: &str| in_query(&format!("multipart/{}{path}?key={}", file["id"], encoded(file["key"].as_str().unwrap())), text);
        let (status, parts) = answer(old.request("GET", &upload(""), None)).await;
        assert_eq!((status.as_u16(), array(&parts).len()), (200, 1), "{parts}");
        let (status, done) = answer(old.request("POST", &upload("/complete"), None).body(json!({"parts": parts}).to_string())).await;
        assert_eq!((status.as_u16(), &done["id"]), (200, &file["id"]), "{done}");
        old.assert_has_its_bytes(file).await;
    }

    let secret = match db {
        Db::Sqlite => old.data_file("installation-secret"),
        Db::Postgres => old.facts["settings"]["DROPSLIP_PROXY_KEYS"].as_str().unwrap().to_owned(),
    };
    for file in old.files("active") {
        let id = file["id"].as_i64().unwrap();
        let key = secrets::proxy_key(file["record"]["proxyKey"].as_str().unwrap(), secret.trim(), id);
        let bytes = old.bytes(&format!("/v2/files/{id}/download?proxyKey={key}"), None).await;
        assert_eq!(json!(sha256(&bytes)), file["sha256"], "{file}");
        assert_eq!(old.request("GET", &format!("/v2/files/{}/download?proxyKey={key}", id + 1), None).send().await.unwrap().status(), 401);
    }
}
