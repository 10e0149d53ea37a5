//! Who has a connection, and who gives one up: neither idle ones nor one address hold up all others.

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::desk::downloads::proxied::until;
use crate::harness::{Bed, Setup, TestBroker, new_file};

/// A request that needs nothing and nobody.
const WHOLE: &str = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";

/// The first half of another.
const HALF: &str = "GET /healthz HTTP/1.1\r\n";

/// The rest of it.
const REST: &str = "host: x\r\n\r\n";

/// A connection from that address of this machine, all of whose 127.0.0.0/8 are its own on Linux.
async fn from(source: &str, broker: &TestBroker) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{source}:0").parse().unwrap()).unwrap();
    // Small, so that what a client does not read waits in the broker.
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(broker.server.address).await.unwrap()
}

async fn send(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
}

/// The head of the next answer, or what came before the connection was closed.
async fn head(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n\r\n") {
        // To be cut off is an end like others.
        let Ok(byte) = stream.read_u8().await else { break };
        read.push(byte);
    }
    String::from_utf8(read).unwrap()
}

/// Reads the answer to [`WHOLE`].
async fn is_answered(stream: &mut TcpStream) -> bool {
    if !head(stream).await.starts_with("HTTP/1.1 200") {
        return false;
    }
    let mut body = [0; 3];
    stream.read_exact(&mut body).await.unwrap();
    &body == b"ok\n"
}

async fn is_closed(stream: &mut TcpStream) -> bool {
    head(stream).await.is_empty()
}

/// How many connections wait in the kernel for the broker to accept them.
fn to_be_accepted(broker: &TestBroker) -> usize {
    // Addresses and numbers in hexadecimal; 0A is a socket that listens, and what it has to receive are connections.
    let listens = format!("0100007F:{:04X} 00000000:0000 0A ", broker.server.address.port());
    let sockets = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let (_, queues) = sockets.split_once(&listens).unwrap();
    usize::from_str_radix(&queues[9..17], 16).unwrap()
}

/// A client that has asked for a slip, has been told to send the body, and has not.
async fn under_way(mut stream: TcpStream, broker: &TestBroker) -> (TcpStream, String) {
    let body = new_file("a.txt", "text/plain").to_string();
    let (token, length) = (&broker.token, body.len());
    let asked = format!(
        "POST /v2/files/ref.json HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n"
    );
    send(&mut stream, &asked).await;
    assert!(head(&mut stream).await.starts_with("HTTP/1.1 100"), "the broker waits for the body");
    (stream, body)
}

#[tokio::test]
async fn idle_connections_and_half_heads_make_room_the_longest_idle_first() {
    let broker = Setup::on(Bed::Embedded).setting("DROPSLIP_MAX_CONNECTIONS", "3").start().await;
    // One has sent nothing. Two have had an answer, and one of these has begun another request.
    let mut silent = from("127.0.0.1", &broker).await;
    let (mut half, mut kept) = (from("127.0.0.1", &broker).await, from("127.0.0.1", &broker).await);
    for stream in [&mut half, &mut kept] {
        send(stream, WHOLE).await;
        assert!(is_answered(stream).await);
    }
    send(&mut half, HALF).await;
    let mut new = from("127.0.0.1", &broker).await;
    send(&mut new, WHOLE).await;
    assert!(is_answered(&mut new).await);
    assert!(is_closed(&mut silent).await, "it was idle for longest");
    // Whoever asks meanwhile is no longer the one that is idle for longest.
    send(&mut half, REST).await;
    assert!(is_answered(&mut half).await, "one had to go, not two");
    let mut another = from("127.0.0.1", &broker).await;
    send(&mut another, WHOLE).await;
    assert!(is_answered(&mut another).await);
    assert!(is_closed(&mut kept).await, "it was idle for longest");
    for stream in [&mut half, &mut new, &mut another] {
        send(stream, WHOLE).await;
        assert!(is_answered(stream).await, "three have a place");
    }
}

#[tokio::test]
async fn connections_beyond_the_bound_wait_for_their_turn() {
    let broker = Setup::on(Bed::Embedded).setting("DROPSLIP_MAX_CONNECTIONS", "2").start().await;
    let first = under_way(from("127.0.0.1", &broker).await, &broker).await;
    let second = under_way(from("127.0.0.1", &broker).await, &broker).await;
    // They come, and none of the two has to go for them.
    let mut waiting = Vec::new();
    for _ in 0..3 {
        let mut stream = from("127.0.0.1", &broker).await;
        send(&mut stream, WHOLE).await;
        waiting.push(stream);
    }
    // One of them is accepted and waits for a place, so the others wait for that.
    until("they do not wait", async || to_be_accepted(&broker) == 2).await;
    for (mut stream, body) in [first, second] {
        send(&mut stream, &body).await;
        assert!(head(&mut stream).await.starts_with("HTTP/1.1 201"), "a request under way was cut off");
    }
    for mut stream in waiting {
        assert!(is_answered(&mut stream).await, "its turn does not come");
    }
    let asks = (0..24).map(|_| async {
        let client = reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap();
        client.get(format!("{}/healthz", broker.base)).header("connection", "close").send().await.unwrap().status()
    });
    assert!(join_all(asks).await.into_iter().all(|status| status == 200));
}

