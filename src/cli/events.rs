//! `dropslip events`: the outbox of webhooks.

use std::process::ExitCode;

use clap::{ArgGroup, Args, Subcommand};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::present;
use super::text::{file_id, instant, when};
use crate::config::Config;
use crate::database::{Database, EventFilter, EventRow, EventState, Replay};
use crate::domain::{Action, FileId};
use crate::output::{complain, escaped, say};
use crate::server;
use crate::webhooks::{Sent, Webhooks};

#[derive(Debug, Subcommand)]
pub(super) enum EventsCommand {
    /// List events, newest first: one line for each event and endpoint
    List(ListOptions),
    /// Show one event: what is sent, and what became of it at each endpoint
    Show {
        /// Its id, as `events list` shows it
        id: String,
    },
    /// Send events now that arrived, were given up or wait for their next attempt; each file's stay in order
    Replay(ReplayOptions),
    /// List the endpoints of `DROPSLIP_WEBHOOKS_FILE`
    Endpoints,
    /// Send one signed event of the type dropslip.test to an endpoint and say what it answers
    Test {
        /// Its name
        endpoint: String,
    },
    /// Send to an endpoint again that answered 410 Gone
    Enable {
        /// Its name
        endpoint: String,
    },
    /// Send what is due once and end (`serve` sends by itself)
    Deliver,
}

#[derive(Debug, Args)]
pub(super) struct ListOptions {
    /// Only those in this state: pending, delivered or dead
    #[arg(long)]
    state: Option<EventState>,
    /// Only those to this endpoint
    #[arg(long)]
    endpoint: Option<String>,
    /// Only those about the file of this number
    #[arg(long, value_name = "ID", value_parser = file_id)]
    file: Option<FileId>,
    /// Only lines before the one of this number: the next page
    #[arg(long, value_name = "NUMBER")]
    before: Option<i64>,
    /// At most so many lines
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("which").required(true)))]
pub(super) struct ReplayOptions {
    /// The event of this id
    #[arg(group = "which")]
    id: Option<String>,
    /// Every event that was given up
    #[arg(long, group = "which")]
    dead: bool,
    /// Every event that happened then or later: 2026-01-31T12:00:00Z, or a time ago such as 2h
    #[arg(long, value_name = "WHEN", value_parser = when, group = "which")]
    since: Option<OffsetDateTime>,
    /// Only to this endpoint
    #[arg(long)]
    endpoint: Option<String>,
}

pub(super) async fn run(command: EventsCommand, config: &Config) -> anyhow::Result<ExitCode> {
    let database = present::database(config).await?;
    let code = run_on(command, &database, config).await;
    database.close().await;
    code
}

