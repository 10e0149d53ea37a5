//! JSON Web Tokens, made by another library (PyJWT): which are taken, which are not, and how their keys change.

mod keys;

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;
use time::OffsetDateTime;

use crate::harness::{Bed, Db, Setup, TestBroker, answer, ask, error_fields, from_servers, new_file, slip};

const ISSUER: &str = "https://id.example.com/";
const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A key that the other library made.
#[derive(Clone)]
struct Key {
    name: String,
    algorithm: &'static str,
    private: String,
    public: String,
    jwk: Value,
}

/// Keys by algorithm, named after it and `generation`.
fn keys(algorithms: &[&'static str], generation: &str) -> Vec<Key> {
    let questions: Vec<Value> = algorithms.iter().map(|algorithm| json!({"key": algorithm})).collect();
    let made = ask(&from_servers("TEST_PYTHON"), "jwt_sign.py", &questions);
    let key = |(algorithm, made): (&&'static str, Value)| {
        let name = format!("{algorithm}-{generation}");
        let mut jwk = made["jwk"].clone();
        jwk["kid"] = json!(name);
        let pem = |member: &str| made[member].as_str().unwrap().to_owned();
        Key { name, algorithm, private: pem("private"), public: pem("public"), jwk }
    };
    algorithms.iter().zip(made).map(key).collect()
}

fn key(algorithm: &'static str) -> Key {
    keys(&[algorithm], "1").remove(0)
}

fn set<'a>(keys: impl IntoIterator<Item = &'a Key>) -> Value {
    json!({"keys": keys.into_iter().map(|key| key.jwk.clone()).collect::<Vec<_>>()})
}

fn claims() -> Value {
    let exp = OffsetDateTime::now_utc().unix_timestamp() + 600;
    json!({"iss": ISSUER, "aud": "dropslip", "exp": exp, "sub": "42", "tenant": "acme", "scope": "files:read files:write"})
}

fn with(changes: &Value) -> Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    claims
}

/// Asks for several tokens at once: claims, and what signs them.
fn tokens(wanted: &[(Value, &str, &str, Value)]) -> Vec<String> {
    let question = |(claims, by, algorithm, headers): &(Value, &str, &str, Value)| json!({"sign": claims, "by": by, "alg": algorithm, "headers": headers});
    let questions: Vec<Value> = wanted.iter().map(question).collect();
    let made = ask(&from_servers("TEST_PYTHON"), "jwt_sign.py", &questions);
    made.into_iter().map(|made| made["token"].as_str().unwrap().to_owned()).collect()
}

fn by_secret(claims: Value) -> String {
    tokens(&[(claims, SECRET, "HS256", json!({}))]).remove(0)
}

impl Key {
    fn sign(&self, claims: Value) -> String {
        tokens(&[(claims, &self.private, self.algorithm, json!({"kid": self.name}))]).remove(0)
    }

    /// A token that says that it is by the key of that name.
    fn sign_as(&self, name: &str) -> String {
        tokens(&[(claims(), &self.private, self.algorithm, json!({"kid": name}))]).remove(0)
    }

    /// A token that does not say by which key it is.
    fn sign_unnamed(&self) -> String {
        tokens(&[(claims(), &self.private, self.algorithm, json!({}))]).remove(0)
    }
}

fn setup() -> Setup {
    Setup::on(Bed::Embedded).setting("DROPSLIP_JWT_ISSUER", ISSUER).setting("DROPSLIP_JWT_AUDIENCE", "dropslip")
}

fn with_secret() -> Setup {
    setup().setting("DROPSLIP_JWT_SECRET", SECRET)
}

/// A folder with a file of keys.
struct KeyFile {
    _folder: TempDir,
    path: PathBuf,
}

impl KeyFile {
    fn of(set: &Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        let file = Self { _folder: folder, path };
        file.holds(set);
        file
    }

    fn holds(&self, set: &Value) {
        fs::write(&self.path, set.to_string()).unwrap();
    }

    fn path(&self) -> &str {
        self.path.to_str().unwrap()
    }

    fn setup(&self) -> Setup {
        setup().setting("DROPSLIP_JWT_JWKS", self.path())
    }
}

impl TestBroker {
    /// Asks for a slip.
    async fn slip_by(&self, token: &str) -> (StatusCode, Value) {
        self.slip_of("attachment", token).await
    }

