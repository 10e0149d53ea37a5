//! An audit finds what is lost, forged or orphaned, and nothing else; the lifecycle rule is the second line.

use dropslip::broker::Reconciliation;

use crate::harness::{Bed, Db, Setup, TestBroker};

impl TestBroker {
    async fn reconcile(&self) -> Reconciliation {
        self.server.broker.reconcile().await.unwrap()
    }
}

async fn finds_what_is_wrong(bed: Bed, db: Db) {
    let broker = Setup::on(bed).database(db).start().await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let slip = broker.text_slip().await;
        broker.drop_bytes(&slip, b"hello").await;
        assert_eq!(broker.confirm(slip.id).await.0, 200);
        // Used again afterwards: doomed, no orphan.
        broker.drop_bytes(&slip, b"again").await;
        ids.push(slip.id);
    }
    let waiting = broker.text_slip().await;
    broker.drop_bytes(&waiting, b"hello").await;
    let clean = broker.reconcile().await;
    assert!(clean.is_clean(), "{clean:?}");
    assert_eq!((clean.files, clean.objects), (3, 7));

    let sealed: Vec<_> = broker.objects().await.into_iter().map(|(key, _)| key).filter(|key| key.starts_with("files/")).collect();
    let put = async |key: &str, bytes: &'static [u8]| {
        broker.s3.put_object().bucket(&broker.bucket).key(key).body(bytes.to_vec().into()).send().await.unwrap();
    };
    broker.s3.delete_object().bucket(&broker.bucket).key(&sealed[0]).send().await.unwrap();
    put(&sealed[1], b"HELLO").await;
    put("files/nobodys", b"x").await;
    put("temp/nobodys", b"x").await;
    put("elsewhere/not-ours", b"x").await;
    let found = broker.reconcile().await;
    assert_eq!((found.lost.len(), found.forged.len()), (1, 1), "{found:?}");
    assert!(found.lost[0] != found.forged[0] && [found.lost[0], found.forged[0]].iter().all(|id| ids.contains(&id.0)));
    assert_eq!(found.orphaned, ["files/nobodys", "temp/nobodys"]);
}

#[tokio::test]
async fn an_audit_finds_what_is_wrong_on_the_embedded_store_and_sqlite() {
    finds_what_is_wrong(Bed::Embedded, Db::Sqlite).await;
}

#[tokio::test]
async fn an_audit_finds_what_is_wrong_on_seaweedfs_and_postgres() {
    finds_what_is_wrong(Bed::SeaweedFs, Db::Postgres).await;
}

#[tokio::test]
async fn an_audit_finds_what_is_wrong_on_localstack_and_sqlite() {
    finds_what_is_wrong(Bed::LocalStack, Db::Sqlite).await;
}

#[tokio::test]
async fn an_audit_reads_more_than_one_page_of_objects() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let folder = broker.folder.path().join("bucket/dropslip/temp");
    std::fs::create_dir_all(&folder).unwrap();
    for number in 0..1_050 {
        std::fs::write(folder.join(format!("{number:04}")), b"x").unwrap();
    }
    let found = broker.reconcile().await;
    assert_eq!((found.objects, found.orphaned.len()), (1_050, 1_050));
}

#[tokio::test]
async fn the_lifecycle_rule_is_set_beside_the_owners_rules() {
    use aws_sdk_s3::types::{BucketLifecycleConfiguration, ExpirationStatus, LifecycleExpiration, LifecycleRule, LifecycleRuleFilter};
    let broker = TestBroker::on(Bed::LocalStack).await;
    let theirs = LifecycleRule::builder()
        .id("theirs")
        .status(ExpirationStatus::Enabled)
        .filter(LifecycleRuleFilter::builder().prefix("logs/").build())
        .expiration(LifecycleExpiration::builder().days(90).build());
    let theirs = BucketLifecycleConfiguration::builder().rules(theirs.build().unwrap()).build().unwrap();
    let put = broker.s3.put_bucket_lifecycle_configuration().bucket(&broker.bucket).lifecycle_configuration(theirs);
    put.send().await.unwrap();
    for _ in 0..2 {
        // The longest slip of the shipped types lives 6 hours, and an hour of grace.
        assert_eq!(broker.server.broker.apply_lifecycle().await.unwrap(), 9);
    }
    let rules = broker.s3.get_bucket_lifecycle_configuration().bucket(&broker.bucket).send().await.unwrap();
    let ids: Vec<_> = rules.rules().iter().map(|rule| rule.id().unwrap()).collect();
    assert_eq!(ids, ["theirs", "dropslip-staging"]);
    assert_eq!(rules.rules()[1].filter().unwrap().prefix(), Some("temp/"));
    assert_eq!(rules.rules()[1].expiration().unwrap().days(), Some(9));
}
