//! Links with keys: whoever has one downloads that file, and nobody anything else.

use std::fs;

use serde_json::json;

use super::told;
use crate::harness::{Bed, Db, Setup, TestBroker, answer, new_file};
use crate::process::{Serving, run, text};

const SECRET: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

impl TestBroker {
    /// Asked by nobody in particular.
    async fn asked_by_nobody(&self, path: &str) -> u16 {
        self.http.get(format!("{}{path}", self.base)).send().await.unwrap().status().as_u16()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_with_its_key_needs_no_token() {
    for bed in [Bed::Embedded, Bed::SeaweedFs, Bed::LocalStack] {
        let broker = Setup::on(bed).setting("DROPSLIP_PROXY_KEYS", SECRET).start().await;
        let slip = broker.text_slip().await;
        for empty in ["downloadURL", "proxyKey", "s3Path"] {
            assert_eq!(slip.body["file"][empty], "", "{empty}");
        }
        broker.drop_bytes(&slip, b"Hello").await;
        let file = broker.confirm(slip.id).await.1["file"].take();
        let (url, key) = (file["downloadURL"].as_str().unwrap(), file["proxyKey"].as_str().unwrap());
        assert_eq!(url, format!("{}/v2/files/{}/download?proxyKey={key}", broker.base, slip.id));
        let http = reqwest::Client::new();
        let bytes = http.get(url).send().await.unwrap();
        assert_eq!((bytes.status().as_u16(), bytes.text().await.unwrap().as_str()), (200, "Hello"), "{bed:?}");
        assert_eq!(http.head(url).send().await.unwrap().status(), 200, "{bed:?}");
        let redirect = broker.http.get(url).send().await.unwrap();
        assert!(!told(redirect.headers(), "location").contains(key), "the key is for the broker alone");
        // The same wherever the file is told of, for as long as browsers shall keep what they got by it.
        let listed = broker.call("GET", "/v2/files.json", None).await.1["files"][0].take();
        for told in [broker.read(slip.id).await.1["file"].take(), broker.confirm(slip.id).await.1["file"].take(), listed] {
            assert!(told["downloadURL"].as_str().unwrap().contains("?proxyKey="), "{told}");
            assert_eq!(told["s3Path"], file["s3Path"]);
        }
        // It is the object's key, and no form can be had for it.
        assert_eq!(broker.bytes_of(file["s3Path"].as_str().unwrap()).await, b"Hello");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_opens_nothing_but_its_file() {
    let broker = Setup::on(Bed::Embedded).setting("DROPSLIP_PROXY_KEYS", SECRET).start().await;
    let file = broker.active(&new_file("a.txt", "text/plain"), b"a").await;
    let (id, key) = (file["id"].as_i64().unwrap(), file["proxyKey"].as_str().unwrap());
    let other = broker.active_note("b").await;
    let temp = broker.text_slip().await.id;
    assert_eq!(broker.asked_by_nobody(&format!("/v2/files/{id}/download?proxyKey={key}")).await, 302);
    assert_eq!(broker.asked_by_nobody(&format!("/desk/api/v2/files/{id}/download?x=1&proxyKey={key}&disposition=inline")).await, 302);
    // Another installation's, for the same number.
    let elsewhere = Setup::on(Bed::Embedded).start().await;
    let theirs = elsewhere.active(&new_file("a.txt", "text/plain"), b"a").await["proxyKey"].as_str().unwrap().to_owned();
    let long = "A".repeat(20_000);
    for bad in [
        "",
        "x",
        "AAAA",
        &key[1..],
        &key[..key.len() - 1],
        &format!("{key}A"),
        &format!("{key}%00"),
        &key.to_lowercase(),
        &theirs,
        &long,
        "..%2f",
        "%ff",
        &format!("{key}&proxyKey={key}"),
    ] {
        for asked in [id, other, temp, 999_999] {
            assert_eq!(broker.asked_by_nobody(&format!("/v2/files/{asked}/download?proxyKey={bad}")).await, 401, "{asked} {bad}");
        }
    }
    // The right key says nothing about other numbers, whether there is such a file or not.
    for asked in [other.to_string(), temp.to_string(), "999999".to_owned(), "x".to_owned(), format!("{id}.json")] {
        let (status, body) = answer(broker.http.get(format!("{}/v2/files/{asked}/download?proxyKey={key}", broker.base))).await;
        assert_eq!(
            (status.as_u16(), body),
            (401, json!({"errors": {"authorization": ["must be a good token, as Bearer or as the user of Basic"]}}))
        );
    }
    // It is no token: nothing else takes it.
    for path in [format!("/v2/files/{id}.json?proxyKey={key}"), format!("/v2/files.json?proxyKey={key}")] {
        assert_eq!(broker.asked_by_nobody(&path).await, 401, "{path}");
    }
    let bearer = broker.http.get(format!("{}/v2/files/{id}/download", broker.base)).bearer_auth(key).send().await.unwrap();
    assert_eq!(bearer.status(), 401);
    // Where there is a token, it decides.
    let stranger = broker.new_token("other", 1, "files:read").await;
    let asked =
        broker.http.get(format!("{}/v2/files/{id}/download?proxyKey={key}", broker.base)).bearer_auth(stranger).send().await.unwrap();
    assert_eq!(asked.status(), 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_file_is_gone_for_links_and_tickets_until_it_is_restored() {
    for mode in ["redirect", "proxy"] {
        let broker = Setup::on(Bed::Embedded).setting("DROPSLIP_DOWNLOADS", mode).start().await;
        let file = broker.active(&new_file("a.txt", "text/plain"), b"a").await;
        let id = file["id"].as_i64().unwrap();
        assert_eq!(broker.call("PUT", "/v2/tickets/7/files.json", Some(&json!({"ids": [id]}))).await.0, 200);
        let link = file["downloadURL"].as_str().unwrap().strip_prefix(&broker.base).unwrap().to_owned();
        let ways = [link.clone(), format!("{link}&disposition=inline")];
        let with_token =
            [format!("/v2/files/{id}/download"), format!("/v2/tickets/7/files/{id}/download"), "/v2/tickets/7/files.zip".to_owned()];
        let served = if mode == "proxy" { 200 } else { 302 };
        for (act, status) in [("", served), ("DELETE", 404), ("restore", served)] {
            match act {
                "DELETE" => {
                    let gone = broker.request("DELETE", &format!("/v2/files/{id}.json")).send().await.unwrap();
                    assert_eq!(gone.status(), 204);
                    let told = broker.read(id).await.1["file"].take();
                    assert_eq!(
                        (&told["state"], &told["downloadURL"], &told["proxyKey"], &told["s3Path"]),
                        (&json!("deleted"), &json!(""), &json!(""), &json!(""))
                    );
                }
                "restore" => assert_eq!(broker.call("POST", &format!("/v2/files/{id}/restore.json"), None).await.0, 200),
                _ => {}
            }
            for way in &ways {
                assert_eq!(broker.asked_by_nobody(way).await, status, "{mode} {act} {way}");
                let known = broker.http.get(format!("{}{way}", broker.base)).header("if-none-match", "*").send().await.unwrap();
                assert_eq!(known.status(), if status == 404 { 404 } else { 304 }, "{mode} {act} {way}");
            }
            for path in &with_token {
                let expected = if path.contains(".zip") && status != 404 { 200 } else { status };
                assert_eq!(broker.request("GET", path).send().await.unwrap().status(), expected, "{mode} {act} {path}");
            }
            let listed = broker.call("GET", "/v2/tickets/7/files.json", None).await.1["files"].as_array().unwrap().len();
            assert_eq!(listed, usize::from(status != 404));
        }
        // What is deleted is not attached either.
        let gone = broker.request("DELETE", &format!("/v2/files/{id}.json")).send().await.unwrap();
        assert_eq!(gone.status(), 204);
        let (status, body) = broker.call("PUT", "/v2/tickets/8/files.json", Some(&json!({"ids": [id]}))).await;
        assert_eq!((status.as_u16(), body), (400, json!({"errors": {"ids[0]": ["not found"]}})));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_ends_with_its_time() {
    let broker = Setup::on(Bed::Embedded).setting("DROPSLIP_PROXY_KEY_LIFETIME", "5s").start().await;
    let file = broker.active(&new_file("a.txt", "text/plain"), b"a").await;
    let path = file["downloadURL"].as_str().unwrap().strip_prefix(&broker.base).unwrap().to_owned();
    assert_eq!(broker.asked_by_nobody(&path).await, 302);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(15);
    while broker.asked_by_nobody(&path).await != 401 {
        assert!(std::time::Instant::now() < deadline, "it is good for ever");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let fresh = broker.read(file["id"].as_i64().unwrap()).await.1["file"]["downloadURL"].as_str().unwrap().to_owned();
    assert_eq!(broker.asked_by_nobody(fresh.strip_prefix(&broker.base).unwrap()).await, 302);
}

#[tokio::test(flavor = "multi_thread")]
async fn links_need_a_token_where_that_is_set_whatever_secret_there_is() {
    let keyed = Setup::on(Bed::SeaweedFs).setting("DROPSLIP_SECRETS", SECRET).start().await;
    let key = keyed.active(&new_file("a.txt", "text/plain"), b"a").await["proxyKey"].as_str().unwrap().to_owned();
    for (bed, secret) in [(Bed::SeaweedFs, SECRET), (Bed::SeaweedFs, ""), (Bed::Embedded, "")] {
        let broker = Setup::on(bed).setting("DROPSLIP_SECRETS", secret).setting("DROPSLIP_LINKS", "token").start().await;
        let file = broker.active(&new_file("a.txt", "text/plain"), b"a").await;
        assert_eq!(file["proxyKey"], "");
        let url = file["downloadURL"].as_str().unwrap();
        assert_eq!(url, format!("{}/v2/files/{}/download", broker.base, file["id"]));
        for link in [url.to_owned(), format!("{url}?proxyKey=AAAA"), format!("{url}?proxyKey={key}")] {
            assert_eq!(broker.http.get(&link).send().await.unwrap().status(), 401, "{bed:?} {link}");
            let with_token = broker.http.get(&link).bearer_auth(&broker.token).send().await.unwrap();
            assert_eq!(with_token.status(), 302, "{bed:?} {link}");
        }
        let listed = broker.call("GET", "/v2/files.json", None).await.1["files"][0].take();
        assert_eq!((&listed["proxyKey"], &listed["downloadURL"]), (&file["proxyKey"], &file["downloadURL"]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_setting_links_have_keys_with_a_bucket_too() {
    for db in [Db::Sqlite, Db::Postgres] {
        let broker = Setup::on(Bed::SeaweedFs).database(db).start().await;
        let file = broker.active(&new_file("a.txt", "text/plain"), b"a").await;
        assert_eq!(broker.http.get(file["downloadURL"].as_str().unwrap()).send().await.unwrap().status(), 302, "{db:?}");
        assert!(!file["proxyKey"].as_str().unwrap().is_empty());
    }
}

/// A program with settings of its own on one data folder, started again and again.
fn serving(folder: &tempfile::TempDir, more: &[(&str, &str)]) -> Serving {
    let mut settings = vec![("DROPSLIP_LISTEN", "127.0.0.1:0"), ("DROPSLIP_EMBEDDED_S3_LISTEN", "127.0.0.1:0"), ("DROPSLIP_LOG", "trace")];
    settings.extend(more);
    let log = fs::File::options().append(true).create(true).open(folder.path().join("log")).unwrap();
    Serving::logging_to(log, folder.path(), &settings, ")")
}

/// The file's path with its key, as it is told now.
async fn link(serving: &Serving, token: &str, id: i64) -> String {
    let request = reqwest::Client::new().get(format!("{}/v2/files/{id}.json", serving.url())).bearer_auth(token);
    let url = answer(request).await.1["file"]["downloadURL"].as_str().unwrap().to_owned();
    url.strip_prefix(serving.url()).unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_kept_rotated_and_taken_back_and_no_key_is_logged() {
    const NEW: &str = "fedcba9876543210fedcba9876543210";
    let folder = tempfile::tempdir().unwrap();
    let first = serving(&folder, &[]);
    let token = fs::read_to_string(folder.path().join("data/development-token")).unwrap().trim().to_owned();
    fs::write(folder.path().join("a.txt"), "Hello").unwrap();
    let server = [("DROPSLIP_SERVER", first.url())];
    let uploaded = run(folder.path(), &server, &["upload", "--json", "a.txt"]);
    assert!(uploaded.status.success(), "{}{}", text(&uploaded.stdout), text(&uploaded.stderr));
    let status = async |serving: &Serving, path: &str| {
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        http.get(format!("{}{path}", serving.url())).send().await.unwrap().status().as_u16()
    };
    let kept = link(&first, &token, 1).await;
    assert_eq!(status(&first, &kept).await, 302);
    first.terminate();
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&fs::metadata(folder.path().join("data/installation-secret")).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);

    let again = serving(&folder, &[]);
    assert_eq!(status(&again, &kept).await, 302, "a secret lives longer than a process");
    again.terminate();

    let file = folder.path().join("secrets");
    let old = fs::read_to_string(folder.path().join("data/installation-secret")).unwrap();
    fs::write(&file, format!("{NEW}\n{old}\n")).unwrap();
    let rotated = serving(&folder, &[("DROPSLIP_PROXY_KEYS_FILE", file.to_str().unwrap())]);
    let newer = link(&rotated, &token, 1).await;
    assert_ne!(newer, kept);
    assert_eq!((status(&rotated, &kept).await, status(&rotated, &newer).await), (302, 302));
    rotated.terminate();

    let taken_back = serving(&folder, &[("DROPSLIP_PROXY_KEYS", NEW)]);
    assert_eq!((status(&taken_back, &kept).await, status(&taken_back, &newer).await), (401, 302));
    taken_back.terminate();

    let log = fs::read_to_string(folder.path().join("log")).unwrap();
    assert!(log.contains("/v2/files/1/download"), "nothing was logged");
    for link in [&kept, &newer] {
        let key = link.split_once('=').unwrap().1;
        assert!(!log.contains(key), "{}", log.lines().find(|line| line.contains(key)).unwrap());
    }
    assert!(!log.contains(NEW) && !log.contains(old.trim()));
}

#[test]
fn bad_secrets_stop_the_start_without_being_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let short = folder.path().join("short");
    fs::write(&short, "hunter2").unwrap();
    for settings in [
        vec![("DROPSLIP_PROXY_KEYS", "hunter2")],
        vec![("DROPSLIP_PROXY_KEYS_FILE", short.to_str().unwrap())],
        vec![("DROPSLIP_PROXY_KEYS_FILE", "/nowhere")],
        vec![("DROPSLIP_PROXY_KEYS_FILE", short.to_str().unwrap()), ("DROPSLIP_PROXY_KEYS", SECRET)],
        vec![("DROPSLIP_SECRETS", "hunter2")],
        vec![("DROPSLIP_SECRETS_FILE", short.to_str().unwrap())],
        vec![("DROPSLIP_SECRETS_FILE", "/nowhere")],
        vec![("DROPSLIP_SECRETS", SECRET), ("DROPSLIP_PROXY_KEYS", SECRET)],
    ] {
        let name = settings[0].0;
        let mut all = vec![("DROPSLIP_LISTEN", "127.0.0.1:0"), ("DROPSLIP_EMBEDDED_S3_LISTEN", "127.0.0.1:0")];
        all.extend(settings);
        let output = run(folder.path(), &all, &["serve"]);
        let said = text(&output.stderr);
        assert!(!output.status.success() && said.contains(name), "{said}");
        assert!(!said.contains("hunter2") && !said.contains(SECRET), "{said}");
    }
    for name in ["DROPSLIP_SECRETS", "DROPSLIP_PROXY_KEYS"] {
        let shown = text(&run(folder.path(), &[(name, SECRET)], &["config"]).stdout);
        assert!(
            shown.contains(&format!("{} = \"***\"", name.trim_start_matches("DROPSLIP_").to_lowercase())) && !shown.contains(SECRET),
            "{shown}"
        );
    }
}
