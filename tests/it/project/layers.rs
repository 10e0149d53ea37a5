//! The layers of ARCHITECTURE.md hold, and so do the bounds on what a file may use.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

use crate::harness::project;

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// Module by module, what it may name of the crate: arrows point down only.
const MAY_USE: [(&str, &[&str]); 38] = [
    ("disk", &[]),
    ("domain", &["domain"]),
    ("event_json", &["domain", "field_names"]),
    ("failpoint", &[]),
    ("fair", &["domain"]),
    ("field_names", &["domain"]),
    ("metrics", &["metrics"]),
    ("output", &["output"]),
    ("trace", &["domain", "trace"]),
    ("handles", &[]),
    ("installation_secret", &[]),
    ("policy_file", &["domain", "field_names"]),
    ("private", &[]),
    ("random", &[]),
    ("secret_file", &["disk", "domain", "random"]),
    ("listener", &["domain"]),
    ("origins", &[]),
    ("post_policy", &[]),
    ("bucket_events", &["broker", "bucket", "field_names", "metrics"]),
    ("webhooks", &["domain", "failpoint", "metrics", "random", "database"]),
    ("bucket", &["bucket", "domain", "metrics", "post_policy", "trace"]),
    ("database", &["database", "disk", "domain", "event_json", "failpoint", "metrics", "random", "trace"]),
    ("jwt", &["domain", "secret_file"]),
    ("tokens", &["domain", "installation_secret", "jwt", "random", "secret_file", "database"]),
    ("limits", &["domain", "database"]),
    (
        "broker",
        &[
            "bucket",
            "event_json",
            "failpoint",
            "fair",
            "field_names",
            "limits",
            "domain",
            "metrics",
            "post_policy",
            "random",
            "database",
            "zip",
        ],
    ),
    ("sweeper", &["broker", "metrics"]),
    (
        "api",
        &[
            "api",
            "broker",
            "domain",
            "field_names",
            "limits",
            "listener",
            "metrics",
            "origins",
            "proxy_key",
            "random",
            "post_policy",
            "tokens",
            "trace",
        ],
    ),
    ("config", &["domain", "failpoint", "installation_secret", "jwt", "limits", "secret_file"]),
    ("proxy_key", &["domain", "installation_secret"]),
    ("zip", &[]),
    ("embedded_s3", &["bucket", "disk", "listener", "origins", "random", "secret_file"]),
    (
        "server",
        &[
            "api",
            "broker",
            "bucket",
            "config",
            "domain",
            "embedded_s3",
            "installation_secret",
            "jwt",
            "limits",
            "listener",
            "metrics",
            "bucket_events",
            "policy_file",
            "private",
            "proxy_key",
            "random",
            "secret_file",
            "server",
            "database",
            "sweeper",
            "tokens",
            "webhooks",
        ],
    ),
    ("upload", &["upload", "config", "domain", "output", "private", "secret_file"]),
    (
        "check",
        &[
            "broker",
            "bucket",
            "check",
            "domain",
            "field_names",
            "installation_secret",
            "jwt",
            "limits",
            "post_policy",
            "random",
            "secret_file",
            "database",
            "tokens",
        ],
    ),
    (
        "cli",
        &[
            "broker",
            "bucket",
            "cli",
            "config",
            "check",
            "domain",
            "embedded_s3",
            "failpoint",
            "field_names",
            "handles",
            "jwt",
            "metrics",
            "output",
            "post_policy",
            "private",
            "secret_file",
            "server",
            "database",
            "sweeper",
            "tokens",
            "trace",
            "upload",
            "webhooks",
        ],
    ),
    // For tests and the fuzzer only.
    (
        "fuzzing",
        &[
            "api",
            "config",
            "domain",
            "installation_secret",
            "jwt",
            "policy_file",
            "proxy_key",
            "tokens",
            "trace",
            "upload",
            "webhooks",
            "zip",
        ],
    ),
    ("main", &[]),
];

/// Crates that belong to one layer.
const ONLY_IN: [(&str, &[&str]); 12] = [
    ("aws_", &["bucket"]),
    ("sqlx::", &["database"]),
    ("use s3s", &["embedded_s3"]),
    ("rustix::", &["handles", "private", "cli"]),
    ("axum::", &["api", "listener", "embedded_s3"]),
    ("clap::", &["cli", "upload"]),
    ("jsonwebtoken", &["jwt"]),
    ("now_utc", &["api", "cli", "bucket", "check", "bucket_events", "server", "sweeper", "upload", "webhooks"]),
    ("ipnet::", &["domain"]),
    ("hkdf::", &["installation_secret"]),
    ("prometheus_client::", &["metrics"]),
    ("opentelemetry", &["trace"]),
];

