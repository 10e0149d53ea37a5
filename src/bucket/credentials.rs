//! The credentials forms are signed with, asked for again before they run out.

use std::time::{Duration, Instant};

use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use time::OffsetDateTime;
use tokio::sync::Mutex;

use super::BucketError;
use crate::post_policy::Credentials;

/// How long a source may take: the container and instance endpoints are close by, or not there.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sources give new credentials only shortly before the old ones end: asking more often than this is of no use.
const BETWEEN_REFRESHES: Duration = Duration::from_secs(20);

/// The source and what it said last.
pub(super) struct CredentialSource {
    provider: SharedCredentialsProvider,
    latest: Mutex<Option<(Credentials, Instant)>>,
}

impl CredentialSource {
    pub(super) fn new(provider: SharedCredentialsProvider) -> Self {
        Self { provider, latest: Mutex::new(None) }
    }

    /// Credentials that live for `needed` if the source has such, or else the longest-lived it has.
    ///
    /// One caller at a time asks the source while the others wait for its answer.
    pub(super) async fn current(&self, needed: Duration, now: OffsetDateTime) -> Result<Credentials, BucketError> {
        let mut latest = self.latest.lock().await;
        if let Some((credentials, asked)) = &*latest {
            let lives = |wanted| credentials.expires_at.is_none_or(|end| end - now > wanted);
            if lives(needed) || (lives(Duration::ZERO) && asked.elapsed() < BETWEEN_REFRESHES) {
                return Ok(credentials.clone());
            }
        }
        match (self.ask().await, &*latest) {
            (Ok(credentials), _) => {
                *latest = Some((credentials.clone(), Instant::now()));
                Ok(credentials)
            }
            // The old ones are still good: a form that lives shorter is better than none.
            (Err(error), Some((credentials, _))) if credentials.expires_at.is_none_or(|end| end > now) => {
                tracing::warn!(%error, "AWS credentials could not be refreshed; signing with the old ones until they end");
                let credentials = credentials.clone();
                *latest = Some((credentials.clone(), Instant::now()));
                Ok(credentials)
            }
            (Err(error), _) => Err(error),
        }
    }

    async fn ask(&self) -> Result<Credentials, BucketError> {
        let answer = tokio::time::timeout(PATIENCE, self.provider.provide_credentials())
            .await
            .map_err(|_| BucketError::Unavailable("the source of AWS credentials did not answer in time".to_owned()))?;
        let found = answer.map_err(|error| {
            let cause = std::iter::successors(Some(&error as &dyn std::error::Error), |e| (*e).source()).last().map(ToString::to_string);
            BucketError::Unavailable(format!("no AWS credentials were found: {}", cause.unwrap_or_default()))
        })?;
        Ok(Credentials {
            access_key_id: found.access_key_id().to_owned(),
            secret_access_key: found.secret_access_key().to_owned(),
            session_token: found.session_token().map(ToOwned::to_owned),
            expires_at: found.expiry().map(OffsetDateTime::from),
        })
    }
}
