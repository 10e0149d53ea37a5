//! Events that an older version wrote down.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use super::fixture::{Installation, YOUNG, array};
use crate::harness::Db;
use crate::operation::webhooks::verified;
use crate::receiver::SECRET;

pub async fn old_events_are_delivered(version: &Path, db: Db) {
    let mut old = Installation::copy(version, db, YOUNG).await;
    old.upgrade();
    let of = |state: &str| -> BTreeMap<(String, String), Value> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let events = array(&old.facts["events"]).iter().filter(|event| event["state"] == state);
        events.map(|event| ((format!("/{}", text(&event["endpoint"])), text(&event["id"])), event.clone())).collect()
    };
    let pending = of("pending");
    assert!(!pending.is_empty());
    old.wait_for_events().await;
    let deliveries = old.receiver.deliveries();
    let arrived: BTreeSet<_> = deliveries.iter().map(|delivery| (delivery.path.clone(), delivery.id().to_owned())).collect();
    assert_eq!(arrived, pending.keys().cloned().collect(), "what was to be sent is sent, and nothing else");
    for delivery in &deliveries {
        let event = &pending[&(delivery.path.clone(), delivery.id().to_owned())];
        assert_eq!(delivery.told(), (event["file"].as_i64().unwrap(), event["type"].as_str().unwrap().to_owned()));
        assert_eq!(verified(SECRET, delivery)["payload"], delivery.json());
    }
    let states = |events: &[Value]| -> BTreeMap<String, u32> {
        events.iter().fold(BTreeMap::new(), |mut counts, event| {
            *counts.entry(event["state"].to_string()).or_default() += 1;
            counts
        })
    };
    let mut expected = states(array(&old.facts["events"]));
    *expected.get_mut("\"delivered\"").unwrap() += expected.remove("\"pending\"").unwrap();
    assert_eq!(states(&old.rows(&["events", "list", "--json", "--limit", "10000"])), expected);

    // The endpoint that said that it is gone is told nothing, and what was given up can be sent again.
    let endpoints = old.run(&["events", "endpoints"]);
    let state = |name: &str| endpoints.lines().find(|line| line.starts_with(name)).unwrap().split_whitespace().nth(1).unwrap();
    assert_eq!((state("closed"), state("told")), ("gone", "enabled"), "{endpoints}");
    let given_up: BTreeSet<_> = of("dead").into_keys().filter(|(path, _)| path == "/failing").collect();
    assert!(!given_up.is_empty());
    old.run(&["events", "replay", "--dead", "--endpoint", "failing"]);
    let all = old.receiver.wait_for(deliveries.len() + given_up.len()).await;
    let again: BTreeSet<_> = all[deliveries.len()..].iter().map(|delivery| (delivery.path.clone(), delivery.id().to_owned())).collect();
    assert_eq!(again, given_up);
}