    async fn slip_of(&self, type_name: &str, token: &str) -> (StatusCode, Value) {
        let body = if type_name == "image" {
            json!({"type": "image", "filename": "a.png", "mimeType": "image/png"})
        } else {
            new_file("a.txt", "text/plain")
        };
        answer(self.http.post(format!("{}/v2/files/ref.json", self.base)).bearer_auth(token).body(body.to_string())).await
    }

    async fn assert_good(&self, token: &str, why: &str) {
        let (status, body) = self.slip_by(token).await;
        assert_eq!(status, 201, "{why}: {body}");
    }

    async fn assert_bad(&self, token: &str, why: &str) {
        let (status, body) = self.slip_by(token).await;
        assert_eq!((status.as_u16(), error_fields(&body)), (401, vec!["authorization".to_owned()]), "{why}: {body}");
    }

    async fn by(&self, method: &str, path: &str, token: &str) -> (StatusCode, Value) {
        answer(self.http.request(method.parse().unwrap(), format!("{}{path}", self.base)).bearer_auth(token)).await
    }
}

#[tokio::test]
async fn tokens_of_another_library_are_good_by_every_algorithm() {
    let keys = keys(&["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"], "1");
    let file = KeyFile::of(&set(&keys));
    let broker = file.setup().start().await;
    let wanted: Vec<_> = keys.iter().map(|key| (claims(), key.private.as_str(), key.algorithm, json!({"kid": key.name}))).collect();
    for (key, token) in keys.iter().zip(tokens(&wanted)) {
        let (status, body) = broker.slip_by(&token).await;
        assert_eq!((status.as_u16(), &body["file"]["createdBy"]), (201, &json!({"id": 42, "type": "users"})), "{}: {body}", key.name);
    }
    let unnamed = tokens(&[(claims(), &keys[8].private, "EdDSA", json!({})), (claims(), &keys[0].private, "RS256", json!({}))]);
    broker.assert_good(&unnamed[0], "one key fits a token that names none").await;
    broker.assert_bad(&unnamed[1], "six keys of RSA would do").await;

    let broker = with_secret().start().await;
    broker.assert_good(&by_secret(claims()), "HS256").await;
    broker.assert_good(&broker.token, "a token of our own").await;
    let other = tokens(&[(claims(), SECRET, "HS512", json!({})), (claims(), "another secret of thirty-two bytes", "HS256", json!({}))]);
    broker.assert_bad(&other[0], "HS512").await;
    broker.assert_bad(&other[1], "another secret").await;
}

/// A token of a header, claims and a signature of our own.
fn forged(header: &Value, sign: impl Fn(&[u8]) -> String) -> String {
    let said = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims().to_string()));
    let signature = sign(said.as_bytes());
    format!("{said}.{signature}")
}

fn hmac(secret: &[u8], algorithm: Algorithm) -> impl Fn(&[u8]) -> String {
    move |said| jsonwebtoken::crypto::sign(said, &EncodingKey::from_secret(secret), algorithm).unwrap()
}

