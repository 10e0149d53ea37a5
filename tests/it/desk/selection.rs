//! `GET /v2/files.json` with filters and orders: what it answers is what plain Rust finds in the same files, on both databases.

mod chance;
mod plain;

use dropslip::database::{Activation, Database, NewRow};
use dropslip::domain::{
    Actor, ActorKind, Caller, Deletion, Disposition, Evidence, File, FileName, Grant, NewFile, Pixels, Scopes, Sealed, TypeLimit, Verdict,
};
use reqwest::StatusCode;
use serde_json::{Value, json};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use crate::harness::{Bed, Db, Setup, TestBroker, answer, error_fields};
use chance::{Dice, filter};
use plain::{FIELDS, expected};

const START: OffsetDateTime = datetime!(2026-01-02 03:04:05.123456 UTC);

const NAMES: [&str; 12] =
    ["a.txt", "B.txt", "b.txt", "Z", "ä.txt", "zz.txt", "100%_.txt", "a\\b'\"$1.txt", "日本.txt", "👩‍🔬.txt", "A.TXT", "_x.txt"];

/// Files of every kind, straight into the database: the bucket is not asked about any.
async fn fill(database: &Database, dice: &mut Dice, tenant: &str, count: usize) -> Vec<File> {
    let mut files = Vec::new();
    for number in 0..count {
        let kind = *dice.of(&[ActorKind::Users, ActorKind::Customers]);
        let actor = Actor { id: i64::try_from(dice.below(4)).unwrap() + 1, kind };
        let caller = Caller { actor, tenant: tenant.parse().unwrap(), scopes: Scopes::all(), types: TypeLimit::default(), dialect: None };
        let at = START + Duration::microseconds(i64::try_from(dice.below(40)).unwrap());
        let new = NewFile {
            type_name: (*dice.of(&["attachment", "image"])).to_owned(),
            name: FileName::sanitized(dice.of(&NAMES).rsplit('\\').next().unwrap()),
            declared_type: None,
            disposition: *dice.of(&Disposition::ALL),
            size: None,
            checksum_sha256: None,
            multipart: None,
        };
        let content_type = dice.of(&["text/plain", "image/png"]).parse().unwrap();
        let grant = Grant { content_type, min_size: 0, max_size: 1 << 40 };
        let unlike_others = format!("{tenant}-{}-{number}", dice.0);
        let staging_key = format!("temp/{unlike_others}");
        let row = NewRow {
            new: &new,
            grant: &grant,
            caller: &caller,
            staging_key: &staging_key.parse().unwrap(),
            multipart: None,
            created_at: at,
            expires_at: START + Duration::DAY * 9000,
        };
        let mut file = *database.insert_file(&row, None).await.unwrap().unwrap();
        let fate = dice.below(10);
        if fate > 0 {
            let key = format!("files/{unlike_others}");
            database.doom(&key, START + Duration::DAY * 9000, false).await.unwrap();
            let pixels = (dice.below(2) == 0).then(|| Pixels { width: u32::try_from(dice.below(3)).unwrap() + 1, height: 7 });
            let decided = dice.of(&["text/plain", "image/jpeg"]).parse().unwrap();
            let evidence = Evidence { detected: None, verdict: Verdict::Matches, decided, pixels };
            let size = *dice.of(&[0, 5, 5, 17, 1 << 40]);
            let actor = Actor { id: 9, kind: ActorKind::Users };
            let at = at + Duration::microseconds(i64::try_from(dice.below(5)).unwrap());
            let sealed = Activation {
                sealed: Sealed { key: key.parse().unwrap(), size, etag: "e".to_owned(), evidence },
                actor,
                origin: dropslip::domain::Origin::Request(actor.into()),
                at,
                keep_until: None,
                late_uploads: Duration::ZERO,
            };
            file = database.activate(&file, &sealed).await.unwrap().unwrap();
        }
        if fate > 7 {
            let at = START + Duration::microseconds(i64::try_from(dice.below(9)).unwrap());
            file = database.delete_file(&file, &Deletion { at, by: actor }, None).await.unwrap().unwrap();
        }
        files.push(file);
    }
    files
}

