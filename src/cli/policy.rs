//! `dropslip policy`.

use std::process::ExitCode;

use clap::Subcommand;
use time::OffsetDateTime;

use crate::config::{Config, Storage};
use crate::domain::media_type::declared_type;
use crate::domain::{Allowance, Complaints, Disposition, FileName, FileTypes, NewFile};
use crate::embedded_s3;
use crate::field_names;
use crate::output::say;
use crate::post_policy::{Credentials, PostPolicy, UploadTerms};
use crate::server::file_types;

#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Say whether an upload would be allowed, why, and what its form would be signed to allow
    Explain {
        /// The file type
        #[arg(long = "type", value_name = "NAME")]
        type_name: String,
        /// The file's name
        #[arg(long)]
        filename: String,
        /// The declared content type; blank for a client that does not know
        #[arg(long, default_value = "")]
        mime_type: String,
        /// The exact size in bytes
        #[arg(long)]
        size: Option<u64>,
        /// Where in a message it stands: attachment or attachment-inline
        #[arg(long, default_value = "attachment")]
        disposition: Disposition,
    },
    /// List the file types and try the examples of each
    Check,
}

pub(super) fn run(command: PolicyCommand, config: &Config) -> anyhow::Result<ExitCode> {
    let types = file_types(config)?;
    match command {
        PolicyCommand::Check => {
            for rule in types.iter() {
                say!("{}: {} ({} to {} bytes)", rule.name, rule.title, rule.min_size, rule.max_size)?;
            }
            Ok(ExitCode::SUCCESS)
        }
        PolicyCommand::Explain { type_name, filename, mime_type, size, disposition } => {
            let name = FileName::sanitized(&filename);
            if name.as_str() != filename {
                say!("name: kept as ‘{}’", name.as_str())?;
            }
            let judged = declared_type(&mime_type).and_then(|declared_type| {
                judge(&types, &NewFile { type_name, name, declared_type, disposition, size, checksum_sha256: None, multipart: None })
            });
            match judged {
                Ok(allowance) => allowed(&allowance, &mime_type, config)?,
                Err(complaints) => {
                    say!("refused")?;
                    for (field, messages) in field_names::spelled(&complaints).by_name() {
                        for message in messages {
                            say!("  {field}: {message}")?;
                        }
                    }
                    return Ok(ExitCode::FAILURE);
                }
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn judge(types: &FileTypes, new: &NewFile) -> Result<Allowance, Complaints> {
    types.get(&new.type_name)?.judge(new)
}

fn allowed(allowance: &Allowance, declared: &str, config: &Config) -> anyhow::Result<()> {
    let Allowance { grant, lifetime, .. } = allowance;
    let declared = if declared.trim().is_empty() { "blank" } else { declared };
    say!("allowed as {} (declared: {declared})", grant.content_type)?;
    say!("  size: {} to {} bytes", grant.min_size, grant.max_size)?;
    say!("  form good for: {}", humantime::format_duration(lifetime.unsigned_abs()))?;
    let (bucket, region) = match &config.storage {
        Storage::Bucket { name, region, .. } => (name.as_str(), region.as_deref()),
        Storage::Embedded { region, .. } => (embedded_s3::BUCKET, region.as_deref()),
    };
    let content_type = grant.content_type.to_string();
    let terms = UploadTerms {
        bucket,
        key: "temp/<chosen by the broker>",
        content_type: &content_type,
        min_size: grant.min_size,
        max_size: grant.max_size,
        checksum_sha256: None,
        lifetime: *lifetime,
    };
    // Only the names of credentials are in a policy; which ones sign is known when the broker runs.
    let credentials =
        Credentials { access_key_id: "<access key>".to_owned(), secret_access_key: String::new(), session_token: None, expires_at: None };
    let policy = PostPolicy::new(&terms, &credentials, region.unwrap_or("us-east-1"), OffsetDateTime::now_utc())?;
    say!("conditions that would be signed:")?;
    for condition in policy.conditions() {
        say!("  {}", serde_json::to_string(condition)?)?;
    }
    Ok(())
}
