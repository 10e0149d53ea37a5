//! A TCP proxy of the tests' own that breaks what it is told to break, between broker and S3 and between broker and Postgres.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Break {
    /// The connection is closed before the request is passed on.
    Refuse,
    /// That many bytes of the request are passed on, then the connection is closed.
    CutRequest(usize),
    /// The request is passed on, and that many bytes of its answer; then the connection is closed.
    CutAnswer(usize),
    /// Nothing is passed on, in either direction and for ever: also after healing, this connection stays as it is.
    Stall,
    /// The request is passed on; its answer never comes, also after healing.
    StallAnswer,
    /// Somebody else answers.
    Answer(&'static str),
    /// The request waits, then goes its way.
    Slow(Duration),
    /// The request goes its way with this in place of the text that it is broken for, as long.
    Reword(&'static str),
}

/// What S3 says when it is too busy, and when it is broken.
pub const SLOW_DOWN: &str = "HTTP/1.1 503 Slow Down\r\ncontent-type: application/xml\r\ncontent-length: 71\r\nconnection: close\r\n\r\n\
    <Error><Code>SlowDown</Code><Message>Reduce your rate</Message></Error>";
pub const INTERNAL_ERROR: &str = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// The message by which sqlx pings Postgres; as a part of others it ends each query and is not meant.
pub const PING: &str = "S\0\0\0\u{4}";

#[derive(Debug, Clone, Copy)]
struct Fault {
    /// Only a request that holds this text is broken; empty: each, and each new connection.
    on: &'static str,
    how: Break,
    /// How many are broken.
    times: usize,
}

pub struct Proxy {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

struct Shared {
    fault: Mutex<Option<Fault>>,
    hits: AtomicUsize,
    open: AtomicUsize,
    most_open: AtomicUsize,
    answered: AtomicUsize,
}

/// A connection, counted while it is open.
struct Counted<'a>(&'a Shared);

impl<'a> Counted<'a> {
    fn one_more(shared: &'a Shared) -> Self {
        let open = shared.open.fetch_add(1, Ordering::SeqCst) + 1;
        shared.most_open.fetch_max(open, Ordering::SeqCst);
        Self(shared)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Proxy {
    pub async fn to(target: &str) -> Self {
        let url = url::Url::parse(target).unwrap();
        let target = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared { fault: Mutex::new(None), hits: 0.into(), open: 0.into(), most_open: 0.into(), answered: 0.into() });
        let theirs = shared.clone();
        let accepting = tokio::spawn(async move {
            // Connections end with this task.
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let (target, shared) = (target.clone(), theirs.clone());
                connections.spawn(async move {
                    let _open = Counted::one_more(&shared);
                    // Either side may go away at any time: that is what this is for.
                    let _ = pass(client, &target, &shared).await;
                });
            }
        });
        Self { address, shared, accepting }
    }

    /// From now on, breaks every request that holds the text `on`; with an empty text, everything.
    pub fn breaks(&self, on: &'static str, how: Break) {
        self.breaks_times(on, how, usize::MAX);
    }

    /// Breaks that many requests and then no more.
    pub fn breaks_times(&self, on: &'static str, how: Break, times: usize) {
        self.shared.hits.store(0, Ordering::SeqCst);
        *self.shared.fault.lock().unwrap() = Some(Fault { on, how, times });
    }

    pub fn heals(&self) {
        *self.shared.fault.lock().unwrap() = None;
    }

    /// How many requests were broken since it began to.
    pub fn hits(&self) -> usize {
        self.shared.hits.load(Ordering::SeqCst)
    }

    /// How many connections were open at the same time, at most.
    pub fn most_open(&self) -> usize {
        self.shared.most_open.load(Ordering::SeqCst)
    }

    /// How many connections are open now.
    pub fn open(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// How many bytes of answers have passed.
    pub fn answered(&self) -> usize {
        self.shared.answered.load(Ordering::SeqCst)
    }

    pub async fn until_hit(&self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.hits() == 0 {
            assert!(Instant::now() < deadline, "nothing came through the proxy");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Shared {
    fn fault_for(&self, request: &[u8]) -> Option<Fault> {
        let mut held = self.fault.lock().unwrap();
        let fault = held.as_mut()?;
        let on = fault.on.as_bytes();
        let meant = if fault.on == PING { request == on } else { on.is_empty() || request.windows(on.len()).any(|window| window == on) };
        if !meant || fault.times == 0 {
            return None;
        }
        fault.times = fault.times.saturating_sub(usize::from(fault.times != usize::MAX));
        self.hits.fetch_add(1, Ordering::SeqCst);
        Some(*fault)
    }
}

fn reworded(request: &[u8], old: &str, new: &str) -> Vec<u8> {
    assert_eq!(old.len(), new.len(), "lengths are told before");
    let mut request = request.to_vec();
    let places: Vec<usize> =
        request.windows(old.len()).enumerate().filter(|(_, window)| *window == old.as_bytes()).map(|(at, _)| at).collect();
    for at in places {
        request[at..at + new.len()].copy_from_slice(new.as_bytes());
    }
    request
}

async fn pass(mut client: TcpStream, target: &str, shared: &Shared) -> std::io::Result<()> {
    let mut server = TcpStream::connect(target).await?;
    let (mut request, mut response) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    // How much of the answer may still pass.
    let mut left = usize::MAX;
    loop {
        tokio::select! {
            read = client.read(&mut request) => {
                let bytes = &request[..read?];
                if bytes.is_empty() {
                    return Ok(());
                }
                let fault = shared.fault_for(bytes);
                match fault.map(|fault| fault.how) {
                    None => server.write_all(bytes).await?,
                    Some(Break::Refuse) => return Ok(()),
                    Some(Break::CutRequest(length)) => return server.write_all(&bytes[..length.min(bytes.len())]).await,
                    Some(Break::CutAnswer(length)) => {
                        left = length;
                        server.write_all(bytes).await?;
                    }
                    Some(Break::Stall) => std::future::pending().await,
                    Some(Break::StallAnswer) => {
                        server.write_all(bytes).await?;
                        std::future::pending::<()>().await;
                    }
                    Some(Break::Answer(text)) => {
                        client.write_all(text.as_bytes()).await?;
                        client.shutdown().await?;
                        // Bytes that nobody reads would reset the connection, and take the answer with them.
                        while client.read(&mut request).await? > 0 {}
                        return Ok(());
                    }
                    Some(Break::Slow(time)) => {
                        tokio::time::sleep(time).await;
                        server.write_all(bytes).await?;
                    }
                    Some(Break::Reword(text)) => server.write_all(&reworded(bytes, fault.map_or("", |fault| fault.on), text)).await?,
                }
            }
            read = server.read(&mut response) => {
                let length = read?;
                let passes = length.min(left);
                client.write_all(&response[..passes]).await?;
                shared.answered.fetch_add(passes, Ordering::SeqCst);
                left = if left == usize::MAX { left } else { left - passes };
                if length == 0 || left == 0 {
                    return Ok(());
                }
            }
        }
    }
}
