//! One test binary. `make test` starts the servers it needs; `harness` gives each test a broker, a database and a bucket of its own.
//!
//! Where a new test goes: what only one dialect's clients see, into that dialect's folder (`desk`, `companion`, `kayako`, `kayako_classic`). The way of a file from
//! slip to active in whatever dialect: `upload`. Who may do what, and who waits for whom: `authorization`. Something breaks, stalls or dies:
//! `faults`. What the database promises, on both engines: `database`. What an operator does and sees: `operation`. What the repository says
//! of itself, such as layers and documents: `project`. What all routes answer, byte for byte, is in `wire`, and `openapi` asks each as the
//! document says.

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
mod kayako;
mod kayako_classic;
mod process;
mod receiver;

mod authorization;
mod companion;
mod cors;
mod database;
mod desk;
mod dialects;
mod faults;
mod openapi;
mod operation;
mod oracles;
mod page;
mod project;
mod upload;
mod wire;
