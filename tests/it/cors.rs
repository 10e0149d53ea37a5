//! `dropslip cors`: the owner's rules stay, no rule is ever for everybody, and a browser's question is answered.

use std::collections::BTreeSet;
use std::net::TcpListener;

use aws_sdk_s3::types::{CorsConfiguration, CorsRule};
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName};
use serde_json::Value;

use crate::browser::run_script;
use crate::harness::{Bed, Setup, TestBroker};
use crate::operation::check::{Checked, Site};
use crate::process::{run, text};

/// Pages of apps and browser extensions, and of apps that have an ordinary origin.
const APPS: &str = "https://app.example.com,capacitor://localhost,ionic://localhost,tauri://localhost,http://tauri.localhost,https://localhost,app://obsidian.md,\
    chrome-extension://aapbdbdomjkkjkaonfhkkikfgjllcleb,moz-extension://4f0b6f3c-0c3a-4a2c-9c3c-6f1b3c0f8a11";

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
        let refused = site.run(&["cors", "apply"]);
        let said = text(&refused.stderr);
        assert!(refused.status.code() == Some(1) && said.contains("DROPSLIP_CORS_ORIGINS: must be origins such as"), "{wildcard}: {said}");
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
        // The origin is the guard: its pages may send any header.
        assert_eq!(now[2].allowed_headers(), ["*"]);
        assert!(now[2].allowed_origins().iter().chain(now[2].expose_headers()).all(|text| !text.contains('*')), "{now:?}");
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
    let refused = ask(&["cors", "apply"]);
    assert!(refused.status.code() == Some(1) && text(&refused.stderr).contains("keeps no rules"), "{}", text(&refused.stderr));
    let checked = Checked::from(&ask(&["cors", "check", "--json"]));
    assert_eq!((checked.code, checked.status("cors-preflight:https://app.example.com"), checked.status("cors-stranger")), (0, "ok", "ok"));
}

/// The rule that older versions wrote names the headers that dropslip needs.
async fn an_older_rule_works_and_is_to_be_set_again(bed: Bed) {
    let mut site = Site::on(bed).await;
    site.set("DROPSLIP_CORS_ORIGINS", APPS);
    let older = CorsRule::builder()
        .id("dropslip-pages")
        .set_allowed_origins(Some(APPS.split(',').map(|origin| origin.trim().to_owned()).collect()))
        .set_allowed_methods(Some(["POST", "PUT", "GET", "HEAD"].map(str::to_owned).to_vec()))
        .set_allowed_headers(Some(["content-type", "if-none-match", "x-amz-checksum-sha256", "range"].map(str::to_owned).to_vec()))
        .set_expose_headers(Some(["ETag", "Location"].map(str::to_owned).to_vec()))
        .build()
        .unwrap();
    set_rules(&site, vec![older]).await;
    let before = Checked::from(&site.run(&["cors", "check", "--json"]));
    assert_eq!(before.code, 1, "uploads work: {:?}", before.rows);
    let (status, found, advice) = before.row("cors-rules");
    assert!(status == "warning" && found.contains("traceparent") && advice.contains("‘dropslip cors apply’ again"), "{found} {advice}");
    let (status, found, _) = before.row("cors-preflight:capacitor://localhost");
    assert!(status == "warning" && found.contains("may send forms, signed PUTs and parts, but not"), "{found}");
    assert_eq!(site.run(&["cors", "apply"]).status.code(), Some(0));
    let after = Checked::from(&site.run(&["cors", "check", "--json"]));
    assert_eq!((after.code, after.not_ok()), (0, vec![]), "{:?}", after.rows);
    assert_eq!(after.rows.len(), 2 + APPS.split(',').count());
}

#[tokio::test(flavor = "multi_thread")]
async fn localstack_has_an_older_rule_that_is_to_be_set_again() {
    an_older_rule_works_and_is_to_be_set_again(Bed::LocalStack).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn seaweedfs_has_an_older_rule_that_is_to_be_set_again() {
    an_older_rule_works_and_is_to_be_set_again(Bed::SeaweedFs).await;
}

async fn preflight(broker: &TestBroker, url: &str, origin: &str, method: &str, asked: &str) -> HeaderMap {
    let request = broker.http.request(Method::OPTIONS, url).header("origin", origin).header("access-control-request-method", method);
    let response = request.header("access-control-request-headers", asked).send().await.unwrap();
    assert!(response.status().is_success(), "{url}: {}", response.status());
    response.headers().clone()
}

fn told<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(format!("access-control-{name}").parse::<HeaderName>().unwrap()).map(|value| value.to_str().unwrap())
}

