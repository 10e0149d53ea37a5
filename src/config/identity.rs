//! Who may call: the settings of token file and JWTs.

use std::path::PathBuf;

use super::values::{duration, filled};
use super::{Reader, env_name};
use crate::jwt::{Algorithms, ClaimNames, ClaimPath, KeySource, Options, Secret};

/// The settings that switch JWTs on; one of them at a time.
const KEYS: [&str; 3] = ["jwt_secret", "jwt_secret_file", "jwt_jwks"];

/// How far a clock may be off at most: beyond that it is the clock that needs mending.
const MOST_LEEWAY: std::time::Duration = std::time::Duration::from_mins(5);

/// How seldom and how often keys may be fetched.
const REFRESH: std::ops::RangeInclusive<std::time::Duration> = std::time::Duration::from_secs(1)..=std::time::Duration::from_hours(24);

impl Reader {
    /// What is said about JWTs; `None` where they are off.
    pub(super) fn jwt(&mut self) -> Option<Options> {
        let secret = self.optional("jwt_secret", str::parse::<Secret>).map(KeySource::Secret);
        let secret_file = self.optional("jwt_secret_file", filled).map(|path| KeySource::SecretFile(PathBuf::from(path)));
        let set = self.optional("jwt_jwks", KeySource::set);
        let given: Vec<&str> = KEYS.into_iter().filter(|key| self.values.contains_key(key)).collect();
        match given[..] {
            [] => {
                let alone: Vec<&str> = self.values.keys().copied().filter(|key| key.starts_with("jwt_")).collect();
                for key in alone {
                    let why = format!("{}: has no effect without one of {}", self.named(key), KEYS.map(env_name).join(", "));
                    self.errors.push(why);
                }
                return None;
            }
            [_] => {}
            [first, ..] => {
                let why = format!("{}: only one of {} may be set", self.named(first), KEYS.map(env_name).join(", "));
                self.errors.push(why);
            }
        }
        let algorithms = if given.contains(&"jwt_jwks") {
            self.required("jwt_algorithms", Algorithms::OF_SETS, str::parse)
        } else {
            if self.values.contains_key("jwt_algorithms") {
                let why = format!("{}: has no effect with a secret, which is for HS256", self.named("jwt_algorithms"));
                self.errors.push(why);
            }
            Some(Algorithms::of_secrets())
        };
        let refresh = self.required("jwt_refresh", "10m", |text| {
            duration(text).ok().filter(|wait| REFRESH.contains(wait)).ok_or_else(|| format!("must be 1s to 24h, not ‘{text}’"))
        });
        let issuer = self.needed("jwt_issuer");
        let audience = self.needed("jwt_audience");
        let leeway = self.required("jwt_leeway", "30s", |text| {
            duration(text).ok().filter(|leeway| *leeway <= MOST_LEEWAY).ok_or_else(|| format!("must be a time, at most 5m, not ‘{text}’"))
        });
        let max_lifetime = self.required("jwt_max_lifetime", "1d", duration);
        let actor = self.required("jwt_actor_claim", "sub", str::parse::<ClaimPath>);
        let actor_type = self.optional("jwt_actor_type_claim", str::parse);
        let tenant = self.required("jwt_tenant_claim", "tenant", str::parse);
        let default_tenant = self.optional("jwt_tenant", str::parse);
        let scope = self.required("jwt_scope_claim", "scope", str::parse);
        let scope_names = self.optional("jwt_scopes", str::parse);
        let file_types = self.required("jwt_file_types_claim", "file_types", str::parse);
        let claims =
            ClaimNames { actor: actor?, actor_type, tenant: tenant?, default_tenant, scope: scope?, scope_names, file_types: file_types? };
        Some(Options {
            keys: secret.or(secret_file).or(set)?,
            algorithms: algorithms?,
            refresh: refresh?,
            issuer: issuer?,
            audience: audience?,
            leeway: leeway?,
            max_lifetime: max_lifetime?,
            claims,
        })
    }

    /// A setting that JWTs cannot do without: a token for somebody else must never be taken.
    fn needed(&mut self, key: &'static str) -> Option<String> {
        if !self.values.contains_key(key) {
            self.errors.push(format!("{}: must be set to take JWTs", env_name(key)));
        }
        self.optional(key, filled)
    }
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
