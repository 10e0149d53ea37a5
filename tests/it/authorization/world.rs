//! Callers of every kind, files in every state, and the requests about them.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use dropslip::domain::{Actor, ActorKind, Caller, Scopes, TypeLimit};
use dropslip::tokens::Tokens;
use jsonwebtoken::{EncodingKey, Header};
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::table::Row;
use crate::harness::{Bed, Db, Setup, TestBroker, answer, new_file};
use crate::kayako_classic::client::{FORM, Pair, description, fields, is_signed};
use crate::upload::objects::{Object, POST, uppy_file};

const ALL: &str = "files:read,files:write,files:delete";

const JWT_SECRET: &str = "0123456789abcdef0123456789abcdef";
const ISSUER: &str = "https://id.example.com/";

/// Nobody made it: right in its shape, and in nothing else.
const MADE_UP: &str = "dslip_0123456789abcdef_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// What the store says when it tells of an object; no token of anybody.
const NOTIFICATIONS: &str = "told-by-the-store-0123456789abcdef0123456789";

pub struct World {
    pub broker: TestBroker,
    /// By column.
    tokens: HashMap<&'static str, String>,
    upload_tokens: HashMap<&'static str, String>,
    /// Keys of links, which are for one file each.
    links: HashMap<&'static str, String>,
    /// Those who make the files that are asked about.
    makers: HashMap<&'static str, String>,
    /// By state and maker, until a request has changed it.
    objects: HashMap<(String, &'static str), Object>,
    database: Database,
}

pub struct Asked<'a> {
    pub row: &'a Row,
    pub column: &'a str,
    pub prefix: &'a str,
    pub object: &'a Object,
}

pub struct Answer {
    pub status: u16,
    headers: BTreeMap<String, String>,
    pub body: String,
}

impl Answer {
    /// All of it but the moment.
    pub fn whole(&self) -> String {
        self.but(&["date", "x-request-id"])
    }

    /// The same without what names the object; names differ in length, too.
    pub fn without(&self, object: &Object) -> String {
        let said = self.but(&["date", "x-request-id", "content-length"]).replace(&object.key, "{key}");
        without_number(&without_number(&said, object.id), object.ticket)
    }

    fn but(&self, left_out: &[&str]) -> String {
        let headers: Vec<_> = self.headers.iter().filter(|(name, _)| !left_out.contains(&name.as_str())).collect();
        format!("{} {headers:?} {}", self.status, self.body)
    }
}

/// A text without a number that stands there by itself.
fn without_number(text: &str, number: i64) -> String {
    let number = number.to_string();
    let (mut rest, mut without) = (text, String::new());
    while let Some(at) = rest.find(&number) {
        let (before, after) = (&rest[..at], &rest[at + number.len()..]);
        let is_part = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        let alone = !is_part(before.chars().next_back()) && !is_part(after.chars().next());
        without.push_str(before);
        without.push_str(if alone { "{id}" } else { &number });
        rest = after;
    }
    without + rest
}

enum Database {
    Sqlite(sqlx::SqlitePool),
    Postgres(sqlx::PgPool),
}

impl World {
    pub async fn new(bed: Bed, db: Db) -> Self {
        let mut setup = Setup::on(bed).database(db).setting("DROPSLIP_PAGE", "true").setting("DROPSLIP_NOTIFICATIONS_TOKEN", NOTIFICATIONS);
        for limit in ["REQUESTS_PER_SECOND", "OPEN_SLIPS", "RESERVED_BYTES"] {
            setup = setup.setting(&format!("DROPSLIP_ACTOR_{limit}"), "0").setting(&format!("DROPSLIP_TENANT_{limit}"), "0");
        }
        let jwt = [("SECRET", JWT_SECRET), ("ISSUER", ISSUER), ("AUDIENCE", "dropslip"), ("TENANT", "acme")];
        for (name, value) in jwt {
            setup = setup.setting(&format!("DROPSLIP_JWT_{name}"), value);
        }
        let broker = setup.start().await;
        let database = Database::of(&broker.database_url).await;
        let mut world = Self {
            broker,
            tokens: HashMap::new(),
            upload_tokens: HashMap::new(),
            links: HashMap::new(),
            makers: HashMap::new(),
            objects: HashMap::new(),
            database,
        };
        world.meet().await;
        world
    }

