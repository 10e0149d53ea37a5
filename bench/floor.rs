//! The floor of the benchmark: a bare hyper server that reads each body and answers so many bytes, always the same.
//!
//! `floor BYTES`, with BYTES as long as the whole answer that it stands for, head included. No implementation over HTTP can be
//! faster than this on the same machine.

use std::convert::Infallible;
use std::io::{Error, ErrorKind};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// What hyper writes before the body; how many digits the length has comes on top.
const HEAD: &str =
    "HTTP/1.1 201 Created\r\ncontent-type: application/json\r\ncontent-length: \r\ndate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n";

async fn answer(request: Request<Incoming>, body: Bytes) -> Result<Response<Full<Bytes>>, hyper::Error> {
    request.into_body().collect().await?;
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = StatusCode::CREATED;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    Ok(response)
}

/// The body that makes an answer of `bytes`.
fn body_of(bytes: usize) -> Option<Bytes> {
    let length = (0..bytes).rev().find(|length| HEAD.len() + length.to_string().len() + length <= bytes)?;
    Some(vec![b'x'; length].into())
}

#[tokio::main]
async fn main() -> Result<Infallible, Error> {
    let bytes = std::env::args().nth(1).and_then(|bytes| bytes.parse().ok());
    let body = bytes.and_then(body_of).ok_or_else(|| Error::new(ErrorKind::InvalidInput, "usage: floor BYTES, more than a head has"))?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let body = body.clone();
        let service = service_fn(move |request| answer(request, body.clone()));
        tokio::spawn(async move { drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await) });
    }
}