async fn run_on(command: EventsCommand, database: &Database, config: &Config) -> anyhow::Result<ExitCode> {
    let now = OffsetDateTime::now_utc();
    match command {
        EventsCommand::List(options) => return list(options, database).await,
        EventsCommand::Show { id } => return show(&id, database).await,
        EventsCommand::Replay(ReplayOptions { id, dead: _, since, endpoint }) => {
            let replay = match (id, since) {
                (Some(id), _) => Replay::Event(id),
                (None, Some(since)) => Replay::Since(since),
                (None, None) => Replay::Dead,
            };
            let replayed = database.replay_events(&replay, endpoint.as_deref(), now).await?;
            say!("to be sent again: {replayed}")?;
            if replayed == 0 && matches!(replay, Replay::Event(_)) {
                complain!("dropslip: there is no such event, or it is being sent now");
                return Ok(ExitCode::FAILURE);
            }
        }
        EventsCommand::Endpoints => return endpoints(database, config).await,
        EventsCommand::Test { endpoint } => {
            let Some(answer) = webhooks(database, config)?.test(&endpoint, now).await else { return Ok(unknown(&endpoint)) };
            say!("{}", escaped(&answer.said))?;
            return Ok(if answer.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        EventsCommand::Enable { endpoint } => {
            if !database.endpoint_is_back(&endpoint).await? {
                complain!("dropslip: ‘{}’ did not answer 410", escaped(&endpoint));
                return Ok(ExitCode::FAILURE);
            }
            say!("enabled; what was given up meanwhile: dropslip events replay --dead --endpoint {}", escaped(&endpoint))?;
        }
        EventsCommand::Deliver => {
            let Sent { delivered, deferred, dead } = webhooks(database, config)?.deliver_now(now).await?;
            say!("sent: {delivered} delivered, {deferred} to be tried again, {dead} given up")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn webhooks(database: &Database, config: &Config) -> anyhow::Result<Webhooks> {
    Ok(Webhooks::new(database.clone(), server::endpoints(config)?, config.webhooks_retry.clone())?)
}

fn unknown(endpoint: &str) -> ExitCode {
    complain!("dropslip: DROPSLIP_WEBHOOKS_FILE: there is no endpoint ‘{}’", escaped(endpoint));
    ExitCode::FAILURE
}

async fn list(options: ListOptions, database: &Database) -> anyhow::Result<ExitCode> {
    let ListOptions { state, endpoint, file, before, limit, json } = options;
    let rows = database.list_events(&EventFilter { state, endpoint, file, before }, limit).await?;
    if !json {
        say!(
            "{:<8} {:<37} {:<16} {:<15} {:<8} {:<10} {:<21} {:<6} last answer",
            "number",
            "id",
            "endpoint",
            "type",
            "file",
            "state",
            "at",
            "tries"
        )?;
    }
    for row in &rows {
        if json {
            say!("{}", escaped(&described(row).to_string()))?;
            continue;
        }
        let EventRow { id, event_id, endpoint, action, file, state, attempts, .. } = row;
        let (file, at, answer) = (file.to_string(), instant(row.created_at), row.last_answer.as_deref().unwrap_or("-"));
        say!("{id:<8} {event_id:<37} {endpoint:<16} {action:<15} {file:<8} {state:<10} {at:<21} {attempts:<6} {}", escaped(answer))?;
    }
    if !json && rows.len() == usize::try_from(limit).unwrap_or(usize::MAX) {
        complain!("older events: --before {}", rows.last().map_or(0, |row| row.id));
    }
    Ok(ExitCode::SUCCESS)
}

async fn show(id: &str, database: &Database) -> anyhow::Result<ExitCode> {
    let rows = database.find_event(id).await?;
    let Some(first) = rows.first() else {
        complain!("dropslip: there is no such event");
        return Ok(ExitCode::FAILURE);
    };
    let payload: Value = serde_json::from_str(&first.payload).unwrap_or_default();
    let whole = json!({"id": first.event_id, "payload": payload, "endpoints": rows.iter().map(described).collect::<Vec<_>>()});
    // Line by line: ends of lines are the printer's own, all others are escaped by JSON.
    for line in format!("{whole:#}").lines() {
        say!("{}", escaped(line))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn described(row: &EventRow) -> Value {
    let at = crate::domain::event::instant;
    let pending = row.state == EventState::Pending.as_str();
    json!({
        "number": row.id,
        "id": row.event_id,
        "endpoint": row.endpoint,
        "tenant": row.tenant,
        "type": row.action,
        "file": row.file.0,
        "state": row.state,
        "at": at(row.created_at),
        "attempts": row.attempts,
        "nextAttemptAt": pending.then(|| at(row.next_attempt_at)),
        "lastAnswer": row.last_answer,
        "finishedAt": row.finished_at.map(at),
    })
}

async fn endpoints(database: &Database, config: &Config) -> anyhow::Result<ExitCode> {
    say!("{:<16} {:<8} {:<48} {:<40} tenants", "name", "state", "url", "types")?;
    for endpoint in server::endpoints(config)? {
        let gone = database.endpoint_gone_since(&endpoint.name, endpoint.url.as_str()).await?;
        let wish = &endpoint.subscription;
        let types: Vec<_> = wish.types.iter().copied().map(Action::as_str).collect();
        let tenants: Vec<_> = wish.tenants.iter().map(crate::domain::Tenant::as_str).collect();
        let or_all = |list: Vec<&str>| if list.is_empty() { "all".to_owned() } else { list.join(",") };
        let state = if gone.is_some() { "gone" } else { "enabled" };
        say!("{:<16} {state:<8} {:<48} {:<40} {}", endpoint.name, endpoint.shown_url(), or_all(types), or_all(tenants))?;
    }
    Ok(ExitCode::SUCCESS)
}