#[tokio::test]
async fn confused_and_forged_tokens_are_refused() {
    let known = keys(&["RS256", "ES256"], "1");
    let [rsa, curve] = &known[..] else { panic!("two keys") };
    let mut pinned = rsa.clone();
    pinned.name = "pinned".to_owned();
    pinned.jwk["kid"] = json!("pinned");
    pinned.jwk["alg"] = json!("RS256");
    let secret = json!({"kty": "oct", "kid": "secret", "alg": "HS256", "k": URL_SAFE_NO_PAD.encode(SECRET)});
    let mut all = set(&known);
    all["keys"].as_array_mut().unwrap().extend([pinned.jwk.clone(), secret]);
    let file = KeyFile::of(&all);
    let broker = file.setup().start().await;
    broker.assert_good(&rsa.sign(claims()), "the right thing").await;
    broker.assert_good(&pinned.sign(claims()), "the right thing by a key for one algorithm").await;

    // The public key is known to everybody: it must never be the secret of an HMAC.
    let der = rsa.public.lines().filter(|line| !line.starts_with('-')).collect::<String>();
    let der = base64::engine::general_purpose::STANDARD.decode(der).unwrap();
    let n = URL_SAFE_NO_PAD.decode(rsa.jwk["n"].as_str().unwrap()).unwrap();
    let jwk = rsa.jwk.to_string();
    for secret in
        [rsa.public.as_bytes(), rsa.public.trim_end().as_bytes(), &der, &n, rsa.jwk["n"].as_str().unwrap().as_bytes(), jwk.as_bytes(), b""]
    {
        for (name, algorithm) in [("HS256", Algorithm::HS256), ("HS384", Algorithm::HS384), ("HS512", Algorithm::HS512)] {
            for kid in [json!({"alg": name, "kid": rsa.name}), json!({"alg": name})] {
                broker.assert_bad(&forged(&kid, hmac(secret, algorithm)), "a public key as a secret").await;
            }
        }
    }
    let by_oct = forged(&json!({"alg": "HS256", "kid": "secret"}), hmac(SECRET.as_bytes(), Algorithm::HS256));
    broker.assert_bad(&by_oct, "a secret in a set of public keys").await;

    for name in ["none", "None", "NONE", "nOnE", ""] {
        for signature in ["", "AAAA"] {
            broker.assert_bad(&forged(&json!({"alg": name, "kid": rsa.name}), |_| signature.to_owned()), "no algorithm").await;
        }
    }
    let wrong = tokens(&[
        (claims(), &rsa.private, "RS256", json!({"kid": curve.name})),
        (claims(), &curve.private, "ES256", json!({"kid": rsa.name})),
        (claims(), &rsa.private, "RS384", json!({"kid": "pinned"})),
        (claims(), &rsa.private, "PS256", json!({"kid": "pinned"})),
        (claims(), &rsa.private, "RS256", json!({"kid": "nobody"})),
        (claims(), &rsa.private, "RS256", json!({"kid": ""})),
        (claims(), &rsa.private, "RS256", json!({"kid": "../../../../dev/null"})),
        (claims(), &rsa.private, "RS256", json!({"kid": "' OR '1'='1"})),
        (claims(), &rsa.private, "RS256", json!({"kid": rsa.name, "crit": ["exp"]})),
        (claims(), &key("RS256").private, "RS256", json!({"kid": rsa.name})),
        (claims(), &key("ES256").private, "ES256", json!({"kid": curve.name})),
    ]);
    for (number, token) in wrong.iter().enumerate() {
        broker.assert_bad(token, &format!("wrong {number}")).await;
    }
    let good = rsa.sign(claims());
    let (said, _) = good.rsplit_once('.').unwrap();
    for bad in [
        format!("{said}."),
        said.to_owned(),
        format!("{said}.{}", "A".repeat(342)),
        format!("{good}=="),
        format!("{good}.{good}"),
        "x".repeat(9000),
    ] {
        broker.assert_bad(&bad, "a signature taken away or changed").await;
    }
    let everything = "e".repeat(40_000);
    broker.assert_bad(&everything, "a huge token").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_within_a_token_are_never_looked_at() {
    let (known, stranger) = (key("ES256"), key("RS256"));
    let file = KeyFile::of(&set([&known]));
    let broker = file.setup().start().await;
    let trap = keys::Issuer::start(set([&stranger])).await;
    let mut embedded = stranger.jwk.clone();
    embedded.as_object_mut().unwrap().remove("kid");
    let url = trap.url();
    let headers = [
        json!({"jwk": embedded}),
        json!({"jku": url, "kid": stranger.name}),
        json!({"x5u": url, "x5c": ["MIIB"]}),
        json!({"jku": url, "jwk": stranger.jwk, "kid": known.name}),
    ];
    let wanted: Vec<_> = headers.into_iter().map(|headers| (claims(), stranger.private.as_str(), "RS256", headers)).collect();
    for token in tokens(&wanted) {
        broker.assert_bad(&token, "it brings its own key").await;
    }
    assert_eq!(trap.asked(), 0);
    broker.assert_good(&known.sign(claims()), "the right thing").await;
}

#[tokio::test]
async fn only_what_the_operator_allows_is_used() {
    let known = keys(&["RS256", "ES256"], "1");
    let file = KeyFile::of(&set(&known));
    let broker = file.setup().setting("DROPSLIP_JWT_ALGORITHMS", "ES256,EdDSA").start().await;
    broker.assert_good(&known[1].sign(claims()), "ES256").await;
    broker.assert_bad(&known[0].sign(claims()), "RS256 is not allowed").await;
}

#[tokio::test]
async fn tokens_that_are_over_or_for_others_are_refused() {
    let broker = with_secret().start().await;
    let now = OffsetDateTime::now_utc().unix_timestamp();
    let without = |name: &str| {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(name);
        claims
    };
    let bad = [
        with(&json!({"exp": now - 31})),
        with(&json!({"nbf": now + 90})),
        with(&json!({"iat": now + 90})),
        with(&json!({"iss": "https://evil.example.com/"})),
        with(&json!({"aud": "another"})),
        with(&json!({"aud": ["another", "one"]})),
        with(&json!({"exp": now + 2 * 86_400})),
        with(&json!({"tenant": "../acme"})),
        without("exp"),
        without("iss"),
        without("aud"),
        without("sub"),
        without("tenant"),
    ];
    let wanted: Vec<_> = bad.iter().map(|claims| (claims.clone(), SECRET, "HS256", json!({}))).collect();
    for (claims, token) in bad.iter().zip(tokens(&wanted)) {
        broker.assert_bad(&token, &claims.to_string()).await;
    }
    broker.assert_good(&by_secret(with(&json!({"aud": ["another", "dropslip"], "nbf": now, "iat": now}))), "the right thing").await;
    // What is remembered of a good one ends with it.
    let broker = with_secret().setting("DROPSLIP_JWT_LEEWAY", "0").start().await;
    let short = by_secret(with(&json!({"exp": OffsetDateTime::now_utc().unix_timestamp() + 3})));
    broker.assert_good(&short, "it lives for three seconds").await;
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while broker.slip_by(&short).await.0 != 401 {
        assert!(std::time::Instant::now() < deadline, "it is still good");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

async fn a_jwt_works_wherever_an_access_token_does(db: Db) {
    let broker = with_secret().database(db).setting("DROPSLIP_JWT_ACTOR_TYPE_CLAIM", "actor_type").start().await;
    let by = |changes: Value| {
        let mut claims = with(&json!({"actor_type": "users"}));
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        by_secret(claims)
    };
    let (user, customer) = (by(json!({})), by(json!({"actor_type": "customers", "sub": "7"})));
    let (other_tenant, reader) = (by(json!({"tenant": "other"})), by(json!({"scope": ["files:read", "openid"]})));
    let nothing = by(json!({"scope": "openid profile"}));

    // Desk, all three steps; as the user of Basic too.
    let (status, body) = broker.slip_by(&user).await;
    assert_eq!(status, 201, "{body}");
    let slip = slip(body);
    broker.drop_bytes(&slip, b"hello").await;
    let path = format!("/v2/files/{}.json", slip.id);
    assert_eq!(broker.by("PATCH", &path, &reader).await.0, 403);
    let basic = broker.http.patch(format!("{}{path}", broker.base)).basic_auth(&user, Some("x"));
    let (status, body) = answer(basic).await;
    assert_eq!((status.as_u16(), &body["file"]["state"]), (200, &json!("active")), "{body}");
    assert_eq!(broker.by("GET", &path, &reader).await.0, 200);
    assert_eq!(broker.by("GET", "/v2/files.json", &reader).await.1["files"][0]["id"], slip.id);
    for stranger in [&customer, &other_tenant, &broker.token] {
        assert_eq!(broker.by("GET", &path, stranger).await.0, 404);
        assert_eq!(broker.by("GET", "/v2/files.json", stranger).await.1["files"], json!([]));
    }
    for path in [&path, "/v2/files.json"] {
        let (status, body) = broker.by("GET", path, &nothing).await;
        assert_eq!(status, 403, "scopes of others are none: {body}");
    }

    // Companion, with a header and by upload tokens.
    let (status, body) = broker.by("GET", "/companion/s3/params?filename=a.txt&metadata[fileType]=attachment", &customer).await;
    assert_eq!(status, 200, "{body}");
    let wish = broker.http.post(format!("{}/companion/tokens.json", broker.base)).bearer_auth(&customer);
    let (status, made) = answer(wish.body(json!({"types": ["attachment"], "seconds": 86_400}).to_string())).await;
    assert_eq!(status, 201, "{made}");
    let ends = OffsetDateTime::parse(made["expiresAt"].as_str().unwrap(), &time::format_description::well_known::Rfc3339).unwrap();
    assert!(ends <= OffsetDateTime::now_utc() + time::Duration::seconds(600), "no longer than the JWT: {made}");
    let endpoint = made["companionEndpoint"].as_str().unwrap().replace(&broker.server.public_url, &broker.base);
    let (status, params) = answer(broker.http.get(format!("{endpoint}/s3/params?filename=a.txt&type=text/plain"))).await;
    assert_eq!(status, 200, "{params}");
    let fields: Vec<(String, String)> =
        params["fields"].as_object().unwrap().iter().map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect();
    assert_eq!(broker.post_form(params["url"].as_str().unwrap(), &fields, Some(b"hello")).await.0, 201);
    let key = params["fields"]["key"].as_str().unwrap();
    let (status, done) = answer(broker.http.post(format!("{endpoint}/s3/confirm?key={key}"))).await;
    assert_eq!(status, 200, "{done}");
    let (_, read) = broker.by("GET", &format!("/v2/files/{}.json", done["id"]), &customer).await;
    assert_eq!(read["file"]["createdBy"], json!({"id": 7, "type": "customers"}));

    let (before, maker) = endpoint.split_once("/dj2.").unwrap();
    let another = URL_SAFE_NO_PAD.encode("users 1 acme");
    let (_, rest) = maker.split_once('.').unwrap();
    let (status, _) = answer(broker.http.get(format!("{before}/dj2.{another}.{rest}/s3/params?filename=a.txt"))).await;
    assert_eq!(status, 401, "somebody else's name in it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jwt_works_wherever_an_access_token_does_on_sqlite() {
    a_jwt_works_wherever_an_access_token_does(Db::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jwt_works_wherever_an_access_token_does_on_postgres() {
    a_jwt_works_wherever_an_access_token_does(Db::Postgres).await;
}

#[tokio::test]
async fn file_types_of_a_jwt_limit_it() {
    let broker = with_secret().setting("DROPSLIP_JWT_TENANT", "acme").start().await;
    let limited = by_secret(with(&json!({"file_types": ["image"]})));
    assert_eq!(broker.slip_of("image", &limited).await.0, 201);
    let (status, body) = broker.slip_of("attachment", &limited).await;
    assert_eq!((status.as_u16(), &body["errors"]["authorization"][0]), (403, &json!("must be for the file type ‘attachment’")));
    let none = by_secret(with(&json!({"file_types": []})));
    assert_eq!(broker.slip_of("image", &none).await.0, 403);
    assert_eq!(broker.by("GET", "/v2/files.json", &none).await, (StatusCode::OK, broker.by("GET", "/v2/files.json", &limited).await.1));
}

#[test]
fn it_refuses_to_start_with_keys_that_cannot_be_used() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (short, broken) = (write("short", "hunter2"), write("broken.json", "{\"keys\": [{\"kty\": \"oct\", \"k\": \"AAAA\"}]}"));
    let open = write("open.json", &set([&key("EdDSA")]).to_string());
    fs::set_permissions(Path::new(&open), std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    let cases = [
        ("DROPSLIP_JWT_SECRET", "hunter2", "32 bytes or longer"),
        ("DROPSLIP_JWT_SECRET_FILE", short.as_str(), "32 bytes or longer"),
        ("DROPSLIP_JWT_JWKS", broken.as_str(), "no key that can be used"),
        ("DROPSLIP_JWT_JWKS", "/nowhere/keys.json", "No such file"),
        ("DROPSLIP_JWT_JWKS", open.as_str(), "anybody may write it"),
        ("DROPSLIP_JWT_JWKS", "http://id.example.com/keys", "only for this machine"),
    ];
    for (name, value, said) in cases {
        let settings = [
            ("DROPSLIP_LISTEN", "127.0.0.1:0"),
            ("DROPSLIP_EMBEDDED_S3_LISTEN", "127.0.0.1:0"),
            ("DROPSLIP_JWT_ISSUER", ISSUER),
            ("DROPSLIP_JWT_AUDIENCE", "dropslip"),
            (name, value),
        ];
        let output = crate::process::run(folder.path(), &settings, &["serve"]);
        let complaint = crate::process::text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{complaint}");
        assert!(complaint.contains(name) && complaint.contains(said) && !complaint.contains("hunter2"), "{complaint}");
    }
}
