//! Whatever a request carries, it is answered in Desk's words: never a 5xx, never another shape, and the server goes on.

mod generated;
mod written;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{Bed, TestBroker, error_fields};
use generated::generated_bodies;
use written::{LONGEST, accepted, nested, no_json, refused, valid, with, wrapped};

const PREFIXES: [&str; 2] = ["/v2", "/desk/api/v2"];

/// A request that takes longer hangs.
const HANGS: Duration = Duration::from_secs(20);

const AT_ONCE: usize = 16;

/// What a request was answered, in the right shape.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    /// Asserts what holds for every answer of this dialect.
    fn new(what: &str, status: StatusCode, headers: HeaderMap, text: &str) -> Self {
        assert!(status.is_success() || status.is_client_error(), "{what}: {status} {text}");
        assert_eq!(headers.get("content-type").map(HeaderValue::as_bytes), Some(&b"application/json"[..]), "{what}: {status} {text}");
        assert_eq!(headers.get("cache-control").map(HeaderValue::as_bytes), Some(&b"no-store"[..]), "{what}: {status} {text}");
        let body: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{what}: {status} {error}: {text}"));
        if status.is_success() {
            assert!(body["file"]["id"].is_i64(), "{what}: {status} {text}");
        } else {
            catch_unwind(AssertUnwindSafe(|| error_fields(&body))).unwrap_or_else(|_| panic!("{what}: {status} {text}"));
        }
        Self { status, headers, body }
    }

    fn fields(&self) -> Vec<String> {
        if self.status.is_success() { Vec::new() } else { error_fields(&self.body) }
    }
}

async fn ask(what: &str, request: RequestBuilder) -> Answer {
    let response = request.timeout(HANGS).send().await.unwrap_or_else(|error| panic!("{what}: {error:?}"));
    let (status, headers) = (response.status(), response.headers().clone());
    Answer::new(what, status, headers, &response.text().await.unwrap())
}

/// Sends a request line as it is: clients tidy up paths.
async fn ask_raw(broker: &TestBroker, method: &str, path: &[u8]) -> (StatusCode, HeaderMap, String) {
    let exchange = async {
        let (mut read, mut write) = TcpStream::connect(broker.server.address).await.unwrap().into_split();
        let head =
            format!("HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", broker.token);
        let request = [method.as_bytes(), b" ", path, b" ", head.as_bytes()].concat();
        let mut response = Vec::new();
        // The answer may come, and the connection end, before the request is read.
        let (_, received) = tokio::join!(write.write_all(&request), read.read_to_end(&mut response));
        assert!(received.is_ok() || !response.is_empty(), "{received:?}");
        String::from_utf8(response).unwrap()
    };
    let response = tokio::time::timeout(HANGS, exchange).await.unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines.map(|line| line.split_once(": ").unwrap());
    let headers = headers.map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap())).collect();
    (status, headers, body.to_owned())
}

fn shown(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(300)]).into_owned();
    format!("{} bytes {text:?}", body.len())
}

async fn authorize(broker: &TestBroker, prefix: &str, body: impl Into<Vec<u8>>) -> Answer {
    let body = body.into();
    let what = format!("POST {prefix}/files/ref.json with {}", shown(&body));
    ask(&what, broker.request("POST", &format!("{prefix}/files/ref.json")).header("content-type", "application/json").body(body)).await
}

async fn confirm(broker: &TestBroker, method: &str, prefix: &str, id: i64, body: impl Into<Vec<u8>>) -> Answer {
    let body = body.into();
    let what = format!("{method} {prefix}/files/{id}.json with {}", shown(&body));
    ask(&what, broker.request(method, &format!("{prefix}/files/{id}.json")).header("content-type", "application/json").body(body)).await
}

/// A file that is `temp`, and one that is `active`.
async fn two_files(broker: &TestBroker) -> (i64, i64) {
    let (temp, active) = (broker.text_slip().await, broker.text_slip().await);
    broker.drop_bytes(&active, b"hello").await;
    assert_eq!(broker.confirm(active.id).await.0, 200);
    (temp.id, active.id)
}

