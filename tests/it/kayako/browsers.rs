//! Pages of another origin, in Chromium and Firefox.

use std::net::TcpListener;

use crate::browser::run_script;
use crate::harness::{Bed, Setup};

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_another_origin_send_forms_in_chromium_and_firefox() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let broker = Setup::on(Bed::Embedded).setting("DROPSLIP_CORS_ORIGINS", format!("http://127.0.0.1:{port}")).start().await;
    let folder = tempfile::tempdir().unwrap();
    let environment = [
        ("TEST_BROKER", broker.base.clone()),
        ("TEST_TOKEN", broker.token.clone()),
        ("TEST_PAGE_PORT", port.to_string()),
        ("TEST_FOLDER", folder.path().to_str().unwrap().to_owned()),
    ];
    run_script("kayako_form.test.mjs", &environment).await;
}
