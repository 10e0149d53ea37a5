//! Brokers of the version before run beside new ones: their tables are there, and their own statements do what they did.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use dropslip::database::Database;
use serde_json::{Value, json};

use super::fixture::{Installation, YOUNG, array, encoded, listed, texts};
use super::rows;
use crate::harness::{Db, execute};

/// Its tokens are made at the command line, which notes no statements.
const INSERT_TOKEN: &str = "INSERT INTO tokens (lookup, secret_sha256, tenant, actor_id, actor_kind, scopes, file_types, expires_at, created_at) \
                            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING id";

/// The staging key of the file that is inserted.
const KEY: &str = "temp/000000000001-00000000000000000000000000000001";

/// What it is called.
const NAME: &str = "Von einem alten Broker, Re\u{301}sume\u{301} \u{1f4e6}.txt";

/// The moment in which it all happens.
fn now(db: Db) -> &'static str {
    if db == Db::Sqlite { "(unixepoch() * 1000000)" } else { "now()" }
}

fn an_hour_later(db: Db) -> &'static str {
    if db == Db::Sqlite { "((unixepoch() + 3600) * 1000000)" } else { "(now() + interval '1 hour')" }
}

fn hash(db: Db, digit: &str) -> String {
    let digits = digit.repeat(64);
    if db == Db::Sqlite { format!("x'{digits}'") } else { format!("'\\x{digits}'::bytea") }
}

/// For each table, what a row of it is made of, in the order of the parameters. `file` is the number of a file.
fn values(db: Db, file: &str) -> BTreeMap<&'static str, Vec<String>> {
    let (now, later, hash) = (now(db), an_hour_later(db), hash(db, "a"));
    let own = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>();
    // Where Postgres takes many rows at once, each parameter is a list.
    let many = |values: Vec<String>| {
        if db == Db::Sqlite { values } else { values.into_iter().map(|value| format!("ARRAY[{value}]")).collect() }
    };
    let named = format!("'{NAME}'");
    let key = format!("'{KEY}'");
    let text = "'text/plain'";
    let mut of_file = own(&["'default'", "'attachment'", &named, "'attachment'", text, text, "1", "1000", "NULL", &key, "NULL", "NULL"]);
    of_file.extend(if db == Db::Sqlite {
        own(&[now, now, later, "1", "'users'", "1", "'users'"])
    } else {
        own(&[now, later, "1", "'users'"])
    });
    let event = format!("[[\"evt_000000000001\",\"told\",\"default\",\"file.activated\",{file},\"{{}}\"]]");
    BTreeMap::from([
        ("files", many(of_file)),
        ("idempotency_keys", many(own(&["'default'", "'users'", "1", "'of an old broker'", &hash, file, now]))),
        ("doomed_objects", own(&["'files/of-an-old-broker'", later, "NULL"])),
        ("storage", own(&["'bucket of nobody'"])),
        ("tokens", own(&["'00000000000000aa'", &hash, "'default'", "1", "'users'", "'files:read'", "'attachment'", "NULL", now])),
        ("shared_keys", own(&["'of an old broker'", &hash])),
        ("ticket_files", own(&["'default'", "77", file, now, "1", "'users'"])),
        ("audit_log", own(&[now, "'default'", "1", "'users'", "'file.activated'", file, "'{}'"])),
        ("events", own(&[&format!("'{event}'"), now])),
        ("gone_endpoints", own(&["'of an old broker'", "'https://example.com/'", now])),
    ])
}

/// How it made a temp file active: the parameters of its `UPDATE`, in the order of their numbers.
fn activation(db: Db, file: &str) -> Vec<String> {
    let (now, name, key) = (now(db), format!("'{NAME}'"), format!("'{KEY}'"));
    let sealed = [
        "'active'",
        "'files/of-an-old-broker'",
        "17",
        "'0123456789abcdef0123456789abcdef'",
        now,
        "1",
        "'users'",
        file,
        "'default'",
        "'temp'",
    ];
    let seen = [key.as_str(), "NULL", "'text/plain'", "'matches'", "NULL", "NULL", name.as_str(), "'attachment'"];
    sealed.iter().chain(&seen).map(|value| (*value).to_owned()).collect()
}

