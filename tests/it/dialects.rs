//! Which dialects are spoken, and that each works without the others.

use std::collections::BTreeSet;

use dropslip::config::Config;
use dropslip::server::Server;
use serde_json::{Value, json};

use crate::harness::{Bed, Setup, TestBroker, answer, new_file};
use crate::process::{run, text};

/// A path of each dialect that any good token may ask for.
const DESK: (&str, &str) = ("POST", "/v2/files/ref.json");
const COMPANION: (&str, &str) = ("POST", "/companion/tokens.json");

async fn speaking(dialects: &str) -> TestBroker {
    Setup::on(Bed::Embedded)
        .setting("DROPSLIP_DIALECTS", dialects)
        .setting("DROPSLIP_NOTIFICATIONS_TOKEN", "0123456789abcdef")
        .start()
        .await
}

async fn status_of(broker: &TestBroker, (method, path): (&str, &str), body: &Value) -> u16 {
    broker.request(method, path).body(body.to_string()).send().await.unwrap().status().as_u16()
}

/// What the document says: first segments of paths, names of tags, and all of it.
async fn document(broker: &TestBroker) -> (BTreeSet<String>, Vec<String>, Value) {
    let (status, document) = broker.call("GET", "/openapi.json", None).await;
    assert_eq!(status, 200, "{document}");
    let firsts = document["paths"].as_object().unwrap().keys().map(|path| path.split('/').nth(1).unwrap().to_owned()).collect();
    let tags = document["tags"].as_array().unwrap().iter().map(|tag| tag["name"].as_str().unwrap().to_owned()).collect();
    (firsts, tags, document)
}

/// Every reference leads somewhere, and no schema is there that nobody refers to.
fn is_whole(document: &Value) {
    let text = document.to_string();
    let referred: BTreeSet<_> = text.split("\"$ref\":\"#").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert!(!referred.is_empty());
    for reference in &referred {
        assert!(document.pointer(reference).is_some(), "{reference} leads nowhere");
    }
    for name in document["components"]["schemas"].as_object().unwrap().keys() {
        assert!(referred.contains(format!("/components/schemas/{name}").as_str()), "nobody refers to {name}");
    }
}

