//! Connections to Postgres over a network that may stop in the middle of anything.

use sqlx::PgConnection;
use sqlx::postgres::PgConnectOptions;

use super::kept::Kept;

/// How long Postgres may work on one statement, and wait for the next one while it holds locks. A transaction whose commit got
/// lost on the way would otherwise lock its file until the operating system gives up the connection, in hours.
const SERVER_TIMEOUT: &str = "5s";

/// How many there may be.
const CONNECTIONS: u32 = 16;

/// Connections that do all there is to do.
pub(super) type Connections = Kept<PgConnection>;

/// Opens the first connection, to see that it can.
pub(super) async fn connections(options: PgConnectOptions) -> Result<Connections, sqlx::Error> {
    let options = options
        .options([("statement_timeout", SERVER_TIMEOUT), ("idle_in_transaction_session_timeout", SERVER_TIMEOUT)])
        .application_name("dropslip");
    Kept::open(options, CONNECTIONS).await
}
