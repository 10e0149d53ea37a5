//! `dropslip token`.

use std::process::ExitCode;

use clap::Subcommand;
use time::OffsetDateTime;

use super::words::instant;
use crate::config::Config;
use crate::domain::{Actor, ActorKind, Caller, Scopes, Tenant};
use crate::store::Store;
use crate::tokens::Tokens;

#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Make a token and print it: this is the only time it is shown
    Create {
        /// The number of the user or customer it stands for
        #[arg(long, value_name = "ID")]
        user: i64,
        /// What that number counts: users or customers
        #[arg(long = "type", value_name = "KIND", default_value = "users")]
        kind: ActorKind,
        /// The installation whose files it reaches
        #[arg(long, default_value = Tenant::DEFAULT)]
        tenant: Tenant,
        /// What it allows, separated by commas
        #[arg(long, default_value = "files:read,files:write,files:delete")]
        scopes: Scopes,
    },
    /// List the tokens, without their secrets
    List,
    /// End a token at once
    Revoke {
        /// Its number, as `token list` shows it
        id: i64,
    },
}

pub(super) async fn run(command: TokenCommand, config: &Config) -> anyhow::Result<ExitCode> {
    let store = Store::open(&config.database_url).await?;
    let code = run_on(command, &Tokens::new(store.clone(), None)).await;
    store.close().await;
    code
}

async fn run_on(command: TokenCommand, tokens: &Tokens) -> anyhow::Result<ExitCode> {
    let now = OffsetDateTime::now_utc();
    match command {
        TokenCommand::Create { user, kind, tenant, scopes } => {
            let (id, token) = tokens.create(&Caller { actor: Actor { id: user, kind }, tenant, scopes }, now).await?;
            // The token alone on stdout, so that a script can keep it.
            eprintln!("token {id} for {} {user}; it is not shown again", kind.as_str());
            println!("{}", token.reveal());
        }
        TokenCommand::List => {
            println!("{:<6} {:<12} {:<16} {:<36} {:<21} revoked", "id", "actor", "tenant", "scopes", "created");
            for row in tokens.list().await? {
                let Caller { actor, tenant, scopes } = &row.caller;
                let actor = format!("{} {}", actor.kind.as_str(), actor.id);
                let created = instant(row.created_at);
                let revoked = row.revoked_at.map_or_else(|| "-".to_owned(), instant);
                println!("{:<6} {actor:<12} {:<16} {:<36} {created:<21} {revoked}", row.id, tenant.as_str(), scopes.to_string());
            }
        }
        TokenCommand::Revoke { id } => {
            if !tokens.revoke(id, now).await? {
                eprintln!("dropslip: there is no token {id} that is still good");
                return Ok(ExitCode::FAILURE);
            }
            eprintln!("token {id} is revoked");
        }
    }
    Ok(ExitCode::SUCCESS)
}
