//! Traces, as a receiver of OTLP gets them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Held;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use serde_json::Value;

use crate::faults::world::{Program, World};
use crate::harness::{Db, from_servers};
use dropslip::embedded_s3::BOUNDS;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

/// An OTLP receiver that keeps what it gets.
struct Receiver {
    address: String,
    got: Arc<Mutex<Vec<(Bytes, ExportTraceServiceRequest)>>>,
    /// It takes nothing.
    full: Arc<AtomicBool>,
}

impl Receiver {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let got = Arc::<Mutex<Vec<_>>>::default();
        let full = Arc::<AtomicBool>::default();
        let (keep, refuses) = (got.clone(), full.clone());
        let receive = move |body: Bytes| async move {
            if refuses.load(Ordering::SeqCst) {
                return StatusCode::SERVICE_UNAVAILABLE;
            }
            let decoded = ExportTraceServiceRequest::decode(body.clone()).unwrap();
            keep.lock().unwrap().push((body, decoded));
            StatusCode::OK
        };
        let router = axum::Router::new().route("/v1/traces", post(receive));
        tokio::spawn(dropslip::listener::serve(listener, router, BOUNDS, tokio_util::sync::CancellationToken::new()));
        Self { address, got, full }
    }

    fn spans(&self) -> Vec<Span> {
        let got = self.got.lock().unwrap();
        let resources = got.iter().flat_map(|(_, request)| request.resource_spans.clone());
        resources.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans).collect()
    }

    /// What it got once that many requests of this name have arrived, and what the program sends when it ends.
    async fn all(&self, program: &mut Program, name: &str, least: usize) -> Vec<Span> {
        let deadline = Instant::now() + Duration::from_mins(1);
        while self.spans().iter().filter(|span| span.name == name).count() < least {
            assert!(Instant::now() < deadline, "no {least} {name} in {:?}: {}", self.spans(), program.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        program.signal("-TERM");
        assert_eq!(program.end().await.code(), Some(0), "{}", program.log());
        self.spans()
    }
}

fn attribute(span: &Span, key: &str) -> Option<String> {
    let found = span.attributes.iter().find(|attribute| attribute.key == key)?;
    Some(match found.value.as_ref()?.value.as_ref()? {
        Held::StringValue(text) => text.clone(),
        Held::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    })
}

async fn traced(db: Db, share: &str) -> (World, Program, Receiver) {
    let receiver = Receiver::start().await;
    let mut world = World::new(db).await;
    world.set("DROPSLIP_OTLP_ENDPOINT", &receiver.address);
    world.set("DROPSLIP_TRACE_SHARE", share);
    world.set("OTEL_BSP_SCHEDULE_DELAY", "50");
    let program = world.start(None).await;
    (world, program, receiver)
}

async fn confirm_with(world: &World, program: &Program, id: i64, flags: &str) {
    let request = reqwest::Client::new().patch(format!("{}/v2/files/{id}.json", program.base)).bearer_auth(world.token());
    let answer = request.header("traceparent", format!("00-{TRACE}-{CALLER}-{flags}")).send().await.unwrap();
    assert_eq!(answer.status(), 200);
}

async fn a_confirmation_is_a_trace(db: Db) {
    let (world, mut program, receiver) = traced(db, "0").await;
    let (slip, _) = world.uploaded(&program, "kept").await;
    confirm_with(&world, &program, slip.id, "01").await;
    let (other, _) = world.uploaded(&program, "kept").await;
    confirm_with(&world, &program, other.id, "00").await;
    let spans = receiver.all(&mut program, "PATCH confirm", 1).await;

    // One request is sampled, by its caller's word; the others are not, by the share.
    let requests: Vec<&Span> = spans.iter().filter(|span| span.name.ends_with(" confirm") || span.name.ends_with(" slip")).collect();
    let [request] = requests[..] else { panic!("{requests:?}") };
    assert_eq!(
        (request.name.as_str(), hex::encode(&request.trace_id), hex::encode(&request.parent_span_id)),
        ("PATCH confirm", TRACE.into(), CALLER.into())
    );
    assert_eq!(request.kind, 2, "a server's");
    assert_eq!(attribute(request, "url.path"), Some(format!("/v2/files/{}.json", slip.id)));
    assert_eq!(attribute(request, "http.response.status_code").as_deref(), Some("200"));
    assert!(attribute(request, "request.id").is_some_and(|id| id.len() == 16));

    let parts: Vec<&Span> = spans.iter().filter(|span| span.span_id != request.span_id).collect();
    for part in &parts {
        assert_eq!((hex::encode(&part.trace_id), &part.parent_span_id), (TRACE.to_owned(), &request.span_id), "{part:?}");
        assert!(
            part.start_time_unix_nano >= request.start_time_unix_nano && part.end_time_unix_nano <= request.end_time_unix_nano,
            "{part:?}"
        );
    }
    for name in ["HeadObject", "GetObject", "CopyObject", "DeleteObject", "read", "write"] {
        assert!(parts.iter().any(|part| part.name == name), "no {name} in {:?}", parts.iter().map(|part| &part.name).collect::<Vec<_>>());
    }

    // Nothing that lets anybody in, and nothing that names an object.
    let got = receiver.got.lock().unwrap();
    let secret = from_servers("AWS_SECRET_ACCESS_KEY");
    for secret in [world.token(), &secret, slip.param("x-amz-signature"), slip.param("policy"), slip.param("key"), "files/0"] {
        let found = got.iter().any(|(bytes, _)| bytes.windows(secret.len()).any(|window| window == secret.as_bytes()));
        assert!(!found, "‘{secret}’ is in a trace");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmation_is_a_trace_with_its_parts_on_sqlite() {
    a_confirmation_is_a_trace(Db::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmation_is_a_trace_with_its_parts_on_postgres() {
    a_confirmation_is_a_trace(Db::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_of_the_requests_has_a_trace_of_its_own() {
    let (world, mut program, receiver) = traced(Db::Sqlite, "0.25").await;
    for _ in 0..40 {
        world.slip(&program, "kept").await;
    }
    let spans = receiver.all(&mut program, "POST slip", 7).await;
    let slips: Vec<&Span> = spans.iter().filter(|span| span.name == "POST slip").collect();
    // Steps of the golden section are even, to about the logarithm of how many there are.
    assert!((7..=13).contains(&slips.len()), "{} of 40", slips.len());
    for slip in slips {
        assert!(slip.parent_span_id.is_empty() && slip.trace_id.iter().any(|byte| *byte != 0));
        let parts: Vec<&str> = spans.iter().filter(|span| span.parent_span_id == slip.span_id).map(|span| span.name.as_str()).collect();
        assert!(parts.contains(&"slip"), "{parts:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_away_costs_traces_and_nothing_else() {
    let mut world = World::new(Db::Sqlite).await;
    world.set("DROPSLIP_OTLP_ENDPOINT", "http://127.0.0.1:1");
    world.set("DROPSLIP_TRACE_SHARE", "1");
    world.set("OTEL_BSP_SCHEDULE_DELAY", "50");
    let mut program = world.start(None).await;
    for _ in 0..5 {
        let (slip, _) = world.uploaded(&program, "kept").await;
        assert_eq!(world.confirm(&program, slip.id).await.unwrap().status, 200);
    }
    assert_eq!(world.ask(&program, "GET", "/v2/files/999.json", None, &Value::Null).await.unwrap().status, 404);
    let line = program.log().lines().find(|line| line.contains("request refused")).map(|line| serde_json::from_str::<Value>(line).unwrap());
    let line = line.unwrap_or_else(|| panic!("{}", program.log()));
    assert_eq!(
        (&line["span"]["method"], &line["span"]["path"]),
        (&"GET".into(), &"/v2/files/999.json".into()),
        "the log is as without traces"
    );
    let began = Instant::now();
    program.signal("-TERM");
    assert_eq!(program.end().await.code(), Some(0), "{}", program.log());
    assert!(began.elapsed() < Duration::from_secs(20), "the end took {:?}", began.elapsed());
    let log = program.log();
    let lost: Vec<&str> = log.lines().filter(|line| line.contains("traces are lost")).collect();
    assert!(lost.len() == 1 && lost[0].contains("Connection refused"), "said once a minute: {log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_says_when_traces_are_lost_and_when_they_arrive_again() {
    let (world, mut program, receiver) = traced(Db::Sqlite, "1").await;
    receiver.full.store(true, Ordering::SeqCst);
    world.slip(&program, "kept").await;
    let until_said = async |words: &str| {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !program.log().contains(words) {
            assert!(Instant::now() < deadline, "it does not say ‘{words}’: {}", program.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    until_said("it answered 503 Service Unavailable").await;
    receiver.full.store(false, Ordering::SeqCst);
    world.slip(&program, "kept").await;
    until_said("traces are taken again").await;
    let spans = receiver.all(&mut program, "POST slip", 1).await;
    assert!(spans.iter().all(|span| span.events.is_empty()), "what is logged is not traced: {spans:?}");
}
