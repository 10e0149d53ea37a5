//! `dropslip serve`.

use std::fmt::Write as _;
use std::io::IsTerminal as _;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::config::{Config, Log};
use crate::server::Server;
use crate::tokens::Token;

/// Serves until SIGTERM or SIGINT, then lets requests under way end.
pub(super) async fn run(config: &Config) -> anyhow::Result<()> {
    log_to_stderr(&config.log)?;
    // Listened for from here on, so that an early signal is not lost.
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let server = Server::start(config).await?;
    print!("{}", banner(&server));
    tracing::info!(address = %server.address, form.url = server.form_url, "serving");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping: no new requests, those under way may end");
    server.stop().await;
    Ok(())
}

fn log_to_stderr(log: &Log) -> anyhow::Result<()> {
    // The embedded store's protocol logs every refused form as an error of its own; whoever asks for it by name gets it.
    let quiet = if log.filter.contains("s3s") { "" } else { ",s3s::ops=off,s3s::service=off" };
    let filter: EnvFilter = format!("{}{quiet}", log.filter).parse().context("DROPSLIP_LOG")?;
    let json = log.json.unwrap_or_else(|| !std::io::stderr().is_terminal());
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = if json { builder.json().flatten_event(true).with_span_list(false).try_init() } else { builder.try_init() };
    started.map_err(|error| anyhow::anyhow!(error))
}

/// What a person at a terminal wants to know; with the embedded store also how to upload a first file.
fn banner(server: &Server) -> String {
    let mut text = format!("dropslip listens on {}\nforms go to {}\n", server.public_url, server.form_url);
    if let Some(address) = server.embedded_s3 {
        let _ = writeln!(text, "the embedded S3 store listens on http://{address}: for this machine, not for production");
    }
    if server.has_page {
        // What stands behind the # is for the page alone: browsers send it to nobody.
        let token = server.development_token.as_ref().map(|token| format!("#token={}", token.reveal())).unwrap_or_default();
        let _ = writeln!(text, "\nUpload page: {}/{token}", server.public_url);
    }
    if let Some(token) = server.development_token.as_ref().filter(|_| server.takes_forms) {
        text.push_str(&three_steps(&server.public_url, token));
    }
    text
}

/// The three steps for a shell with nothing but curl, sed and printf.
fn three_steps(url: &str, token: &Token) -> String {
    let token = token.reveal();
    format!(
        r#"
Development token (this machine only): {token}

Try the three steps, pasted into a shell:

(
TOKEN={token}
printf 'Hello, dropslip!\n' > hello.txt
# 1 ask for a slip
SLIP=$(curl -sS -X POST {url}/v2/files/ref.json -H "Authorization: Bearer $TOKEN" \
  -d '{{"type":"attachment","filename":"hello.txt","mimeType":"text/plain","disposition":"attachment"}}')
field() {{ printf '%s' "$SLIP" | sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"; }}
ID=$(printf '%s' "$SLIP" | sed -n 's/.*"file":{{"id":\([0-9]*\).*/\1/p')
# 2 drop the bytes into the bucket: every field of the form, the file last
curl -sS "$(field url)" \
  --form-string "Content-Type=$(field Content-Type)" \
  --form-string "bucket=$(field bucket)" \
  --form-string "key=$(field key)" \
  --form-string "success_action_status=$(field success_action_status)" \
  --form-string "x-amz-algorithm=$(field x-amz-algorithm)" \
  --form-string "x-amz-credential=$(field x-amz-credential)" \
  --form-string "x-amz-date=$(field x-amz-date)" \
  --form-string "policy=$(field policy)" \
  --form-string "x-amz-signature=$(field x-amz-signature)" \
  -F file=@hello.txt
echo
# 3 confirm
curl -sS -X PATCH {url}/v2/files/$ID.json -H "Authorization: Bearer $TOKEN"
echo
)

"#
    )
}
