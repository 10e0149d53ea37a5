//! The upload page: what is served and when, and uploads through it in Chromium on every store.

use aws_sdk_s3::types::{CorsConfiguration, CorsRule};
use serde_json::json;

use crate::browser::run_script;
use crate::faults::proxy::{Break, Proxy};
use crate::harness::{Bed, Setup, TestBroker, error_fields, from_servers, project, short_lived};

fn environment(broker: &TestBroker) -> Vec<(&'static str, String)> {
    vec![("TEST_BROKER", broker.base.clone()), ("TEST_TOKEN", broker.token.clone())]
}

fn with_page(bed: Bed) -> Setup {
    Setup::on(bed).setting("DROPSLIP_PAGE", "true")
}

/// A broker whose page may send to the bucket: the embedded store knows its own page, a bucket has the rules of README.md.
pub async fn started(setup: Setup) -> TestBroker {
    let broker = setup.start().await;
    if broker.bed != Bed::Embedded {
        let rule = CorsRule::builder()
            .allowed_origins(&broker.base)
            .set_allowed_methods(Some(vec!["POST".to_owned(), "PUT".to_owned()]))
            .set_allowed_headers(Some(["Content-Type", "If-None-Match", "x-amz-checksum-sha256"].map(str::to_owned).to_vec()))
            .set_expose_headers(Some(vec!["ETag".to_owned(), "Location".to_owned()]))
            .max_age_seconds(600)
            .build()
            .unwrap();
        let rules = CorsConfiguration::builder().cors_rules(rule).build().unwrap();
        broker.s3.put_bucket_cors().bucket(&broker.bucket).cors_configuration(rules).send().await.unwrap();
    }
    broker
}

