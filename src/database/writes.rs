//! Whether the database takes writes.
//!
//! A database may answer and yet keep nothing: its disk is full, another process has locked it, it was made read-only. A write that
//! fails says so. From then on a probe each second asks for some room and writes next to nothing, until one succeeds: so it is known that
//! writes succeed again although nobody asks for one.

use tokio::sync::watch;

use super::error::{DatabaseError, is_passing};
use crate::metrics::Statement;

/// What became of the writes on some connections.
#[derive(Debug, Default)]
pub(super) struct Writes(pub(super) watch::Sender<Failures>);

/// How many failed, and how many had when a probe began that succeeded.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Failures {
    all: u64,
    over: u64,
}

impl Failures {
    pub(super) fn are_over(&self) -> bool {
        self.all == self.over
    }
}

impl Writes {
    /// Whether no write failed, or a probe has succeeded that began after the last failure.
    pub(super) fn succeed(&self) -> bool {
        self.0.borrow().are_over()
    }

    /// Looks at what came of a statement.
    pub(super) fn note<T>(&self, kind: Statement, answer: &Result<T, sqlx::Error>) {
        let Err(error) = answer else { return };
        if kind == Statement::Read || !is_about_writing(error) {
            return;
        }
        let mut is_first = false;
        self.0.send_modify(|failures| {
            is_first = failures.are_over();
            failures.all += 1;
        });
        if is_first {
            tracing::warn!(%error, "a write failed: the broker is not ready until the database takes writes again");
        }
    }

    pub(super) fn are_back(&self, before: Failures) {
        self.0.send_modify(|failures| failures.over = before.all);
        if self.succeed() {
            tracing::info!("the database takes writes again");
        }
    }
}

/// Whether other writes fail alike, and not only that one.
fn is_about_writing(error: &sqlx::Error) -> bool {
    match error {
        // Two that got in each other's way: who asks again may succeed at once.
        sqlx::Error::Database(database) if database.code().is_some_and(|code| code.starts_with("40")) => false,
        // It lacks a permission.
        sqlx::Error::Database(database) if database.code().as_deref() == Some("42501") => true,
        sqlx::Error::Database(database) => database.code().is_some_and(|code| is_passing(&code)),
        error => DatabaseError::is_away(error),
    }
}