async fn still_serves(broker: &TestBroker) {
    for prefix in PREFIXES {
        let answer = authorize(broker, prefix, valid()).await;
        assert_eq!(answer.status, 201);
        let slip = crate::harness::slip(answer.body);
        broker.drop_bytes(&slip, b"hello").await;
        let answer = confirm(broker, "PATCH", prefix, slip.id, "").await;
        assert_eq!((answer.status.as_u16(), &answer.body["file"]["state"]), (200, &json!("active")));
    }
}

/// Every request, some at once; the answers in no order.
async fn all<T>(requests: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    stream::iter(requests).buffer_unordered(AT_ONCE).collect().await
}

// ---- tests ----

#[tokio::test]
async fn a_malformed_request_for_a_slip_is_refused_by_field() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let table = refused().into_iter().chain(no_json().into_iter().map(|body| (body, &["body"][..])));
    let requests = table.flat_map(|(body, fields)| PREFIXES.map(|prefix| (prefix, body.clone(), fields)));
    let wrong: Vec<_> = all(requests.map(async |(prefix, body, fields)| {
        let answer = authorize(&broker, prefix, body.clone()).await;
        let right = answer.status == 400 && answer.fields() == fields;
        (!right).then(|| format!("{prefix} {} is answered {} {}, not about {fields:?}", shown(&body), answer.status, answer.body))
    }))
    .await
    .into_iter()
    .flatten()
    .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(broker.read(1).await.0, 404, "a refused request left a record");
    still_serves(&broker).await;
}

#[tokio::test]
async fn an_odd_request_that_says_all_that_is_needed_gets_its_slip() {
    let broker = TestBroker::on(Bed::Embedded).await;
    for body in accepted() {
        for prefix in PREFIXES {
            let answer = authorize(&broker, prefix, body.as_bytes()).await;
            assert_eq!(answer.status, 201, "{}: {}", shown(body.as_bytes()), answer.body);
        }
    }
}

