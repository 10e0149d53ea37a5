//! Commands that only read make no database: in the wrong folder they would make an empty one, and say that all is well.

use anyhow::{Context as _, bail};

use crate::config::Config;
use crate::database::Database;
use crate::database::probe::{Found, look};
use crate::domain::sqlite_url::path_in;

/// Opens a database that is there.
pub(super) async fn database(config: &Config) -> anyhow::Result<Database> {
    tables(config).await?;
    Ok(Database::open(config.database_url.reveal()).await?)
}

/// Refuses a database without tables.
async fn tables(config: &Config) -> anyhow::Result<Found> {
    const WHERE: &str = "are DROPSLIP_DATA_DIR and DROPSLIP_DATABASE_URL right?";
    let found = look(config.database_url.reveal()).await.context(config.database_url.setting())?;
    match &found {
        // The other kind of URL may hold a password.
        Found::NoFile => bail!("there is no database at {}: {WHERE}", path_in(config.database_url.reveal())),
        Found::Empty => bail!("the database has no tables of dropslip's: {WHERE}"),
        Found::Unbound | Found::About(_) => Ok(found),
    }
}

/// Refuses a database that no broker ever ran on: there is nothing to compare a bucket with, and opening it would bind it to one.
pub(super) async fn broker(config: &Config) -> anyhow::Result<()> {
    match tables(config).await? {
        Found::Unbound => bail!("no broker ran on this database yet: is it the right one?"),
        _ => Ok(()),
    }
}
