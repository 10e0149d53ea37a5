//! Keys in links: whoever has such a link may download one file, without a token, for a time.
//!
//! A proxy key is `base64url(version, public name of the secret, issue time, expiry, tenant, HMAC-SHA256)`. The HMAC is over all of that,
//! the purpose and the file's number, so a key is good for one file of one tenant and nothing else, and nothing has to be looked up to
//! know a bad one. It is kept nowhere: it ends with its time, with its secret, or with its file.
//!
//! It ends at its expiry, and a lifetime of today after its issue, whichever comes first: should the lifetime be made shorter, keys that
//! were made for longer end too, and whatever becomes of the lifetime later, no key that has ended at its expiry comes back.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use time::{Duration, OffsetDateTime};

use crate::domain::{FileId, Tenant};
use crate::installation_secret::{InstallationSecret, Keys, MAC_BYTES, NAME_BYTES, Purpose};

/// The layout of what follows it, signed with the key for links.
const VERSION: u8 = 3;

/// The same layout, signed with the secret itself: made by the version before, and good until it ends.
const VERSION_BEFORE: u8 = 2;

/// What a key is for; part of every HMAC. Before keys were derived for their purpose, this kept one use of the secret apart from another.
const PURPOSE: &[u8] = b"dropslip proxyKey download\0";

/// Bytes before the tenant: version, secret, issue time, expiry.
const HEAD_BYTES: usize = 1 + NAME_BYTES + 4 + 4;

/// No key is longer, in characters: that of a tenant with the longest name.
const LONGEST: usize = (HEAD_BYTES + 64 + MAC_BYTES).div_ceil(3) * 4;

/// For so long the same key is answered for a file, so that browsers can keep what they got by it.
const STEP: Duration = Duration::hours(1);

/// How far the clock of another broker may be ahead.
const SKEW: Duration = Duration::minutes(1);

/// Makes and checks keys.
pub struct ProxyKeys {
    keys: Keys,
    of_before: Keys,
    lifetime: Duration,
}

impl ProxyKeys {
    /// Keys that live for `lifetime` at most, and for no less than three quarters of it; `None` where the secret may not sign them.
    #[must_use]
    pub fn new(secret: &InstallationSecret, lifetime: Duration) -> Option<Self> {
        Some(Self { keys: secret.keys(Purpose::Links)?, of_before: secret.as_keys_of_before(), lifetime })
    }

    /// When keys count as issued that are made now: the same moment for a while.
    #[must_use]
    pub fn issue_time(&self, now: OffsetDateTime) -> OffsetDateTime {
        let step = STEP.min(self.lifetime / 4).whole_seconds().max(1);
        let now = now.unix_timestamp();
        OffsetDateTime::from_unix_timestamp(now - now.rem_euclid(step)).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }

    /// The key of a file, issued at `issued_at`.
    #[must_use]
    pub fn seal(&self, tenant: &Tenant, id: FileId, issued_at: OffsetDateTime) -> String {
        let mut key = Vec::with_capacity(HEAD_BYTES + tenant.as_str().len() + MAC_BYTES);
        key.push(VERSION);
        key.extend(self.keys.name());
        for moment in [issued_at, issued_at + self.lifetime] {
            key.extend(u32::try_from(moment.unix_timestamp()).unwrap_or_default().to_be_bytes());
        }
        key.extend(tenant.as_str().as_bytes());
        let proof = self.keys.sign(&[PURPOSE, &id.0.to_be_bytes(), &key]);
        key.extend(proof);
        URL_SAFE_NO_PAD.encode(key)
    }

