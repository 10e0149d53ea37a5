//! Every setting: what `--help`, the README and the complaints call it.

use super::env_name;

/// One setting, as the documentation and the error messages name it.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Its name in the TOML file.
    pub key: &'static str,
    /// What it is for, in one line; units and default included.
    pub help: &'static str,
}

impl Setting {
    /// Its name in the environment.
    #[must_use]
    pub fn env_name(&self) -> String {
        env_name(self.key)
    }
}

/// Every setting of `dropslip serve`, in the order of the documentation.
pub const SETTINGS: [Setting; 68] = [
    Setting { key: "listen", help: "address and port of the broker (default 127.0.0.1:8080)" },
    Setting { key: "public_url", help: "where browsers reach the broker (default http:// and the listening address)" },
    Setting {
        key: "database_url",
        help: "sqlite:PATH or postgres://USER:PASSWORD@HOST/NAME (default sqlite: and dropslip.db in data_dir)",
    },
    Setting { key: "s3_bucket", help: "the bucket; absent: an S3 store inside the process keeps the files in data_dir" },
    Setting { key: "s3_region", help: "the bucket's region (default: what the AWS environment says, else us-east-1)" },
    Setting { key: "s3_endpoint", help: "where the broker reaches the store (default: AWS)" },
    Setting { key: "s3_public_endpoint", help: "where browsers reach the store: goes into forms (default: s3_endpoint)" },
    Setting {
        key: "s3_path_style",
        help: "true: ENDPOINT/BUCKET/KEY; false: BUCKET.ENDPOINT/KEY (default: true where s3_endpoint is set)",
    },
    Setting { key: "s3_method", help: "how browsers send a file: post (a signed form), put (a presigned PUT) or auto (default post)" },
    Setting { key: "multipart_threshold", help: "from this size on, files come in parts from clients that can (default 100 MB)" },
    Setting { key: "part_size", help: "bytes of a part, 5 MiB to 5 GiB; larger where there would be over 10000 (default 16 MiB)" },
    Setting { key: "copy_in_parts_above", help: "above this size a file is sealed by a copy in parts, at most 5 GiB (default 1 GiB)" },
    Setting { key: "data_dir", help: "where the embedded mode keeps everything (default data)" },
    Setting { key: "embedded_s3_listen", help: "address and port of the embedded S3 store (default 127.0.0.1:9000)" },
    Setting { key: "development_token", help: "whether the embedded mode makes a token of its own (default true; never with s3_bucket)" },
    Setting { key: "page", help: "whether / is the upload page (default true, with s3_bucket false)" },
    Setting { key: "policies", help: "folder of file types, one TOML file each (default: the shipped ones)" },
    Setting {
        key: "cors_origins",
        help: "origins of pages and apps that may call the broker, separated by commas (default: its own only)",
    },
    Setting { key: "tokens_file", help: "a TOML file of tokens, as hashes; read again when it changes (docs/identity.md)" },
    Setting { key: "jwt_secret", help: "takes JWTs signed with this secret (HS256), 32 bytes or longer" },
    Setting { key: "jwt_secret_file", help: "the same secret, kept in a file" },
    Setting { key: "jwt_jwks", help: "takes JWTs signed with the keys of this JWKS: a file, or an https:// URL" },
    Setting { key: "jwt_algorithms", help: "which algorithms the keys of the JWKS may be used with (default: all but those of secrets)" },
    Setting { key: "jwt_refresh", help: "how often the JWKS is fetched from its URL (default 10m)" },
    Setting { key: "jwt_issuer", help: "what iss must be; needed for JWTs" },
    Setting { key: "jwt_audience", help: "what aud must be or hold; needed for JWTs" },
    Setting { key: "jwt_leeway", help: "how far the issuer's clock may be off, at most 5m (default 30s)" },
    Setting { key: "jwt_max_lifetime", help: "how long a JWT may live at most; 0 for no bound (default 1d)" },
    Setting { key: "jwt_actor_claim", help: "the claim with the actor's number (default sub)" },
    Setting { key: "jwt_actor_type_claim", help: "the claim that says users or customers (default: none, all are users)" },
    Setting { key: "jwt_tenant_claim", help: "the claim with the tenant (default tenant)" },
    Setting { key: "jwt_tenant", help: "the tenant of JWTs that name none (default: none, they are refused)" },
    Setting { key: "jwt_scope_claim", help: "the claim with the scopes (default scope)" },
    Setting { key: "jwt_scopes", help: "what the issuer calls them: upload=files:write,files:read;... (default: as here)" },
    Setting { key: "jwt_file_types_claim", help: "the claim that limits a JWT to file types (default file_types)" },
    Setting {
        key: "sweep_interval",
        help: "how often expired slips and their bytes are swept away, such as 30s; 0 for never (default 1m)",
    },
    Setting { key: "sweep_grace", help: "how long after its end a form's upload may still arrive before it is swept away (default 1h)" },
    Setting { key: "webhooks_file", help: "TOML file of endpoints that are told of events; read again on SIGHUP (default: none)" },
    Setting {
        key: "webhooks_retry",
        help: "pauses between attempts to deliver an event; after the last it is given up (default 5s,5m,30m,2h,5h,10h,14h,20h,24h)",
    },
    Setting { key: "events_retention", help: "how long events are kept that arrived or were given up (default 30d)" },
    Setting {
        key: "notifications_token",
        help: "secret of the store that posts bucket notifications to /notifications/s3 (default: none may)",
    },
    Setting { key: "notifications_token_file", help: "file that holds it instead" },
    Setting { key: "notifications_sqs", help: "URL of the SQS queue that the bucket's notifications are put into (default: none)" },
    Setting {
        key: "deleted_retention",
        help: "how long a deleted file can be brought back, such as 90d; a sweep purges it after that (default 30d)",
    },
    Setting { key: "audit_retention", help: "how long lines of the audit log are kept, 30d or longer (default: for ever)" },
    Setting { key: "actor_open_slips", help: "most temp files of one actor at the same time; 0 for no limit (default 100000)" },
    Setting { key: "tenant_open_slips", help: "most temp files of one tenant at the same time; 0 for no limit (default 1000000)" },
    Setting {
        key: "actor_reserved_bytes",
        help: "most bytes that one actor's living forms allow, such as 1 TiB; 0 for no limit (default 0)",
    },
    Setting { key: "tenant_reserved_bytes", help: "most bytes that one tenant's living forms allow; 0 for no limit (default 0)" },
    Setting { key: "actor_requests_per_second", help: "most requests a second of one actor to one broker; 0 for no limit (default 0)" },
    Setting { key: "tenant_requests_per_second", help: "most requests a second of one tenant to one broker; 0 for no limit (default 0)" },
    Setting {
        key: "max_connections",
        help: "most connections to the broker at the same time, a quarter of them from one address; idle ones make room for new ones, else \
               these wait (default 900)",
    },
    Setting {
        key: "trusted_proxies",
        help: "addresses and networks of proxies before the broker, such as 10.0.0.0/8, whose X-Forwarded-For is believed (default: none)",
    },
    Setting { key: "admin_listen", help: "address and port of /metrics, such as 127.0.0.1:9464 (default: nowhere)" },
    Setting { key: "drain_delay", help: "how long requests are still taken after SIGTERM, while /readyz is 503; at most 5m (default 0)" },
    Setting { key: "otlp_endpoint", help: "where traces go by OTLP over HTTP, such as http://127.0.0.1:4318 (default: nowhere)" },
    Setting { key: "trace_share", help: "share of requests that are traced unless traceparent says so, 0 to 1 (default 0.01)" },
    Setting {
        key: "downloads",
        help: "redirect: downloads go to the store; proxy: the broker sends the bytes, for stores that browsers cannot reach (default redirect)",
    },
    Setting { key: "download_url_lifetime", help: "how long the store's URL in a redirect stays good, 5s to 12h (default 5m)" },
    Setting { key: "max_downloads", help: "most downloads through the broker at the same time; more are answered with 503 (default 100)" },
    Setting {
        key: "secrets",
        help: "secrets that sign links and upload tokens, 32 characters or more, separated by commas: the first signs, all verify (default: \
               one in the database; in the embedded mode in a file of data_dir)",
    },
    Setting { key: "secrets_file", help: "a file with these secrets, one a line, instead of secrets; read again on SIGHUP" },
    Setting { key: "proxy_keys", help: "an older name of secrets" },
    Setting { key: "proxy_keys_file", help: "an older name of secrets_file" },
    Setting { key: "links", help: "key: links to files have a key and need no token; token: they need a token (default key)" },
    Setting { key: "proxy_key_lifetime", help: "how long a key in a link stays good, 5s to 30 days (default 24h)" },
    Setting { key: "log", help: "what to log, such as info or dropslip=debug,warn (default info)" },
    Setting { key: "log_format", help: "text, json, or auto: text on a terminal, JSON elsewhere (default auto)" },
];
