//! Why the database did not do what it was asked.

/// Why the database did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// It cannot be reached, does not answer or has no room; a commit whose answer got lost may have happened. Tells its cause itself.
    #[error("the database is not available: {0}")]
    Unavailable(sqlx::Error),
    /// A pooler before it has no sessions: settings and locks of one caller would be another's.
    #[error(
        "the pooler before the database hands its sessions on with each transaction or statement: let it pool by session \
         (PgBouncer: pool_mode = session), or name the database itself"
    )]
    Pooled,
    /// It holds or did something it never should.
    #[error("the database misbehaved: {0}")]
    Broken(String),
}

impl DatabaseError {
    /// Whether the database is not available now.
    pub(super) fn is_away(error: &sqlx::Error) -> bool {
        match error {
            // Protocol: a connection that ends while it is being opened looks like an answer that makes no sense.
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => true,
            sqlx::Error::Database(database) => database.code().is_some_and(|code| is_passing(&code)),
            _ => false,
        }
    }
}

impl From<sqlx::Error> for DatabaseError {
    fn from(error: sqlx::Error) -> Self {
        if Self::is_away(&error) { Self::Unavailable(error) } else { Self::Broken(error.to_string()) }
    }
}

/// Codes that say "not now" instead of "never": SQLite's primary result codes, Postgres' classes.
pub(super) fn is_passing(code: &str) -> bool {
    // SQLITE_BUSY, LOCKED, IOERR, FULL, CANTOPEN; extended codes keep theirs in the low byte.
    let sqlite = code.len() < 5 && code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5 | 6 | 10 | 13 | 14));
    // 08 connection, 25006 read-only standby, 40 rollback, 53 resources, 57 intervention, 58 system error.
    let postgres = code.len() == 5 && (code == "25006" || ["08", "40", "53", "57", "58"].iter().any(|class| code.starts_with(class)));
    sqlite || postgres
}
