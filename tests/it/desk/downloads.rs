//! Downloads: where they lead, to whom, and what the store says with the bytes, on every store.

mod browsers;
mod crowded;
mod links;
pub mod proxied;

use std::process::Command;

use reqwest::header::HeaderMap;
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Bed, Db, Setup, TestBroker, answer, ask, error_fields, from_servers, new_file};

/// The smallest picture.
pub const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89\0\0\0\rIDATx\x9cc\xf8\xff\xff?\0\x05\xfe\x02\xfe\xa7\x35\x81\x84\0\0\0\0IEND\xaeB`\x82";

impl TestBroker {
    /// An active file of these bytes; its file object.
    pub async fn active(&self, wish: &Value, bytes: &[u8]) -> Value {
        let slip = self.authorize(wish).await;
        self.drop_bytes(&slip, bytes).await;
        let (status, mut body) = self.confirm(slip.id).await;
        assert_eq!(status, 200, "{body}");
        body["file"].take()
    }

    pub async fn active_note(&self, bytes: &str) -> i64 {
        self.active(&new_file("note.txt", "text/plain"), bytes.as_bytes()).await["id"].as_i64().unwrap()
    }

    pub async fn download(&self, id: i64, query: &str) -> Response {
        self.request("GET", &format!("/v2/files/{id}/download{query}")).send().await.unwrap()
    }
}

pub fn told<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).map_or("", |value| value.to_str().unwrap())
}

fn member(url: &str, name: &str) -> String {
    let url = url::Url::parse(url).unwrap();
    url.query_pairs().find(|(given, _)| given == name).unwrap_or_else(|| panic!("no {name} in {url}")).1.into_owned()
}

/// What the store says at the end of a redirect, asked without any token.
async fn followed(broker: &TestBroker, redirect: &Response) -> Response {
    assert_eq!(redirect.status(), 302);
    broker.http.get(told(redirect.headers(), "location")).send().await.unwrap()
}

async fn a_download_leads_to_the_sealed_bytes(bed: Bed) {
    let broker = TestBroker::on(bed).await;
    let wish = json!({"type": "attachment", "filename": "grüße \"q\" 100%+1;é.txt", "mimeType": "text/plain"});
    let file = broker.active(&wish, b"Hello").await;
    let id = file["id"].as_i64().unwrap();
    for prefix in ["/v2", "/desk/api/v2"] {
        let redirect = broker.request("GET", &format!("{prefix}/files/{id}/download")).send().await.unwrap();
        let headers = redirect.headers().clone();
        assert_eq!(told(&headers, "x-content-type-options"), "nosniff");
        assert!(!headers.contains_key("etag"), "a kept redirect would be found good when its URL is dead");
        let url = told(&headers, "location");
        assert!(url.contains("/files/") && !url.contains("temp/"), "{url}");
        let life: i64 = member(url, "X-Amz-Expires").parse().unwrap();
        let kept: i64 = told(&headers, "cache-control").strip_prefix("private, max-age=").unwrap().parse().unwrap();
        assert!(kept > 0 && kept <= life / 2 && life <= 300, "kept for {kept} s of {life}");
        assert!(headers.get_all("vary").iter().any(|value| value == "authorization"));
        let bytes = followed(&broker, &redirect).await;
        assert_eq!(bytes.status(), 200, "{bed:?}");
        let headers = bytes.headers().clone();
        assert_eq!(told(&headers, "content-type"), "text/plain");
        assert_eq!(told(&headers, "etag").trim_matches('"'), file["evidence"]["etag"]);
        let disposition = told(&headers, "content-disposition").to_owned();
        let read = ask(&from_servers("TEST_PYTHON"), "parse_disposition.py", &[json!(disposition)]);
        assert_eq!(read, [json!({"type": "attachment", "filename": file["filename"]})], "{disposition}");
        assert_eq!(bytes.text().await.unwrap(), "Hello");
        // The method is a part of a signature.
        let head = broker.request("HEAD", &format!("{prefix}/files/{id}/download")).send().await.unwrap();
        let head = broker.http.head(told(head.headers(), "location")).send().await.unwrap();
        assert_eq!((head.status().as_u16(), told(head.headers(), "content-length")), (200, "5"), "{bed:?}");
    }
    for (range, status, bytes) in [("bytes=1-2", 206, "el"), ("bytes=-2", 206, "lo"), ("bytes=3-", 206, "lo"), ("bytes=-99", 206, "Hello")]
    {
        let url = told(broker.download(id, "").await.headers(), "location").to_owned();
        let piece = broker.http.get(url).header("range", range).send().await.unwrap();
        assert_eq!((piece.status().as_u16(), piece.text().await.unwrap().as_str()), (status, bytes), "{bed:?} {range}");
    }
    let url = told(broker.download(id, "").await.headers(), "location").to_owned();
    let beyond = broker.http.get(&url).header("range", "bytes=5-").send().await.unwrap();
    assert_eq!(beyond.status(), 416, "{bed:?}");
    if bed == Bed::Embedded {
        assert_eq!(told(beyond.headers(), "content-range"), "bytes */5");
        // What stores may ignore, ours does.
        for range in ["items=0-1", "bytes=0-0,2-3", "bytes=3-1"] {
            let whole = broker.http.get(&url).header("range", range).send().await.unwrap();
            assert_eq!((whole.status().as_u16(), whole.text().await.unwrap().as_str()), (200, "Hello"), "{range}");
        }
    }
    let known = broker.http.get(&url).header("if-none-match", format!("\"{}\"", file["evidence"]["etag"].as_str().unwrap())).send();
    assert_eq!(known.await.unwrap().status(), 304, "{bed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_leads_to_the_sealed_bytes_on_embedded() {
    a_download_leads_to_the_sealed_bytes(Bed::Embedded).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_leads_to_the_sealed_bytes_on_seaweedfs() {
    a_download_leads_to_the_sealed_bytes(Bed::SeaweedFs).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_leads_to_the_sealed_bytes_on_localstack() {
    a_download_leads_to_the_sealed_bytes(Bed::LocalStack).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn elements_may_keep_a_redirect_and_scripts_may_not() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let id = broker.active_note("Hello").await;
    for (wanted, kept) in [(None, true), (Some("image"), true), (Some("video"), true), (Some("document"), true), (Some("empty"), false)] {
        for method in ["GET", "HEAD"] {
            let request = broker.request(method, &format!("/v2/files/{id}/download"));
            let request = if let Some(wanted) = wanted { request.header("sec-fetch-dest", wanted) } else { request };
            let redirect = request.send().await.unwrap();
            assert_eq!(redirect.status(), 302);
            let headers = redirect.headers();
            let control = told(headers, "cache-control");
            assert_eq!((control.starts_with("private, max-age="), control == "no-store"), (kept, !kept), "{method} {wanted:?}: {control}");
            assert!(headers.get_all("vary").iter().any(|value| value == "sec-fetch-dest"), "{headers:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_cannot_run_is_shown_and_only_if_asked_for() {
    for bed in [Bed::Embedded, Bed::SeaweedFs] {
        let broker = TestBroker::on(bed).await;
        let html = b"<!doctype html><script>alert(1)</script>".as_slice();
        let svg = b"<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>".as_slice();
        let cases = [
            ("a.png", "image/png", "attachment", PNG, "image/png", true),
            ("b.png", "image/png", "attachment-inline", PNG, "image/png", true),
            ("c.txt", "text/plain", "attachment", b"Hello".as_slice(), "text/plain", true),
            ("d.svg", "image/svg+xml", "attachment-inline", svg, "application/octet-stream", false),
            ("e.html", "text/html", "attachment-inline", html, "application/octet-stream", false),
            ("f.pdf", "application/pdf", "attachment-inline", b"%PDF-1.4\n".as_slice(), "application/pdf", false),
        ];
        for (name, declared, disposition, bytes, served, viewable) in cases {
            let wish = json!({"type": "attachment", "filename": name, "mimeType": declared, "disposition": disposition});
            let id = broker.active(&wish, bytes).await["id"].as_i64().unwrap();
            let described = viewable && disposition == "attachment-inline";
            for (query, shown) in [("", described), ("?disposition=inline", viewable), ("?disposition=attachment", false)] {
                let answer = followed(&broker, &broker.download(id, query).await).await;
                let said = told(answer.headers(), "content-disposition").to_owned();
                assert!(said.starts_with(if shown { "inline;" } else { "attachment;" }), "{bed:?} {name}{query}: {said}");
                assert_eq!(told(answer.headers(), "content-type"), served, "{bed:?} {name}{query}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_wish_names_its_field() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let id = broker.active_note("Hello").await;
    for query in ["?disposition=", "?disposition=show", "?disposition=inline&disposition=inline"] {
        let (status, body) = broker.call("GET", &format!("/v2/files/{id}/download{query}"), None).await;
        assert_eq!((status.as_u16(), error_fields(&body)), (400, vec!["disposition".to_owned()]), "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_the_bytes_is_told_so_before_any_redirect() {
    for mode in ["redirect", "proxy"] {
        let broker = Setup::on(Bed::Embedded).setting("DROPSLIP_DOWNLOADS", mode).start().await;
        let file = broker.active(&new_file("note.txt", "text/plain"), b"Hello").await;
        let (id, etag) = (file["id"].as_i64().unwrap(), file["evidence"]["etag"].as_str().unwrap());
        let get = |known: String| broker.request("GET", &format!("/v2/files/{id}/download")).header("if-none-match", known).send();
        for known in [format!("\"{etag}\""), format!("W/\"{etag}\""), "*".to_owned(), format!("\"x\", W/\"y\" ,\"{etag}\"")] {
            let answer = get(known.clone()).await.unwrap();
            assert_eq!(answer.status(), 304, "{mode} {known}");
            assert_eq!(told(answer.headers(), "etag"), format!("\"{etag}\""));
            assert!(told(answer.headers(), "cache-control").starts_with("private") && !answer.headers().contains_key("location"));
            assert_eq!(answer.bytes().await.unwrap().len(), 0);
        }
        for other in ["\"x\"".to_owned(), etag.to_owned(), String::new(), format!("\"{etag}x\"")] {
            let answer = get(other.clone()).await.unwrap();
            assert_eq!(answer.status(), if mode == "proxy" { 200 } else { 302 }, "{mode} {other}");
        }
        // Nobody learns by a condition that there is a file.
        let stranger = broker.new_token("other", 1, "files:read").await;
        let url = format!("{}/v2/files/{id}/download", broker.base);
        let asked = broker.http.get(url).bearer_auth(stranger).header("if-none-match", "*").send().await.unwrap();
        assert_eq!(asked.status(), 404);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_active_or_not_ones_own_is_not_found() {
    for db in [Db::Sqlite, Db::Postgres] {
        let broker = Setup::on(Bed::Embedded).database(db).start().await;
        let active = broker.active_note("Hello").await;
        let temp = broker.text_slip().await;
        broker.drop_bytes(&temp, b"Hello").await;
        let stranger = broker.new_token("other", 1, "files:read,files:write").await;
        let customer = broker.new_customer("default", 9).await;
        let blind = broker.new_token("default", 1, "files:write").await;
        assert_eq!(broker.download(active, "").await.status(), 302, "who may");
        for (token, id, status, field) in [
            (&broker.token, temp.id.to_string(), 404, "id"),
            (&broker.token, "999999".to_owned(), 404, "id"),
            (&broker.token, "x".to_owned(), 404, "id"),
            (&broker.token, "-1".to_owned(), 404, "id"),
            (&broker.token, "99999999999999999999".to_owned(), 404, "id"),
            (&stranger, active.to_string(), 404, "id"),
            (&customer, active.to_string(), 404, "id"),
            (&blind, active.to_string(), 403, "authorization"),
            (&"dslip_wrong".to_owned(), active.to_string(), 401, "authorization"),
        ] {
            let request = broker.http.get(format!("{}/v2/files/{id}/download", broker.base)).bearer_auth(token);
            let response = request.try_clone().unwrap().send().await.unwrap();
            assert_eq!(told(response.headers(), "cache-control"), "no-store");
            let (got, body) = answer(request).await;
            assert_eq!((got.as_u16(), error_fields(&body)), (status, vec![field.to_owned()]), "{id}");
        }
        let nobody = broker.http.get(format!("{}/v2/files/{active}/download", broker.base)).send().await.unwrap();
        assert_eq!(nobody.status(), 401);
        for method in ["POST", "PUT", "PATCH", "DELETE"] {
            let (status, _) = broker.call(method, &format!("/v2/files/{active}/download"), None).await;
            assert_eq!(status, 405, "{method}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_downloads_its_own_file() {
    let mut broker = TestBroker::on(Bed::Embedded).await;
    broker.token = broker.new_customer("default", 9).await;
    let id = broker.active_note("mine").await;
    let bytes = followed(&broker, &broker.download(id, "").await).await;
    assert_eq!(bytes.text().await.unwrap(), "mine");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_leads_to_the_public_endpoint_for_a_short_time() {
    for bed in [Bed::Embedded, Bed::SeaweedFs] {
        let broker = Setup::on(bed).setting("DROPSLIP_DOWNLOAD_URL_LIFETIME", "5s").start().await;
        let id = broker.active_note("Hello").await;
        let url = told(broker.download(id, "").await.headers(), "location").to_owned();
        assert_eq!(member(&url, "X-Amz-Expires"), "5");
        assert_eq!(broker.http.get(&url).send().await.unwrap().status(), 200);
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        // Garage says 400.
        while ![400, 403].contains(&broker.http.get(&url).send().await.unwrap().status().as_u16()) {
            assert!(std::time::Instant::now() < deadline, "{bed:?}: it is good for ever");
            tokio::time::sleep(std::time::Duration::from_millis(250)).await;
        }
    }
    let setup = Setup::on(Bed::SeaweedFs).setting("DROPSLIP_S3_PUBLIC_ENDPOINT", "https://s3.example.com");
    let broker = setup.start().await;
    let slip = broker.text_slip().await;
    let inside = from_servers("TEST_SEAWEEDFS_URL");
    let (status, said) = broker.post_form(&format!("{inside}/{}/", broker.bucket), &slip.params, Some(b"Hello")).await;
    assert_eq!(status, 201, "{said}");
    assert_eq!(broker.confirm(slip.id).await.0, 200);
    let redirect = broker.download(slip.id, "").await;
    assert!(told(redirect.headers(), "location").starts_with(&format!("https://s3.example.com/{}/files/", broker.bucket)));
}

/// The broker's token is for the broker: curl leaves it out where the port is another, and the stores do not mind it.
#[tokio::test(flavor = "multi_thread")]
async fn curl_follows_with_its_token() {
    for bed in [Bed::Embedded, Bed::SeaweedFs, Bed::LocalStack] {
        let broker = TestBroker::on(bed).await;
        let id = broker.active_note("Hello").await;
        let (url, bearer) = (format!("{}/v2/files/{id}/download", broker.base), format!("Authorization: Bearer {}", broker.token));
        let output = tokio::task::spawn_blocking(move || Command::new("curl").args(["-sSfL", "-H", &bearer, &url]).output().unwrap());
        let output = output.await.unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "Hello", "{bed:?}: {}", String::from_utf8_lossy(&output.stderr));
        let url = told(broker.download(id, "").await.headers(), "location").to_owned();
        let both = broker.http.get(url).bearer_auth(&broker.token).send().await.unwrap();
        let expected = TOKEN_BESIDE_SIGNATURE.iter().find(|(at, _)| *at == bed).unwrap().1;
        assert_eq!(both.status(), expected, "{bed:?} takes a token beside a signature otherwise than docs/downloads.md says");
    }
}

/// S3 itself refuses a request that is signed twice.
const TOKEN_BESIDE_SIGNATURE: [(Bed, StatusCode); 3] =
    [(Bed::Embedded, StatusCode::OK), (Bed::SeaweedFs, StatusCode::OK), (Bed::LocalStack, StatusCode::OK)];