impl TestBroker {
    async fn select(&self, parameters: &[(&str, &str)]) -> (StatusCode, Value) {
        self.select_as(&self.token, parameters).await
    }

    async fn select_as(&self, token: &str, parameters: &[(&str, &str)]) -> (StatusCode, Value) {
        let query: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
        answer(self.http.get(format!("{}/v2/files.json?{query}", self.base)).bearer_auth(token)).await
    }
}

fn ids(page: &Value) -> Vec<i64> {
    page["files"].as_array().unwrap_or_else(|| panic!("{page}")).iter().map(|file| file["id"].as_i64().unwrap()).collect()
}

async fn lists_have_what_plain_rust_finds(db: Db) {
    let broker = Setup::on(Bed::Embedded).database(db).start().await;
    let mut dice = Dice(20_260_102);
    let there = fill(&broker.database, &mut dice, "default", 90).await;
    fill(&broker.database, &mut dice, "another", 20).await;
    let (_, all) = broker.select(&[("filter", r#"{"state":{"$in":["temp","active","deleted"]}}"#), ("pageSize", "100")]).await;
    let files = all["files"].as_array().unwrap();
    assert_eq!((files.len(), all["pagination"]["records"].as_u64()), (there.len(), Some(90)));
    assert!(files.iter().map(|file| &file["state"]).collect::<std::collections::HashSet<_>>().len() == 3);

    let (mut found, mut empty) = (0, 0);
    for round in 0..250 {
        let (filter, by) = (filter(&mut dice, files, 0), *dice.of(&FIELDS));
        let (descending, size) = (dice.below(2) == 0, *dice.of(&[3, 20, 100]));
        let expected: Vec<i64> = expected(files, &filter, by, descending).into_iter().map(|file| file["id"].as_i64().unwrap()).collect();
        let case = format!("{round}: {filter} by {by} {descending} {size}");
        let (text, most, mode) = (filter.to_string(), size.to_string(), if descending { "desc" } else { "asc" });
        let asked = [("filter", text.as_str()), ("pageSize", most.as_str()), ("orderBy", by), ("orderMode", mode)];
        // By number, then by cursor.
        let (mut met, mut number) = (Vec::new(), 1);
        loop {
            let page_text = number.to_string();
            let (status, page) = broker.select(&[&asked[..], &[("page", &page_text)]].concat()).await;
            assert_eq!(status, 200, "{case}: {page}");
            met.extend(ids(&page));
            let (pagination, meta) = (&page["pagination"], &page["meta"]["page"]);
            let pages = expected.len().div_ceil(size);
            let go_on = met.len() < expected.len();
            assert_eq!(
                *pagination,
                json!({"records": expected.len(), "pageSize": size, "pages": pages, "page": number, "hasMorePages": go_on}),
                "{case}"
            );
            let mut known = meta.clone();
            known.as_object_mut().unwrap().remove("nextCursor");
            assert_eq!(
                known,
                json!({"count": expected.len(), "pageSize": size, "pageOffset": number - 1, "pages": pages, "hasMore": go_on}),
                "{case}"
            );
            if !go_on {
                break;
            }
            number += 1;
        }
        assert_eq!(met, expected, "{case}");
        let (mut met, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let from = cursor.iter().map(|cursor| ("cursor", cursor.as_str())).collect::<Vec<_>>();
            let (status, page) = broker.select(&[&asked[..], &from].concat()).await;
            assert_eq!(status, 200, "{case}: {page}");
            met.extend(ids(&page));
            assert_eq!(page["pagination"].get("records").is_none(), cursor.is_some(), "a page by cursor counts nothing");
            cursor = page["meta"]["page"]["nextCursor"].as_str().map(ToOwned::to_owned);
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(met, expected, "by cursor: {case}");
        found += expected.len();
        empty += usize::from(expected.is_empty());
    }
    // Filters that all find nothing, or everything, would prove little.
    assert!(found > 2000 && (20..200).contains(&empty), "{found} files found, {empty} lists empty");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_have_what_plain_rust_finds_on_sqlite() {
    lists_have_what_plain_rust_finds(Db::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_have_what_plain_rust_finds_on_postgres() {
    lists_have_what_plain_rust_finds(Db::Postgres).await;
}

async fn a_walk_in_any_order_meets_what_stays_once_while_files_come_and_go(db: Db) {
    let broker = Setup::on(Bed::Embedded).database(db).start().await;
    let mut dice = Dice(7);
    let there = fill(&broker.database, &mut dice, "default", 40).await;
    for (by, mode) in [("filename", "asc"), ("createdAt", "desc"), ("pixelWidth", "asc"), ("pixelWidth", "desc"), ("customer", "desc")] {
        let (_, before) = broker.select(&[("orderBy", by), ("orderMode", mode), ("pageSize", "100")]).await;
        let (mut met, mut cursor) = (Vec::new(), String::new());
        loop {
            let mut asked = vec![("orderBy", by), ("orderMode", mode), ("pageSize", "4")];
            if !cursor.is_empty() {
                asked.push(("cursor", &cursor));
            }
            let (status, page) = broker.select(&asked).await;
            assert_eq!(status, 200, "{page}");
            met.extend(ids(&page));
            // Others come, and one that was met goes and comes back.
            fill(&broker.database, &mut dice, "default", usize::from(met.len() < 24)).await;
            let gone = there.iter().rfind(|file| met.contains(&file.id.0)).unwrap();
            let deleted = broker.database.delete_file(gone, &Deletion { at: START, by: gone.created_by }, None).await.unwrap().unwrap();
            let Some(next) = page["meta"]["page"]["nextCursor"].as_str() else {
                broker.database.restore_file(&deleted, deleted.created_by, OffsetDateTime::now_utc()).await.unwrap();
                break;
            };
            next.clone_into(&mut cursor);
            let (status, page) = broker.select(&[("orderBy", by), ("orderMode", mode), ("pageSize", "1"), ("cursor", &cursor)]).await;
            assert_eq!(status, 200, "a place is good without the file that was there: {page}");
            broker.database.restore_file(&deleted, deleted.created_by, OffsetDateTime::now_utc()).await.unwrap();
        }
        let before = ids(&before);
        let others = met.iter().filter(|id| !before.contains(id)).count();
        met.retain(|id| before.contains(id));
        assert_eq!(met, before, "{by} {mode}, with {others} others");
    }
}

#[tokio::test]
async fn a_walk_in_any_order_meets_what_stays_once_while_files_come_and_go_on_sqlite() {
    a_walk_in_any_order_meets_what_stays_once_while_files_come_and_go(Db::Sqlite).await;
}

#[tokio::test]
async fn a_walk_in_any_order_meets_what_stays_once_while_files_come_and_go_on_postgres() {
    a_walk_in_any_order_meets_what_stays_once_while_files_come_and_go(Db::Postgres).await;
}

#[tokio::test]
async fn every_parameter_does_its_part() {
    for db in [Db::Sqlite, Db::Postgres] {
        let broker = Setup::on(Bed::Embedded).database(db).start().await;
        let mut dice = Dice(3);
        let there = fill(&broker.database, &mut dice, "default", 60).await;
        let active = there.iter().filter(|file| file.deletion().is_none() && file.etag().is_some()).count();
        // A bare question mark, nothing, and every name of the SDK's.
        for query in ["", "?"] {
            let (status, page) = answer(broker.request("GET", &format!("/desk/api/v2/files.json{query}"))).await;
            assert_eq!((status.as_u16(), &page["pagination"]["records"], &page["included"]), (200, &json!(active), &json!({})));
        }
        let proper =
            broker.select(&[("pageSize", "7"), ("orderBy", "size"), ("orderMode", "desc"), ("includes", "all"), ("page", "2")]).await.1;
        let sdks =
            broker.select(&[("per_page", "7"), ("sort_by", "size"), ("sort_dir", "desc"), ("embed", "all"), ("pageOffset", "1")]).await.1;
        assert_eq!((proper.clone(), ids(&proper).len()), (sdks, 7));
        let actors = |kind: &str| {
            let of = |file: &Value| ["createdBy", "updatedBy"].map(|name| file[name].clone());
            let named = proper["files"].as_array().unwrap().iter().flat_map(of).filter(|actor| actor["type"] == kind);
            let mut ids: Vec<_> = named.map(|actor| actor["id"].as_i64().unwrap()).collect();
            ids.sort_unstable();
            ids.dedup();
            json!(ids.into_iter().map(|id| json!({"id": id, "type": kind})).collect::<Vec<_>>())
        };
        assert_eq!(proper["included"], json!({"users": actors("users"), "customers": actors("customers")}));
        let only = broker.select(&[("includes", "customers,tickets")]).await.1;
        assert_eq!(only["included"].as_object().unwrap().keys().collect::<Vec<_>>(), ["customers"]);

        // Some members; the number is always there, and what is no member is passed over.
        let some = broker.select(&[("fields", "filename,name,state"), ("pageSize", "1")]).await.1;
        assert_eq!(some["files"][0].as_object().unwrap().keys().collect::<Vec<_>>(), ["filename", "id", "state"]);
        let id = ids(&some)[0];
        let (_, one) = broker.call("GET", &format!("/v2/files/{id}.json?fields=size&includes=all"), None).await;
        assert_eq!(one["file"].as_object().unwrap().keys().collect::<Vec<_>>(), ["id", "size"]);
        assert!(one["included"]["users"].is_array() && one["included"]["customers"].is_array());
        let (_, whole) = broker.call("GET", &format!("/v2/files/{id}.json"), None).await;
        assert_eq!((whole.get("included"), whole["file"]["state"].as_str()), (None, Some("active")));

        // Only these numbers, in the list's own order, and only what is listed anyway.
        let gone = there.iter().find(|file| file.deletion().is_some()).unwrap().id.0;
        let page = broker.select(&[("ids", &format!("{id},987654,{gone}"))]).await.1;
        assert_eq!(ids(&page), [id]);
        let page = broker.select(&[("id", &gone.to_string()), ("filter", r#"{"state":"deleted"}"#)]).await.1;
        assert_eq!((ids(&page), page["files"][0]["deletedAt"].is_string()), (vec![gone], true));

        // Names are searched for what is written, not for patterns.
        let named = |part: &str| {
            let holds = |file: &&File| file.name.as_str().to_ascii_lowercase().contains(part);
            there.iter().filter(holds).filter(|file| file.deletion().is_none() && file.etag().is_some()).count()
        };
        for part in ["a.TXT", "%", "_", "'", "ä", "日", ".txt", "nowhere"] {
            let page = broker.select(&[("q", part), ("pageSize", "100")]).await.1;
            assert_eq!(page["pagination"]["records"], json!(named(&part.to_ascii_lowercase())), "{part}");
        }
        assert!(named("%") > 0 && named("%") < active);

        // Nothing is counted: what is known of the page is told all the same.
        let page = broker.select(&[("skipAggregation", "true"), ("pageSize", "2"), ("page", "2")]).await.1;
        assert_eq!(page["pagination"], json!({"pageSize": 2, "page": 2, "hasMorePages": true}));
        assert_eq!((&page["meta"]["page"]["pageOffset"], page["meta"]["page"].get("count")), (&json!(1), None));
        let page = broker.select(&[("page", "2000"), ("pageSize", "500")]).await.1;
        assert_eq!((ids(&page), &page["pagination"]["records"]), (vec![], &json!(active)), "{page}");
        assert_eq!((&page["pagination"]["pageSize"], &page["pagination"]["hasMorePages"]), (&json!(100), &json!(false)));
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_query_is_named_all_at_once() {
    let broker = TestBroker::on(Bed::Embedded).await;
    let long = "x".repeat(256);
    for (parameters, fields) in [
        (vec![("filter", r#"{"createdAt":{"$gt":1},"$or":[{"id":1},{"size":"x"}]}"#)], vec!["filter.$or[1].size", "filter.createdAt.$gt"]),
        (vec![("filter", "size=5"), ("page", "0"), ("pageSize", "x")], vec!["filter", "page", "pageSize"]),
        (vec![("filter", "{}"), ("filter", "{}")], vec!["filter"]),
        (vec![("orderBy", "tenant"), ("orderMode", "up")], vec!["orderBy", "orderMode"]),
        (vec![("orderBy", "size"), ("sort_by", "id")], vec!["orderBy"]),
        (vec![("page", "2"), ("pageOffset", "2")], vec!["pageOffset"]),
        (vec![("page", "4001")], vec!["page"]),
        (vec![("ids", "1,x"), ("q", &long), ("skipAggregation", "maybe")], vec!["ids", "q", "skipAggregation"]),
        (vec![("q", "\0")], vec!["q"]),
        (vec![("cursor", "AQAAAAAAAAAp"), ("page", "1")], vec!["cursor"]),
        (vec![("cursor", "AQAAAAAAAAAp"), ("orderBy", "size")], vec!["cursor"]),
    ] {
        let (status, body) = broker.select(&parameters).await;
        assert_eq!((status.as_u16(), error_fields(&body)), (400, fields.into_iter().map(ToOwned::to_owned).collect()), "{parameters:?}");
    }
}

#[tokio::test]
async fn no_filter_shows_what_one_may_not_read() {
    for db in [Db::Sqlite, Db::Postgres] {
        let broker = Setup::on(Bed::Embedded).database(db).start().await;
        let mut dice = Dice(11);
        let there = fill(&broker.database, &mut dice, "default", 60).await;
        let others = fill(&broker.database, &mut dice, "another", 30).await;
        let token = async |tenant: &str, id: i64, kind: ActorKind| {
            let caller = Caller {
                actor: Actor { id, kind },
                tenant: tenant.parse().unwrap(),
                scopes: "files:read".parse().unwrap(),
                types: TypeLimit::default(),
                dialect: None,
            };
            let tokens = dropslip::tokens::Tokens::new(broker.database.clone(), None);
            tokens.create(&caller, OffsetDateTime::now_utc()).await.unwrap().1.reveal().to_owned()
        };
        let everything = [
            r#"{"state":{"$nin":[]}}"#,
            r#"{"$or":[{"state":"temp"},{"state":{"$ne":"temp"}}]}"#,
            r#"{"$or":[{"id":{"$gt":0}},{"createdBy.type":"users"},{"state":"active"}]}"#,
        ];
        let list = others.iter().chain(&there).map(|file| file.id.0.to_string()).collect::<Vec<_>>();
        for (tenant, id, kind) in [
            ("default", 1, ActorKind::Customers),
            ("default", 3, ActorKind::Customers),
            ("another", 1, ActorKind::Customers),
            ("another", 1, ActorKind::Users),
        ] {
            let token = token(tenant, id, kind).await;
            let all = if tenant == "default" { &there } else { &others };
            let may = all.iter().filter(|file| kind == ActorKind::Users || file.created_by == Actor { id, kind });
            let mut may: Vec<i64> = may.map(|file| file.id.0).collect();
            may.sort_unstable();
            assert!(!may.is_empty());
            for filter in everything {
                for order in ["id", "size", "deletedAt"] {
                    let (_, page) = broker.select_as(&token, &[("filter", filter), ("orderBy", order), ("pageSize", "100")]).await;
                    let mut seen = ids(&page);
                    seen.sort_unstable();
                    assert_eq!((seen, &page["pagination"]["records"]), (may.clone(), &json!(may.len())), "{filter} {order}");
                }
            }
            let (_, page) = broker.select_as(&token, &[("ids", &list.join(",")), ("filter", everything[0]), ("pageSize", "100")]).await;
            let mut seen = ids(&page);
            seen.sort_unstable();
            assert_eq!(seen, may, "{page}");
        }
        let writer = broker.new_token("default", 1, "files:write").await;
        assert_eq!(broker.select_as(&writer, &[("filter", "{}")]).await.0, 403);
    }
}