fn module_of(path: &Path) -> String {
    let inside = path.strip_prefix(project().join("src")).unwrap();
    inside.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs").to_owned()
}

/// The code of a file: comments and its unit tests may name anything.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The modules of the crate that a code names.
fn modules_used(code: &str) -> Vec<String> {
    let names = code.split("crate::").skip(1).map(|rest| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
    names.filter(|name: &String| !name.is_empty()).collect()
}

/// Those of them that a module may not use.
fn not_below(module: &str, used: &[String]) -> Vec<String> {
    let place = MAY_USE.iter().find(|(name, _)| *name == module);
    let (_, allowed) = place.unwrap_or_else(|| panic!("{module} has no place in the layers"));
    used.iter().filter(|name| !allowed.contains(&name.as_str())).cloned().collect()
}

#[test]
fn arrows_point_down_only() {
    let mut checked = 0;
    for path in sources(&project().join("src")) {
        let module = module_of(&path);
        if module == "lib" {
            continue;
        }
        let used = modules_used(&code(&path));
        let above = not_below(&module, &used);
        assert!(above.is_empty(), "{} uses {above:?}", path.display());
        checked += used.len();
    }
    assert!(checked > 30, "only {checked} uses were found: does this test still read the sources?");
}

#[test]
fn an_arrow_that_points_up_is_found() {
    let used = modules_used("use crate::broker::Broker;\nuse crate::bucket_events::run; fn f() { crate::database::open() }");
    assert_eq!(used, ["broker", "bucket_events", "database"]);
    assert_eq!(not_below("api", &used), ["bucket_events", "database"], "a dialect reaches the database through the broker alone");
    assert!(not_below("broker", &["database".to_owned(), "bucket".to_owned()]).is_empty());
}

/// The dialects: each has a folder of its own.
fn dialects() -> BTreeSet<String> {
    let entries = fs::read_dir(project().join("src/api")).unwrap().map(|entry| entry.unwrap());
    let folders = entries.filter(|entry| entry.path().join("mod.rs").exists()).map(|entry| entry.file_name().into_string().unwrap());
    folders.filter(|name| name != "http").collect()
}

/// The names in a code: no comments, no texts.
fn names_in(code: &str) -> BTreeSet<String> {
    let texts = Regex::new(r#"(?s)'\\?"'|"(?:[^"\\]|\\.)*"|//[^\n]*"#).unwrap();
    let plain = texts.replace_all(code, " ");
    plain.split(|c: char| !c.is_alphanumeric() && c != '_').map(str::to_owned).collect()
}

/// Which dialects a file of `api/` names that it may not: `place` is its path below that folder.
fn foreign_dialects(place: &str, code: &str, dialects: &BTreeSet<String>) -> Vec<String> {
    if place == "mod.rs" {
        return Vec::new();
    }
    let own = place.split('/').next().unwrap_or_default();
    names_in(code).intersection(dialects).filter(|name| *name != own).cloned().collect()
}

#[test]
fn no_dialect_names_another_and_only_the_table_names_all() {
    let (dialects, folder) = (dialects(), project().join("src/api"));
    assert!(dialects.len() >= 2, "{dialects:?}");
    for path in sources(&folder) {
        let (place, code) = (path.strip_prefix(&folder).unwrap().to_str().unwrap().to_owned(), code(&path));
        let foreign = foreign_dialects(&place, &code, &dialects);
        assert!(foreign.is_empty(), "src/api/{place} names {foreign:?}");
        assert!(!code.contains("/v2") || place.starts_with("desk/"), "src/api/{place} has a path of Desk's");
    }
    let table = names_in(&code(&folder.join("mod.rs")));
    assert!(dialects.is_subset(&table), "not every dialect is in the table");
}

#[test]
fn a_dialect_that_names_another_is_found() {
    let dialects = ["desk", "companion"].map(str::to_owned).into();
    let found = |place: &str, code: &str| foreign_dialects(place, code, &dialects);
    for named in ["use crate::api::desk::errors;", "use super::{desk, http};", "let body = desk::error_body('\"', \"x\");"] {
        assert_eq!(found("companion/mod.rs", named), ["desk"], "{named}");
        assert_eq!(found("http/fault.rs", named), ["desk"], "{named}");
        assert_eq!(found("openapi.rs", named), ["desk"], "{named}");
        assert!(found("desk/mod.rs", named).is_empty() && found("mod.rs", named).is_empty(), "{named}");
    }
    for other in ["let text = \"desk\"; // as desk does", "use crate::api::http::desktop;", "let quoted = '\"'; let text = \"desk\";"] {
        assert!(found("companion/mod.rs", other).is_empty(), "{other}");
    }
}

#[test]
fn each_dialect_has_the_same_shape() {
    for dialect in dialects() {
        for part in ["mod", "auth", "request", "response", "errors"] {
            let path = project().join("src/api").join(&dialect).join(part).with_extension("rs");
            assert!(path.exists(), "{} is missing", path.display());
        }
    }
}

#[test]
fn each_outside_library_has_its_layer() {
    let mut used = BTreeSet::new();
    for path in sources(&project().join("src")) {
        let (module, code) = (module_of(&path), code(&path));
        for (library, modules) in ONLY_IN {
            assert!(!code.contains(library) || modules.contains(&module.as_str()), "{} uses {library}", path.display());
            used.extend(code.contains(library).then_some(library));
        }
    }
    assert_eq!(used, ONLY_IN.map(|(library, _)| library).into(), "what nobody uses is not looked for by its right name");
}

/// Words of dialects that nothing else is called: those of the database's columns are written otherwise.
fn wire_names() -> BTreeSet<&'static str> {
    dropslip::api::wire_names().filter(|name| name.contains(|c: char| c.is_uppercase() || ".[]-".contains(c))).collect()
}

/// Every wire name that stands in a text of the code, with the text.
fn wire_names_in(code: &str, names: &BTreeSet<&'static str>) -> Vec<(&'static str, String)> {
    let is_part = |c: char| c.is_alphanumeric() || "_-".contains(c);
    let mut found = Vec::new();
    for text in texts(code) {
        for name in names {
            let alone = text.match_indices(name).any(|(at, _)| {
                let (before, after) = (text[..at].chars().next_back(), text[at + name.len()..].chars().next());
                !before.is_some_and(is_part) && !after.is_some_and(is_part)
            });
            found.extend(alone.then(|| (*name, text.clone())));
        }
    }
    found
}

/// The texts of a file: what stands in quotes, also where a macro is told it.
struct Texts(Vec<String>);

impl syn::parse::Parse for Texts {
    fn parse(input: syn::parse::ParseStream<'_>) -> syn::Result<Self> {
        let mut texts = Vec::new();
        input.step(|cursor| Ok(((), collect(*cursor, &mut texts))))?;
        Ok(Self(texts))
    }
}

fn collect<'a>(mut cursor: syn::buffer::Cursor<'a>, texts: &mut Vec<String>) -> syn::buffer::Cursor<'a> {
    loop {
        if let Some((inside, _, _, after)) = cursor.any_group() {
            collect(inside, texts);
            cursor = after;
        } else if let Some((literal, after)) = cursor.literal() {
            texts.push(literal.to_string());
            cursor = after;
        } else if let Some((_, after)) = cursor.token_tree() {
            cursor = after;
        } else {
            return cursor;
        }
    }
}