    /// The tenant whose file of that number the key opens; `None` when it opens none now.
    #[must_use]
    pub fn open(&self, key: &str, id: FileId, now: OffsetDateTime) -> Option<Tenant> {
        if key.len() > LONGEST {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(key).ok()?;
        let (said, proof) = bytes.split_at_checked(bytes.len().checked_sub(MAC_BYTES)?)?;
        let (head, tenant) = said.split_at_checked(HEAD_BYTES)?;
        let (version, head) = head.split_first()?;
        let (name, moments) = head.split_first_chunk::<NAME_BYTES>()?;
        let (issued_at, expires_at) = moments.split_at_checked(4)?;
        let keys = match *version {
            VERSION => &self.keys,
            VERSION_BEFORE => &self.of_before,
            _ => return None,
        };
        let proven = keys.verify_named(*name, &[PURPOSE, &id.0.to_be_bytes(), said], proof);
        let moment = |bytes: &[u8]| OffsetDateTime::from_unix_timestamp(u32::from_be_bytes(bytes.try_into().ok()?).into()).ok();
        let (issued_at, expires_at) = (moment(issued_at)?, moment(expires_at)?);
        let lives = issued_at <= now + SKEW && now < expires_at.min(issued_at + self.lifetime);
        let tenant = std::str::from_utf8(tenant).ok()?.parse().ok()?;
        (proven && lives).then_some(tenant)
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::installation_secret::Source;

    const NOW: OffsetDateTime = datetime!(2026-01-02 03:04:05 UTC);
    const OLD: &str = "0123456789abcdef0123456789abcdef";
    const NEW: &str = "fedcba9876543210fedcba9876543210";

    fn lasting(secrets: &str, lifetime: Duration) -> ProxyKeys {
        ProxyKeys::new(&InstallationSecret::new(secrets.parse().unwrap(), Source::DataFolder), lifetime).unwrap()
    }

    fn keys(secrets: &str) -> ProxyKeys {
        lasting(secrets, Duration::hours(24))
    }

    fn sealed(keys: &ProxyKeys, tenant: &str, id: i64) -> String {
        keys.seal(&tenant.parse().unwrap(), FileId(id), keys.issue_time(NOW))
    }

    #[test]
    fn a_key_opens_its_own_file_until_it_ends() {
        let keys = keys(OLD);
        let key = sealed(&keys, "acme", 7);
        assert_eq!(keys.open(&key, FileId(7), NOW).unwrap().as_str(), "acme");
        assert_eq!(keys.open(&key, FileId(8), NOW), None, "another file's");
        let end = keys.issue_time(NOW) + Duration::hours(24);
        assert!(keys.open(&key, FileId(7), end - Duration::seconds(1)).is_some());
        assert_eq!(keys.open(&key, FileId(7), end), None);
    }

    #[test]
    fn a_clock_may_be_ahead_by_a_minute() {
        let keys = keys(OLD);
        let key = |ahead: i64| keys.seal(&"acme".parse().unwrap(), FileId(7), NOW + Duration::seconds(ahead));
        assert!(keys.open(&key(60), FileId(7), NOW).is_some());
        assert_eq!(keys.open(&key(61), FileId(7), NOW), None);
    }

    #[test]
    fn what_has_ended_by_a_shorter_lifetime_never_comes_back() {
        let (day, hour) = (keys(OLD), lasting(OLD, Duration::hours(1)));
        let (long, short) = (sealed(&day, "acme", 7), sealed(&hour, "acme", 7));
        for minutes in 0..2 * 24 * 60 {
            let now = NOW + Duration::minutes(minutes);
            let first_hour = now < hour.issue_time(NOW) + Duration::hours(1);
            assert_eq!(hour.open(&long, FileId(7), now).is_some(), first_hour, "{now}: issued for longer than today's");
            assert_eq!(day.open(&short, FileId(7), now).is_some(), first_hour, "{now}: issued for less than today's");
        }
    }

    #[test]
    fn the_same_key_is_answered_for_an_hour() {
        let keys = keys(OLD);
        let issued_at = keys.issue_time(NOW);
        assert_eq!(issued_at, datetime!(2026-01-02 03:00 UTC));
        assert_eq!(keys.issue_time(datetime!(2026-01-02 03:59:59 UTC)), issued_at);
        assert_eq!(keys.issue_time(datetime!(2026-01-02 04:00 UTC)), issued_at + Duration::hours(1));
        let short = lasting(OLD, Duration::minutes(2));
        let left = short.issue_time(NOW) + Duration::minutes(2) - NOW;
        assert!(left > Duration::seconds(90) && left <= Duration::minutes(2), "{left}");
    }

    #[test]
    fn secrets_rotate_and_one_that_is_gone_takes_its_keys_along() {
        let (old, both, new) = (keys(OLD), keys(&format!("{NEW},{OLD}")), keys(NEW));
        let key = sealed(&old, "acme", 7);
        assert!(both.open(&key, FileId(7), NOW).is_some());
        assert_eq!(sealed(&both, "acme", 7), sealed(&new, "acme", 7), "the first one signs");
        assert_eq!(new.open(&key, FileId(7), NOW), None);
    }

    #[test]
    fn every_changed_or_missing_character_is_noticed() {
        let keys = keys(OLD);
        let key = sealed(&keys, "acme", 7);
        for place in 0..key.len() {
            let mut changed = key.clone().into_bytes();
            changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(keys.open(&changed, FileId(7), NOW), None, "{changed}");
            assert_eq!(keys.open(&key[..place], FileId(7), NOW), None);
        }
        for bad in [
            format!("{key}A"),
            format!("{key}="),
            "ü".repeat(20),
            "A".repeat(1 << 20),
            String::new(),
            sealed(&keys, "acmf", 7)[..40].to_owned(),
        ] {
            assert_eq!(keys.open(&bad, FileId(7), NOW), None);
        }
        let longest = sealed(&keys, &"t".repeat(64), i64::MAX);
        assert!(longest.len() <= LONGEST && keys.open(&longest, FileId(i64::MAX), NOW).is_some());
    }

    #[test]
    fn a_key_of_the_version_before_opens_its_file_until_it_ends() {
        // Written out, as that version signed: with the secret itself.
        let signing = InstallationSecret::new(OLD.parse().unwrap(), Source::DataFolder).as_keys_of_before();
        let of_version = |version: u8| {
            let mut said = vec![version];
            said.extend(signing.name());
            for hours in [0, 24] {
                said.extend(u32::try_from((NOW + Duration::hours(hours)).unix_timestamp()).unwrap().to_be_bytes());
            }
            said.extend(b"acme");
            let proof = signing.sign(&[PURPOSE, &7_i64.to_be_bytes(), &said]);
            said.extend(proof);
            URL_SAFE_NO_PAD.encode(said)
        };
        let (old, both, new) = (keys(OLD), keys(&format!("{NEW},{OLD}")), keys(NEW));
        let key = of_version(2);
        assert_eq!(old.open(&key, FileId(7), NOW).unwrap().as_str(), "acme");
        assert!(both.open(&key, FileId(7), NOW).is_some() && new.open(&key, FileId(7), NOW).is_none());
        assert!(old.open(&key, FileId(8), NOW).is_none() && old.open(&key, FileId(7), NOW + Duration::hours(24)).is_none());
        // What was signed with the secret itself is no key of today.
        assert!(old.open(&of_version(3), FileId(7), NOW).is_none() && old.open(&of_version(1), FileId(7), NOW).is_none());
    }
}
