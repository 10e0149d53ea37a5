//! The credentials forms are signed with, asked for again before they run out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use time::OffsetDateTime;
use tokio::sync::Mutex;

use super::error::BucketError;
use crate::post_policy::Credentials;

/// How long a source may take: the container and instance endpoints are close by, or not there.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Sources give new credentials only shortly before the old ones end: asking more often than this is of no use.
const BETWEEN_REFRESHES: Duration = Duration::from_secs(20);

/// So long a failure is everybody's answer: those who waited for the source meanwhile do not each wait for it again.
const SAME_FAILURE: Duration = Duration::from_secs(1);

/// The source and what it said last.
pub(super) struct CredentialSource {
    provider: SharedCredentialsProvider,
    latest: Mutex<Latest>,
}

/// The last credentials, and the last failure after them; and when.
#[derive(Default)]
struct Latest {
    good: Option<(Arc<Credentials>, Instant)>,
    failure: Option<(BucketError, Instant)>,
}

impl CredentialSource {
    pub(super) fn new(provider: SharedCredentialsProvider) -> Self {
        Self { provider, latest: Mutex::default() }
    }

    /// Credentials that live for `needed` if the source has such, or else the longest-lived it has.
    ///
    /// One caller at a time asks the source while the others wait for its answer.
    pub(super) async fn current(&self, needed: Duration, now: OffsetDateTime) -> Result<Arc<Credentials>, BucketError> {
        let mut latest = self.latest.lock().await;
        if let Some((credentials, asked)) = &latest.good {
            let lives = |wanted| credentials.expires_at.is_none_or(|end| end - now > wanted);
            if lives(needed) || (lives(Duration::ZERO) && asked.elapsed() < BETWEEN_REFRESHES) {
                return Ok(credentials.clone());
            }
        }
        if let Some((failure, at)) = &latest.failure
            && at.elapsed() < SAME_FAILURE
        {
            return Err(failure.clone());
        }
        let credentials = match (self.ask().await, &latest.good) {
            (Ok(credentials), _) => Arc::new(credentials),
            // The old ones are still good: a form that lives shorter is better than none.
            (Err(error), Some((credentials, _))) if credentials.expires_at.is_none_or(|end| end > now) => {
                tracing::warn!(%error, "AWS credentials could not be refreshed; signing with the old ones until they end");
                credentials.clone()
            }
            (Err(error), _) => {
                latest.failure = Some((error.clone(), Instant::now()));
                return Err(error);
            }
        };
        *latest = Latest { good: Some((credentials.clone(), Instant::now())), failure: None };
        Ok(credentials)
    }

    async fn ask(&self) -> Result<Credentials, BucketError> {
        let answer = tokio::time::timeout(TIMEOUT, self.provider.provide_credentials())
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex as StdMutex;
    use std::sync::atomic::{AtomicI64, Ordering};
    use std::time::SystemTime;

    use aws_credential_types::provider::error::CredentialsError;
    use aws_credential_types::provider::future;

    use super::*;

    /// Answers credentials that end so many seconds after 1970-01-02, or an error; counts how often it was asked.
    #[derive(Debug, Clone, Default)]
    struct Source {
        lives: Arc<StdMutex<Option<u64>>>,
        asked: Arc<AtomicI64>,
    }

    impl aws_credential_types::provider::ProvideCredentials for Source {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            let number = self.asked.fetch_add(1, Ordering::SeqCst);
            let lives = *self.lives.lock().unwrap();
            future::ProvideCredentials::ready(match lives {
                Some(seconds) => {
                    let ends = SystemTime::UNIX_EPOCH + Duration::from_secs(86_400 + seconds);
                    Ok(aws_credential_types::Credentials::new(format!("key{number}"), "secret", None, Some(ends), "test"))
                }
                None => Err(CredentialsError::not_loaded("gone")),
            })
        }
    }

    const HOUR: Duration = Duration::from_hours(1);

    fn at(seconds: i64) -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH + time::Duration::seconds(86_400 + seconds)
    }

    fn source(lives: u64) -> (Source, CredentialSource) {
        let source = Source { lives: Arc::new(StdMutex::new(Some(lives))), ..Source::default() };
        (source.clone(), CredentialSource::new(SharedCredentialsProvider::new(source)))
    }

    #[tokio::test]
    async fn credentials_that_live_long_enough_are_asked_for_once() {
        let (source, credentials) = source(7_200);
        for now in [0, 10, 3_000] {
            assert_eq!(credentials.current(HOUR, at(now)).await.unwrap().access_key_id, "key0");
        }
        assert_eq!(source.asked.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn credentials_that_have_ended_are_never_used() {
        let (source, credentials) = source(60);
        assert_eq!(credentials.current(HOUR, at(0)).await.unwrap().access_key_id, "key0");
        // Asked for a moment ago: the source has nothing better yet.
        assert_eq!(credentials.current(HOUR, at(30)).await.unwrap().access_key_id, "key0");
        *source.lives.lock().unwrap() = Some(3_600);
        assert_eq!(credentials.current(HOUR, at(61)).await.unwrap().access_key_id, "key1");
        *source.lives.lock().unwrap() = None;
        for _ in 0..3 {
            assert!(credentials.current(HOUR, at(3_601)).await.is_err(), "the source is gone and the old ones have ended");
        }
        assert_eq!(source.asked.load(Ordering::SeqCst), 3, "whoever waits for the same failure does not ask again");
    }
}
