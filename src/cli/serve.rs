//! `dropslip serve`.

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::pin::pin;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::log::{self, Filter};
use crate::config::Config;
use crate::domain::UploadMethod;
use crate::handles;
use crate::metrics::{self, Reload};
use crate::output::out;
use crate::server::{Needed, Reloaded, Server, warn_of_uploads};
use crate::tokens::Token;
use crate::trace::Exporter;

/// Serves until SIGTERM or SIGINT, then lets requests under way end. SIGHUP reads again what can be replaced under way.
pub(super) async fn run(load: impl Fn() -> anyhow::Result<Config>) -> anyhow::Result<()> {
    let config = load()?;
    let exporter = exporter(&config)?;
    let filter = log::to_stderr(&config, exporter.as_ref())?;
    Needed::by(&config).warn_beyond(handles::raise());
    warn_of_uploads(&config);
    // Listened for from here on, so that an early signal is not lost.
    let mut signals = Signals::listen()?;
    let server = Server::start(&config).await?;
    // A broker is for its clients: it serves whether anybody reads this or not.
    let _ = out(format_args!("{}", banner(&server)));
    let admin = server.admin.map(tracing::field::display);
    tracing::info!(address = %server.address, admin.address = admin, form.url = server.form_url, "serving");
    let mut asked = signals.next().await;
    while asked == Asked::Reload {
        // An issuer of keys that does not answer keeps a reload waiting: a stop does not wait for that, and another reload begins anew.
        let mut further = pin!(signals.next());
        asked = tokio::select! {
            () = reload(&server, &config, &load, &filter) => further.await,
            next = &mut further => next,
        };
    }
    let delay = server.announce_stop();
    if !delay.is_zero() {
        tracing::info!(seconds = delay.as_secs(), "stopping soon: /readyz says so, requests are still taken");
        // Whoever asks twice does not want to wait.
        let asked_again = async { while signals.next().await == Asked::Reload {} };
        let _ = tokio::time::timeout(delay, asked_again).await;
    }
    tracing::info!("stopping: no new requests, those under way may end");
    server.stop().await;
    if let Some(exporter) = exporter {
        exporter.stop().await;
    }
    Ok(())
}

fn exporter(config: &Config) -> anyhow::Result<Option<Exporter>> {
    let Some(endpoint) = &config.otlp_endpoint else { return Ok(None) };
    Exporter::start(endpoint, config.trace_share).context("DROPSLIP_OTLP_ENDPOINT").map(Some)
}

/// What a signal asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Stop,
    Reload,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    /// At a terminal a hangup means that the person is gone.
    attended: bool,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            attended: std::io::stdin().is_terminal(),
        })
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.interrupt.recv() => Asked::Stop,
            _ = self.hangup.recv() => if self.attended { Asked::Stop } else { Asked::Reload },
        }
    }
}

/// Reads the configuration again and puts into force what can be; all else stays as it is, and the log says so.
async fn reload(server: &Server, running: &Config, load: &impl Fn() -> anyhow::Result<Config>, filter: &Filter) {
    let config = match load() {
        Ok(config) => config,
        Err(error) => {
            metrics::reloaded(Reload::Failed);
            return tracing::error!(error = format!("{error:#}"), "nothing was reloaded: the configuration is broken");
        }
    };
    let mut reloaded = server.reload(&config).await;
    reloaded.push(Reloaded { what: "log filter", outcome: filter.replace(&config) });
    let failed = reloaded.iter().any(|one| one.outcome.is_err());
    metrics::reloaded(if failed { Reload::Failed } else { Reload::Done });
    for Reloaded { what, outcome } in reloaded {
        match outcome {
            Ok(now) => tracing::info!(what, now, "reloaded"),
            Err(error) => tracing::error!(what, error = format!("{error:#}"), "not reloaded: the old one stays in force"),
        }
    }
    let others = config.changed_for_a_restart(running);
    if !others.is_empty() {
        tracing::warn!(settings = others.join(", "), "these settings changed and need a restart");
    }
}

/// What a person at a terminal wants to know; with the embedded store also how to upload a first file.
fn banner(server: &Server) -> String {
    let mut text = format!("dropslip listens on {}\nforms go to {}\n", server.public_url, server.form_url);
    if let Some(address) = server.embedded_s3 {
        let _ = writeln!(text, "the embedded S3 store listens on http://{address}: for this machine, not for production");
    }
    if let Some(address) = server.admin {
        let _ = writeln!(text, "metrics are at http://{address}/metrics");
    }
    if server.has_page {
        // What stands behind the # is for the page alone: browsers send it to nobody.
        let token = server.development_token.as_ref().map(|token| format!("#token={}", token.reveal())).unwrap_or_default();
        let _ = writeln!(text, "\nUpload page: {}/{token}", server.public_url);
    }
    let can_show = server.broker.method() == UploadMethod::Post && server.dialects.names().any(|name| name == "desk");
    if let Some(token) = server.development_token.as_ref().filter(|_| can_show) {
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
