//! Uppy's real packages in Chromium: the examples of `examples/uppy`, on every store.

use std::net::TcpListener;

use aws_sdk_s3::types::{CorsConfiguration, CorsRule};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::browser::run_script;
use crate::harness::{Bed, Setup, TestBroker, answer, project};

#[tokio::test]
async fn uppy_uploads_as_it_is_on_the_embedded_store() {
    uppy_uploads_as_it_is(Bed::Embedded).await;
}

#[tokio::test]
async fn uppy_uploads_as_it_is_on_seaweedfs() {
    uppy_uploads_as_it_is(Bed::SeaweedFs).await;
}

#[tokio::test]
async fn uppy_uploads_as_it_is_on_localstack() {
    uppy_uploads_as_it_is(Bed::LocalStack).await;
}

async fn uppy_uploads_as_it_is(bed: Bed) {
    let page_port = free_port();
    let origin = format!("http://127.0.0.1:{page_port}");
    let broker = Setup::on(bed).setting("DROPSLIP_CORS_ORIGINS", &origin).start().await;
    allow_pages(&broker, &origin).await;
    let full = Setup::on(Bed::Embedded).setting("DROPSLIP_CORS_ORIGINS", &origin).setting("DROPSLIP_ACTOR_OPEN_SLIPS", "1").start().await;
    let full_endpoint = endpoint(&full, "attachment", 3600).await;
    let first = full.http.get(format!("{full_endpoint}/s3/params?filename=a.txt")).send().await.unwrap();
    assert_eq!(first.status(), 200);

    let uploaded = broker.folder.path().join("uploaded");
    let environment = [
        ("BROKER", broker.base.clone()),
        ("TOKEN", broker.token.clone()),
        ("ENDPOINT", endpoint(&broker, "attachment", 3600).await),
        ("EXPIRED_ENDPOINT", endpoint(&broker, "attachment", 1).await),
        ("IMAGE_ENDPOINT", endpoint(&broker, "image", 3600).await),
        ("FULL_ENDPOINT", full_endpoint),
        ("PAGE_PORT", page_port.to_string()),
        ("UPLOADED", uploaded.display().to_string()),
    ];
    for script in ["uppy.test.mjs", "uppy-multipart.test.mjs", "uppy5.test.mjs"] {
        run_script(script, &environment).await;
    }

    let mut expected: Vec<String> = std::fs::read_to_string(uploaded).unwrap().lines().map(ToOwned::to_owned).collect();
    let mut sealed = Vec::new();
    for (key, _) in broker.objects().await {
        if key.starts_with("files/") {
            sealed.push(hex::encode(Sha256::digest(broker.bytes_of(&key).await)));
        }
    }
    expected.sort();
    sealed.sort();
    assert!(expected.len() > 20);
    assert_eq!(sealed, expected, "what the bucket holds is what the pages uploaded, byte for byte");
}

#[test]
fn the_document_shows_the_examples_that_these_tests_run() {
    let document = std::fs::read_to_string(project().join("docs/uppy.md")).unwrap();
    let shown = document.matches("```js\n//").count();
    let examples: Vec<_> = std::fs::read_dir(project().join("examples/uppy")).unwrap().map(|entry| entry.unwrap().path()).collect();
    for example in &examples {
        let text = std::fs::read_to_string(example).unwrap();
        assert!(document.contains(&format!("```js\n{text}```\n")), "{} is shown otherwise", example.display());
    }
    assert_eq!((examples.len(), shown), (3, 3), "every script that is shown is one of them");
}

/// What to hand to Uppy as `companionEndpoint`.
async fn endpoint(broker: &TestBroker, file_type: &str, seconds: u64) -> String {
    let request = broker.request("POST", "/companion/tokens.json");
    let (status, body) = answer(request.body(json!({"types": [file_type], "seconds": seconds}).to_string())).await;
    assert_eq!(status, 201, "{body}");
    body["companionEndpoint"].as_str().unwrap().to_owned()
}

/// The bucket's rules as README.md gives them; the embedded store has its own.
async fn allow_pages(broker: &TestBroker, origin: &str) {
    if broker.bed == Bed::Embedded {
        return;
    }
    let rule = CorsRule::builder()
        .allowed_origins(origin)
        .set_allowed_methods(Some(vec!["POST".to_owned(), "PUT".to_owned()]))
        .allowed_headers("Content-Type")
        .set_expose_headers(Some(vec!["ETag".to_owned(), "Location".to_owned()]))
        .max_age_seconds(600)
        .build()
        .unwrap();
    let rules = CorsConfiguration::builder().cors_rules(rule).build().unwrap();
    broker.s3.put_bucket_cors().bucket(&broker.bucket).cors_configuration(rules).send().await.unwrap();
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
