//! `dropslip token`.

use std::io::{IsTerminal as _, Read as _};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use time::OffsetDateTime;

use super::present;
use super::text::instant;
use crate::config::Config;
use crate::database::Database;
use crate::domain::{Actor, ActorKind, Caller, Scopes, Tenant, TypeLimit, text};
use crate::output::{complain, err, hand_over, say};
use crate::server;
use crate::tokens::{Token, Tokens};

/// What is read of a token at most, in bytes.
const LONGEST_INPUT: u64 = 4096;

#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Make a token and print it: this is the only time it is shown
    Create(NewToken),
    /// List the tokens of the database, without their secrets
    List,
    /// End a token of the database at once
    Revoke {
        /// Its number, as `token list` shows it
        id: i64,
    },
    /// Read a token from stdin and print the pair of keys that Kayako Classic's clients sign with: it is good as long as the token is
    Classic,
    /// Read a token from stdin and print its hash, for the file in `DROPSLIP_TOKENS_FILE`
    Hash,
}

#[derive(Debug, Args)]
pub(super) struct NewToken {
    /// The number of the user or customer it stands for
    #[arg(long, value_name = "ID", value_parser = user, allow_negative_numbers = true)]
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
    /// The file types it is for, separated by commas; without, all
    #[arg(long, value_name = "NAMES")]
    file_types: Option<TypeLimit>,
    /// After which time it ends by itself, such as 12h or 90d; without, never
    #[arg(long, value_name = "TIME", value_parser = life)]
    expires_in: Option<Duration>,
    /// Keep nothing: print the token, and on stderr the entry for the file in `DROPSLIP_TOKENS_FILE`
    #[arg(long)]
    print_only: bool,
}

/// A number that JWTs may name too.
fn user(text: &str) -> Result<i64, &'static str> {
    text.parse().ok().filter(|id| *id > 0).ok_or("must be a whole number from 1 up")
}

fn life(text: &str) -> Result<Duration, String> {
    let life = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    // Less is over before anybody can use it.
    if life < Duration::from_secs(1) { Err("must be 1s or longer".to_owned()) } else { Ok(life) }
}

impl NewToken {
    fn expires_at(&self, now: OffsetDateTime) -> anyhow::Result<Option<OffsetDateTime>> {
        let Some(life) = self.expires_in else { return Ok(None) };
        let ends_at = life.try_into().ok().and_then(|life: time::Duration| now.checked_add(life)).filter(|ends_at| ends_at.year() < 10_000);
        Ok(Some(ends_at.context("--expires-in: must be a shorter time")?))
    }

    fn caller(self) -> Caller {
        let Self { user, kind, tenant, scopes, file_types, .. } = self;
        Caller { actor: Actor { id: user, kind }, tenant, scopes, types: file_types.unwrap_or_default(), dialect: None }
    }
}

