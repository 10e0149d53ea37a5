//! Files without a byte: sent like any other, where the file type takes them.

use reqwest::header::CONTENT_TYPE;
use serde_json::json;

use super::{Ended, client};
use crate::browser::run_script;
use crate::harness::{Bed, Setup, TestBroker, answer, error_fields, new_file, short_lived, slip};
use crate::page;

/// What the SHA-256 of nothing is.
const CHECKSUM: &str = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

/// `attachment` takes empty files, `filled` does not.
fn takes_empty_files(bed: Bed) -> Setup {
    let rule = short_lived("5m", 10_000);
    let filled = rule.replace("name = \"attachment\"", "name = \"filled\"");
    Setup::on(bed).policy("attachment.toml", rule.replace("min_size = 1", "min_size = 0")).policy("filled.toml", filled)
}

async fn uploaded(broker: &TestBroker, arguments: &[&str]) -> Ended {
    std::fs::write(broker.folder.path().join("empty.txt"), "").unwrap();
    let mut command = client(broker.folder.path(), &broker.base, &[arguments, &["--json", "empty.txt"]].concat());
    command.env("DROPSLIP_TOKEN", &broker.token);
    // The broker runs in this process: its runtime must not be kept from running.
    tokio::task::spawn_blocking(move || Ended::from(command.output().unwrap())).await.unwrap()
}

async fn an_empty_file_becomes_active(bed: Bed) {
    for method in ["post", "put"] {
        // From a threshold of 0 on every file that has bytes comes in parts.
        for threshold in ["100 MB", "0"] {
            let setup = takes_empty_files(bed).setting("DROPSLIP_S3_METHOD", method).setting("DROPSLIP_MULTIPART_THRESHOLD", threshold);
            let broker = setup.start().await;
            for options in [&[][..], &["--checksum"], &["--no-multipart"], &["--resume"], &["--mime-type", "text/plain"]] {
                let ended = uploaded(&broker, options).await;
                let said = format!("{bed:?} {method} {threshold} {options:?}: {ended:?}");
                assert_eq!(ended.code, Some(0), "{said}");
                let file = &ended.objects()[0]["file"];
                assert_eq!(
                    (&file["state"], &file["size"], &file["mimeType"]),
                    (&json!("active"), &json!(0), &json!("text/plain")),
                    "{said}"
                );
                let (_, read) = broker.read(file["id"].as_i64().unwrap()).await;
                assert_eq!(read["file"]["state"], "active", "{said}");
                let checksum = if options == ["--checksum"] { json!(CHECKSUM) } else { json!(null) };
                assert_eq!(read["file"]["evidence"]["checksumSHA256"], checksum, "{said}");
            }
            let sealed = broker.objects().await;
            assert!(sealed.len() == 5 && sealed.iter().all(|(key, size)| key.starts_with("files/") && *size == 0), "{sealed:?}");
            // What takes none refuses it, in the broker's words.
            let ended = uploaded(&broker, &["--type", "filled"]).await;
            let failed = &ended.objects()[0];
            assert_eq!((ended.code, &failed["step"], &failed["status"]), (Some(1), &json!("authorize"), &json!(400)), "{ended:?}");
            assert!(failed["error"].as_str().unwrap().contains("size must be 1 or higher"), "{failed}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_file_becomes_active_on_the_embedded_store() {
    an_empty_file_becomes_active(Bed::Embedded).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_file_becomes_active_on_seaweedfs() {
    an_empty_file_becomes_active(Bed::SeaweedFs).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_file_becomes_active_on_localstack() {
    an_empty_file_becomes_active(Bed::LocalStack).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_file_goes_up_by_the_client_and_the_page() {
    for bed in [Bed::Embedded, Bed::SeaweedFs, Bed::LocalStack] {
        for method in ["post", "put"] {
            let setup = takes_empty_files(bed).setting("DROPSLIP_S3_METHOD", method).setting("DROPSLIP_PAGE", "true");
            let broker = page::started(setup).await;
            let environment = [("TEST_BROKER", broker.base.clone()), ("TEST_TOKEN", broker.token.clone())];
            run_script("empty.test.mjs", &environment).await;
        }
    }
}

/// As Uppy sends it: by form, whatever it sends in parts. Then the page confirms.
#[tokio::test(flavor = "multi_thread")]
async fn an_empty_file_goes_up_by_companions_routes() {
    for bed in [Bed::Embedded, Bed::SeaweedFs, Bed::LocalStack] {
        let broker = takes_empty_files(bed).start().await;
        let companion = |method, path: &str| broker.request(method, &format!("/companion{path}"));
        for size in ["", "&metadata[size]=0"] {
            let asked = companion("GET", &format!("/s3/params?filename=a.txt&type=text/plain&metadata[fileType]=attachment{size}"));
            let (status, body) = answer(asked).await;
            assert_eq!(status, 200, "{body}");
            let fields: Vec<_> =
                body["fields"].as_object().unwrap().iter().map(|(k, v)| (k.clone(), v.as_str().unwrap().to_owned())).collect();
            assert_eq!(broker.post_form(body["url"].as_str().unwrap(), &fields, Some(b"")).await.0, 201);
            let key = &fields.iter().find(|(name, _)| name == "key").unwrap().1;
            let (status, done) = answer(companion("POST", &format!("/s3/confirm?key={key}"))).await;
            assert_eq!(status, 200, "{bed:?}: {done}");
            let (_, read) = broker.read(done["id"].as_i64().unwrap()).await;
            assert_eq!((&read["file"]["state"], &read["file"]["size"]), (&json!("active"), &json!(0)));
        }
        let refused = companion("GET", "/s3/params?filename=a.txt&type=text/plain&metadata[fileType]=filled&metadata[size]=0");
        let (status, body) = answer(refused).await;
        assert_eq!((status.as_u16(), error_fields(&json!({"errors": body["errors"]}))), (400, vec!["size".to_owned()]), "{body}");
        // A form that takes no empty file is not filled with none.
        let mut wish = new_file("a.txt", "text/plain");
        wish["type"] = "filled".into();
        let (_, body) =
            answer(broker.request("POST", "/v2/files/ref.json").header(CONTENT_TYPE, "application/json").body(wish.to_string())).await;
        let slip = slip(body);
        let (status, _) = broker.post_form(&slip.url, &slip.params, Some(b"")).await;
        assert!(status.is_client_error(), "{bed:?}: {status}");
    }
}