/// Asks for what the other dialect has: nobody is there, whoever asks.
async fn knows_nothing_of(broker: &TestBroker, paths: &[(&str, &str)]) {
    let unknown = broker.http.get(format!("{}/nothing", broker.base)).send().await.unwrap();
    assert_eq!(unknown.status(), 404);
    let names = |response: &reqwest::Response| response.headers().keys().map(ToString::to_string).collect::<BTreeSet<_>>();
    let unknown = (names(&unknown), unknown.text().await.unwrap());
    for (method, path) in paths {
        let request = broker.http.request(method.parse().unwrap(), format!("{}{path}", broker.base));
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 404, "{method} {path}");
        let headers = names(&response);
        assert_eq!((headers, response.text().await.unwrap()), unknown, "{method} {path} is answered as nothing is");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_word_all_dialects_are_spoken() {
    let broker = TestBroker::on(Bed::Embedded).await;
    assert_eq!(broker.server.dialects.names().collect::<Vec<_>>(), ["desk", "companion", "kayako", "kayako-classic"]);
    assert_eq!(status_of(&broker, DESK, &new_file("a.txt", "text/plain")).await, 201);
    assert_eq!(status_of(&broker, COMPANION, &json!({"types": ["attachment"]})).await, 201);
    let (_, tags, whole) = document(&broker).await;
    assert_eq!(tags, ["Files", "Uppy", "Kayako", "Kayako Classic", "Operating"]);
    is_whole(&whole);
    for (named, spoken) in [
        ("all", "desk,companion,kayako,kayako-classic"),
        ("companion, desk", "desk,companion"),
        ("desk,desk", "desk"),
        ("desk,all", "desk,companion,kayako,kayako-classic"),
        ("kayako", "kayako"),
        ("kayako-classic", "kayako-classic"),
    ] {
        let broker = speaking(named).await;
        assert_eq!(broker.server.dialects.names().collect::<Vec<_>>().join(","), spoken, "{named}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn desk_is_spoken_alone() {
    let broker = speaking("desk").await;
    let slip = broker.text_slip().await;
    broker.drop_bytes(&slip, b"Hello").await;
    let (status, body) = broker.confirm(slip.id).await;
    assert_eq!((status.as_u16(), &body["file"]["state"]), (200, &json!("active")));
    let link = body["file"]["downloadURL"].as_str().unwrap();
    assert_eq!(broker.http.get(link).send().await.unwrap().status(), 302);
    knows_nothing_of(
        &broker,
        &[
            COMPANION,
            ("GET", "/s3/params?filename=a.txt"),
            ("POST", "/s3/multipart"),
            ("GET", "/u/x/s3/params"),
            ("GET", "/companion/"),
            ("GET", "/u/x"),
        ],
    )
    .await;
    let (firsts, tags, whole) = document(&broker).await;
    assert_eq!(firsts, ["healthz", "notifications", "openapi.json", "readyz", "v2"].map(str::to_owned).into());
    assert_eq!(tags, ["Files", "Operating"]);
    assert!(!whole.to_string().contains("Uppy"), "{whole}");
    is_whole(&whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn companion_is_spoken_alone() {
    let broker = speaking("companion").await;
    let wish = json!({"types": ["attachment"]});
    let (status, token) = broker.call(COMPANION.0, COMPANION.1, Some(&wish)).await;
    assert_eq!(status, 201, "{token}");
    let endpoint = token["companionEndpoint"].as_str().unwrap();
    let params = format!("{endpoint}/s3/params?filename=a.txt&type=text/plain&metadata[fileType]=attachment");
    let (status, form) = answer(broker.http.get(params)).await;
    assert_eq!(status, 200, "{form}");
    let fields = form["fields"].as_object().unwrap();
    let fields: Vec<_> = fields.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect();
    let (status, said) = broker.post_form(form["url"].as_str().unwrap(), &fields, Some(b"Hello")).await;
    assert_eq!(status, 201, "{said}");
    let key = form["fields"]["key"].as_str().unwrap();
    let (status, done) = answer(broker.http.post(format!("{endpoint}/s3/confirm?key={key}"))).await;
    assert_eq!(status, 200, "{done}");
    let members: Vec<_> = done.as_object().unwrap().keys().collect();
    assert_eq!(members, ["id", "key"], "where nobody reads a file, no location leads to one");
    assert_eq!(answer(broker.http.get(format!("{endpoint}/s3/nothing"))).await.1, json!({"message": "not found"}));
    let id = done["id"].as_i64().unwrap();
    let record = format!("/v2/files/{id}.json");
    knows_nothing_of(&broker, &[DESK, ("GET", &record), ("GET", "/v2"), ("DELETE", "/desk/api/v2/files.json"), ("GET", "/")]).await;
    let (firsts, tags, whole) = document(&broker).await;
    assert_eq!(firsts, ["companion", "healthz", "notifications", "openapi.json", "readyz", "u"].map(str::to_owned).into());
    assert_eq!(tags, ["Uppy", "Operating"]);
    let done = &whole["components"]["schemas"]["UppyDone"];
    assert!(done["properties"].get("location").is_none() && done["required"] == json!(["key", "id"]), "{done}");
    assert!(!whole.to_string().contains("/v2") && !whole.to_string().contains("downloadURL"));
    is_whole(&whole);
}

#[tokio::test]
async fn dialects_that_there_are_not_are_refused_at_the_start() {
    let config = |settings: &[(&str, &str)]| {
        Config::from_parts(None, settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    };
    let unknown = config(&[("DROPSLIP_DIALECTS", "desk,esperanto")]).unwrap();
    let error = format!("{:#}", Box::pin(Server::start(&unknown)).await.err().unwrap());
    assert_eq!(
        error,
        "DROPSLIP_DIALECTS: there is no dialect ‘esperanto’: it must be some of desk, companion, kayako, kayako-classic, or all"
    );
    for none in [",", " "] {
        let error = config(&[("DROPSLIP_DIALECTS", none)]).unwrap_err().to_string();
        assert_eq!(error, "DROPSLIP_DIALECTS: must name at least one dialect, such as desk", "{none:?}");
    }
    // With a bucket an upgrade opens nothing.
    assert_eq!(config(&[("DROPSLIP_S3_BUCKET", "uploads")]).unwrap().dialects, ["desk", "companion"]);
    assert_eq!(config(&[]).unwrap().dialects, ["all"]);
}

#[tokio::test]
async fn the_page_needs_the_dialect_that_it_speaks() {
    let folder = tempfile::tempdir().unwrap();
    let with =
        |dialects| run(folder.path(), &[("DROPSLIP_DIALECTS", dialects), ("DROPSLIP_PAGE", "true"), ("DROPSLIP_LISTEN", "x")], &["serve"]);
    let refused = text(&with("companion").stderr);
    assert!(refused.contains("DROPSLIP_PAGE: the page speaks the dialect desk, which DROPSLIP_DIALECTS does not name"), "{refused}");
    // What is refused is the address alone.
    let taken = text(&with("desk").stderr);
    assert!(taken.contains("DROPSLIP_LISTEN") && !taken.contains("DROPSLIP_PAGE"), "{taken}");
}
