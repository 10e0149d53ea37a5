//! stub
use std::process::ExitCode;
#[derive(Debug, clap::Args)]
/// x
pub struct Options {}
/// x
pub async fn run(_: Options) -> anyhow::Result<ExitCode> {
    Ok(ExitCode::SUCCESS)
}
