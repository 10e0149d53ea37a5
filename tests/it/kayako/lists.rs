//! Lists: which files, which page of them, and what is read from the bucket meanwhile.

use serde_json::{Value, json};

use crate::faults::proxy::{Break, Proxy};
use crate::harness::{Bed, Db, Setup, answer, from_servers, new_file};

fn ids(page: &Value) -> Vec<i64> {
    page["data"].as_array().unwrap().iter().map(|file| file["id"].as_i64().unwrap()).collect()
}

async fn pages_lead_to_each_other(db: Db) {
    let broker = Setup::on(Bed::Embedded).database(db).start().await;
    let (_, none) = broker.kayako("GET", "/files.json").await;
    assert_eq!((&none["data"], &none["total_count"], none.get("next_url")), (&json!([]), &json!(0), None), "{none}");
    let mut there = Vec::new();
    for _ in 0..12 {
        there.insert(0, broker.active_note("Hello").await);
    }
    broker.text_slip().await;
    let (status, first) = broker.kayako("GET", "/files.json").await;
    assert_eq!(status, 200, "{first}");
    assert_eq!(ids(&first), there[..10], "newest first");
    assert_eq!(
        (&first["status"], &first["resource"], &first["offset"], &first["limit"]),
        (&json!(200), &json!("file"), &json!(0), &json!(10))
    );
    assert_eq!(first["total_count"], 12);
    assert!(first["data"].as_array().unwrap().iter().all(|file| file["content"] == "SGVsbG8="), "{first}");
    let (_, one) = broker.kayako("GET", &format!("/files/{}.json", there[0])).await;
    assert_eq!(first["data"][0], one["data"], "the same as alone");

    // A walk by the links, which keep what was asked and no token.
    let mut url = format!("{}/api/v1/files.json?limit=5&fields=id&access_token={}", broker.base, broker.token);
    let mut met = Vec::new();
    loop {
        let (status, page) = answer(broker.http.get(&url).bearer_auth(&broker.token)).await;
        assert_eq!(status, 200, "{page}");
        met.extend(ids(&page));
        assert_eq!(page["data"][0].as_object().unwrap().len(), 1, "{page}");
        assert!(!page.to_string().contains(&broker.token), "{page}");
        assert!(page["last_url"].as_str().unwrap().contains("offset=10") && page["first_url"].as_str().unwrap().contains("offset=0"));
        let Some(next) = page["next_url"].as_str() else { break };
        next.clone_into(&mut url);
    }
    assert_eq!(met, there);

    for (query, limit, offset, files) in [
        ("?limit=1&offset=11", 1, 11_u64, &there[11..]),
        ("?limit=101", 100, 0, &there[..]),
        ("?limit=1000000000000000000000&_case=snake", 100, 0, &there[..]),
        ("?offset=12", 10, 12, &[]),
        ("?offset=5000000", 10, 5_000_000, &[]),
        ("?after_id=5&since=x", 10, 0, &there[..10]),
    ] {
        let (status, page) = broker.kayako("GET", &format!("/files{query}")).await;
        assert_eq!(status, 200, "{query}: {page}");
        assert_eq!((ids(&page).as_slice(), &page["limit"], &page["offset"]), (files, &json!(limit), &json!(offset)), "{query}");
        assert_eq!(page["total_count"], 12, "{query}");
    }
    let (_, camel) = broker.kayako("GET", "/files.json?_case=camel&limit=1").await;
    assert_eq!((&camel["totalCount"], &camel["data"][0]["resourceType"]), (&json!(12), &json!("file")), "{camel}");
    for (query, parameter) in
        [("limit=0", "limit"), ("limit=-1", "limit"), ("limit=ten", "limit"), ("offset=-1", "offset"), ("offset=x", "offset")]
    {
        let (status, body) = broker.kayako("GET", &format!("/files.json?{query}")).await;
        let error = &body["errors"][0];
        assert_eq!((status.as_u16(), &error["code"], &error["parameter"]), (400, &json!("FIELD_INVALID"), &json!(parameter)), "{query}");
    }
}

