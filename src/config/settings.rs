//! Every setting: its name, type, check, default and documentation, in the order of README.md.
//!
//! An entry here is all that a new setting takes, beside whoever uses its value: `config.NAME`. It reads
//! `required NAME: TYPE = PARSER, DEFAULT; MEANING; EXAMPLE;`, or `optional` for an `Option<TYPE>` that may have no default. MEANING and
//! EXAMPLE are Markdown for the table in README.md, which a test compares (`UPDATE_README=1` writes it); `--help` says them in plain text.
//! `[secret]` is never shown, and `[reloaded]` is put into force by a reload.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::defaults::{database_file, page, path_style, takes_jwts, takes_key_set};
use super::dialects::{dialect_names, dialects};
use super::downloads::{DownloadMode, LinkMode, download_mode, key_lifetime, link_mode, url_lifetime};
use super::events::{NotificationsToken, durations, events_retention, notifications_token, queue_url};
use super::given::Given;
use super::identity::{jwt_leeway, jwt_refresh};
use super::secrets::{DatabaseUrl, database_url};
use super::setting::{Default, Setting};
use super::values::{
    audit_retention, boolean, bucket_name, byte_size, connections, copied_at_once, drain_delay, duration, endpoint, filled, log_filter,
    log_format, origins, part_size, path, proxied, proxied_uploads, retention, share, socket_address, upload_method, whole_number,
};
use crate::domain::web::web_url;
use crate::domain::{Tenant, TrustedProxies, UploadMethod};
use crate::installation_secret::Secrets;
use crate::jwt::{self, Algorithms, ClaimPath, KeySource, ScopeNames};

/// The default as it is set, and as the documentation shows it.
macro_rules! default {
    (text($text:expr)) => {
        Default::value(|_| Some($text.into()), $text)
    };
    (shown($text:expr, $words:expr)) => {
        Default::words(|_| Some($text.into()), $words)
    };
    (unset($words:expr)) => {
        Default::words(|_| None, $words)
    };
    (computed($by:expr, $words:expr)) => {
        Default::words(|given| Some($by(given)), $words)
    };
    (when($holds:expr, $text:expr, $words:expr)) => {
        Default::words(|given| $holds(given).then(|| $text.into()), $words)
    };
}

macro_rules! value {
    (required $type:ty) => { $type };
    (optional $type:ty) => { Option<$type> };
}

macro_rules! taken {
    (required $value:expr) => {
        $value?
    };
    (optional $value:expr) => {
        $value
    };
}

