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
    ($store:expr, read $connection:ident => $body:expr) => {
        match &$store.engine {
            $crate::store::engine::Engine::Sqlite { read, .. } => $crate::store::statement::within_time!(@Read read, $connection => $body),
            $crate::store::engine::Engine::Postgres(pool) => $crate::store::statement::within_time!(@Read pool, $connection => $body),
        }
    };
    ($store:expr, read $holding:expr, $connection:ident => $body:expr) => {
        match &$store.engine {
            $crate::store::engine::Engine::Sqlite { read, .. } => $crate::store::statement::within_time!(@Read read, Some($holding), $connection => $body),
            $crate::store::engine::Engine::Postgres(pool) => $crate::store::statement::within_time!(@Read pool, Some($holding), $connection => $body),
        }
    };
    ($store:expr, write $connection:ident => $body:expr) => {
        match &$store.engine {
            $crate::store::engine::Engine::Sqlite { write, .. } => $crate::store::statement::within_time!(write, $connection => $body),
            $crate::store::engine::Engine::Postgres(pool) => $crate::store::statement::within_time!(pool, $connection => $body),
        }
    };
}
pub(super) use on_pool;
