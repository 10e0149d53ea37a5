use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};
use time::macros::datetime;

use super::*;
use crate::domain::{ActorKind, Scopes};

const NOW: OffsetDateTime = datetime!(2026-01-02 03:04:05 UTC);
const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn options() -> Options {
    let path = |name: &str| name.parse::<ClaimPath>().unwrap();
    Options {
        keys: KeySource::Secret(SECRET.parse().unwrap()),
        algorithms: Algorithms::of_secrets(),
        refresh: Duration::from_mins(10),
        issuer: "https://id.example.com/".to_owned(),
        audience: "dropslip".to_owned(),
        leeway: Duration::from_secs(30),
        max_lifetime: Duration::from_hours(24),
        claims: ClaimNames {
            actor: path("sub"),
            actor_type: None,
            tenant: path("tenant"),
            default_tenant: None,
            scope: path("scope"),
            scope_names: None,
            file_types: path("file_types"),
        },
    }
}

fn claims() -> Value {
    let exp = NOW.unix_timestamp() + 3600;
    json!({"iss": "https://id.example.com/", "aud": "dropslip", "sub": "42", "tenant": "acme", "scope": "openid files:read files:write", "exp": exp})
}

/// The claims with some changed; `null` takes one away.
fn with(changes: &Value) -> Value {
    let mut claims = claims();
    for (name, value) in changes.as_object().unwrap() {
        let claims = claims.as_object_mut().unwrap();
        if value.is_null() { drop(claims.remove(name)) } else { drop(claims.insert(name.clone(), value.clone())) }
    }
    claims
}

