//! Why a token stands for nobody now.

use crate::database::DatabaseError;
use crate::jwt::KeysAway;

/// Why nobody can say who presents a token.
#[derive(Debug, thiserror::Error)]
pub enum Unknown {
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The issuer's keys are not there yet.
    #[error(transparent)]
    Keys(#[from] KeysAway),
    /// It is bad, and so are too many from that address: how many seconds to wait.
    #[error("too many bad tokens, try again in {0} s")]
    TooMany(u64),
}
