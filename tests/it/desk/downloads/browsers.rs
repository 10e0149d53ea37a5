//! Links in Chromium: pictures, seeking and saving, by redirects and through the broker.

use crate::browser::run_script;
use crate::harness::{Bed, Setup};

async fn pages_use_links(setup: Setup, life: &str) {
    let setup = setup.setting("DROPSLIP_PROXY_KEYS", "0123456789abcdef0123456789abcdef");
    let broker = setup.start().await;
    let environment = [("TEST_BROKER", broker.base.clone()), ("TEST_TOKEN", broker.token.clone()), ("TEST_URL_LIFE", life.to_owned())];
    run_script("downloads.test.mjs", &environment).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_show_and_seek_by_links_on_embedded() {
    pages_use_links(Setup::on(Bed::Embedded).setting("DROPSLIP_DOWNLOAD_URL_LIFETIME", "10s"), "10").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_show_and_seek_by_links_on_seaweedfs() {
    pages_use_links(Setup::on(Bed::SeaweedFs).setting("DROPSLIP_DOWNLOAD_URL_LIFETIME", "10s"), "10").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_show_and_seek_by_links_through_the_broker() {
    pages_use_links(Setup::on(Bed::SeaweedFs).setting("DROPSLIP_DOWNLOADS", "proxy"), "0").await;
}

async fn films_are_played(setup: Setup, life: &str) {
    let broker = setup.setting("DROPSLIP_PROXY_KEYS", "0123456789abcdef0123456789abcdef").start().await;
    let environment = [("TEST_BROKER", broker.base.clone()), ("TEST_TOKEN", broker.token.clone()), ("TEST_URL_LIFE", life.to_owned())];
    run_script("video.test.mjs", &environment).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn films_are_played_and_sought_in_on_embedded() {
    films_are_played(Setup::on(Bed::Embedded).setting("DROPSLIP_DOWNLOAD_URL_LIFETIME", "10s"), "10").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn films_are_played_and_sought_in_on_seaweedfs() {
    films_are_played(Setup::on(Bed::SeaweedFs).setting("DROPSLIP_DOWNLOAD_URL_LIFETIME", "10s"), "10").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn films_are_played_and_sought_in_through_the_broker() {
    films_are_played(Setup::on(Bed::SeaweedFs).setting("DROPSLIP_DOWNLOADS", "proxy"), "0").await;
}
