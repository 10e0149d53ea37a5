//! Downloads through the broker when many want one: nobody keeps the places from the others.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::proxied::{active_bytes, noise, proxying, until};
use super::told;
use crate::harness::{Bed, TestBroker, error_fields};

/// Many times what fits into the buffers of a connection.
const LARGE: usize = 16 << 20;

/// A download whose status was read, and no more than that.
async fn begun(broker: &TestBroker, token: &str, path: &str) -> (TcpStream, String) {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 * 1024).unwrap();
    let mut stream = socket.connect(broker.server.address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).await.unwrap();
    (stream, String::from_utf8_lossy(&status).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_of_one_link_that_take_nothing_leave_places_for_another() {
    let broker = proxying(Bed::Embedded).setting("DROPSLIP_MAX_DOWNLOADS", "12").start().await;
    let bytes = noise(LARGE);
    let (file, other) = (active_bytes(&broker, &bytes).await, active_bytes(&broker, &bytes).await);
    let attached = broker.call("PUT", "/v2/tickets/7/files.json", Some(&json!({"ids": [file["id"]]}))).await;
    assert_eq!(attached.0, 200, "{}", attached.1);
    let mut held = Vec::new();
    for path in [format!("/v2/files/{}/download", file["id"]), "/v2/tickets/7/files.zip".to_owned()] {
        for _ in 0..4 {
            let (stream, status) = begun(&broker, &broker.token, &path).await;
            assert_eq!(status, "HTTP/1.1 200", "{path}");
            held.push(stream);
        }
        let refused = broker.request("GET", &path).send().await.unwrap();
        assert_eq!(refused.status(), 429, "{path}");
        assert!(told(refused.headers(), "retry-after").parse::<u64>().unwrap() > 0);
        assert_eq!(error_fields(&refused.json().await.unwrap()), ["limit"]);
        assert_eq!(broker.request("HEAD", &path).send().await.unwrap().status(), 200, "without bytes nothing is held");
    }
    // Another file by the same token, and the same file by another token.
    let path = format!("/v2/files/{}/download", other["id"]);
    assert_eq!(broker.request("GET", &path).send().await.unwrap().bytes().await.unwrap(), bytes);
    let colleague = broker.new_token("default", 2, "files:read").await;
    let url = format!("{}/v2/files/{}/download", broker.base, file["id"]);
    assert_eq!(broker.http.get(&url).bearer_auth(&colleague).send().await.unwrap().bytes().await.unwrap(), bytes);
    // Who hangs up has room for another.
    held.clear();
    until("its places are held by nobody", async || {
        let again = broker.http.get(&url).bearer_auth(&broker.token).send().await.unwrap();
        again.status() == 200 && again.bytes().await.unwrap() == bytes
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_all_places_are_taken_stalled_readers_are_cut_off_and_fast_ones_are_not() {
    let broker = proxying(Bed::Embedded).setting("DROPSLIP_MAX_DOWNLOADS", "4").start().await;
    let bytes = noise(LARGE);
    let file = active_bytes(&broker, &bytes).await;
    let path = format!("/v2/files/{}/download", file["id"]);
    let mut stalled = Vec::new();
    for user in 2..5 {
        let token = broker.new_token("default", user, "files:read").await;
        let (stream, status) = begun(&broker, &token, &path).await;
        assert_eq!(status, "HTTP/1.1 200");
        stalled.push(stream);
    }
    let others_are_done = AtomicBool::new(false);
    // Takes a few hundred kilobytes in a second until the others are done. It has the last place before anybody else asks for one.
    let (mut stream, status) = begun(&broker, &broker.token, &path).await;
    assert_eq!(status, "HTTP/1.1 200");
    let fast = async {
        let (mut piece, mut taken) = (vec![0; 64 * 1024], Vec::new());
        while taken.len() < LARGE || !taken.ends_with(&bytes[LARGE - 1024..]) {
            let read = stream.read(&mut piece).await.unwrap();
            assert!(read > 0, "it was cut off after {} bytes", taken.len());
            taken.extend_from_slice(&piece[..read]);
            if !others_are_done.load(Ordering::SeqCst) {
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
        }
        assert!(taken.ends_with(&bytes), "other bytes");
    };
    let newcomers = async {
        let url = format!("{}{path}", broker.base);
        let (mut refused, mut served) = (0, Vec::new());
        until("no stalled reader makes room", async || {
            let token = broker.new_token("default", 100 + refused, "files:read").await;
            let answer = broker.http.get(&url).bearer_auth(&token).send().await.unwrap();
            match answer.status().as_u16() {
                503 => {
                    assert_eq!(told(answer.headers(), "retry-after"), "2");
                    refused += 1;
                }
                200 => served.push(answer),
                other => panic!("{other}"),
            }
            served.len() == 3
        })
        .await;
        assert!(refused > 0, "they were given no time at all");
        for answer in served {
            assert_eq!(answer.bytes().await.unwrap(), bytes);
        }
        for mut cut in stalled {
            let mut rest = Vec::new();
            // Closed in the middle: an end or a reset, and never all of it.
            let _ = cut.read_to_end(&mut rest).await;
            assert!(rest.len() < LARGE, "a stalled reader was not cut off");
        }
        others_are_done.store(true, Ordering::SeqCst);
    };
    tokio::join!(fast, newcomers);
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_from_one_address_leave_places_for_another() {
    let broker =
        proxying(Bed::Embedded).setting("DROPSLIP_MAX_DOWNLOADS", "8").setting("DROPSLIP_TRUSTED_PROXIES", "127.0.0.1").start().await;
    let bytes = noise(LARGE);
    let mut held = Vec::new();
    for _ in 0..4 {
        let file = active_bytes(&broker, &bytes).await;
        let answer = broker.request("GET", &format!("/v2/files/{}/download", file["id"])).header("x-forwarded-for", "203.0.113.9");
        let answer = answer.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        held.push(answer);
    }
    let file = active_bytes(&broker, &bytes).await;
    let asked_from = |address: &'static str| {
        broker.request("GET", &format!("/v2/files/{}/download", file["id"])).header("x-forwarded-for", address).send()
    };
    let refused = asked_from("203.0.113.9").await.unwrap();
    assert_eq!((refused.status().as_u16(), refused.headers().contains_key("retry-after")), (429, true));
    assert_eq!(asked_from("203.0.113.10").await.unwrap().bytes().await.unwrap(), bytes);
    drop(held);
}