macro_rules! settings {
    ($($kind:ident $key:ident: $type:ty = $parse:expr, $default:ident($($by:expr),+) $([$($flag:ident),+])?; $about:expr; $example:expr;)+) => {
        /// Every setting of `dropslip serve`, in the order of the documentation.
        pub const SETTINGS: &[Setting] = &[$(
            Setting {
                key: stringify!($key),
                about: $about,
                example: $example,
                default: default!($default($($by),+)),
                is_secret: false,
                is_reloaded: false,
            }$($(.$flag())+)?
        ),+];

        /// What is set, by default or otherwise.
        #[derive(Debug, Clone)]
        pub struct Settings {
            $(#[doc = concat!("`", stringify!($key), "`, see [`SETTINGS`].")] pub $key: value!($kind $type)),+
        }

        /// The same while complaints are collected: `None` is no value, or a bad one.
        pub(super) struct Readings {
            $(pub(super) $key: Option<$type>),+
        }

        impl Readings {
            /// Reads every setting before anybody gives up, so that all complaints come at once.
            pub(super) fn of(given: &mut Given) -> Self {
                $(let $key = given.read::<$type>(stringify!($key), (default!($default($($by),+)).value)(given), $parse);)+
                Self { $($key),+ }
            }

            pub(super) fn whole(self) -> Option<Settings> {
                Some(Settings { $($key: taken!($kind self.$key)),+ })
            }
        }
    };
}

settings! {
    required listen: SocketAddr = socket_address, text("127.0.0.1:8080");
        "address and port of the broker, numeric";
        "`0.0.0.0:8080`";
    optional public_url: Url = web_url, unset("`http://` and the listening address");
        "where browsers reach the broker; its origin may always call";
        "`https://files.example.com`";
    required database_url: DatabaseUrl = database_url, computed(database_file, "`sqlite:` and `dropslip.db` in the data folder");
        "`sqlite:PATH` (created when missing; in `PATH` write `%` as `%25` and `?` as `%3F`, all else as it is) or `postgres://…`, also through a [pooler](#the-database); holds a password";
        "`postgres://dropslip:secret@db.internal/dropslip`";
    optional s3_bucket: String = bucket_name, unset("none");
        "the bucket; without it, a store inside the process is used";
        "`example-uploads`";
    optional s3_region: String = filled, unset("what the AWS environment says, else `us-east-1`");
        "the bucket's region";
        "`eu-central-1`";
    optional s3_endpoint: String = endpoint, unset("AWS");
        "where the broker reaches a store that is not AWS; needs `DROPSLIP_S3_BUCKET`";
        "`http://seaweedfs.internal:8333`";
    optional s3_public_endpoint: String = endpoint, unset("`DROPSLIP_S3_ENDPOINT`");
        "where browsers reach the store; goes into forms";
        "`https://s3.example.com`";
    required s3_path_style: bool = boolean, computed(path_style, "`true` where `DROPSLIP_S3_ENDPOINT` is set, else `false`");
        "`true`: `ENDPOINT/BUCKET/KEY`; `false`: `BUCKET.ENDPOINT/KEY`";
        "`true`";
    required s3_method: Option<UploadMethod> = upload_method, text("post");
        "how a file comes in one request: `post` (a signed form), `put` (a presigned PUT, for stores without POST) or `auto` (asks the store at the start)";
        "`auto`";
    required multipart_threshold: u64 = byte_size, text("100 MB");
        "from this size on, files come in parts from clients that can";
        "`1 GiB`";
    required part_size: u64 = part_size, text("16 MiB");
        "bytes of a part, 5 MiB to 5 GiB; larger where there would be more than 10 000";
        "`64 MiB`";
    required copy_in_parts_above: u64 = copied_at_once, text("1 GiB");
        "above this size a file is sealed by a copy in parts, eight at once; 5 MiB to 5 GiB, the most that S3 copies in one request";
        "`256 MiB`";
    required data_dir: PathBuf = path, shown("data", "`data` in the current folder");
        "folder where the embedded mode keeps everything, for [its user alone](docs/operating.md#files-and-memory); a path as it is, whatever is in its name";
        "`/var/lib/dropslip`";
    required embedded_s3_listen: SocketAddr = socket_address, text("127.0.0.1:9000");
        "address and port of the embedded store";
        "`127.0.0.1:19000`";
    required development_token: bool = boolean, text("true");
        "whether the embedded mode makes a token of its own; never with a bucket";
        "`false`";
    required dialects: Vec<String> = dialect_names, computed(dialects, "`all`; with `DROPSLIP_S3_BUCKET` `desk,companion`");
        "which APIs are spoken: `desk` (which the page and `dropslip upload` need), `companion` ([Uppy](#uppy)), `kayako` (Kayako's Files API), `kayako-classic` (Kayako Classic's attachments), or `all`; what is left out is 404 and not in the [document](#openapi)";
        "`desk`";
    optional kayako_file_type: String = filled, unset("`attachment`");
        "the [file type](#file-types) of what comes through the dialect `kayako`";
        "`artifact`";
    required kayako_file_lifetime: Duration = duration, text("3h");
        "how long a file that came through `kayako` stays unless something uses it by then; at most 30 days, `0` for ever";
        "`0`";
    required kayako_content_max: u64 = byte_size, text("8 MiB");
        "up to this size answers of `kayako` have a file's bytes in them, as base64";
        "`1 MiB`";
    required kayako_fingerprints: bool = boolean, text("false");
        "whether anybody with a UUID (`X-Fingerprint-ID`) may create files through `kayako`, and do nothing else";
        "`true`";
    required kayako_tenant: Tenant = str::parse, text("default");
        "the tenant of those who have but a fingerprint";
        "`acme`";
    optional classic_file_type: String = filled, unset("`attachment`");
        "the [file type](#file-types) of what comes through the dialect `kayako-classic`";
        "`artifact`";
    required page: bool = boolean, computed(page, "`true`; with `DROPSLIP_S3_BUCKET` or without the dialect `desk` `false`");
        "whether `/` is the [upload page](#the-upload-page)";
        "`true`";
    optional policies: PathBuf = path, unset("the shipped ones") [reloaded];
        "folder of [file types](#file-types); replaces the shipped ones";
        "`/etc/dropslip/policies`";
    optional cors_origins: Vec<String> = origins, unset("only its own");
        "origins of pages that may call the broker, separated by commas (a list in TOML); also those of apps and browser extensions, such as `capacitor://localhost` or `chrome-extension://ID`; no path, never `*` or `null`";
        "`https://app.example.com,capacitor://localhost`";
    optional tokens_file: PathBuf = path, unset("none");
        "a TOML [file of tokens](docs/identity.md#tokens-in-a-file), as hashes; read again when it changes";
        "`/etc/dropslip/tokens.toml`";
    optional jwt_secret: jwt::Secret = str::parse, unset("none") [secret];
        "takes [JWTs](docs/identity.md#json-web-tokens) signed with this secret (HS256), 32 bytes or longer";
        "what `openssl rand -hex 32` prints";
    optional jwt_secret_file: PathBuf = path, unset("none");
        "the same secret, kept in a file";
        "`/run/secrets/jwt`";
    optional jwt_jwks: KeySource = KeySource::set, unset("none");
        "takes JWTs signed with the keys of this JWKS: a file, or an `https://` URL (`http://` on this machine)";
        "`https://id.example.com/jwks.json`";
    optional jwt_algorithms: Algorithms = str::parse, when(takes_key_set, Algorithms::OF_SETS, "all [that are known](docs/identity.md#keys)");
        "algorithms that keys of the JWKS may be used with, separated by commas";
        "`ES256,EdDSA`";
    optional jwt_refresh: Duration = jwt_refresh, when(takes_jwts, "10m", "`10m`");
        "how often the JWKS is fetched from its URL, `1s` to `24h`";
        "`1h`";
    optional jwt_issuer: String = filled, unset("none");
        "what `iss` must be; needed for JWTs";
        "`https://id.example.com/`";
    optional jwt_audience: String = filled, unset("none");
        "what `aud` must be or hold; needed for JWTs";
        "`dropslip`";
    optional jwt_leeway: Duration = jwt_leeway, when(takes_jwts, "30s", "`30s`");
        "how far the issuer's clock may be off, at most `5m`";
        "`1m`";
    optional jwt_max_lifetime: Duration = duration, when(takes_jwts, "1d", "`1d`");
        "how long a JWT may live, at most 30 days; `0` for no bound";
        "`1h`";
    optional jwt_actor_claim: ClaimPath = str::parse, when(takes_jwts, "sub", "`sub`");
        "the [claim](docs/identity.md#what-its-claims-mean) with the actor's number";
        "`desk.user_id`";
    optional jwt_actor_type_claim: ClaimPath = str::parse, unset("none: all are users");
        "the claim that says `users` or `customers`";
        "`actor_type`";
    optional jwt_tenant_claim: ClaimPath = str::parse, when(takes_jwts, "tenant", "`tenant`");
        "the claim with the tenant";
        "`desk.site`";
    optional jwt_tenant: Tenant = str::parse, unset("none: they are refused");
        "the tenant of JWTs that name none";
        "`default`";
    optional jwt_scope_claim: ClaimPath = str::parse, when(takes_jwts, "scope", "`scope`");
        "the claim with the scopes";
        "`realm_access.roles`";
    optional jwt_scopes: ScopeNames = str::parse, unset("as they are called here");
        "what the issuer calls scopes, and what each means here";
        "`upload=files:write,files:read`";
    optional jwt_file_types_claim: ClaimPath = str::parse, when(takes_jwts, "file_types", "`file_types`");
        "the claim that limits a JWT to file types";
        "`desk.file_types`";
    required sweep_interval: Duration = duration, text("1m");
        "how often expired slips and bytes that nobody owns are taken away; `0` for never";
        "`30s`";
    required sweep_grace: Duration = duration, text("1h");
        "how long after its end a form's upload may still be arriving; at most 30 days";
        "`2h`";
    required deleted_retention: Duration = retention, text("30d");
        "how long a deleted file can be restored; a sweep purges it after that; at most 3650 days, `0` for no longer than until the next sweep";
        "`90d`";
    optional audit_retention: Duration = audit_retention, unset("for ever");
        "how long lines of the [audit log](docs/audit-log.md#what-it-promises) are kept, 30 to 3650 days; a sweep takes out older ones";
        "`400d`";
    optional webhooks_file: PathBuf = path, unset("none") [reloaded];
        "TOML file of endpoints that are told of [events](docs/events.md); read again on [SIGHUP](docs/operating.md#reload)";
        "`/etc/dropslip/webhooks.toml`";
    required webhooks_retry: Vec<Duration> = durations, text("5s,5m,30m,2h,5h,10h,14h,20h,24h");
        "pauses between attempts to deliver an event, at most 20; after the last one it is given up";
        "`10s,1m,10m`";
    required events_retention: Duration = events_retention, text("30d");
        "how long events are kept that were delivered or given up; 1 hour to 30 days";
        "`7d`";
    optional notifications_token: NotificationsToken = notifications_token, unset("none: no store may") [secret];
        "what a store must know that posts [bucket notifications](docs/notifications.md); 16 to 512 characters";
        "";
    optional notifications_token_file: PathBuf = path, unset("none");
        "a file that holds it instead";
        "`/run/secrets/notifications`";
    optional notifications_sqs: String = queue_url, unset("none");
        "URL of the SQS queue that the bucket puts its notifications into; needs `DROPSLIP_S3_BUCKET`";
        "`https://sqs.eu-central-1.amazonaws.com/123456789012/uploads`";
    required actor_open_slips: u64 = whole_number, text("100000");
        "most `temp` files of one actor at the same time; `0` for no limit";
        "`500`";
    required tenant_open_slips: u64 = whole_number, text("1000000");
        "the same for one tenant";
        "`20000`";
    required actor_reserved_bytes: u64 = byte_size, text("0");
        "most bytes that one actor's forms allow together until they die; `0` for no limit";
        "`50 GiB`";
    required tenant_reserved_bytes: u64 = byte_size, text("0");
        "the same for one tenant";
        "`1 TiB`";
    required actor_requests_per_second: u32 = whole_number, text("0");
        "most requests a second of one actor to one broker; `0` for no limit";
        "`20`";
    required tenant_requests_per_second: u32 = whole_number, text("0");
        "the same for one tenant";
        "`200`";
    required max_connections: u32 = connections, text("900");
        "most connections to the broker at the same time, 1 to 1 000 000, at most a quarter of them (8 at least) from one address. At the bound, an idle one makes room for each new one; if none is idle, it waits. A [limit of open files](docs/operating.md#open-files) that is too low for it is a warning at the start";
        "`5000`";
    optional trusted_proxies: TrustedProxies = TrustedProxies::parse, unset("none: peers in private networks have no bounds by address");
        "addresses and networks of [proxies before the broker](docs/operating.md#behind-a-proxy), separated by commas: their `X-Forwarded-For` says where a request comes from, and they have no share of connections";
        "`10.0.0.0/8,fd00::/8`";
    optional admin_listen: SocketAddr = socket_address, unset("none: no metrics");
        "address and port of [metrics](docs/operating.md#metrics), apart from everything else; it asks nobody for a token";
        "`127.0.0.1:9464`";
    required drain_delay: Duration = drain_delay, text("0");
        "how long requests are still taken after SIGTERM, while `/readyz` answers 503; at most 5 minutes";
        "`5s`";
    optional otlp_endpoint: Url = web_url, unset("none: no traces");
        "where [traces](docs/operating.md#traces) go, by OTLP over HTTP (protobuf); `/v1/traces` is added where there is no path";
        "`http://127.0.0.1:4318`";
    required trace_share: f64 = share, text("0.01");
        "share of the requests that are traced, 0 to 1; a `traceparent` header decides for its own request";
        "`1`";
    required downloads: DownloadMode = download_mode, text("redirect");
        "`redirect`: downloads go to the store; `proxy`: the broker sends the bytes, for stores that browsers cannot reach";
        "`proxy`";
    required download_url_lifetime: Duration = url_lifetime, text("5m");
        "how long the store's URL in a redirect stays good, 5s to 12h; less where the credentials end sooner";
        "`1m`";
    required max_downloads: u32 = connections, text("100");
        "most downloads through the broker at the same time; more are answered with 503, and [a share of them](docs/downloads.md#through-the-broker) is the most for one link or address";
        "`500`";
    required max_proxied_bytes: u64 = proxied, text("1 GiB");
        "most bytes of one upload that comes [through the broker](docs/operating.md#uploads-through-the-broker), decoded; at most 64 GiB";
        "`100 MiB`";
    required max_proxied_uploads: u32 = proxied_uploads, text("16");
        "how many of these one tenant has under way at most; a quarter as many more are kept for others. Each needs up to 16 MiB of memory; more are answered with 503";
        "`64`";
    required unsigned_uploads: u32 = proxied_uploads, text("4");
        "how many uploads a broker takes beside these before it is known whose they are, for clients that send who they are behind the bytes; half of them at most from one address. Each needs up to 16 MiB of memory; more are answered with 503";
        "`16`";
    optional secrets: Secrets = str::parse, unset("one in the database; in the embedded mode in a file of `DROPSLIP_DATA_DIR`") [secret, reloaded];
        "[the installation secret](docs/operating.md#the-installation-secret), which signs links and upload tokens: 32 characters or more; several are separated by commas, the first signs, all verify";
        "`NEW,OLD`";
    optional secrets_file: PathBuf = path, unset("none") [reloaded];
        "a file with these secrets instead, one a line; read again on [SIGHUP](docs/operating.md#reload)";
        "`/run/secrets/dropslip`";
    optional proxy_keys: Secrets = str::parse, unset("none") [secret, reloaded];
        "an older name of `DROPSLIP_SECRETS`; only one of the four may be set";
        "";
    optional proxy_keys_file: PathBuf = path, unset("none") [reloaded];
        "an older name of `DROPSLIP_SECRETS_FILE`";
        "";
    required links: LinkMode = link_mode, text("key") [reloaded];
        "`key`: [links to files](docs/downloads.md#links-without-a-token) have a key and need no token; `token`: they need a token";
        "`token`";
    required proxy_key_lifetime: Duration = key_lifetime, text("24h") [reloaded];
        "how long such a key stays good, 5s to 30 days";
        "`1h`";
    required log: String = log_filter, text("info") [reloaded];
        "what to log: a level, or levels by module";
        "`dropslip=debug,warn`";
    required log_format: Option<bool> = log_format, text("auto");
        "`text`, `json`, or `auto`: text on a terminal, JSON elsewhere";
        "`json`";
}
