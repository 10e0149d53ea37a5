//! Stores that do not mind the condition of a copy, as Ceph's gateway: a proxy makes one of LocalStack. `make stores` asks Ceph itself.

use std::time::Duration;

use futures_util::future::join;

use crate::faults::hammer::switching_contents_smuggles_nothing;
use crate::faults::proxy::{Break, Proxy};
use crate::harness::{Bed, Setup, from_servers};
use crate::operation::check::Site;
use crate::upload::multipart::{content, in_parts, large};

const MIB: usize = 1 << 20;

async fn database() -> Proxy {
    let proxy = Proxy::to(&from_servers("TEST_LOCALSTACK_URL")).await;
    proxy.breaks("x-amz-copy-source-if-match", Break::Reword("x-amz-copy-source-if-other"));
    proxy
}

fn behind(proxy: &Proxy, setup: Setup) -> Setup {
    setup.setting("DROPSLIP_S3_ENDPOINT", format!("http://{}", proxy.address))
}

#[tokio::test(flavor = "multi_thread")]
async fn switched_contents_are_judged_as_what_they_are() {
    let database = database().await;
    switching_contents_smuggles_nothing(behind(&database, Setup::on(Bed::LocalStack))).await;
    assert!(database.hits() > 0, "nothing was copied");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_says_that_it_does_no_harm() {
    let database = database().await;
    let site = Site::at(&from_servers("TEST_LOCALSTACK_URL"), &format!("http://{}", database.address)).await;
    let checked = site.check();
    let (status, found, _) = checked.row("copy-if-match");
    assert!(status == "info" && found.contains("ignores x-amz-copy-source-if-match"), "{status}: {found}");
    assert_eq!(checked.status("confirm"), "ok");
}

/// What is sealed is one upload and not pieces of several.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_in_parts_is_of_one_upload() {
    let database = database().await;
    let slow = Proxy::to(&format!("http://{}", database.address)).await;
    let broker = behind(&slow, in_parts(Bed::LocalStack)).setting("DROPSLIP_COPY_IN_PARTS_ABOVE", "5 MiB").start().await;
    let (first, second) = (content(16 * MIB), content(16 * MIB));
    let (id, _) = broker.start_parts(&large(first.len())).await;
    broker.put_all(id, &[1, 2, 3, 4], &first).await;
    let staging = broker.open_uploads().await.remove(0);
    slow.breaks_times("partNumber=4", Break::Slow(Duration::from_secs(3)), 1);
    let switching = async {
        slow.until_hit().await;
        // The other parts are copied meanwhile.
        tokio::time::sleep(Duration::from_secs(1)).await;
        broker
            .s3
            .put_object()
            .bucket(&broker.bucket)
            .key(staging)
            .content_type("text/plain")
            .body(second.clone().into())
            .send()
            .await
            .unwrap();
    };
    let ((status, body), ()) = join(broker.confirm(id), switching).await;
    assert_eq!(status, 200, "{body}");
    let objects = broker.objects().await;
    assert_eq!(objects.len(), 1, "{objects:?}");
    assert!(broker.bytes_of(&objects[0].0).await == second, "pieces of two uploads");
    let audit = broker.server.broker.reconcile().await.unwrap();
    assert!(audit.is_clean(), "{audit:?}");
}

/// Ceph's gateway answers 411 to parts that do not say it.
#[tokio::test(flavor = "multi_thread")]
async fn a_copied_part_says_that_it_brings_no_bytes() {
    let proxy = Proxy::to(&from_servers("TEST_SEAWEEDFS_URL")).await;
    let setup = in_parts(Bed::SeaweedFs).setting("DROPSLIP_COPY_IN_PARTS_ABOVE", "5 MiB");
    let broker = behind(&proxy, setup).start().await;
    let content = content(11 * MIB);
    let (id, _) = broker.start_parts(&large(content.len())).await;
    broker.put_all(id, &[1, 2, 3], &content).await;
    proxy.breaks("content-length: 0\r\n", Break::Slow(Duration::ZERO));
    assert_eq!(broker.confirm(id).await.0, 200);
    assert!(proxy.hits() >= 3, "{} of 3 parts", proxy.hits());
}
