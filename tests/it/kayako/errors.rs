//! Refusals in Kayako's words.

use serde_json::{Value, json};

use crate::harness::{Bed, Setup, TestBroker, answer};

#[tokio::test(flavor = "multi_thread")]
async fn unknown_paths_wrong_methods_and_what_is_not_taken_are_refused_in_its_words() {
    let broker = Setup::on(Bed::Embedded).setting("DROPSLIP_PUBLIC_URL", "https://files.example.com").start().await;
    let more = "https://files.example.com/openapi.json#/components/schemas/KayakoErrors";
    let error = |status: u16, code: &str, message: &str| json!({"status": status, "errors": [{"code": code, "message": message, "more_info": more}]});
    for path in ["/api/v1", "/api/v1/", "/api/v1/conversations.json", "/api/v1/files/x/y/z"] {
        let (status, body) = answer(broker.request("GET", path)).await;
        assert_eq!((status.as_u16(), body), (404, error(404, "RESOURCE_NOT_FOUND", "not found")), "{path}");
    }
    let wrong = broker.request("PUT", "/api/v1/me.json").send().await.unwrap();
    assert_eq!((wrong.status().as_u16(), &wrong.headers()["allow"]), (405, &"GET,HEAD".parse().unwrap()));
    let body: Value = wrong.json().await.unwrap();
    assert_eq!(body["errors"][0]["code"], "METHOD_NOT_SUPPORTED");
    for (accept, expected) in [("text/html", 406), ("application/xml,*/*;q=0.1", 200), ("application/json", 200), ("", 200)] {
        let (status, body) = answer(broker.request("GET", "/api/v1/me").header("accept", accept)).await;
        assert_eq!(status.as_u16(), expected, "{accept}: {body}");
        assert!(expected == 200 || body["errors"][0]["code"] == "NOT_ACCEPTABLE", "{body}");
    }
    // The page that each refusal names is there, and has what it points to.
    let (_, document) = answer(broker.request("GET", "/openapi.json")).await;
    assert!(document.pointer("/components/schemas/KayakoErrors").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_members_come_in_the_case_that_is_asked_for() {
    let broker = TestBroker::on(Bed::Embedded).await;
    for (case, more, kind, errors) in [
        ("snake", "more_info", "resource_type", "errors"),
        ("camel", "moreInfo", "resourceType", "errors"),
        ("pascal", "MoreInfo", "ResourceType", "Errors"),
    ] {
        let (status, body) = answer(broker.request("GET", &format!("/api/v1/nothing?_case={case}"))).await;
        assert_eq!(status, 404);
        assert!(body[errors][0][more].is_string(), "{body}");
        let (_, body) = answer(broker.request("GET", &format!("/api/v1/me.json?_case={case}"))).await;
        let data = if case == "pascal" { &body["Data"] } else { &body["data"] };
        assert_eq!(data[kind], "user", "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_may_send_and_read_its_headers() {
    let origin = "https://app.example.com";
    let broker = Setup::on(Bed::Embedded).setting("DROPSLIP_CORS_ORIGINS", origin).start().await;
    let url = format!("{}/api/v1/files.json?_session_id=x", broker.base);
    let headers = "authorization,content-type,x-session-id,x-csrf-token,x-csrf,x-fingerprint-id,x-requested-with,x-options,content-md5,content-disposition";
    let asked = |origin: &str| {
        let request = broker.http.request(reqwest::Method::OPTIONS, &url).header("origin", origin);
        request.header("access-control-request-method", "POST").header("access-control-request-headers", headers).send()
    };
    let response = asked(origin).await.unwrap();
    assert_eq!(response.headers()["access-control-allow-headers"], headers);
    assert_eq!(asked("https://stranger.example.com").await.unwrap().headers().get("access-control-allow-origin"), None);
    let answered = broker.http.get(&url).header("origin", origin).send().await.unwrap();
    let exposed = answered.headers()["access-control-expose-headers"].to_str().unwrap().to_lowercase();
    for name in ["x-csrf-token", "x-api-version", "etag", "content-disposition", "retry-after"] {
        assert!(exposed.contains(name), "{name} is not in {exposed}");
    }
}