    /// Makes everybody.
    async fn meet(&mut self) {
        use ActorKind::{Customers, Users};
        let people = [
            ("read", "acme", Users, 1, "files:read"),
            ("write", "acme", Users, 1, "files:write"),
            ("del", "acme", Users, 1, "files:delete"),
            ("gone", "acme", Users, 1, ALL),
            ("user", "acme", Users, 2, ALL),
            ("cust", "acme", Customers, 5, ALL),
            ("cust-c", "acme", Customers, 6, ALL),
            ("cust-u", "acme", Customers, 5, ALL),
            ("alien", "globex", Users, 1, ALL),
        ];
        let mut numbers = HashMap::new();
        for (column, tenant, kind, id, scopes) in people {
            let (number, token) = self.new_token(tenant, kind, id, scopes, TypeLimit::default()).await;
            numbers.insert(column, number);
            self.tokens.insert(column, token);
        }
        for (maker, kind, id) in [("a user", Users, 1), ("a customer", Customers, 5)] {
            let (_, token) = self.new_token("acme", kind, id, ALL, TypeLimit::default()).await;
            self.makers.insert(maker, token);
        }
        for (column, types) in [("ltd", "attachment"), ("ltd-x", "image")] {
            let (_, token) = self.new_token("acme", Users, 2, ALL, types.parse().unwrap()).await;
            self.tokens.insert(column, token);
        }
        let scope = ALL.replace(',', " ");
        for (column, scope, secret) in
            [("jwt", scope.as_str(), JWT_SECRET), ("jwt-0", "", JWT_SECRET), ("jwt-x", &scope, &JWT_SECRET.replace('0', "1"))]
        {
            let exp = OffsetDateTime::now_utc().unix_timestamp() + 3600;
            let claims = json!({"iss": ISSUER, "aud": "dropslip", "sub": "2", "scope": scope, "exp": exp});
            let key = EncodingKey::from_secret(secret.as_bytes());
            self.tokens.insert(column, jsonwebtoken::encode(&Header::default(), &claims, &key).unwrap());
        }
        for column in ["write", "gone", "user", "cust", "cust-c", "cust-u", "alien", "ltd", "ltd-x", "jwt"] {
            let types = if column == "ltd-x" { "image" } else { "attachment" };
            let token = self.upload_token(&self.tokens[column], types).await;
            self.upload_tokens.insert(column, token);
        }
        for (column, owner) in [("link", &self.makers["a user"]), ("link-x", &self.tokens["alien"])] {
            let object = self.broker.object("active", owner).await;
            let key = self.link_key(owner, object.id).await;
            self.links.insert(column, key);
        }
        // The proof of another one: right in its shape.
        let good = self.upload_tokens["write"].clone();
        let (said, _) = good.rsplit_once('.').unwrap();
        let (_, proof) = self.upload_tokens["alien"].rsplit_once('.').unwrap();
        let forged = format!("{said}.{proof}");
        self.upload_tokens.insert("bad", forged);
        self.upload_tokens.insert("none", "-".to_owned());
        self.tokens.insert("up", good);
        self.tokens.insert("bad", MADE_UP.to_owned());
        self.tokens.insert("store", NOTIFICATIONS.to_owned());
        assert!(Tokens::new(self.broker.database.clone(), None).revoke(numbers["gone"], OffsetDateTime::now_utc()).await.unwrap());
        // Good tokens are trusted for a moment.
        let deadline = Instant::now() + Duration::from_secs(10);
        while answer(self.broker.http.get(format!("{}/v2/files.json", self.broker.base)).bearer_auth(self.token("gone"))).await.0 != 401 {
            assert!(Instant::now() < deadline, "a revoked token is still good");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn new_token(&self, tenant: &str, kind: ActorKind, id: i64, scopes: &str, types: TypeLimit) -> (i64, String) {
        let scopes: Scopes = scopes.parse().unwrap();
        let caller = Caller { actor: Actor { id, kind }, tenant: tenant.parse().unwrap(), scopes, types, dialect: None };
        let tokens = Tokens::new(self.broker.database.clone(), None);
        let (number, token) = tokens.create(&caller, OffsetDateTime::now_utc()).await.unwrap();
        (number, token.reveal().to_owned())
    }

    async fn upload_token(&self, token: &str, types: &str) -> String {
        let wish = json!({"types": [types]}).to_string();
        let request = self.broker.http.post(format!("{}/companion/tokens.json", self.broker.base));
        let (status, body) = answer(request.bearer_auth(token).body(wish)).await;
        assert_eq!(status, 201, "{body}");
        body["companionEndpoint"].as_str().unwrap().rsplit_once('/').unwrap().1.to_owned()
    }

    /// The key of a file's link.
    async fn link_key(&self, token: &str, id: i64) -> String {
        let (status, body) = answer(self.broker.http.get(format!("{}/v2/files/{id}.json", self.broker.base)).bearer_auth(token)).await;
        assert_eq!(status, 200, "{body}");
        body["file"]["proxyKey"].as_str().unwrap().to_owned()
    }

    pub fn token(&self, column: &str) -> &str {
        &self.tokens[column]
    }

    // ---- files ----

    fn maker(column: &str) -> &'static str {
        if ["cust", "cust-c"].contains(&column) { "a customer" } else { "a user" }
    }

    /// A file in that state of somebody whom the column is about.
    pub async fn object(&mut self, state: &str, column: &str) -> Object {
        let maker = Self::maker(column);
        if let Some(object) = self.objects.get(&(state.to_owned(), maker)) {
            return object.clone();
        }
        let object = self.broker.object(state, &self.makers[maker]).await;
        if state == "attached" {
            self.broker.put_on_ticket(&object, &self.makers["a user"]).await;
        }
        self.objects.insert((state.to_owned(), maker), object.clone());
        object
    }

    /// A request has changed it.
    pub fn used(&mut self, method: &str, state: &str, column: &str) {
        if method != "GET" {
            self.objects.remove(&(state.to_owned(), Self::maker(column)));
        }
    }

    /// A file that there is not.
    pub fn missing() -> Object {
        let key = "temp/01a20173b129-a49807ba1f6e4c3d8b5a9e0c7d2f4b61".to_owned();
        Object {
            id: 7_777_777,
            key,
            name: String::new(),
            etag: "\"5d41402abc4b2a76b9719d911017c592\"".to_owned(),
            ticket: 8_888_888,
            link: None,
        }
    }

    // ---- requests ----

    pub async fn ask(&self, asked: &Asked<'_>) -> Answer {
        let response = self.request(asked).send().await.unwrap();
        let text = |value: &reqwest::header::HeaderValue| value.to_str().unwrap().to_owned();
        let headers = response.headers().iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
        Answer { status: response.status().as_u16(), headers, body: response.text().await.unwrap() }
    }

    fn request(&self, Asked { row, column, prefix, object }: &Asked<'_>) -> RequestBuilder {
        let (id, key) = (object.id.to_string(), &object.key);
        let path = match prefix.strip_prefix('-') {
            Some(left_out) => row.path.strip_prefix(left_out).unwrap().to_owned(),
            None => format!("{prefix}{}", row.path),
        };
        let in_path = row.path.starts_with("/u/");
        let mut path = path
            .replace("{id}", &id)
            .replace("{tid}", &object.ticket.to_string())
            .replace("{ticketid}", &object.ticket.to_string())
            .replace("{ticketpostid}", &POST.to_string())
            .replace("{upload_id}", &id)
            .replace("{part_number}", "1");
        if in_path {
            path = path.replace("{upload_token}", &self.upload_tokens[*column]);
        }
        assert!(!path.contains('{'), "what is to be in {path}?");
        let (query, body) = said(row, object);
        let mut url = format!("{}{path}", self.broker.base);
        let mut query = query.replace("{id}", &id).replace("{key}", key);
        if let Some(key) = self.links.get(*column) {
            // Of this very file, where it is one that has links.
            let own = object.link.as_ref().filter(|_| *column == "link").unwrap_or(key);
            query = format!("{query}&proxyKey={own}");
        }
        if !query.is_empty() {
            url = format!("{url}?{query}");
        }
        if is_signed(row.path) {
            url = format!("{url}{}{}", if url.contains('?') { "&" } else { "?" }, self.signed(column));
        }
        let mut request = self.broker.http.request(row.method.parse().unwrap(), url);
        if (row.method, is_signed(row.path)) == ("POST", true) {
            request = request.header("content-type", FORM).body(description(1, POST, "a.txt", b"Hello"));
        }
        if !in_path && *column != "none" && !column.starts_with("link") {
            request = request.bearer_auth(self.token(column));
        }
        if body.is_null() { request } else { request.body(body.to_string()) }
    }

    /// What proves a call of Kayako Classic. Who has no access token of this broker's own has no pair either, and shows what there is.
    fn signed(&self, column: &str) -> String {
        match self.tokens.get(column) {
            Some(token) if token.starts_with("dslip_") => Pair::of_embedded(&self.broker, token).says("-17"),
            Some(token) => fields(&[("apikey", token), ("salt", "-17"), ("signature", "x")]),
            None => String::new(),
        }
    }

    // ---- what there is ----

    /// Every row of every table, and every object: what a request that is refused leaves as it was.
    pub async fn everything(&self) -> String {
        format!("{}\n{:?}", self.database.rows().await.join("\n"), self.broker.objects().await)
    }
}

/// The query and the body that a route wants, so that nothing but the caller can be wrong.
fn said(row: &Row, object: &Object) -> (&'static str, Value) {
    let below = row.path.trim_start_matches("/companion").trim_start_matches("/u/{upload_token}");
    match (row.method, below) {
        ("POST", "/v2/files/ref.json") => ("", new_file("a.txt", "text/plain")),
        ("POST", "/api/v1/files.json") => ("_filename=a.txt", json!("Hello")),
        ("POST", "/api/v1/files/ref.json") => ("", json!({"name": "a.txt"})),
        ("DELETE", "/v2/files.json" | "/api/v1/files.json") => ("ids={id}", Value::Null),
        ("PUT", "/v2/tickets/{tid}/files.json") | ("POST", "/v2/files/delete.json") => ("", json!({"ids": [object.id]})),
        ("POST", "/v2/files/{id}/parts.json") => ("", json!({"partNumbers": [1]})),
        ("POST", "/tokens.json") => ("", json!({"types": ["attachment"]})),
        ("POST", "/notifications/s3") => {
            let said = json!({"bucket": {"name": "dropslip"}, "object": {"key": object.key}});
            ("", json!({"Records": [{"eventName": "ObjectCreated:Post", "s3": said}]}))
        }
        ("GET", "/s3/params") => ("filename=a.txt&type=text/plain&metadata[fileType]=attachment", Value::Null),
        ("POST", "/s3/multipart") => ("", uppy_file("a")),
        ("GET", "/s3/multipart/{upload_id}/batch") => ("partNumbers=1&key={key}", Value::Null),
        ("POST", "/s3/multipart/{upload_id}/complete") => ("key={key}", json!({"parts": [{"PartNumber": 1, "ETag": object.etag}]})),
        _ if below.starts_with("/s3/") => ("key={key}", Value::Null),
        _ => ("", Value::Null),
    }
}

impl Database {
    async fn of(url: &str) -> Self {
        match url.strip_prefix("sqlite:") {
            Some(_) => Self::Sqlite(sqlx::SqlitePool::connect(url).await.unwrap()),
            None => Self::Postgres(sqlx::PgPool::connect(url).await.unwrap()),
        }
    }

