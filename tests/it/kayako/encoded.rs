//! Files as base64, in JSON and in forms.

use serde_json::{Value, json};

use super::sending::{base64, error, noise};
use crate::harness::{Bed, Db, Setup};

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

async fn content_is_read_as_it_is_written(db: Db) {
    let broker = Setup::on(Bed::Embedded).database(db).start().await;
    for (content_type, body) in [
        (JSON, r#"{"name":"a.txt","content":"SGVsbG8="}"#),
        (JSON, r#"{"content":"SGVsbG8=","name":"a.txt"}"#),
        (JSON, r#" { "Content" : "SGVs\r\nbG8" , "Name" : "a.txt", "other": [1, {"x": null}] } "#),
        (JSON, r#"{"content":"\u0053GVsbG8=","name":"a\u002etxt","contentType":"text/plain"}"#),
        ("application/json; charset=utf-8", r#"{"content":"SGVsbG8","name":"a.txt","ContentType":"text/plain"}"#),
        (FORM, "name=a.txt&content=SGVsbG8%3D"),
        (FORM, "content=SGVsbG8=&name=a.txt"),
        (FORM, "content=SGVs%0D%0AbG8&name=a%2Etxt&content_type=text%2Fplain"),
        (FORM, "Name=a.txt&Content=SGVsbG8"),
    ] {
        let (status, body_) = broker.sends("", content_type, body).await;
        let data = &body_["data"];
        assert_eq!((status, &data["name"], &data["content"]), (201, &json!("a.txt"), &json!("SGVsbG8=")), "{body}: {body_}");
        assert_eq!(data["content_type"], "text/plain");
    }
    // A space is a plus in a form, as most encoders forget to say otherwise.
    let bytes = [0xfb, 0xef, 0xbe];
    assert_eq!(base64(&bytes), "++++");
    for content in ["++++", "%20%20%20%20", "%2B%2B%2B%2B", "++%20%2b"] {
        let (status, body) = broker.sends("", FORM, format!("name=a.bin&content={content}")).await;
        assert_eq!((status, &body["data"]["content"]), (201, &json!("++++")), "{content}: {body}");
    }
    let (status, body) = broker.sends("?_filename=a.txt&_case=camel", JSON, r#"{"content":"SGVsbG8="}"#).await;
    assert_eq!((status, &body["data"]["name"], &body["data"]["resourceType"]), (201, &json!("a.txt"), &json!("file")), "{body}");

    // More than one buffer of the bucket's.
    let bytes = noise(12 << 20);
    let text = base64(&bytes);
    for (content_type, body) in [
        (JSON, json!({"content": text, "name": "large.bin"}).to_string()),
        (FORM, format!("content={}&name=large.bin", text.replace('+', "%2B").replace('=', "%3D"))),
    ] {
        let (status, body) = broker.sends("", content_type, body).await;
        assert_eq!((status, &body["data"]["size"], &body["data"]["content"]), (201, &json!(12 << 20), &Value::Null), "{}", body["errors"]);
        assert!(broker.both_downloads(body["data"]["id"].as_i64().unwrap()).await.iter().all(|got| *got == bytes), "{content_type}");
    }
    let (status, body) = broker.sends("?_md5=8b1a9953c4611296a827abf8c47804d7", JSON, r#"{"content":"SGVsbG8=","name":"a.txt"}"#).await;
    assert_eq!(status, 201, "{body}");
}

async fn what_is_no_file_in_base64_is_refused(db: Db) {
    let broker = Setup::on(Bed::Embedded).database(db).start().await;
    for (content_type, body, refusal) in [
        (JSON, r#"{"name":"a.txt","content":"SGVs!G8="}"#, ("FIELD_INVALID", "content")),
        (JSON, r#"{"name":"a.txt","content":"SGVsbG8=SGVs"}"#, ("FIELD_INVALID", "content")),
        (JSON, r#"{"name":"a.txt","content":"SGVsb"}"#, ("FIELD_INVALID", "content")),
        (JSON, r#"{"name":"a.txt","content":5}"#, ("FIELD_INVALID", "content")),
        (JSON, r#"{"name":"a.txt","content":""}"#, ("FIELD_REQUIRED", "content")),
        (JSON, r#"{"name":"a.txt","content":null}"#, ("FIELD_REQUIRED", "content")),
        (JSON, r#"{"name":"a.txt"}"#, ("FIELD_REQUIRED", "content")),
        (JSON, r#"{"content":"SGVsbG8="}"#, ("FIELD_REQUIRED", "name")),
        (JSON, r#"{"content":"SGVsbG8=","name":""}"#, ("FIELD_REQUIRED", "name")),
        (JSON, "{}", ("FIELD_REQUIRED", "name")),
        (JSON, "", ("FIELD_REQUIRED", "name")),
        (JSON, r#"{"name":"a.txt","content":"SGVsbG8=","content":"SGVsbG8="}"#, ("FIELD_INVALID", "content")),
        (JSON, r#"{"name":"a.txt","content":"SGVsbG8="#, ("FIELD_INVALID", "body")),
        (JSON, r#"["SGVsbG8="]"#, ("FIELD_INVALID", "body")),
        (FORM, "name=a.txt&content=SGVs!G8=", ("FIELD_INVALID", "content")),
        (FORM, "name=a.txt&content=", ("FIELD_REQUIRED", "content")),
        (FORM, "name=a.txt", ("FIELD_REQUIRED", "content")),
        (FORM, "content=SGVsbG8=", ("FIELD_REQUIRED", "name")),
        (FORM, "", ("FIELD_REQUIRED", "name")),
        (FORM, "name=a.txt&content=SGVsbG8=&content=SGVsbG8=", ("FIELD_INVALID", "content")),
    ] {
        let (status, answered) = broker.sends("", content_type, body).await;
        assert_eq!((status, error(&answered)), (400, refusal), "{body}: {answered}");
        broker.comes_to(0, body).await;
    }
    let (status, answered) = broker.sends("?_case=camel", JSON, "{}").await;
    let about: Vec<_> = answered["errors"].as_array().unwrap().iter().map(|error| &error["parameter"]).collect();
    assert_eq!((status, about), (400, vec![&json!("name"), &json!("content")]), "everything at once: {answered}");
    let (status, answered) = broker.sends("?_filename=b.txt", JSON, r#"{"content":"SGVsbG8=","name":"a.txt"}"#).await;
    assert_eq!((status, error(&answered).0), (400, "PARAMETERS_INCONSISTENT"), "{answered}");
    broker.comes_to(0, "two names").await;
    assert_eq!(broker.sends("?_filename=a.txt", JSON, r#"{"content":"SGVsbG8=","name":"a.txt"}"#).await.0, 201);
}

on_both_engines!(content_is_read_as_it_is_written, what_is_no_file_in_base64_is_refused);
