//! `dropslip cors`: the owner's rules stay, no rule is ever for everybody, and a browser's question is answered.

use std::collections::BTreeSet;

use aws_sdk_s3::types::{CorsConfiguration, CorsRule};
use serde_json::Value;

use crate::check::{Checked, Site};
use crate::harness::Bed;
use crate::process::{run, text};

fn rule(id: &str, origin: &str) -> CorsRule {
    CorsRule::builder().id(id).allowed_origins(origin).allowed_methods("GET").max_age_seconds(5).build().unwrap()
}

async fn set_rules(site: &Site, rules: Vec<CorsRule>) {
    let rules = CorsConfiguration::builder().set_cors_rules(Some(rules)).build().unwrap();
    site.s3.put_bucket_cors().bucket(&site.bucket).cors_configuration(rules).send().await.unwrap();
}

async fn rules(site: &Site) -> Vec<CorsRule> {
    site.s3.get_bucket_cors().bucket(&site.bucket).send().await.unwrap().cors_rules.unwrap_or_default()
}

async fn keeps_the_owners_rules_and_names_every_origin(bed: Bed) {
    let mut site = Site::on(bed).await;
    let theirs = [rule("first", "https://theirs.example.com"), rule("last", "https://*.theirs.example.com")];
    set_rules(&site, theirs.to_vec()).await;

    let refused = site.run(&["cors", "apply"]);
    assert!(refused.status.code() == Some(1) && text(&refused.stderr).contains("no origin is configured"), "{}", text(&refused.stderr));
    assert_eq!(rules(&site).await, theirs);
    for wildcard in ["*", "https://*", "https://*.example.com"] {
        site.set("DROPSLIP_CORS_ORIGINS", wildcard);
        assert_eq!(site.run(&["cors", "apply"]).status.code(), Some(1), "{wildcard}");
    }
    assert_eq!(rules(&site).await, theirs);

    site.set("DROPSLIP_CORS_ORIGINS", "https://app.example.com,https://admin.example.com");
    site.set("DROPSLIP_PUBLIC_URL", "https://files.example.com/drop");
    let origins = ["https://files.example.com", "https://app.example.com", "https://admin.example.com"];
    let before = Checked::from(&site.run(&["cors", "check", "--json"]));
    assert!(before.code > 0 && before.row("cors-rules").2.contains("dropslip cors apply"));
    for round in 1..=2 {
        let applied = site.run(&["cors", "apply"]);
        assert_eq!(applied.status.code(), Some(0), "round {round}: {}", text(&applied.stderr));
        let now = rules(&site).await;
        assert_eq!((now.len(), &now[..2]), (3, &theirs[..]), "round {round}");
        // Ceph's gateway sorts them.
        let named: BTreeSet<&str> = now[2].allowed_origins().iter().map(String::as_str).collect();
        assert_eq!((now[2].id(), named), (Some("dropslip-pages"), BTreeSet::from(origins)));
        let all = now[2].allowed_headers().iter().chain(now[2].allowed_origins()).chain(now[2].expose_headers());
        assert!(all.into_iter().all(|text| !text.contains('*')), "{now:?}");
    }
    let printed: Value = serde_json::from_str(&text(&site.run(&["cors", "print"]).stdout)).unwrap();
    let ours = &rules(&site).await[2];
    let told = &printed["CORSRules"][0];
    let texts = |name: &str| told[name].as_array().unwrap().iter().map(|item| item.as_str().unwrap().to_owned()).collect::<BTreeSet<_>>();
    let kept = [ours.allowed_methods(), ours.allowed_headers(), ours.expose_headers(), ours.allowed_origins()];
    let kept = kept.map(|texts| texts.iter().cloned().collect::<BTreeSet<_>>());
    assert_eq!(["AllowedMethods", "AllowedHeaders", "ExposeHeaders", "AllowedOrigins"].map(texts), kept);

    let checked = Checked::from(&site.run(&["cors", "check", "--json"]));
    assert_eq!((checked.code, checked.not_ok()), (0, vec![]), "{:?}", checked.rows);
    assert_eq!(checked.rows.len(), 2 + origins.len());

    // Another set of origins replaces ours where it stands.
    site.set("DROPSLIP_CORS_ORIGINS", "");
    assert_eq!(site.run(&["cors", "apply"]).status.code(), Some(0));
    let now = rules(&site).await;
    assert_eq!((now.len(), now[2].allowed_origins()), (3, &["https://files.example.com".to_owned()][..]));

    set_rules(&site, [theirs.to_vec(), vec![rule("open", "*")]].concat()).await;
    let open = Checked::from(&site.run(&["cors", "check", "--json"]));
    assert!(open.status("cors-rules") == "warning" && open.row("cors-rules").1.contains("‘open’"), "{:?}", open.rows);
}

#[tokio::test(flavor = "multi_thread")]
async fn localstack_keeps_the_owners_rules_and_names_every_origin() {
    keeps_the_owners_rules_and_names_every_origin(Bed::LocalStack).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn seaweedfs_keeps_the_owners_rules_and_names_every_origin() {
    keeps_the_owners_rules_and_names_every_origin(Bed::SeaweedFs).await;
}

#[test]
fn the_embedded_store_needs_no_rule() {
    let folder = tempfile::tempdir().unwrap();
    let settings = [("DROPSLIP_EMBEDDED_S3_LISTEN", "127.0.0.1:0"), ("DROPSLIP_CORS_ORIGINS", "https://app.example.com")];
    let ask = |arguments: &[&str]| run(folder.path(), &settings, arguments);
    assert_eq!(ask(&["cors", "apply"]).status.code(), Some(1));
    let checked = Checked::from(&ask(&["cors", "check", "--json"]));
    assert_eq!((checked.code, checked.status("cors-preflight:https://app.example.com"), checked.status("cors-stranger")), (0, "ok", "ok"));
}