#[tokio::test]
async fn a_download_that_is_read_slowly_keeps_its_connection() {
    let broker = Setup::on(Bed::Embedded).setting("DROPSLIP_MAX_CONNECTIONS", "2").setting("DROPSLIP_DOWNLOADS", "proxy").start().await;
    let artifact: Value = json!({"type": "artifact", "filename": "noise.bin", "mimeType": "application/octet-stream"});
    // From what fits into the buffers of the sockets, where only the last bytes are still to be sent, to what never does.
    for length in [100_000, 3_000_000, 12_000_000] {
        let file = broker.active(&artifact, &vec![7; length]).await;
        let mut slow = from("127.0.0.1", &broker).await;
        let (id, token) = (&file["id"], &broker.token);
        send(&mut slow, &format!("GET /v2/files/{id}/download HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n")).await;
        assert!(head(&mut slow).await.contains(&format!("content-length: {length}\r\n")));
        for _ in 0..5 {
            let mut other = from("127.0.0.1", &broker).await;
            send(&mut other, WHOLE).await;
            assert!(is_answered(&mut other).await);
        }
        let mut read = vec![0; length];
        slow.read_exact(&mut read).await.expect("the download was cut off");
        assert!(read.iter().all(|byte| *byte == 7));
    }
}

/// With proxies told, a peer is counted by its address also on loopback: a share is a quarter, ten of forty.
fn with_shares() -> Setup {
    Setup::on(Bed::Embedded).setting("DROPSLIP_MAX_CONNECTIONS", "40").setting("DROPSLIP_TRUSTED_PROXIES", "127.0.0.9,192.0.2.0/24")
}

#[tokio::test]
async fn one_address_holds_no_more_than_its_share() {
    let broker = with_shares().start().await;
    let mut polite = from("127.0.0.3", &broker).await;
    send(&mut polite, WHOLE).await;
    assert!(is_answered(&mut polite).await);
    // More than there are places, each with half a head; so many are told apart from those that are still to be accepted.
    let mut attackers = Vec::new();
    for _ in 0..60 {
        let mut attacker = from("127.0.0.2", &broker).await;
        send(&mut attacker, WHOLE).await;
        assert!(is_answered(&mut attacker).await, "it takes the place of its own connections");
        let _ = attacker.write_all(HALF.as_bytes()).await;
        attackers.push(attacker);
    }
    send(&mut polite, WHOLE).await;
    assert!(is_answered(&mut polite).await, "another address had to make room");
    let mut late = attackers.split_off(50);
    for attacker in &mut attackers {
        assert!(is_closed(attacker).await);
    }
    for attacker in &mut late {
        let _ = attacker.write_all(REST.as_bytes()).await;
        assert!(is_answered(attacker).await, "the last ten are its share");
    }
    // With a request under way on each of its share, one more is closed, and no other address waits for that.
    drop(late);
    let mut busy = Vec::new();
    while busy.len() < 10 {
        busy.push(under_way(from("127.0.0.2", &broker).await, &broker).await);
    }
    let mut surplus: Vec<_> = join_all((0..30).map(|_| from("127.0.0.2", &broker))).await;
    for source in ["127.0.0.3", "127.0.0.4"] {
        let mut stranger = from(source, &broker).await;
        send(&mut stranger, WHOLE).await;
        assert!(is_answered(&mut stranger).await);
    }
    for stream in &mut surplus {
        assert!(is_closed(stream).await);
    }
    for (mut stream, body) in busy {
        send(&mut stream, &body).await;
        assert!(head(&mut stream).await.starts_with("HTTP/1.1 201"), "a request under way was cut off");
    }
}

#[tokio::test]
async fn a_trusted_proxy_and_private_peers_of_whom_nothing_is_told_have_no_share() {
    for (proxies, peer) in [("127.0.0.9,192.0.2.0/24", "127.0.0.9"), ("", "127.0.0.2")] {
        let broker = with_shares().setting("DROPSLIP_TRUSTED_PROXIES", proxies).start().await;
        let mut all = Vec::new();
        for _ in 0..30 {
            let mut stream = from(peer, &broker).await;
            send(&mut stream, WHOLE).await;
            assert!(is_answered(&mut stream).await);
            all.push(stream);
        }
        for stream in &mut all {
            send(stream, WHOLE).await;
            assert!(is_answered(stream).await, "{peer} has three quarters of all connections");
        }
    }
}
