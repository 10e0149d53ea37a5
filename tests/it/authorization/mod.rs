//! Who may do what: every route, asked by every kind of caller, about files of their own and of others.
//!
//! Denied means nothing happened: the whole database and the bucket are as before. And what is not theirs is nothing to them: the answer
//! about another tenant's or another customer's file is, to the byte, the one about a file that does not exist.

pub mod bad_tokens;
pub mod bounded_growth;
pub mod fairness;
pub mod installation_secret;
pub mod jwt;
pub mod limits;
pub mod permissions;
pub mod private;
pub mod rotation;
pub mod smuggling;
pub mod table;
mod world;

use std::collections::BTreeSet;

use serde_json::Value;

use crate::harness::{Bed, Db, project};
use table::{Cell, Row, rows};
use world::{Asked, World};

/// Columns whose caller must not learn that the file exists.
const UNREACHABLE: [&str; 4] = ["cust-c", "cust-u", "alien", "ltd-x"];

#[tokio::test(flavor = "multi_thread")]
async fn every_route_has_its_row_and_every_row_its_route() {
    let world = World::new(Bed::Embedded, Db::Sqlite).await;
    let document: Value = world.broker.http.get(format!("{}/openapi.json", world.broker.base)).send().await.unwrap().json().await.unwrap();
    let methods = ["get", "put", "post", "delete", "patch"];
    let documented: BTreeSet<_> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| item.as_object().unwrap().keys().map(move |method| (method, path)))
        .filter(|(method, _)| methods.contains(&method.as_str()))
        .map(|(method, path)| format!("{} {path}", method.to_uppercase()))
        .collect();
    let listed: Vec<_> = rows().iter().map(|row| format!("{} {}", row.method, row.path)).collect();
    let distinct: BTreeSet<_> = listed.iter().cloned().collect();
    assert_eq!(distinct.len(), listed.len(), "a route has two rows");
    assert_eq!(distinct, documented, "the table of tests/it/authorization/table.rs and the routes differ");
}

async fn every_caller_gets_what_the_table_says(bed: Bed, db: Db) {
    let mut world = World::new(bed, db).await;
    let (mut cells, mut wrong) = (0, Vec::new());
    for row in rows() {
        for (number, (column, cell)) in row.cells.iter().enumerate() {
            let Cell::Status(status) = *cell else { continue };
            // The same routes stand under several prefixes: refusals are tried under each, successes in turn.
            let prefixes = prefixes(row.path);
            let chosen = if status < 400 { &prefixes[number % prefixes.len()..=number % prefixes.len()] } else { &prefixes[..] };
            for prefix in chosen {
                cells += 1;
                if let Err(why) = world.try_cell(&row, column, status, prefix).await {
                    wrong.push(format!("{} {prefix}{} as {column}: {why}", row.method, row.path));
                }
            }
        }
    }
    println!("{db:?}: {cells} requests of {} routes", rows().len());
    assert!(wrong.is_empty(), "{} of {cells}:\n{}", wrong.len(), wrong.join("\n"));
}

/// What stands before a documented path under its other names.
fn prefixes(path: &str) -> Vec<&'static str> {
    match path {
        _ if path.starts_with("/v2/") => vec!["", "/desk/api"],
        // The root takes the same token in the header; the path says so by leaving `/companion` out.
        _ if path.starts_with("/companion/s3/") => vec!["", "-/companion"],
        _ => vec![""],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_caller_gets_what_the_table_says_on_sqlite() {
    Box::pin(every_caller_gets_what_the_table_says(Bed::Embedded, Db::Sqlite)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_caller_gets_what_the_table_says_on_postgres() {
    Box::pin(every_caller_gets_what_the_table_says(Bed::Embedded, Db::Postgres)).await;
}

impl World {
    /// Asks as the column says; `Err` tells what is not as it must be.
    async fn try_cell(&mut self, row: &Row, column: &str, status: u16, prefix: &str) -> Result<(), String> {
        let object = self.object(row.state, column).await;
        let reachable = status != 404 && !UNREACHABLE.contains(&column);
        let harmless = status >= 400 || !reachable && row.state != "-";
        let before = self.everything().await;
        let answer = self.ask(&Asked { row, column, prefix, object: &object }).await;
        if answer.status != status {
            return Err(format!("{} instead of {status}: {}", answer.status, answer.body));
        }
        if !harmless {
            // What does change something is seen to.
            if ["DELETE", "PATCH", "PUT"].contains(&row.method) && self.everything().await == before {
                return Err("nothing was changed".to_owned());
            }
            self.used(row.method, row.state, column);
            return Ok(());
        }
        if self.everything().await != before {
            return Err("something was changed".to_owned());
        }
        // Neither the name nor the key of what is not theirs is told.
        let told = [&object.name, &object.key].into_iter().find(|secret| !secret.is_empty() && answer.body.contains(secret.as_str()));
        if let Some(told) = told {
            return Err(format!("{told} is told: {}", answer.body));
        }
        if row.state == "-" || reachable {
            return Ok(());
        }
        let missing = World::missing();
        let other = self.ask(&Asked { row, column, prefix, object: &missing }).await;
        // A list does not name it.
        let same = answer.whole() == other.whole() || answer.without(&object) == other.without(&missing);
        if same { Ok(()) } else { Err(format!("differs from a file that is none:\n{}\n{}", answer.whole(), other.whole())) }
    }
}

/// The page's files and those of its client: the same for everybody, and they ask for nothing.
#[tokio::test]
async fn the_files_of_the_page_are_for_everybody() {
    let world = World::new(Bed::Embedded, Db::Sqlite).await;
    let source = std::fs::read_to_string(project().join("src/api/page.rs")).unwrap();
    let assets = source.split("assets![").nth(1).unwrap().split("];").next().unwrap();
    let mut paths: Vec<String> = assets.split('"').skip(1).step_by(2).map(|path| format!("/{path}")).collect();
    paths.push("/".to_owned());
    assert!(paths.len() > 10, "{paths:?}");
    for path in paths {
        let url = format!("{}{path}", world.broker.base);
        let open = world.broker.http.get(&url).send().await.unwrap();
        assert_eq!(open.status(), 200, "{path}");
        let open = open.bytes().await.unwrap();
        for column in ["bad", "user", "alien"] {
            let response = world.broker.http.get(&url).bearer_auth(world.token(column)).send().await.unwrap();
            assert_eq!((response.status().as_u16(), response.bytes().await.unwrap()), (200, open.clone()), "{path} as {column}");
        }
        assert_eq!(world.broker.http.post(&url).send().await.unwrap().status(), 405, "{path}");
    }
}

/// Of the secrets here only the store's own lets it speak, and it opens nothing else.
#[tokio::test]
async fn the_secret_of_notifications_is_for_them_alone() {
    let mut world = World::new(Bed::Embedded, Db::Sqlite).await;
    let object = world.object("arrived", "user").await;
    let table = rows();
    let row = table.iter().find(|row| row.path == "/notifications/s3").unwrap();
    assert_eq!(world.ask(&Asked { row, column: "store", prefix: "", object: &object }).await.status, 200);
    for row in rows().iter().filter(|row| row.path.starts_with("/v2/") || row.path.starts_with("/companion/")) {
        let answer = world.ask(&Asked { row, column: "store", prefix: "", object: &object }).await;
        assert_eq!(answer.status, 401, "{} {}", row.method, row.path);
    }
}
