//! `dropslip audit-log`.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::present;
use super::words::{actor, file_id, instant, when};
use crate::config::Config;
use crate::domain::{Action, FileId, Tenant};
use crate::output::{complain, escaped, say};
use crate::store::{AuditFilter, Audited, AuditedActor};
use time::OffsetDateTime;

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
    /// At most so many lines, newest first
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(options: AuditLogOptions, config: &Config) -> anyhow::Result<ExitCode> {
    let AuditLogOptions { tenant, file, actor, action, since, until, before, limit, json } = options;
    let store = present::database(config).await?;
    let lines = store.audit_log(&AuditFilter { tenant, file, actor, action, since, until, before }, limit).await;
    store.close().await;
    let lines = lines?;
    if !json {
        say!("{:<10} {:<21} {:<16} {:<14} {:<15} {:<10} details", "number", "at", "tenant", "actor", "action", "file")?;
    }
    for line in &lines {
        say!("{}", if json { as_json(line) } else { as_text(line) })?;
    }
    if !json && lines.len() == usize::try_from(limit).unwrap_or(usize::MAX) {
        complain!("older lines: --before {}", lines.last().map_or(0, |line| line.id));
    }
    Ok(ExitCode::SUCCESS)
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