#[tokio::test]
async fn a_confirmation_reads_past_any_json_and_refuses_anything_else() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let (temp, active) = two_files(&broker).await;
    for prefix in PREFIXES {
        for method in ["PATCH", "PUT"] {
            for body in no_json() {
                for id in [temp, active] {
                    let answer = confirm(&broker, method, prefix, id, body.clone()).await;
                    assert_eq!((answer.status.as_u16(), answer.fields()), (400, vec!["body".to_owned()]), "{}", shown(&body));
                }
            }
            let json = ["", " \n", "null", "[]", "{}", r#""x""#, "1e999", r#"{"file":null}"#, r#"{"file":{"id":0,"state":"deleted"}}"#];
            let deep = [nested("[", "", "]", 10_000), nested(r#"{"file":"#, "1", "}", 6_000)];
            let says_nothing: Vec<String> = json.map(str::to_owned).into_iter().chain(deep).collect();
            for (number, body) in says_nothing.iter().cloned().chain(accepted()).enumerate() {
                let answer = confirm(&broker, method, prefix, temp, body.clone()).await;
                assert_eq!((answer.status.as_u16(), answer.fields()), (409, vec!["state".to_owned()]), "{}", shown(body.as_bytes()));
                let answer = confirm(&broker, method, prefix, active, body.clone()).await;
                if answer.status == 400 && number >= says_nothing.len() {
                    // A request for a slip has a name, and not every name goes with a text.
                    assert_eq!(answer.fields(), vec!["filename".to_owned()], "{}", shown(body.as_bytes()));
                    continue;
                }
                assert_eq!(answer.status, 200, "{}", shown(body.as_bytes()));
                assert_eq!((&answer.body["file"]["id"], &answer.body["file"]["state"]), (&json!(active), &json!("active")));
            }
        }
    }
    still_serves(&broker).await;
}

#[tokio::test]
async fn six_hundred_generated_bodies_are_all_answered_in_shape() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let (temp, active) = two_files(&broker).await;
    let bodies = generated_bodies(600);

    let statuses = all(bodies.iter().enumerate().map(async |(number, body)| {
        let prefix = PREFIXES[number % 2];
        let asked = authorize(&broker, prefix, body.clone()).await;
        assert!([201, 400].contains(&asked.status.as_u16()), "{number}: {} is answered {} {}", shown(body), asked.status, asked.body);
        if asked.status == 201 {
            // Numbers out of any range are JSON too, where nobody looks at them.
            let text = String::from_utf8_lossy(body);
            // A mark before it is left out.
            let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
            let is_json = serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
            assert!(is_json && text.trim_start().starts_with('{'), "{number}: a slip for {}", shown(body));
        }
        let (id, done) = if number % 4 < 2 { (temp, 409) } else { (active, 200) };
        let confirmed = confirm(&broker, if number % 3 == 0 { "PUT" } else { "PATCH" }, prefix, id, body.clone()).await;
        assert!([done, 400].contains(&confirmed.status.as_u16()), "{number}: {} is answered {}", shown(body), confirmed.body);
        (asked.status.as_u16(), confirmed.status.as_u16())
    }))
    .await;

    // A corpus that is all good or all bad would prove little.
    let count = |wanted: fn(&(u16, u16)) -> bool| statuses.iter().filter(|statuses| wanted(statuses)).count();
    assert!(count(|(asked, _)| *asked == 201) > 30, "{} slips", count(|(asked, _)| *asked == 201));
    assert!(count(|(asked, _)| *asked == 400) > 300);
    assert!(count(|(_, confirmed)| *confirmed == 400) > 100 && count(|(_, confirmed)| *confirmed != 400) > 100);
    assert_eq!(broker.objects().await.len(), 1, "only the active file has bytes");
    still_serves(&broker).await;
}

#[tokio::test]
async fn what_is_missing_is_said_in_desks_words() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let unset = json!(["must be set"]);
    let all_unset = json!({"errors": {"filename": unset, "mimeType": unset, "type": unset}});
    for body in ["", "{}", r#"{"file":{}}"#, r#"{"filename":null,"mimeType":null,"type":null}"#] {
        assert_eq!(authorize(&broker, "/v2", body).await.body, all_unset, "{body}");
    }
    for (body, field, message) in [
        (with("filename", "null"), "filename", "must be set"),
        (with("mimeType", "null"), "mimeType", "must be set"),
        (with("type", "null"), "type", "must be set"),
        (with("type", r#""picture""#), "type", "must be one of ‘artifact, attachment, image’"),
        (with("disposition", r#""inline""#), "disposition", "must be one of ‘attachment, attachment-inline’"),
        (with("filename", "5"), "filename", "must be a text"),
        (with("size", "1.5"), "size", "must be a whole number"),
        (with("size", "-1"), "size", "must be 0 or higher"),
        (with("size", "0"), "size", "must be 1 or higher"),
        (with("size", "104857601"), "size", "must be 104857600 or lower"),
    ] {
        assert_eq!(authorize(&broker, "/v2", body.clone()).await.body, json!({"errors": {field: [message]}}), "{body}");
    }
}

#[tokio::test]
async fn a_body_longer_than_any_description_is_refused_whether_or_not_it_says_its_length() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let (temp, active) = two_files(&broker).await;
    let one_too_long = format!("{}{}", valid(), " ".repeat(LONGEST + 1 - valid().len()));
    let ten_megabytes = with("unknown", &json!("x".repeat(10_000_000)).to_string());
    for prefix in PREFIXES {
        for (method, file) in [("POST", "ref".to_owned()), ("PATCH", temp.to_string()), ("PUT", active.to_string())] {
            for body in [&one_too_long, &ten_megabytes] {
                let chunks: Vec<_> = body.as_bytes().chunks(50_000).map(|chunk| std::io::Result::Ok(chunk.to_vec())).collect();
                for sent in [reqwest::Body::from(body.clone()), reqwest::Body::wrap_stream(stream::iter(chunks))] {
                    let how = if sent.as_bytes().is_some() { "whole" } else { "in chunks" };
                    let what = format!("{method} {prefix} {} bytes {how}", body.len());
                    let answer = ask(&what, broker.request(method, &format!("{prefix}/files/{file}.json")).body(sent)).await;
                    assert_eq!((answer.status.as_u16(), answer.fields()), (413, vec!["body".to_owned()]), "{what}");
                }
            }
        }
    }
    still_serves(&broker).await;
}

#[tokio::test]
async fn the_headers_of_a_body_do_not_matter() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let (_, active) = two_files(&broker).await;
    let types: [&[u8]; 9] = [
        b"",
        b"text/plain",
        b"application/xml",
        b"multipart/form-data",
        b"application/x-www-form-urlencoded",
        b"application/json; charset=utf-16",
        b"application/json, text/html",
        b"nonsense;;;=",
        b"\xff\xfe",
    ];
    let types = types.map(|value| ("content-type", HeaderValue::from_bytes(value).unwrap()));
    let others = [("content-encoding", "identity"), ("content-language", "x"), ("accept", "text/html"), ("accept", "nonsense")];
    let others = others.map(|(name, value)| (name, HeaderValue::from_static(value)));
    for prefix in PREFIXES {
        for (name, value) in types.iter().chain(&others) {
            let what = format!("{prefix} {name}: {value:?}");
            let posted = broker.request("POST", &format!("{prefix}/files/ref.json")).header(*name, value).body(valid());
            assert_eq!(ask(&what, posted).await.status, 201, "{what}");
            let patched = broker.request("PATCH", &format!("{prefix}/files/{active}.json")).header(*name, value).body(wrapped(&valid()));
            assert_eq!(ask(&what, patched).await.status, 200, "{what}");
        }
        let bare = broker.request("POST", &format!("{prefix}/files/ref.json")).body(valid());
        assert_eq!(ask("no content type", bare).await.status, 201);
    }
}

#[tokio::test]
async fn a_number_that_is_no_files_is_not_found() {
    let broker = TestBroker::on(Bed::Embedded).await;
    two_files(&broker).await;
    let long = ["1".repeat(50_000) + ".json", "a".repeat(50_000), "%41".repeat(15_000), "1.json".repeat(8_000)];
    let ids = [
        "0.json",
        "00.json",
        "-0.json",
        "-1.json",
        "+1.json",
        "3.json",
        "9223372036854775807.json",
        "9223372036854775808.json",
        "-9223372036854775808.json",
        "18446744073709551617.json",
        "1e3.json",
        "1e0.json",
        "1.0.json",
        "0x1.json",
        "1_0.json",
        "%201.json",
        "1%20.json",
        "1%0a.json",
        "%00.json",
        "1%00.json",
        "1.json%00",
        "%2e%2e",
        "..",
        ".",
        "%2e%2e.json",
        "%2e%2e%2fref.json",
        ".json",
        "%2ejson",
        "1.json.json",
        "1.JSON",
        "1.jso",
        "1.json.",
        "%D9%A1.json",
        "%EF%BC%91.json",
        "%F0%9D%9F%8F.json",
        "\u{661}.json",
        "%FF.json",
        "%C0%B1.json",
        "%",
        "%1",
        "%zz.json",
        "1%2F.json",
        "1;v=1.json",
        "null.json",
        "NaN.json",
        "ref",
        "ref.json.json",
        "*",
        "{file}",
        "1'--.json",
    ];
    for prefix in PREFIXES {
        for id in ids.into_iter().chain(long.iter().map(String::as_str)) {
            for method in ["GET", "PATCH", "PUT"] {
                let what = format!("{method} {prefix}/files/{}", &id[..id.len().min(60)]);
                let (status, headers, text) = ask_raw(&broker, method, format!("{prefix}/files/{id}").as_bytes()).await;
                let answer = Answer::new(&what, status, headers, &text);
                assert_eq!((answer.status.as_u16(), answer.body), (404, json!({"errors": {"id": ["not found"]}})), "{what}");
            }
        }
        for id in ["1.json", "1", "%31.json", "1.json?", "1.json?includes=all&fields=%ff&&=&x"] {
            let (status, headers, text) = ask_raw(&broker, "GET", format!("{prefix}/files/{id}").as_bytes()).await;
            let answer = Answer::new(id, status, headers, &text);
            assert_eq!((answer.status.as_u16(), &answer.body["file"]["id"]), (200, &json!(1)), "{id}");
        }
    }
    still_serves(&broker).await;
}

#[tokio::test]
async fn an_address_that_is_no_address_is_refused_before_any_dialect() {
    let broker = TestBroker::on(Bed::Embedded).await;
    for path in [&b"/v2/files/\xff.json"[..], b"/v2/files/a b.json", b"v2", b"", "/".repeat(70_000).as_bytes()] {
        let (status, ..) = ask_raw(&broker, "GET", path).await;
        assert!(status.is_client_error(), "{}: {status}", shown(path));
    }
    still_serves(&broker).await;
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_ones() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let (temp, active) = two_files(&broker).await;
    for prefix in PREFIXES {
        for (path, methods, right) in [
            (format!("{prefix}/files/ref.json"), &["GET", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"][..], vec!["POST"]),
            (format!("{prefix}/files/{temp}.json"), &["POST", "TRACE", "PROPFIND", "BREW"], vec!["GET", "PATCH", "PUT"]),
            (format!("{prefix}/files/{active}.json"), &["POST", "TRACE", "PROPFIND", "BREW"], vec!["GET", "PATCH", "PUT"]),
        ] {
            for method in methods {
                let what = format!("{method} {path}");
                let answer = ask(&what, broker.request(method, &path).body(valid())).await;
                assert_eq!((answer.status.as_u16(), answer.fields()), (405, vec!["method".to_owned()]), "{what}");
                let allow = answer.headers.get_all("allow").iter().map(|value| value.to_str().unwrap()).collect::<Vec<_>>().join(",");
                let allowed: Vec<Method> = allow.split(',').map(|method| method.trim().parse().unwrap()).collect();
                assert!(right.iter().all(|right| allowed.contains(&right.parse().unwrap())), "{what}: {allow}");
                assert!(!allowed.contains(&method.parse().unwrap()), "{what}: {allow}");
            }
        }
    }
}

#[tokio::test]
async fn an_unknown_path_is_not_found_in_the_same_words() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let paths = [
        "",
        "/",
        "/files",
        "/files/",
        "/files//",
        "/files/1/2.json",
        "/files/1.json/",
        "/Files/ref.json",
        "/nothing",
        "//files/ref.json",
        "/%00",
        "/%ff",
    ];
    for prefix in PREFIXES {
        for path in paths {
            for method in ["GET", "POST", "PATCH", "PROPFIND"] {
                let what = format!("{method} {prefix}{path}");
                let (status, headers, text) = ask_raw(&broker, method, format!("{prefix}{path}").as_bytes()).await;
                let answer = Answer::new(&what, status, headers, &text);
                assert_eq!((answer.status.as_u16(), answer.fields()), (404, vec!["id".to_owned()]), "{what}");
            }
        }
    }
}

#[tokio::test]
async fn without_a_good_token_no_body_is_looked_at() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let (temp, _) = two_files(&broker).await;
    let twice = format!("Bearer {0}, Bearer {0}", broker.token);
    let long = format!("Bearer {}", "a".repeat(20_000));
    let headers = [
        &b""[..],
        b"Bearer",
        b"Bearer ",
        b"Bearer \xff\xfe",
        b"Basic !!!",
        b"Basic Og==",
        b"Basic //79",
        b"Digest x",
        twice.as_bytes(),
        long.as_bytes(),
    ];
    for prefix in PREFIXES {
        for (method, file) in [("POST", "ref".to_owned()), ("PATCH", temp.to_string()), ("GET", temp.to_string())] {
            for header in headers {
                let request = broker.http.request(method.parse().unwrap(), format!("{}{prefix}/files/{file}.json", broker.base));
                let request = request.header("authorization", HeaderValue::from_bytes(header).unwrap()).body("{");
                let answer = ask(&format!("{method} with {}", shown(header)), request).await;
                assert_eq!((answer.status.as_u16(), answer.fields()), (401, vec!["authorization".to_owned()]), "{}", shown(header));
            }
        }
    }
}
