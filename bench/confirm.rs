//! Times confirmations and, of each, the time that it waits for the store.
//!
//! `confirm STORE` prints the address of a proxy before the store at STORE, which a broker takes for the store. Then it reads jobs
//! from stdin, one a line, `BROKER CONNECTIONS TOKEN ID...`, confirms each file once and prints a line for the job: microseconds
//! in all, then `TOTAL:STORE:REQUESTS` for each file. STORE is the time during which at least one request to the store was on its
//! way; it means something with one connection only, when all requests belong to one confirmation.
//!
//! The proxy looks at no bytes: a request begins with the first byte after an answer, and ends with the last byte before the next
//! request. What the proxy itself costs counts as the broker's time.

use std::collections::VecDeque;
use std::io::{BufRead as _, Error, ErrorKind};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

type Result<T> = std::io::Result<T>;

/// One request to the store.
#[derive(Clone, Copy)]
struct Request {
    began: Instant,
    ended: Option<Instant>,
}

/// Every request to the store, in the order in which they began.
#[derive(Clone, Default)]
struct Requests(Arc<Mutex<Vec<Request>>>);

impl Requests {
    fn with<T>(&self, look: impl FnOnce(&mut Vec<Request>) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn begin(&self) -> usize {
        self.with(|all| {
            all.push(Request { began: Instant::now(), ended: None });
            all.len() - 1
        })
    }

    fn end(&self, index: usize) {
        self.with(|all| all[index].ended = Some(Instant::now()));
    }

    /// How many there were; waits for those without an answer, so that none is taken for a part of what comes next.
    async fn settled(&self) -> usize {
        loop {
            if let Some(count) = self.with(|all| all.iter().rev().take(100).all(|request| request.ended.is_some()).then_some(all.len())) {
                return count;
            }
            tokio::time::sleep(Duration::from_micros(100)).await;
        }
    }

    /// How long at least one of those since the first so many was on its way before `until`, and how many there were.
    fn since(&self, first: usize, until: Instant) -> (Duration, usize) {
        self.with(|all| {
            let requests = all.get(first..).unwrap_or_default();
            let (mut covered, mut waited) = (None::<Instant>, Duration::ZERO);
            for Request { began, ended } in requests {
                let ended = ended.unwrap_or(until).min(until);
                let began = covered.map_or(*began, |covered| covered.max(*began));
                waited += ended.saturating_duration_since(began);
                covered = Some(covered.map_or(ended, |covered| covered.max(ended)));
            }
            (waited, requests.len())
        })
    }
}

async fn proxy(listener: TcpListener, store: SocketAddr, requests: Requests) -> Result<()> {
    loop {
        let (broker, _) = listener.accept().await?;
        let requests = requests.clone();
        tokio::spawn(async move {
            let mut current = None;
            drop(passed_on(broker, store, &requests, &mut current).await);
            // Whoever waits for an answer now waits in vain.
            if let Some(index) = current {
                requests.end(index);
            }
        });
    }
}

/// Passes bytes on in both directions until one side ends; `current` is the request without an answer so far.
async fn passed_on(mut broker: TcpStream, store: SocketAddr, requests: &Requests, current: &mut Option<usize>) -> Result<()> {
    let mut store = TcpStream::connect(store).await?;
    broker.set_nodelay(true)?;
    store.set_nodelay(true)?;
    let (mut up, mut down) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    let mut latest = None;
    loop {
        tokio::select! {
            read = broker.read(&mut up) => {
                let bytes = read?;
                if bytes == 0 { return Ok(()) }
                if current.is_none() {
                    *current = Some(requests.begin());
                }
                store.write_all(&up[..bytes]).await?;
            }
            read = store.read(&mut down) => {
                let bytes = read?;
                if bytes == 0 { return Ok(()) }
                broker.write_all(&down[..bytes]).await?;
                // An answer in several pieces ends with the last of them.
                latest = current.take().or(latest);
                if let Some(index) = latest {
                    requests.end(index);
                }
            }
        }
    }
}

/// A connection to a broker that asks for one thing after the other.
struct Client {
    stream: TcpStream,
    head: String,
    buffer: Vec<u8>,
}

impl Client {
    async fn to(broker: &str, token: &str) -> Result<Self> {
        let stream = TcpStream::connect(broker).await?;
        stream.set_nodelay(true)?;
        let head = format!("host: {broker}\r\nauthorization: Bearer {token}\r\ncontent-length: 0\r\n\r\n");
        Ok(Self { stream, head, buffer: vec![0; 64 * 1024] })
    }