fn texts(code: &str) -> Vec<String> {
    syn::parse_str::<Texts>(code).unwrap().0
}

#[test]
fn the_core_knows_no_word_of_a_dialect() {
    let names = wire_names();
    for known in ["mimeType", "checksumSHA256", "createdBy.id", "Idempotency-Key", "alreadyDeleted", "fileName"] {
        assert!(names.contains(known), "{known} is no wire name: does this test still read the tables?");
    }
    for (made_up, found) in [
        (r#"errors.add("mimeType", "must be set");"#, vec!["mimeType"]),
        (r#"format!("must be the same as fileName")"#, vec!["fileName"]),
        (r#"json!({"createdBy": {"id": 1}})"#, vec!["createdBy"]),
        (r#"const SQL: &str = "SELECT mime_type, created_by_id FROM files";"#, vec![]),
        (r#"struct mimeType; fn f() -> &'static str { "mimeTypes, my-Idempotency-Key" }"#, vec![]),
    ] {
        assert_eq!(wire_names_in(made_up, &names).into_iter().map(|(name, _)| name).collect::<Vec<_>>(), found, "{made_up}");
    }
    let mut read = 0;
    for path in sources(&project().join("src")).iter().filter(|path| ["domain", "broker", "database"].contains(&module_of(path).as_str())) {
        let found = wire_names_in(&code(path), &names);
        assert!(found.is_empty(), "{} has words of a dialect: {found:?}", path.display());
        read += texts(&code(path)).len();
    }
    assert!(read > 1_000, "only {read} texts were read");
}

#[test]
fn files_stay_readable() {
    for path in sources(&project().join("src")).into_iter().chain(sources(&project().join("tests"))) {
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= 500, "{} has {lines} lines", path.display());
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert!(!["utils", "helpers", "common"].contains(&name), "{} says nothing of what it holds", path.display());
    }
}

#[test]
fn both_engines_have_the_same_migrations() {
    let names = |engine: &str| {
        let entries = fs::read_dir(project().join("migrations").join(engine)).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names("sqlite"), names("postgres"));
}