fn signed(header: &Header, claims: &Value) -> String {
    jsonwebtoken::encode(header, claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap()
}

/// Any text as header or claims, with a good signature.
fn signed_raw(header: &str, claims: &str) -> String {
    use base64::Engine as _;
    let part = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
    signed_parts(&format!("{}.{}", part(header), part(claims)))
}

fn signed_parts(said: &str) -> String {
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    format!("{said}.{}", jsonwebtoken::crypto::sign(said.as_bytes(), &key, jsonwebtoken::Algorithm::HS256).unwrap())
}

async fn verified_by(options: Options, text: &str) -> Option<Verified> {
    Verifier::open(options).await.unwrap().authenticate(text, NOW).await.unwrap()
}

async fn caller_of(options: Options, claims: &Value) -> Option<Caller> {
    verified_by(options, &signed(&Header::default(), claims)).await.map(|verified| verified.caller)
}

#[tokio::test]
async fn a_good_token_stands_for_its_subject() {
    let caller = caller_of(options(), &claims()).await.unwrap();
    assert_eq!((caller.actor.id, caller.actor.kind, caller.tenant.as_str()), (42, ActorKind::Users, "acme"));
    assert_eq!((caller.scopes, caller.types.names()), ("files:read,files:write".parse().unwrap(), None));
    for good in [
        with(&json!({"aud": ["other", "dropslip"]})),
        with(&json!({"sub": 42})),
        with(&json!({"nbf": NOW.unix_timestamp(), "iat": NOW.unix_timestamp()})),
        with(&json!({"exp": f64::from(i32::try_from(NOW.unix_timestamp()).unwrap()) + 0.5})),
        // Clocks may be half a minute apart.
        with(&json!({"exp": NOW.unix_timestamp() - 29, "iat": NOW.unix_timestamp() - 600})),
        with(&json!({"nbf": NOW.unix_timestamp() + 30, "iat": NOW.unix_timestamp() + 30})),
    ] {
        assert_eq!(caller_of(options(), &good).await, Some(caller.clone()), "{good}");
    }
}

#[tokio::test]
async fn claims_that_are_not_good_are_refused() {
    let now = NOW.unix_timestamp();
    for bad in [
        json!({"exp": null}),
        json!({"exp": now - 30}),
        json!({"exp": (now + 60).to_string()}),
        json!({"exp": [now + 60]}),
        json!({"exp": 1e300}),
        json!({"exp": u64::MAX}),
        json!({"exp": now + 86_401}),
        json!({"exp": now + 3600, "iat": now - 86_400}),
        json!({"nbf": now + 31}),
        json!({"nbf": "soon"}),
        json!({"iat": now + 31}),
        json!({"exp": now - 10, "iat": now}),
        json!({"iss": null}),
        json!({"iss": "https://id.example.com"}),
        json!({"iss": ["https://id.example.com/"]}),
        json!({"aud": null}),
        json!({"aud": "other"}),
        json!({"aud": []}),
        json!({"aud": ["dropslip", 1]}),
        json!({"aud": {"dropslip": true}}),
        json!({"sub": null}),
        json!({"sub": "alice"}),
        json!({"sub": "0"}),
        json!({"sub": "-1"}),
        json!({"sub": "+1"}),
        json!({"sub": "042"}),
        json!({"sub": " 42"}),
        json!({"sub": 42.0}),
        json!({"sub": "9223372036854775808"}),
        json!({"sub": ["42"]}),
        json!({"tenant": null}),
        json!({"tenant": "a b"}),
        json!({"tenant": ""}),
        json!({"tenant": 1.5}),
        json!({"tenant": -1}),
        json!({"scope": 1}),
        json!({"scope": ["files:read", 1]}),
        json!({"file_types": 1}),
        json!({"file_types": [1]}),
        json!({"file_types": vec!["image"; 65]}),
    ] {
        let claims = with(&bad);
        assert_eq!(caller_of(options(), &claims).await, None, "{bad}");
    }
}

#[tokio::test]
async fn claims_are_found_where_the_operator_says() {
    let mut options = options();
    options.claims = ClaimNames {
        actor: "https://example.com/desk.id".parse().unwrap(),
        actor_type: Some("desk.kind".parse().unwrap()),
        tenant: "desk.tenant".parse().unwrap(),
        default_tenant: Some("main".parse().unwrap()),
        scope: "realm_access.roles".parse().unwrap(),
        scope_names: Some("upload=files:write,files:read; urn:x=1=files:delete".parse().unwrap()),
        file_types: "desk.types".parse().unwrap(),
    };
    let changes = |desk: Value, roles: Value| {
        with(&json!({"https://example.com/desk.id": 7, "desk": desk, "realm_access": {"roles": roles}, "tenant": "elsewhere", "sub": "x"}))
    };
    let good =
        changes(json!({"kind": "customers", "tenant": "acme", "types": "image attachment"}), json!(["upload", "files:delete", "else"]));
    let caller = caller_of(options.clone(), &good).await.unwrap();
    assert_eq!((caller.actor.id, caller.actor.kind, caller.tenant.as_str()), (7, ActorKind::Customers, "acme"));
    assert_eq!((caller.scopes.to_string().as_str(), caller.types.to_string().as_str()), ("files:read,files:write", "image,attachment"));

    let plain = caller_of(options.clone(), &changes(json!({"kind": "users", "types": []}), json!("urn:x=1"))).await.unwrap();
    assert_eq!((plain.tenant.as_str(), plain.scopes.to_string().as_str()), ("main", "files:delete"));
    assert!(!plain.types.allows("image"), "an empty list is no list of all");
    let numbered = caller_of(options.clone(), &changes(json!({"kind": "users", "tenant": 385_654}), json!([]))).await.unwrap();
    assert_eq!(numbered.tenant.as_str(), "385654");
    let nothing = caller_of(options.clone(), &changes(json!({"kind": "users"}), json!(["files:read"]))).await.unwrap();
    assert_eq!(nothing.scopes, Scopes::default(), "with names of the issuer's, ours mean nothing");
    for kind in [json!(null), json!("robots"), json!("Users"), json!(["users"])] {
        assert_eq!(caller_of(options.clone(), &changes(json!({"kind": kind}), json!([]))).await, None, "{kind}");
    }
}

#[tokio::test]
async fn what_is_no_token_is_refused() {
    let good = signed(&Header::default(), &claims());
    let claims_text = claims().to_string();
    let header = r#"{"alg":"HS256"}"#;
    assert!(verified_by(options(), &signed_raw(header, &claims_text)).await.is_some(), "the signature of these is good");
    let parts: Vec<&str> = good.split('.').collect();
    let twice = format!("{},\"sub\":\"1\"}}", &claims_text[..claims_text.len() - 1]);
    let nested = |value: &str| format!("{},\"realm_access\":{value}}}", &claims_text[..claims_text.len() - 1]);
    let huge = with(&json!({"padding": "x".repeat(8 * 1024)}));
    for bad in [
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        "a.b.c".to_owned(),
        format!("{}.{}", parts[0], parts[1]),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{good}."),
        format!("{good}.{good}"),
        format!(".{good}"),
        format!("{good}="),
        format!("{good}\n"),
        format!(" {good}"),
        format!("{}.{}.{}", parts[0], parts[0], parts[2]),
        format!("{}=.{}.{}", parts[0], parts[1], parts[2]),
        signed_parts(&format!("{}==.{}", parts[0], parts[1])),
        signed_parts(&format!("{}.{}==", parts[0], parts[1])),
        signed_parts(&format!("{}+/.{}", parts[0], parts[1])),
        signed_parts(&format!("{}\u{e9}.{}", parts[0], parts[1])),
        signed(&Header::default(), &huge),
        signed_raw(r#"{"alg":"none"}"#, &claims_text),
        signed_raw(r#"{"alg":"None"}"#, &claims_text),
        signed_raw(r#"{"alg":""}"#, &claims_text),
        signed_raw(r#"{"alg":["HS256"]}"#, &claims_text),
        signed_raw(r#"{"alg":"HS384"}"#, &claims_text),
        signed_raw(r#"{"alg":"RS256"}"#, &claims_text),
        signed_raw(r#"{"alg":"hs256"}"#, &claims_text),
        signed_raw("{}", &claims_text),
        signed_raw("[]", &claims_text),
        signed_raw("", &claims_text),
        signed_raw(r#"{"alg":"HS256","alg":"HS256"}"#, &claims_text),
        signed_raw(r#"{"alg":"HS256","crit":[]}"#, &claims_text),
        signed_raw(r#"{"alg":"HS256","crit":["exp"],"exp":1}"#, &claims_text),
        signed_raw(r#"{"alg":"HS256","crit":null}"#, &claims_text),
        signed_raw(r#"{"alg":"HS256","b64":false}"#, &claims_text),
        signed_raw(r#"{"alg":"HS256","typ":"logout+jwt"}"#, &claims_text),
        signed_raw(r#"{"alg":"HS256","typ":1}"#, &claims_text),
        signed_raw(r#"{"alg":"HS256","kid":1}"#, &claims_text),
        signed_raw(r#"{"alg":"HS256","kid":null}"#, &claims_text),
        signed_raw(&format!("{{\"alg\":\"HS256\",\"kid\":\"{}\"}}", "k".repeat(513)), &claims_text),
        signed_raw(header, &twice),
        signed_raw(header, &nested(r#"{"roles":["a"],"roles":["b"]}"#)),
        signed_raw(header, &nested(r#"{"roles":["a"],"\u0072oles":["b"]}"#)),
        signed_raw(header, &nested(r#"[1,[{"a":{"b":1,"c":null,"b":1}}]]"#)),
        signed_raw(header, &nested(&format!("{}1{}", "[".repeat(200), "]".repeat(200)))),
        signed_raw(r#"{"alg":"HS256","jwk":{"kty":"oct","kty":"oct"}}"#, &claims_text),
        signed_raw(header, &format!("{claims_text} x")),
        signed_raw(header, "null"),
        signed_raw(header, ""),
        signed_raw(header, &format!("[{claims_text}]")),
        signed_raw(header, &format!("{{\"a\":{}1{}}}", "[".repeat(3000), "]".repeat(3000))),
    ] {
        assert_eq!(verified_by(options(), &bad).await, None, "{bad}");
    }
    let fine = nested(r#"[true,null,-1,18446744073709551615,1.5e300,"x",{"a":{"a":{}},"b":[{"a":1},{"a":1}]}]"#);
    assert!(verified_by(options(), &signed_raw(header, &fine)).await.is_some(), "the same name at other places is no second one");
    for fine in [
        r#"{"alg":"HS256","typ":"at+jwt"}"#,
        r#"{"alg":"HS256","typ":"application/JWT"}"#,
        r#"{"alg":"HS256","kid":"../../etc","jku":"http://127.0.0.1:1/","jwk":{"kty":"oct","k":"AA"},"x5u":"x"}"#,
    ] {
        assert!(verified_by(options(), &signed_raw(fine, &claims_text)).await.is_some(), "{fine}");
    }
}

#[tokio::test]
async fn every_changed_character_of_a_token_is_noticed() {
    let good = signed(&Header::default(), &claims());
    let verifier = Verifier::open(options()).await.unwrap();
    assert!(verifier.authenticate(&good, NOW).await.unwrap().is_some());
    for place in 0..good.len() {
        let mut changed = good.clone().into_bytes();
        changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        assert_eq!(verifier.authenticate(&changed, NOW).await.unwrap(), None, "{changed}");
    }
}

#[tokio::test]
async fn what_is_remembered_ends_with_the_token_and_with_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    std::fs::write(&path, format!("{SECRET}\n")).unwrap();
    let verifier = Verifier::open(Options { keys: KeySource::SecretFile(path.clone()), ..options() }).await.unwrap();
    let token = signed(&Header::default(), &with(&json!({"exp": NOW.unix_timestamp() + 5})));
    let at = async |seconds: i64| verifier.authenticate(&token, NOW + time::Duration::seconds(seconds)).await.unwrap().is_some();
    assert!(at(0).await && at(34).await);
    assert_eq!(verifier.remembered().len(), 1);
    assert!(!at(35).await, "its end and the leeway are over");
    assert!(at(1).await);
    std::fs::write(&path, "another secret that has 32 bytes").unwrap();
    verifier.look_again().await;
    assert_eq!(verifier.remembered().len(), 0);
    assert!(!at(2).await);
    std::fs::write(&path, "short").unwrap();
    let failure = verifier.reload().await.unwrap_err();
    assert!(failure.contains("32 bytes") && verifier.failure().await == Some(failure));
    std::fs::write(&path, SECRET).unwrap();
    verifier.reload().await.unwrap();
    assert!(at(3).await);
}

fn keys(set: &Value) -> Result<KeySet, String> {
    KeySet::read(&KeySource::File("keys.json".into()), set.to_string().as_bytes(), &Algorithms::OF_SETS.parse().unwrap())
}

#[test]
fn keys_of_no_use_are_passed_over() {
    let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    let good = json!({"kty": "OKP", "crv": "Ed25519", "x": x, "kid": "a"});
    let n = format!("w{}", "A".repeat(341));
    let bad = [
        json!({"kty": "oct", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U", "alg": "HS256", "kid": "a"}),
        json!({"kty": "OKP", "crv": "Ed25519", "x": x, "use": "enc"}),
        json!({"kty": "OKP", "crv": "Ed25519", "x": x, "key_ops": ["sign"]}),
        json!({"kty": "OKP", "crv": "Ed25519", "x": x, "alg": "RS256"}),
        json!({"kty": "OKP", "crv": "Ed25519", "x": x, "alg": "none"}),
        json!({"kty": "OKP", "crv": "X25519", "x": x}),
        json!({"kty": "OKP", "crv": "Ed25519", "x": "AAAA"}),
        json!({"kty": "OKP", "crv": "Ed25519"}),
        json!({"kty": "EC", "crv": "P-256", "x": x, "y": "AAAA"}),
        json!({"kty": "EC", "crv": "P-521", "x": x, "y": x}),
        json!({"kty": "RSA", "n": "AQAB", "e": "AQAB"}),
        json!({"kty": "RSA", "n": format!("AAAA{}", &n[..338]), "e": "AQAB"}),
        json!({"kty": "RSA", "n": n, "e": "A".repeat(342)}),
        json!({"kty": "RSA", "n": n, "e": "AQAB", "alg": "HS256"}),
        json!({"kty": 1}),
        json!("key"),
        json!(null),
    ];
    for bad in &bad {
        assert!(keys(&json!({"keys": [bad]})).unwrap().is_empty(), "{bad}");
        assert_eq!(keys(&json!({"keys": [bad, good, {"kty": "new"}]})).unwrap().described(), "EdDSA ‘a’", "{bad}");
    }
    assert_eq!(
        keys(&json!({"keys": [{"kty": "RSA", "n": n, "e": "AQAB", "kid": "\u{1b}[2J"}]})).unwrap().described(),
        "RS256/RS384/RS512/PS256/PS384/PS512 ‘?[2J’"
    );
    assert!(keys(&json!({"keys": []})).unwrap().is_empty(), "all keys were taken back");
    assert!(keys(&json!({"keys": vec![&good; 100]})).is_ok());
    for none in [json!({}), json!({"keys": null}), json!([good]), json!({"keys": vec![good; 101]})] {
        assert!(keys(&none).is_err(), "{none}");
    }
}
