//! The connections to one database or the other.

use std::sync::Arc;

use super::postgres::Connections;
use super::sqlite::{ReadConnections, WriteConnection};

#[derive(Debug, Clone)]
pub(super) enum Engine {
    /// One connection writes, so that writers queue here instead of failing as busy; many read.
    Sqlite {
        read: Arc<ReadConnections>,
        write: Arc<WriteConnection>,
    },
    Postgres(Arc<Connections>),
}

/// Runs the same statements on a connection to whichever database there is, within [`super::statement::ANSWER_TIMEOUT`].
macro_rules! on_pool {
    ($database:expr, read $connection:ident => $body:expr) => {
        match &$database.engine {
            $crate::database::engine::Engine::Sqlite { read, .. } => $crate::database::statement::within_time!(@Read read, $connection => $body),
            $crate::database::engine::Engine::Postgres(pool) => $crate::database::statement::within_time!(@Read pool, $connection => $body),
        }
    };
    ($database:expr, read $holding:expr, $connection:ident => $body:expr) => {
        match &$database.engine {
            $crate::database::engine::Engine::Sqlite { read, .. } => $crate::database::statement::within_time!(@Read read, Some($holding), $connection => $body),
            $crate::database::engine::Engine::Postgres(pool) => $crate::database::statement::within_time!(@Read pool, Some($holding), $connection => $body),
        }
    };
    ($database:expr, write $connection:ident => $body:expr) => {
        match &$database.engine {
            $crate::database::engine::Engine::Sqlite { write, .. } => $crate::database::statement::within_time!(write, $connection => $body),
            $crate::database::engine::Engine::Postgres(pool) => $crate::database::statement::within_time!(pool, $connection => $body),
        }
    };
}
pub(super) use on_pool;