    /// As texts, table by table; without what migrations write down.
    async fn rows(&self) -> Vec<String> {
        let mut all = Vec::new();
        match self {
            Self::Sqlite(pool) => {
                let tables = "SELECT m.name, group_concat('quote(' || c.name || ')', ' || '','' || ') FROM sqlite_master m, \
                    pragma_table_info(m.name) c WHERE m.type = 'table' AND m.name NOT LIKE '\\_sqlx%' ESCAPE '\\' \
                    AND m.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' GROUP BY m.name ORDER BY m.name";
                let tables: Vec<(String, String)> = sqlx::query_as(tables).fetch_all(pool).await.unwrap();
                assert!(tables.len() >= 3, "{tables:?}");
                for (table, columns) in tables {
                    let sql = sqlx::AssertSqlSafe(format!("SELECT '{table}: ' || {columns} AS line FROM {table} ORDER BY line"));
                    let lines: Vec<String> = sqlx::query_scalar(sql).fetch_all(pool).await.unwrap();
                    all.extend(lines);
                }
            }
            Self::Postgres(pool) => {
                let tables = "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public' \
                    AND table_name NOT LIKE '\\_sqlx%' ORDER BY 1";
                let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(pool).await.unwrap();
                assert!(tables.len() >= 3, "{tables:?}");
                for table in tables {
                    let sql = sqlx::AssertSqlSafe(format!("SELECT '{table}: ' || t::text AS line FROM {table} t ORDER BY line"));
                    let lines: Vec<String> = sqlx::query_scalar(sql).fetch_all(pool).await.unwrap();
                    all.extend(lines);
                }
            }
        }
        all
    }
}
