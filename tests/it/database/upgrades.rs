//! The present program on what older versions left behind: nothing is lost, and what clients hold goes on working.
//!
//! `tests/data/upgrade` has an installation on each engine for each version that is upgraded from, with rows in every table. A change
//! that adds a migration adds here what must be true of old rows after it.

mod clients;
mod events;
mod files;
pub mod fixture;
pub mod rows;
mod secrets;
mod statements;

use std::path::Path;

use crate::harness::Db;

async fn on_each_version(db: Db, what: impl AsyncFn(&Path, Db)) {
    for version in fixture::versions() {
        what(&version, db).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_file_is_there_after_an_upgrade_on_sqlite() {
    on_each_version(Db::Sqlite, files::every_file_is_there_after_an_upgrade).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_file_is_there_after_an_upgrade_on_postgres() {
    on_each_version(Db::Postgres, files::every_file_is_there_after_an_upgrade).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn old_tokens_are_what_they_were_on_sqlite() {
    on_each_version(Db::Sqlite, clients::old_tokens_are_what_they_were).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn old_tokens_are_what_they_were_on_postgres() {
    on_each_version(Db::Postgres, clients::old_tokens_are_what_they_were).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn old_slips_can_be_gone_on_with_on_sqlite() {
    on_each_version(Db::Sqlite, clients::old_slips_can_be_gone_on_with).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn old_slips_can_be_gone_on_with_on_postgres() {
    on_each_version(Db::Postgres, clients::old_slips_can_be_gone_on_with).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn old_upload_tokens_and_links_work_on_sqlite() {
    on_each_version(Db::Sqlite, clients::old_upload_tokens_and_links_work).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn old_upload_tokens_and_links_work_on_postgres() {
    on_each_version(Db::Postgres, clients::old_upload_tokens_and_links_work).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn old_events_are_delivered_on_sqlite() {
    on_each_version(Db::Sqlite, events::old_events_are_delivered).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn old_events_are_delivered_on_postgres() {
    on_each_version(Db::Postgres, events::old_events_are_delivered).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lay_for_a_year_is_swept_on_sqlite() {
    on_each_version(Db::Sqlite, files::what_lay_for_a_year_is_swept).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lay_for_a_year_is_swept_on_postgres() {
    on_each_version(Db::Postgres, files::what_lay_for_a_year_is_swept).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_broker_finds_its_tables_on_sqlite() {
    on_each_version(Db::Sqlite, statements::an_older_broker_finds_its_tables).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_broker_finds_its_tables_on_postgres() {
    on_each_version(Db::Postgres, statements::an_older_broker_finds_its_tables).await;
}