#[tokio::test]
async fn a_configured_origin_may_send_any_header_and_a_stranger_none() {
    let broker = Setup::on(Bed::Embedded).setting("DROPSLIP_CORS_ORIGINS", APPS).start().await;
    let object_store = format!("http://{}/dropslip/", broker.server.embedded_s3.unwrap());
    let routes = ["/v2/files/ref.json", "/desk/api/v2/files/1.json", "/companion/s3/multipart", "/u/x/s3/params", "/v2/file-types.json"];
    let urls = routes.iter().map(|path| format!("{}{path}", broker.base)).chain([object_store]);
    let asked =
        "authorization,baggage,cache-control,content-type,idempotency-key,sentry-trace,traceparent,tracestate,x-anything,x-requested-with";
    for url in urls {
        for origin in APPS.split(',').map(str::trim) {
            for method in ["POST", "PUT"] {
                let headers = preflight(&broker, &url, origin, method, asked).await;
                assert_eq!(told(&headers, "allow-origin"), Some(origin), "{url}");
                // By their names: a star would not stand for Authorization.
                assert_eq!(told(&headers, "allow-headers"), Some(asked), "{url} {origin}");
                assert!(told(&headers, "allow-methods").is_some_and(|methods| methods.contains(method)), "{url} {origin}");
                assert_eq!(told(&headers, "allow-credentials"), None);
            }
            // So many that no page means it.
            let many = vec!["x-anything"; 400].join(",");
            assert_eq!(told(&preflight(&broker, &url, origin, "POST", &many).await, "allow-headers"), None, "{url} {origin}");
        }
        for stranger in [
            "https://evil.example.com",
            "null",
            "*",
            "capacitor://localhost.evil",
            "capacitor://localhost:1",
            "capacitor://",
            "http://localhost",
            "ionic://localhos",
            "chrome-extension://aapbdbdomjkkjkaonfhkkikfgjllclea",
            "app://obsidian.md/",
            "https://app.example.com,capacitor://localhost",
        ] {
            for asked in [asked, "content-type"] {
                let headers = preflight(&broker, &url, stranger, "POST", asked).await;
                assert_eq!((told(&headers, "allow-origin"), told(&headers, "allow-headers")), (None, None), "{url} {stranger}");
            }
        }
    }
    // The answer itself must carry it too, refusals included, or the page sees nothing.
    for (origin, allowed) in [("capacitor://localhost", true), ("capacitor://other", false)] {
        let request = broker.request("POST", "/v2/files/ref.json").header("origin", origin).header("traceparent", "x").body("{}");
        let response = request.send().await.unwrap();
        assert_eq!((response.status().as_u16(), told(response.headers(), "allow-origin")), (400, allowed.then_some(origin)));
    }
}

#[test]
fn origins_of_apps_are_taken_and_what_is_no_origin_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let ask = |origins: &str, arguments: &[&str]| {
        run(folder.path(), &[("DROPSLIP_EMBEDDED_S3_LISTEN", "127.0.0.1:0"), ("DROPSLIP_CORS_ORIGINS", origins)], arguments)
    };
    let printed: Value =
        serde_json::from_str(&text(&ask("Capacitor://LOCALHOST/,https://App.Example.com:443", &["cors", "print"]).stdout)).unwrap();
    let rule = &printed["CORSRules"][0];
    assert_eq!(rule["AllowedOrigins"], serde_json::json!(["capacitor://localhost", "https://app.example.com"]));
    assert_eq!(rule["AllowedHeaders"], serde_json::json!(["*"]));
    let checked = Checked::from(&ask(APPS, &["cors", "check", "--json"]));
    assert_eq!((checked.code, checked.not_ok(), checked.rows.len()), (0, vec![], 2 + APPS.split(',').count()), "{:?}", checked.rows);
    for bad in [
        "null",
        "*",
        "capacitor://*",
        "capacitor://",
        "capacitor://localhost/app",
        "ionic://localhost?x",
        "tauri://localhost#x",
        "app://u@host",
        "file:///",
    ] {
        let refused = ask(&format!("https://app.example.com,{bad}"), &["config"]);
        let said = text(&refused.stderr);
        assert!(
            refused.status.code() == Some(1) && said.contains("DROPSLIP_CORS_ORIGINS: must be origins such as") && said.contains(bad),
            "{bad}: {said}"
        );
    }
}

/// Chromium asks, and the page uploads.
async fn a_page_uploads_whatever_headers_it_adds(bed: Bed) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let origin = format!("http://127.0.0.1:{port}");
    let broker = Setup::on(bed).setting("DROPSLIP_CORS_ORIGINS", &origin).start().await;
    if bed != Bed::Embedded {
        // What `cors apply` sets.
        let ours = dropslip::bucket::cors::document(std::slice::from_ref(&origin));
        let texts = |name: &str| {
            Some(ours["CORSRules"][0][name].as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect())
        };
        let rule = CorsRule::builder()
            .set_allowed_origins(texts("AllowedOrigins"))
            .set_allowed_methods(texts("AllowedMethods"))
            .set_allowed_headers(texts("AllowedHeaders"))
            .set_expose_headers(texts("ExposeHeaders"));
        let rules = CorsConfiguration::builder().cors_rules(rule.build().unwrap()).build().unwrap();
        broker.s3.put_bucket_cors().bucket(&broker.bucket).cors_configuration(rules).send().await.unwrap();
    }
    let environment = [("TEST_BROKER", broker.base.clone()), ("TEST_TOKEN", broker.token.clone()), ("PAGE_PORT", port.to_string())];
    run_script("added_headers.test.mjs", &environment).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_uploads_to_embedded_whatever_headers_it_adds() {
    a_page_uploads_whatever_headers_it_adds(Bed::Embedded).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_uploads_to_seaweedfs_whatever_headers_it_adds() {
    a_page_uploads_whatever_headers_it_adds(Bed::SeaweedFs).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_uploads_to_localstack_whatever_headers_it_adds() {
    a_page_uploads_whatever_headers_it_adds(Bed::LocalStack).await;
}