    async fn confirm(&mut self, id: &str) -> Result<()> {
        let request = format!("PATCH /v2/files/{id}.json HTTP/1.1\r\n{}", self.head);
        self.stream.write_all(request.as_bytes()).await?;
        let mut filled = 0;
        loop {
            let read = self.stream.read(&mut self.buffer[filled..]).await?;
            if read == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            filled += read;
            let text = String::from_utf8_lossy(&self.buffer[..filled]);
            if let Some(length) = whole_length(&text)
                && filled >= length
            {
                let good = text.starts_with("HTTP/1.1 20");
                return if good { Ok(()) } else { Err(Error::other(format!("file {id}: {text}"))) };
            }
        }
    }
}

/// Head and body; `None` while the head is not there.
fn whole_length(answer: &str) -> Option<usize> {
    let (head, _) = answer.split_once("\r\n\r\n")?;
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    let body = lines.filter(|(name, _)| name.eq_ignore_ascii_case("content-length")).find_map(|(_, value)| value.parse::<usize>().ok())?;
    Some(head.len() + "\r\n\r\n".len() + body)
}

async fn job(line: &str, requests: &Requests) -> Result<String> {
    let mut words = line.split_whitespace();
    let (Some(broker), Some(connections), Some(token)) = (words.next(), words.next().and_then(|n| n.parse::<usize>().ok()), words.next())
    else {
        return Err(Error::new(ErrorKind::InvalidInput, "a job is BROKER CONNECTIONS TOKEN ID..."));
    };
    let ids: Arc<Mutex<VecDeque<String>>> = Arc::new(Mutex::new(words.map(str::to_owned).collect()));
    let mut clients = Vec::new();
    for _ in 0..connections {
        clients.push(Client::to(broker, token).await?);
    }
    let began = Instant::now();
    let mut working = JoinSet::new();
    for mut client in clients {
        let (ids, requests) = (Arc::clone(&ids), requests.clone());
        working.spawn(async move {
            let mut found = Vec::new();
            loop {
                let Some(id) = ids.lock().unwrap_or_else(PoisonError::into_inner).pop_front() else { return Ok(found) };
                let first = if connections == 1 { requests.settled().await } else { 0 };
                let began = Instant::now();
                client.confirm(&id).await?;
                let ended = Instant::now();
                let (waited, count) = if connections == 1 { requests.since(first, ended) } else { Default::default() };
                found.push(format!("{}:{}:{count}", (ended - began).as_micros(), waited.as_micros()));
            }
        });
    }
    let found: Vec<Result<Vec<String>>> = working.join_all().await;
    let in_all = began.elapsed().as_micros();
    let found = found.into_iter().collect::<Result<Vec<_>>>()?.concat();
    Ok(format!("{in_all} {}", found.join(" ")))
}

#[tokio::main]
async fn main() -> Result<()> {
    let store = std::env::args().nth(1).and_then(|store| store.parse().ok());
    let store = store.ok_or_else(|| Error::new(ErrorKind::InvalidInput, "usage: confirm STORE, an address and port"))?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    let requests = Requests::default();
    tokio::spawn(proxy(listener, store, requests.clone()));
    for line in std::io::stdin().lock().lines() {
        println!("{}", job(&line?, &requests).await?);
    }
    Ok(())
}