async fn a_list_shows_what_one_may_read(db: Db) {
    let broker = Setup::on(Bed::Embedded).database(db).start().await;
    let id = broker.active_note("Hello").await;
    let list = async |token: &str| answer(broker.http.get(format!("{}/api/v1/files.json", broker.base)).bearer_auth(token)).await;
    assert_eq!(ids(&list(&broker.token).await.1), [id]);
    assert_eq!(ids(&list(&broker.new_customer("default", 5).await).await.1), Vec::<i64>::new());
    assert_eq!(ids(&list(&broker.new_token("other", 1, "files:read").await).await.1), Vec::<i64>::new());
    let (status, body) = list(&broker.new_token("default", 1, "files:write").await).await;
    assert_eq!((status.as_u16(), &body["errors"][0]["code"]), (403, &json!("ACCESS_DENIED")), "{body}");
}

on_both_engines!(pages_lead_to_each_other, a_list_shows_what_one_may_read);

/// Requests that the store gets pass the proxy, which would break them.
#[tokio::test(flavor = "multi_thread")]
async fn without_content_nothing_is_read_and_a_bucket_that_dies_breaks_the_connection() {
    let proxy = Proxy::to(&from_servers("TEST_SEAWEEDFS_URL")).await;
    let broker = Setup::on(Bed::SeaweedFs)
        .setting("DROPSLIP_DIALECTS", "all")
        .setting("DROPSLIP_S3_ENDPOINT", format!("http://{}", proxy.address))
        .start()
        .await;
    let bytes = vec![7; 3 << 20];
    let wish = json!({"type": "artifact", "filename": "noise.bin", "mimeType": "application/octet-stream"});
    let id = broker.active(&wish, &bytes).await["id"].clone();
    broker.active(&new_file("note.txt", "text/plain"), b"Hello").await;
    let get = async |path: &str| broker.request("GET", &format!("/api/v1{path}")).send().await.unwrap();
    let (list, one) = ("/files.json".to_owned(), format!("/files/{id}.json"));
    assert!(get(&list).await.text().await.unwrap().len() > 4 << 20);

    proxy.breaks("GET /", Break::CutAnswer(1 << 20));
    for path in [&list, &one] {
        let cut = get(path).await;
        assert_eq!(cut.status(), 200);
        cut.bytes().await.unwrap_err();
    }
    proxy.breaks("GET /", Break::Refuse);
    for path in [&list, &one] {
        let refused = get(path).await;
        assert_eq!((refused.status().as_u16(), refused.headers().contains_key("retry-after")), (503, true), "{path}");
        let body: Value = refused.json().await.unwrap();
        assert_eq!(body["errors"][0]["code"], "SERVICE_UNAVAILABLE");
    }
    let hits = proxy.hits();
    for path in [&list, &one] {
        for query in ["?fields=-content", "?fields=id,name"] {
            let (status, body) = broker.kayako("GET", &format!("{path}{query}")).await;
            assert_eq!(status, 200, "{body}");
        }
        assert_eq!(broker.request("HEAD", &format!("/api/v1{path}")).send().await.unwrap().status(), 200);
    }
    assert_eq!(proxy.hits(), hits, "nothing was read");
    proxy.heals();
    assert_eq!(get(&list).await.json::<Value>().await.unwrap()["total_count"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_with_content_takes_a_place_among_the_downloads() {
    let broker = Setup::on(Bed::Embedded).setting("DROPSLIP_MAX_DOWNLOADS", "1").start().await;
    let wish = json!({"type": "artifact", "filename": "noise.bin", "mimeType": "application/octet-stream"});
    broker.active(&wish, &vec![7; 8 << 20]).await;
    // Nobody takes its bytes: its place is taken.
    let held = broker.request("GET", "/api/v1/files.json").send().await.unwrap();
    assert_eq!(held.status(), 200);
    let second = broker.request("GET", "/api/v1/files.json").send().await.unwrap();
    assert_eq!((second.status().as_u16(), second.headers().contains_key("retry-after")), (503, true));
    assert_eq!(broker.kayako("GET", "/files.json?fields=-content").await.0, 200);
    assert!(held.bytes().await.unwrap().len() > 8 << 20);
    assert_eq!(broker.request("GET", "/api/v1/files.json").send().await.unwrap().status(), 200);
}