pub(super) async fn run(command: TokenCommand, config: &Config) -> anyhow::Result<ExitCode> {
    let now = OffsetDateTime::now_utc();
    match command {
        TokenCommand::Hash => hash()?,
        TokenCommand::Classic => {
            let token = from_stdin()?;
            let database = present::database(config).await?;
            let pair = pair(&token, config, &database, now).await;
            database.close().await;
            let (name, secret) = pair?;
            hand_over(format_args!("apikey {name}\nsecret {secret}\n"))?;
        }
        TokenCommand::Create(new) if new.print_only => {
            let (token, expires_at) = (Token::generate(), new.expires_at(now)?);
            err(format_args!("{}", entry(&token, &new.caller(), expires_at)));
            hand_over(format_args!("{}\n", token.reveal()))?;
        }
        command => {
            let database = match &command {
                TokenCommand::Create(_) => Database::open(config.database_url.reveal()).await?,
                _ => present::database(config).await?,
            };
            let code = run_on(command, &Tokens::new(database.clone(), None), now).await;
            database.close().await;
            return code;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn run_on(command: TokenCommand, tokens: &Tokens, now: OffsetDateTime) -> anyhow::Result<ExitCode> {
    match command {
        TokenCommand::Create(new) => {
            let expires_at = new.expires_at(now)?;
            let caller = new.caller();
            let (id, token) = tokens.create_until(&caller, expires_at, now).await?;
            // The token alone on stdout, so that a script can keep it.
            let Actor { id: user, kind } = caller.actor;
            let until = expires_at.map(|at| format!(" until {}", instant(at))).unwrap_or_default();
            complain!("token {id} for {} {user}{until}; it is not shown again", kind.as_str());
            let shown = hand_over(format_args!("{}\n", token.reveal()));
            shown.with_context(|| format!("nobody took the token: `dropslip token revoke {id}` ends it"))?;
        }
        TokenCommand::List => {
            say!(
                "{:<6} {:<12} {:<16} {:<36} {:<21} {:<21} {:<21} file types",
                "id",
                "actor",
                "tenant",
                "scopes",
                "created",
                "expires",
                "revoked"
            )?;
            for row in tokens.list().await? {
                let Caller { actor, tenant, scopes, types, .. } = &row.caller;
                let actor = format!("{} {}", actor.kind.as_str(), actor.id);
                let or_none = |at: Option<OffsetDateTime>| at.map_or_else(|| "-".to_owned(), instant);
                let (created, expires, revoked) = (instant(row.created_at), or_none(row.expires_at), or_none(row.revoked_at));
                let types = types.names().map_or_else(|| "all".to_owned(), |names| names.join(","));
                let (tenant, scopes) = (tenant.as_str(), scopes.to_string());
                say!("{:<6} {actor:<12} {tenant:<16} {scopes:<36} {created:<21} {expires:<21} {revoked:<21} {types}", row.id)?;
            }
        }
        TokenCommand::Revoke { id } => {
            if !tokens.revoke(id, now).await? {
                complain!("dropslip: there is no token {id} that is still good");
                return Ok(ExitCode::FAILURE);
            }
            complain!("token {id} is revoked");
        }
        TokenCommand::Hash | TokenCommand::Classic => {}
    }
    Ok(ExitCode::SUCCESS)
}

async fn pair(token: &Token, config: &Config, database: &Database, now: OffsetDateTime) -> anyhow::Result<(String, String)> {
    let pair = server::holders(config, database).await?.pair(token, now).await?;
    pair.context("stdin: that token is not good here: it is of another installation, was revoked, or has ended")
}

fn hash() -> anyhow::Result<()> {
    say!("{}", hex::encode(from_stdin()?.sha256()))?;
    Ok(())
}

/// A token is never an argument: arguments are visible to everybody on the machine.
fn from_stdin() -> anyhow::Result<Token> {
    if std::io::stdin().is_terminal() {
        complain!("the token, then Ctrl-D:");
    }
    let mut bytes = Vec::new();
    std::io::stdin().take(LONGEST_INPUT).read_to_end(&mut bytes).context("stdin")?;
    let text = text::utf8(&bytes).context("stdin")?;
    let Some(token) = Token::parse(text.trim()) else {
        bail!("stdin: that is no token as `dropslip token create` makes them: others can be guessed too easily for a fast hash");
    };
    Ok(token)
}

/// What stands in the file for that token.
fn entry(token: &Token, caller: &Caller, expires_at: Option<OffsetDateTime>) -> String {
    let Caller { actor, tenant, scopes, types, .. } = caller;
    let types = types.names().map(|_| format!("file_types = \"{types}\"\n")).unwrap_or_default();
    let expires_at = expires_at.map(|at| format!("expires_at = {}\n", instant(at))).unwrap_or_default();
    format!(
        "[[token]]\nname = \"made {}\"\nsha256 = \"{}\"\nuser = {}\ntype = \"{}\"\ntenant = \"{}\"\nscopes = \"{scopes}\"\n{types}{expires_at}",
        instant(OffsetDateTime::now_utc()),
        hex::encode(token.sha256()),
        actor.id,
        actor.kind.as_str(),
        tenant.as_str()
    )
}
