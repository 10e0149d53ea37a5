//! One test binary: a harness, then one module a subject. `make test` starts the servers it needs.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(unreachable_pub, reason = "the harness is open to its neighbours")]
#![expect(clippy::disallowed_methods, reason = "the addresses of the test servers come in the environment")]

/// Each test once for each engine.
macro_rules! on_both_engines {
    ($($test:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")] async fn $test() { super::$test(super::Db::Sqlite).await; })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")] async fn $test() { super::$test(super::Db::Postgres).await; })*
        }
    };
}

mod browser;
mod harness;
mod objects;
mod process;
mod readme;
mod receiver;

mod again;
mod attachments;
mod audit_log;
mod authorization;
mod backup;
mod bad_tokens;
mod bodies;
mod bounded_growth;
mod brokers;
mod bucket_away;
mod check;
mod ci_example;
mod circles;
mod clock;
mod closed_pipes;
mod companion;
mod confirm;
mod connections;
mod cors;
mod database_contract;
mod declared_types;
mod deleting;
mod deny;
mod deploy;
mod describing;
mod desk;
mod downloads;
mod encodings;
mod evidence;
mod fairness;
mod faults;
mod forms;
mod guides;
mod hammer;
mod handles;
mod image_headers;
mod installation_secret;
mod js_client;
mod jwt;
mod layers;
mod limits;
mod listing;
mod locked;
mod metrics;
mod multipart;
mod names;
mod notifications;
mod openapi;
mod oracles;
mod outbox_metrics;
mod page;
mod permissions;
mod places;
mod pooling;
mod power;
mod private;
mod program;
mod put;
mod query_plans;
mod reconciliation;
mod reloading;
mod rotating;
mod selecting;
mod shown_types;
mod smuggling;
mod spellings;
mod sweeping;
mod tampering;
mod text_files;
mod threat_model;
mod tickets;
mod traces;
mod unconditional;
mod upgrades;
mod upload;
mod uppy;
mod webhooks;
mod wire;