/// Every file that the script uploads lies sealed in the bucket, byte for byte.
async fn uploads_through_the_page(setup: Setup) {
    let broker = started(setup).await;
    run_script("upload.test.mjs", &environment(&broker)).await;
    let mut sealed = Vec::new();
    for (key, _) in broker.objects().await.iter().filter(|(key, _)| key.starts_with("files/")) {
        sealed.push(broker.bytes_of(key).await);
    }
    let twenty = (0..20u8).map(|i| vec![b'a' + i; 1000 + usize::from(i)]);
    for content in twenty.chain([vec![b'x'; 3_000_000], vec![b'y'; 3_000_000], vec![b'a'; 100], vec![b'e'; 100], vec![b'e'; 200]]) {
        let copies = sealed.iter().filter(|bytes| **bytes == content).count();
        assert_eq!(copies, 1, "{} bytes of ‘{}’", content.len(), char::from(content[0]));
    }
    assert_eq!(sealed.len(), 25, "nothing else became a file");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_uploads_to_embedded() {
    uploads_through_the_page(with_page(Bed::Embedded)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_uploads_to_seaweedfs() {
    uploads_through_the_page(with_page(Bed::SeaweedFs)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_uploads_to_localstack() {
    uploads_through_the_page(with_page(Bed::LocalStack)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_uploads_by_put_to_embedded() {
    uploads_through_the_page(with_page(Bed::Embedded).setting("DROPSLIP_S3_METHOD", "put")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_uploads_by_put_to_seaweedfs() {
    uploads_through_the_page(with_page(Bed::SeaweedFs).setting("DROPSLIP_S3_METHOD", "put")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_uploads_by_put_to_localstack() {
    uploads_through_the_page(with_page(Bed::LocalStack).setting("DROPSLIP_S3_METHOD", "put")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_goes_on_with_parts_after_a_reload() {
    for bed in [Bed::Embedded, Bed::SeaweedFs, Bed::LocalStack] {
        let setup = with_page(bed).setting("DROPSLIP_MULTIPART_THRESHOLD", "6 MiB").setting("DROPSLIP_PART_SIZE", "5 MiB");
        let broker = started(setup).await;
        run_script("page_parts.test.mjs", &environment(&broker)).await;
        let sealed: Vec<_> = broker.objects().await.into_iter().filter(|(key, _)| key.starts_with("files/")).collect();
        assert_eq!(sealed.len(), 2, "{bed:?}: {sealed:?}");
        let quarter = 17 * 1024 * 1024 / 4;
        let in_order: Vec<u8> = b"abcd".iter().flat_map(|letter| vec![*letter; quarter]).collect();
        let mut found = false;
        for (key, _) in sealed {
            found |= broker.bytes_of(&key).await == in_order;
        }
        assert!(found, "{bed:?}: the parts are not where they belong");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_goes_on_after_a_broken_connection_and_an_expired_slip() {
    let proxy = Proxy::to(&from_servers("TEST_SEAWEEDFS_URL")).await;
    let endpoint = format!("http://{}", proxy.address);
    let setup = with_page(Bed::SeaweedFs).setting("DROPSLIP_S3_PUBLIC_ENDPOINT", endpoint);
    let broker = started(setup.policy("short.toml", short_lived("3s", 10_000_000))).await;
    // Twice, because Chromium itself sends again what broke on a connection that it had used before.
    proxy.breaks_times("CUT-HERE", Break::CutRequest(0), 2);
    run_script("page_breaks.test.mjs", &environment(&broker)).await;
    assert_eq!(proxy.hits(), 2, "nothing was cut");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_usable_by_everybody_and_keeps_to_its_policy() {
    let broker = started(with_page(Bed::Embedded)).await;
    run_script("page.test.mjs", &environment(&broker)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_file_of_the_page_is_served_with_a_tag_and_nothing_else_is() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let mut paths = vec![("/".to_owned(), project().join("web/index.html"))];
    for folder in ["web", "clients/js/src"] {
        for entry in std::fs::read_dir(project().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if name != "index.html" {
                paths.push((format!("/{folder}/{name}"), path));
            }
        }
    }
    assert!(paths.len() > 15);
    for (url, path) in paths {
        let get = || broker.http.get(format!("{}{url}", broker.base));
        let answer = get().send().await.unwrap();
        assert_eq!(answer.status(), 200, "{url} is not in src/api/page.rs");
        let headers = answer.headers().clone();
        assert_eq!(headers["cache-control"], "no-cache");
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("script-src 'self';") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.bytes().await.unwrap(), std::fs::read(path).unwrap(), "{url}");
        let again = get().header("if-none-match", &headers["etag"]).send().await.unwrap();
        assert_eq!((again.status().as_u16(), again.bytes().await.unwrap().len()), (304, 0), "{url}");
        assert_eq!(get().header("if-none-match", "\"other\"").send().await.unwrap().status(), 200);
    }
    for nothing in ["/index.html", "/web/", "/web/index.html", "/web/../Cargo.toml", "/clients/js/package.json"] {
        assert_eq!(broker.http.get(format!("{}{nothing}", broker.base)).send().await.unwrap().status(), 404, "{nothing}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_bucket_there_is_a_page_only_if_it_is_switched_on() {
    for (setup, status) in [
        (Setup::on(Bed::Embedded), 200),
        (Setup::on(Bed::Embedded).setting("DROPSLIP_PAGE", "false"), 404),
        (Setup::on(Bed::SeaweedFs), 404),
        (with_page(Bed::SeaweedFs), 200),
    ] {
        let broker = setup.start().await;
        for path in ["/", "/web/page.js", "/clients/js/src/index.js"] {
            let answer = broker.http.get(format!("{}{path}", broker.base)).send().await.unwrap();
            assert_eq!(answer.status(), status, "{:?} {path}", broker.bed);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn file_types_are_told_to_whoever_has_a_token() {
    let broker = Setup::on(Bed::Embedded).policy("short.toml", short_lived("1m", 1234)).start().await;
    let expected = json!({"fileTypes": [{
        "name": "attachment", "title": "Forms that die soon", "contentTypes": [{"type": "text/plain", "extensions": ["txt"]}],
        "refusedExtensions": [], "minSize": 1, "maxSize": 1234, "dispositions": ["attachment"],
    }]});
    for scopes in ["files:read", "files:write"] {
        let token = broker.new_token("default", 2, scopes).await;
        for prefix in ["/v2", "/desk/api/v2"] {
            let request = broker.http.get(format!("{}{prefix}/file-types.json", broker.base)).bearer_auth(&token);
            assert_eq!(crate::harness::answer(request).await, (reqwest::StatusCode::OK, expected.clone()));
        }
    }
    let (status, body) = crate::harness::answer(broker.http.get(format!("{}/v2/file-types.json", broker.base))).await;
    assert_eq!((status.as_u16(), error_fields(&body)), (401, vec!["authorization".to_owned()]));
    let (status, _) = broker.call("POST", "/v2/file-types.json", None).await;
    assert_eq!(status, 405);
}
