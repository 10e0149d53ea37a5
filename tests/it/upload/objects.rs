//! Files in any state, made by the requests of their owners.

use serde_json::{Value, json};

use crate::harness::{TestBroker, answer, new_file, slip, unique};

/// What a request is about.
#[derive(Debug, Clone, Default)]
pub struct Object {
    pub id: i64,
    /// Its staging key: what Uppy's routes call it.
    pub key: String,
    /// As no other file is called.
    pub name: String,
    /// The entity tag of its only part.
    pub etag: String,
    /// A ticket of its own.
    pub ticket: i64,
    /// The key of its link, once it is active.
    pub link: Option<String>,
}

/// A text, as Uppy says it.
pub fn uppy_file(name: &str) -> Value {
    json!({"filename": format!("{name}.txt"), "type": "text/plain", "metadata": {"fileType": "attachment"}})
}

/// The post that files are on whose ticket is their own.
pub const POST: i64 = 7;

impl TestBroker {
    /// Puts a file on its ticket, on [`POST`]; for tokens of users.
    pub async fn put_on_ticket(&self, object: &Object, token: &str) {
        let url = format!("{}/v2/tickets/{}/files.json", self.base, object.ticket);
        let (status, body) =
            answer(self.http.put(url).bearer_auth(token).body(json!({"ids": [object.id], "post": POST}).to_string())).await;
        assert_eq!(status, 200, "{body}");
    }

    /// A file of the token's owner: `temp`, `arrived` (its bytes are there), `active`, `deleted`, `parts` (that it comes in), `uploaded` (its
    /// only part is there); `-` is none. One that is to be `attached` is active.
    pub async fn object(&self, state: &str, token: &str) -> Object {
        let object = self.made(state, token).await;
        Object { ticket: 1_000_000 + object.id, ..object }
    }

    async fn made(&self, state: &str, token: &str) -> Object {
        let name = unique("nobody-elses-");
        let send = |method: &str, path: &str, body: String| {
            let request = self.http.request(method.parse().unwrap(), format!("{}{path}", self.base));
            answer(request.bearer_auth(token).body(body))
        };
        match state {
            "-" => Object::default(),
            "parts" | "uploaded" => {
                let (status, made) = send("POST", "/companion/s3/multipart", uppy_file(&name).to_string()).await;
                assert_eq!(status, 200, "{made}");
                let (key, upload_id) = (made["key"].as_str().unwrap().to_owned(), made["uploadId"].as_str().unwrap());
                let mut object = Object { id: upload_id.parse().unwrap(), key, name, etag: String::new(), ticket: 0, link: None };
                if state == "uploaded" {
                    let (_, signed) =
                        send("GET", &format!("/companion/s3/multipart/{upload_id}/1?key={}", object.key), String::new()).await;
                    let put = self.http.put(signed["url"].as_str().unwrap()).body("hello").send().await.unwrap();
                    assert_eq!(put.status(), 200);
                    put.headers()["etag"].to_str().unwrap().clone_into(&mut object.etag);
                }
                object
            }
            _ => {
                let (status, body) = send("POST", "/v2/files/ref.json", new_file(&format!("{name}.txt"), "text/plain").to_string()).await;
                assert_eq!(status, 201, "{body}");
                let slip = slip(body);
                let mut object =
                    Object { id: slip.id, key: slip.param("key").to_owned(), name, etag: String::new(), ticket: 0, link: None };
                if state != "temp" {
                    self.drop_bytes(&slip, b"hello").await;
                }
                let path = format!("/v2/files/{}.json", slip.id);
                if ["active", "attached", "deleted"].contains(&state) {
                    let (status, body) = send("PATCH", &path, String::new()).await;
                    assert_eq!(status, 200, "{body}");
                    object.link = body["file"]["proxyKey"].as_str().map(ToOwned::to_owned);
                }
                if state == "deleted" {
                    let request = self.http.delete(format!("{}{path}", self.base));
                    assert_eq!(request.bearer_auth(token).send().await.unwrap().status(), 204);
                }
                object
            }
        }
    }
}