/// The statement with values for its parameters, be they `?` or numbered.
fn filled(statement: &str, values: &[String]) -> String {
    let mut statement = statement.to_owned();
    for (number, value) in values.iter().enumerate().rev() {
        statement = statement.replace(&format!("${}", number + 1), value);
    }
    let mut pieces = statement.split('?');
    let first = pieces.next().unwrap().to_owned();
    let mut values = values.iter();
    let filled = pieces.fold(first, |filled, piece| filled + values.next().map_or("?", String::as_str) + piece);
    assert!(!filled.contains(['?', '$']), "this version names more columns than `values` has: {filled}");
    filled
}

/// The shortest of its statements that begins so: the one about a single row.
fn of_old<'a>(facts: &'a Value, beginning: &str) -> Option<&'a str> {
    texts(&facts["statements"]).into_iter().filter(|statement| statement.starts_with(beginning)).min_by_key(|statement| statement.len())
}

/// Adds a row to each table that the old version knows, by its own statements, and makes the file among them active. Answers the
/// number of that file.
async fn written_by_an_old_broker(url: &str, db: Db, facts: &Value) -> i64 {
    let insert = async |table: &str, values: &[String]| {
        let noted = of_old(facts, &format!("INSERT INTO {table} ("));
        let statement = noted.or((table == "tokens").then_some(INSERT_TOKEN)).unwrap_or_else(|| panic!("no row of {table} was ever made"));
        execute(url, &filled(statement, values)).await;
    };
    let before = rows::counts(url).await;
    insert("files", &values(db, "0")["files"]).await;
    let file = rows::texts(url, &format!("SELECT CAST(id AS TEXT) FROM files WHERE staging_key = '{KEY}'")).await.remove(0);
    for (table, values) in values(db, &file) {
        if table != "files" {
            insert(table, &values).await;
        }
    }
    let after = rows::counts(url).await;
    for table in facts["rows"].as_object().unwrap().keys().filter(|table| !table.contains("sql")) {
        // The table of the storage takes one row and no other.
        let more = u64::from(table != "storage");
        assert_eq!(after[table], before[table] + more, "a row of {table} from an old broker");
    }
    let activate = of_old(facts, "UPDATE files SET state = $1, sealed_key = $2").unwrap();
    let answered = rows::texts(url, &filled(activate, &activation(db, &file)).replace("RETURNING id,", "RETURNING state, id,")).await;
    assert_eq!(answered, ["active"]);
    file.parse().unwrap()
}

/// All that the old version asked of its database.
fn of_the_version(facts: &Value) -> Vec<&str> {
    assert!(array(&facts["statements"]).len() > 30);
    texts(&facts["statements"]).into_iter().chain([INSERT_TOKEN]).collect()
}

pub async fn an_older_broker_finds_its_tables(version: &Path, db: Db) {
    let mut old = Installation::copy(version, db, YOUNG).await;
    let before = rows::columns(&old.database_url).await;
    Database::open(&old.database_url).await.unwrap().close().await;
    let after = rows::columns(&old.database_url).await;
    for (name, column) in &before {
        let now = after.get(name).unwrap_or_else(|| panic!("{name} is gone"));
        assert_eq!(now.kind, column.kind, "{name} is of another type");
        assert!(now.optional || !column.optional, "{name} has to be named now");
    }
    let its_tables: BTreeSet<_> = before.keys().map(|name| name.split_once('.').unwrap().0).collect();
    for (name, column) in after.iter().filter(|(name, _)| !before.contains_key(*name)) {
        let is_new_table = !its_tables.contains(name.split_once('.').unwrap().0);
        assert!(is_new_table || column.optional, "an older broker does not know that it has to name {name}");
    }
    let refused = rows::refused(&old.database_url, &of_the_version(&old.facts)).await;
    assert!(refused.is_empty(), "{refused:#?}");
    assert_eq!(rows::refused(&old.database_url, &["SELECT no_such_column FROM files"]).await.len(), 1);

    let file = written_by_an_old_broker(&old.database_url, db, &old.facts).await;
    old.upgrade();
    let token = old.token("all of default");
    let said = old.must(200, "GET", &format!("/v2/files/{file}.json"), token, None).await;
    assert_eq!((&said["file"]["state"], &said["file"]["filename"]), (&json!("active"), &json!(NAME)), "{said}");
    old.wait_for_names().await;
    for query in [format!("q={}", encoded(NAME)), format!("q={}", encoded("VON EINEM ALTEN"))] {
        assert_eq!(listed(&old, token, &query).await, BTreeSet::from([file]), "{query}");
    }
}
