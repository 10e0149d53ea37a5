//! `dropslip audit-log`.

use std::io::{self, ErrorKind};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use serde_json::json;
use time::OffsetDateTime;

use super::present;
use super::text::{actor, file_id, instant, when};
use crate::config::Config;
use crate::database::{AuditFilter, Audited, AuditedActor, Database, DatabaseError};
use crate::domain::{Action, FileId, Tenant};
use crate::output::{complain, escaped, hand_over, say};

/// How many lines are followed at once.
const PAGE: u32 = 1000;

/// How long one page waits for transactions that may still bring lines into it.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// How often is looked whether they have ended.
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

#[derive(Debug, Args)]
pub(super) struct AuditLogOptions {
    /// Only about this tenant's files and tokens
    #[arg(long)]
    tenant: Option<Tenant>,
    /// Only about the file of this number
    #[arg(long, value_name = "ID", value_parser = file_id)]
    file: Option<FileId>,
    /// Only by users:ID, by customers:ID, or by system: dropslip itself and its command line
    #[arg(long, value_parser = actor)]
    actor: Option<AuditedActor>,
    /// Only this, such as file.deleted
    #[arg(long)]
    action: Option<Action>,
    /// Only what was done then or later: 2026-01-31T12:00:00Z, or a time ago such as 2h
    #[arg(long, value_name = "WHEN", value_parser = when)]
    since: Option<OffsetDateTime>,
    /// Only what was done earlier than then
    #[arg(long, value_name = "WHEN", value_parser = when)]
    until: Option<OffsetDateTime>,
    /// Only lines before the one of this number: the next page
    #[arg(long, value_name = "NUMBER")]
    before: Option<i64>,
    /// Only lines after the one of this number, oldest first: 0 for all from the beginning on
    #[arg(long, value_name = "NUMBER", conflicts_with = "before")]
    after: Option<i64>,
    /// At most so many lines, newest first
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// Go on with every line that is written, oldest first, until it is stopped; begins with the newest --limit lines, or --after
    #[arg(long, conflicts_with_all = ["before", "until"])]
    follow: bool,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(options: AuditLogOptions, config: &Config) -> anyhow::Result<ExitCode> {
    let AuditLogOptions { tenant, file, actor, action, since, until, before, after, limit, follow, json } = options;
    let filter = AuditFilter { tenant, file, actor, action, since, until, before, after };
    let database = present::database(config).await?;
    if !json {
        say!("{:<10} {:<21} {:<16} {:<14} {:<15} {:<10} details", "number", "at", "tenant", "actor", "action", "file")?;
    }
    let done = match (follow, after) {
        (true, _) => following(&database, filter, limit, json).await,
        (false, Some(_)) => onward(&database, filter, limit, json).await,
        (false, None) => backward(&database, &filter, limit, json).await,
    };
    database.close().await;
    match done {
        // Whoever reads has seen enough.
        Err(error) if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe) => Ok(ExitCode::SUCCESS),
        done => done.map(|()| ExitCode::SUCCESS),
    }
}

/// The newest lines.
async fn backward(database: &Database, filter: &AuditFilter, limit: u32, json: bool) -> anyhow::Result<()> {
    let lines = database.audit_log(filter, limit).await?;
    print(&lines, json)?;
    if !json && is_full(&lines, limit) {
        complain!("older lines: --before {}", lines.last().map_or(0, |line| line.id));
    }
    Ok(())
}

/// One page of lines, the oldest first: whoever goes on after the last one misses none.
async fn onward(database: &Database, mut filter: AuditFilter, limit: u32, json: bool) -> anyhow::Result<()> {
    let settled = tokio::time::timeout(LONGEST_WAIT, settled(database)).await;
    let last =
        settled.context("a transaction on this server has been open for a minute: until it ends, lines may come before others")??;
    filter.before = Some(last.saturating_add(1));
    let lines = database.audit_log(&filter, limit).await?;
    print(&lines, json)?;
    if !json && is_full(&lines, limit) {
        complain!("more lines: --after {}", lines.last().map_or(0, |line| line.id));
    }
    Ok(())
}

/// All lines as they come, until the reader goes away or the program is stopped. It waits for a database that is away.
async fn following(database: &Database, filter: AuditFilter, limit: u32, json: bool) -> anyhow::Result<()> {
    let mut seen = match filter.after {
        Some(after) => after,
        // The line before the first one to be shown.
        None => database.audit_log(&filter, limit).await?.last().map_or(0, |line| line.id - 1),
    };
    let mut is_away = false;
    loop {
        match next_page(database, &filter, seen).await {
            Ok((lines, up_to)) => {
                print(&lines, json)?;
                (seen, is_away) = (up_to, false);
                if is_full(&lines, PAGE) {
                    continue;
                }
            }
            Err(error @ DatabaseError::Unavailable(_)) => {
                if !is_away {
                    complain!("{error}; trying again each second");
                }
                is_away = true;
            }
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// The lines after `seen` that nothing can come before any more, and up to which number that is.
async fn next_page(database: &Database, filter: &AuditFilter, seen: i64) -> Result<(Vec<Audited>, i64), DatabaseError> {
    let last = settled(database).await?;
    let filter = AuditFilter { after: Some(seen), before: Some(last.saturating_add(1)), ..filter.clone() };
    let lines = if last > seen { database.audit_log(&filter, PAGE).await? } else { Vec::new() };
    let up_to = lines.last().filter(|_| is_full(&lines, PAGE)).map_or(last.max(seen), |line| line.id);
    Ok((lines, up_to))
}

/// The number up to which all lines are there that there will be.
async fn settled(database: &Database) -> Result<i64, DatabaseError> {
    let mark = database.audit_mark().await?;
    while !database.audit_settled(mark).await? {
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
    Ok(mark.last)
}

fn is_full(lines: &[Audited], limit: u32) -> bool {
    lines.len() == usize::try_from(limit).unwrap_or(usize::MAX)
}

fn print(lines: &[Audited], json: bool) -> io::Result<()> {
    lines.iter().try_for_each(|line| hand_over(format_args!("{}\n", if json { as_json(line) } else { as_text(line) })))
}

fn as_text(line: &Audited) -> String {
    let actor = line.actor.map_or_else(|| "system".to_owned(), |actor| format!("{}:{}", actor.kind.as_str(), actor.id));
    let file = line.file.map_or_else(|| "-".to_owned(), |file| file.to_string());
    let details = escaped(&line.details.to_string());
    let (tenant, action) = (line.tenant.as_str(), escaped(&line.action));
    format!("{:<10} {:<21} {tenant:<16} {actor:<14} {action:<15} {file:<10} {details}", line.id, instant(line.at))
}

fn as_json(line: &Audited) -> String {
    let actor = line.actor.map(|actor| json!({"id": actor.id, "type": actor.kind.as_str()}));
    let object = json!({
        "number": line.id,
        "at": crate::domain::event::instant(line.at),
        "tenant": line.tenant.as_str(),
        "actor": actor,
        "action": line.action,
        "file": line.file.map(|file| file.0),
        "details": line.details,
    });
    escaped(&object.to_string())
}
