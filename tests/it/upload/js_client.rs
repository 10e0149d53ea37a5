//! The JavaScript client in Node, against real stores.

use crate::browser::run_script;
use crate::faults::proxy::{Break, Proxy};
use crate::harness::{Bed, Setup, TestBroker, from_servers, short_lived};

fn environment(broker: &TestBroker) -> Vec<(&'static str, String)> {
    vec![("TEST_BROKER", broker.base.clone()), ("TEST_TOKEN", broker.token.clone())]
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_works_on_embedded() {
    run_script("client.test.mjs", &environment(&TestBroker::on(Bed::Embedded).await)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_works_on_seaweedfs() {
    run_script("client.test.mjs", &environment(&TestBroker::on(Bed::SeaweedFs).await)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_works_on_localstack() {
    run_script("client.test.mjs", &environment(&TestBroker::on(Bed::LocalStack).await)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_replaces_an_expired_slip() {
    for bed in [Bed::Embedded, Bed::SeaweedFs] {
        let broker = Setup::on(bed).policy("short.toml", short_lived("2s", 10_000_000)).start().await;
        let mut environment = environment(&broker);
        environment.push(("TEST_EXPIRE", "1".to_owned()));
        run_script("client_breaks.test.mjs", &environment).await;
    }
}

/// What Garage says to a form that comes too late, which others refuse with 403.
const IN_THE_PAST: Break = Break::Answer(
    "HTTP/1.1 400 Bad Request\r\ncontent-type: application/xml\r\ncontent-length: 109\r\nconnection: close\r\n\r\n\
     <Error><Code>InvalidRequest</Code><Message>Bad request: Expiration date is in the past</Message></Error>     ",
);

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_slip_is_replaced_where_the_store_calls_it_a_bad_request() {
    let proxy = Proxy::to(&from_servers("TEST_SEAWEEDFS_URL")).await;
    let setup = Setup::on(Bed::SeaweedFs).setting("DROPSLIP_S3_PUBLIC_ENDPOINT", format!("http://{}", proxy.address));
    let broker = setup.policy("short.toml", short_lived("2s", 10_000_000)).start().await;
    // By its first line, before the store sees anything of it. The text is as old as the process, which lasts as long as the test.
    proxy.breaks_times(format!("POST /{}/ HTTP", broker.bucket).leak(), IN_THE_PAST, 1);
    let mut environment = environment(&broker);
    environment.push(("TEST_EXPIRE", "1".to_owned()));
    run_script("client_breaks.test.mjs", &environment).await;
    assert_eq!(proxy.hits(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_goes_on_after_a_broken_connection() {
    for (bed, store) in [(Bed::SeaweedFs, "TEST_SEAWEEDFS_URL"), (Bed::LocalStack, "TEST_LOCALSTACK_URL")] {
        // In the middle of the file; and after all of it, so that only the answer is lost.
        for how in [Break::CutRequest(0), Break::CutAnswer(0)] {
            let proxy = Proxy::to(&from_servers(store)).await;
            let endpoint = format!("http://{}", proxy.address);
            let broker = Setup::on(bed).setting("DROPSLIP_S3_PUBLIC_ENDPOINT", endpoint).start().await;
            proxy.breaks_times("CUT-HERE", how, 1);
            run_script("client_breaks.test.mjs", &environment(&broker)).await;
            assert_eq!(proxy.hits(), 1, "{bed:?}: nothing was cut");
            assert_eq!(broker.objects().await.len(), 1, "{bed:?}: one sealed object and nothing else");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_is_packed_as_it_would_be_published() {
    run_script("package.test.mjs", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_works_by_put() {
    for bed in [Bed::Embedded, Bed::SeaweedFs, Bed::LocalStack] {
        let broker = Setup::on(bed).setting("DROPSLIP_S3_METHOD", "put").start().await;
        run_script("client.test.mjs", &environment(&broker)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_sends_large_files_in_parts_and_resumes() {
    for bed in [Bed::Embedded, Bed::SeaweedFs, Bed::LocalStack] {
        let setup = Setup::on(bed).setting("DROPSLIP_MULTIPART_THRESHOLD", "6 MiB").setting("DROPSLIP_PART_SIZE", "5 MiB");
        run_script("client_parts.test.mjs", &environment(&setup.start().await)).await;
    }
}
