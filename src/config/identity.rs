//! Who may call: the settings of token file and JWTs.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::given::Given;
use super::settings::Readings;
use super::values::duration;
use super::variables::env_name;
use crate::jwt::{Algorithms, ClaimNames, KeySource, Options};

/// The settings that switch JWTs on; one of them at a time.
pub(super) const KEYS: [&str; 3] = ["jwt_secret", "jwt_secret_file", "jwt_jwks"];

/// How far a clock may be off at most: beyond that it is the clock that needs mending.
const MOST_LEEWAY: Duration = Duration::from_mins(5);

/// How seldom and how often keys may be fetched.
const REFRESH: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(24);

pub(super) fn jwt_refresh(text: &str) -> Result<Duration, String> {
    duration(text).ok().filter(|wait| REFRESH.contains(wait)).ok_or_else(|| format!("must be 1s to 24h, not ‘{text}’"))
}

pub(super) fn jwt_leeway(text: &str) -> Result<Duration, String> {
    duration(text).ok().filter(|leeway| *leeway <= MOST_LEEWAY).ok_or_else(|| format!("must be a time, at most 5m, not ‘{text}’"))
}

/// What is said about JWTs; `None` where they are off.
pub(super) fn options(readings: &Readings, given: &mut Given) -> Option<Options> {
    let names = || KEYS.map(env_name).join(", ");
    let keys: Vec<&str> = KEYS.into_iter().filter(|key| given.text(key).is_some()).collect();
    match keys[..] {
        [] => {
            let alone: Vec<&str> = given.set().filter(|key| key.starts_with("jwt_")).collect();
            for key in alone {
                given.complain(key, &format!("has no effect without one of {}", names()));
            }
            return None;
        }
        [_] => {}
        [first, ..] => given.complain(first, &format!("only one of {} may be set", names())),
    }
    let with_set = keys.contains(&"jwt_jwks");
    if !with_set && given.text("jwt_algorithms").is_some() {
        given.complain("jwt_algorithms", "has no effect with a secret, which is for HS256");
    }
    // A token for somebody else must never be taken.
    for key in ["jwt_issuer", "jwt_audience"] {
        if given.text(key).is_none() {
            given.complain(key, "must be set to take JWTs");
        }
    }
    let secret = readings.jwt_secret.clone().map(KeySource::Secret);
    let secret_file = readings.jwt_secret_file.clone().map(KeySource::SecretFile);
    Some(Options {
        keys: secret.or(secret_file).or_else(|| readings.jwt_jwks.clone())?,
        algorithms: if with_set { readings.jwt_algorithms.clone()? } else { Algorithms::of_secrets() },
        refresh: readings.jwt_refresh?,
        issuer: readings.jwt_issuer.clone()?,
        audience: readings.jwt_audience.clone()?,
        leeway: readings.jwt_leeway?,
        max_lifetime: readings.jwt_max_lifetime?,
        claims: ClaimNames {
            actor: readings.jwt_actor_claim.clone()?,
            actor_type: readings.jwt_actor_type_claim.clone(),
            tenant: readings.jwt_tenant_claim.clone()?,
            default_tenant: readings.jwt_tenant.clone(),
            scope: readings.jwt_scope_claim.clone()?,
            scope_names: readings.jwt_scopes.clone(),
            file_types: readings.jwt_file_types_claim.clone()?,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Config, ConfigError};

    fn config(environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let named = environment.iter().map(|(name, value)| (format!("DROPSLIP_{name}"), (*value).to_owned()));
        Config::from_parts(None, named)
    }

    const SECRET: &str = "0123456789abcdef0123456789abcdef";
    const WHO: [(&str, &str); 2] = [("JWT_ISSUER", "https://id.example.com/"), ("JWT_AUDIENCE", "dropslip")];

    #[test]
    fn jwts_are_off_unless_keys_are_named() {
        assert!(config(&[]).unwrap().jwt.is_none());
        assert!(config(&[&[("JWT_SECRET", SECRET)], &WHO[..]].concat()).unwrap().jwt.is_some());
        for set in [
            "/etc/keys.json",
            "keys.json",
            "https://id.example.com/keys?v=2",
            "http://127.0.0.1:8000/keys",
            "http://[::1]/",
            "http://localhost/",
        ] {
            assert!(config(&[&[("JWT_JWKS", set)], &WHO[..]].concat()).unwrap().jwt.is_some(), "{set}");
        }
    }

    #[test]
    fn what_would_take_tokens_that_are_not_for_us_is_refused() {
        let secret = ("JWT_SECRET", SECRET);
        let cases: [(&[(&str, &str)], &str); 16] = [
            (&[secret, WHO[0]], "JWT_AUDIENCE: must be set"),
            (&[secret, WHO[1]], "JWT_ISSUER: must be set"),
            (&[("JWT_SECRET", "hunter2hunter2hunter2hunter2hun"), WHO[0], WHO[1]], "JWT_SECRET: must be 32 bytes or longer"),
            (&[secret, ("JWT_JWKS", "keys.json"), WHO[0], WHO[1]], "only one of"),
            (&[("JWT_ISSUER", "x")], "JWT_ISSUER: has no effect without"),
            (&[("JWT_JWKS", "http://id.example.com/keys"), WHO[0], WHO[1]], "JWT_JWKS: must be a file or an https:// URL"),
            (&[("JWT_JWKS", "http://127.0.0.1.example.com/"), WHO[0], WHO[1]], "JWT_JWKS: "),
            (&[("JWT_JWKS", "ftp://id.example.com/keys"), WHO[0], WHO[1]], "JWT_JWKS: "),
            (&[("JWT_JWKS", "https://me:hunter2@id.example.com/keys"), WHO[0], WHO[1]], "JWT_JWKS: "),
            (&[("JWT_JWKS", "k"), ("JWT_ALGORITHMS", "HS256"), WHO[0], WHO[1]], "JWT_ALGORITHMS: must be some of"),
            (&[("JWT_JWKS", "k"), ("JWT_ALGORITHMS", "none"), WHO[0], WHO[1]], "JWT_ALGORITHMS: must be some of"),
            (&[secret, ("JWT_ALGORITHMS", "RS256"), WHO[0], WHO[1]], "JWT_ALGORITHMS: has no effect with a secret"),
            (&[secret, ("JWT_LEEWAY", "1h"), WHO[0], WHO[1]], "JWT_LEEWAY: must be a time, at most 5m"),
            (&[secret, ("JWT_REFRESH", "0"), WHO[0], WHO[1]], "JWT_REFRESH: must be 1s to 24h"),
            (&[secret, ("JWT_SCOPES", "upload"), WHO[0], WHO[1]], "JWT_SCOPES: must be entries such as"),
            (&[secret, ("JWT_TENANT", "a b"), WHO[0], WHO[1]], "JWT_TENANT: must be 1 to 64"),
        ];
        for (settings, said) in cases {
            let ConfigError(lines) = config(settings).unwrap_err();
            assert!(lines.iter().any(|line| line.contains(said)), "{said} is not in {lines:#?}");
            assert!(!lines.join(" ").contains("hunter2"));
        }
    }

    #[test]
    fn the_secret_is_not_described() {
        let config = config(&[&[("JWT_SECRET", SECRET)], &WHO[..]].concat()).unwrap();
        assert!(config.describe().contains("jwt_secret = \"***\""), "{}", config.describe());
        assert!(!config.describe().contains(SECRET) && !format!("{config:?}").contains(SECRET));
    }
}
