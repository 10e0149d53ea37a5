//! Files that become active on a ticket, move to a post, and go with their last hold.

use std::collections::BTreeMap;

use dropslip::database::{Attached, AuditFilter, Claimed, Database, Released, Selected};
use dropslip::domain::{File, FileId, FileState, PostId, Reach, Selection, TicketId, TicketPlace, TypeLimit};
use serde_json::{Value, json};

use super::{Fixture, NOW, caller, doomed, evidence, fixture, insert, nothing, sealed};
use crate::harness::{Db, execute};

const TICKET: TicketId = TicketId(7);
const OTHER: TicketId = TicketId(8);

fn on_post(post: i64) -> TicketPlace {
    TicketPlace { ticket: TICKET, post: Some(PostId(post)) }
}

/// A temp file whose bytes lie under a doomed key of that name.
async fn arrived(database: &Database, name: &str) -> File {
    database.doom(&format!("files/{name}"), NOW, false).await.unwrap();
    insert(database, "one", &format!("temp/{name}")).await
}

async fn active(database: &Database, name: &str) -> FileId {
    let file = arrived(database, name).await;
    database.activate(&file, &sealed(&format!("files/{name}"), &evidence())).await.unwrap().unwrap().id
}

async fn attach(database: &Database, place: impl Into<TicketPlace>, files: &[FileId]) -> Attached {
    let one = caller("one");
    database.attach(&one.tenant, place.into(), files, 1000, one.actor, NOW).await.unwrap()
}

async fn release(database: &Database, ticket: TicketId, file: FileId) -> Released {
    let one = caller("one");
    database.release_file(&one.tenant, ticket, file, one.actor, NOW).await.unwrap()
}

async fn state(database: &Database, id: FileId) -> FileState {
    database.find_file(&"one".parse().unwrap(), id).await.unwrap().unwrap().state()
}

async fn is_on(database: &Database, ticket: TicketId, id: FileId) -> bool {
    database.is_attached(&"one".parse().unwrap(), ticket, id).await.unwrap()
}

async fn post(database: &Database, id: FileId) -> Option<i64> {
    let place = database.place_of(&"one".parse().unwrap(), TICKET, id).await.unwrap().unwrap();
    assert_eq!(place.ticket, TICKET);
    place.post.map(|post| post.0)
}

/// What the audit log says of a file, oldest first.
async fn lines(database: &Database, id: FileId) -> Vec<(String, Value)> {
    let filter = AuditFilter { file: Some(id), after: Some(0), ..AuditFilter::default() };
    let lines = database.audit_log(&filter, 100).await.unwrap();
    lines.into_iter().map(|line| (line.action, line.details)).collect()
}

/// The numbers and posts of a ticket's files.
async fn listed(database: &Database, post: Option<i64>, after: FileId, limit: u32) -> Vec<(FileId, Option<i64>)> {
    let (one, types, selection) = (caller("one"), TypeLimit::default(), Selection::newest());
    let reach = Reach { tenant: &one.tenant, maker: None, types: &types };
    let selected = Selected { reach, ticket: Some(TICKET), selection: &selection };
    let found = database.attachments(&selected, post.map(PostId), after, limit, &nothing()).await.unwrap();
    found.into_iter().map(|attachment| (attachment.file.id, attachment.post.map(|post| post.0))).collect()
}

async fn files_become_active_on_a_ticket_all_or_none(db: Db) {
    let Fixture { database, url, _folder } = fixture(db).await;
    let (a, b, c) = (arrived(&database, "a").await, arrived(&database, "b").await, arrived(&database, "c").await);
    let [good_a, good_b, good_c] = ["files/a", "files/b", "files/c"].map(|key| sealed(key, &evidence()));
    let nothing_happened = async |case: &str| {
        for file in [&a, &b, &c] {
            assert_eq!(state(&database, file.id).await, FileState::Temp, "{case}");
            assert!(!is_on(&database, TICKET, file.id).await, "{case}");
        }
    };
    // The second one's object may be gone.
    let gone = sealed("files/gone", &evidence());
    let outcome = database.activate_on(&[(&a, &good_a), (&b, &gone)], on_post(31), 10).await.unwrap();
    assert!(matches!(outcome, Claimed::Outdated), "{outcome:?}");
    nothing_happened("outdated").await;
    let outcome = database.activate_on(&[(&a, &good_a), (&b, &good_b)], on_post(31), 1).await.unwrap();
    assert!(matches!(outcome, Claimed::TooMany), "{outcome:?}");
    nothing_happened("too many").await;
    let churned = format!(
        "INSERT INTO audit_log (at, tenant, action, file_id, details) SELECT made.created_at, 'one', 'file.attached', {}, '{{}}' FROM files AS made, \
         (WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 600) SELECT i FROM n) AS numbers WHERE made.id = {}",
        c.id.0, c.id.0
    );
    execute(&url, &churned).await;
    let outcome = database.activate_on(&[(&a, &good_a), (&c, &good_c)], on_post(31), 10).await.unwrap();
    assert!(matches!(outcome, Claimed::TooOften(_)), "{outcome:?}");
    nothing_happened("too often").await;

    let outcome = database.activate_on(&[(&a, &good_a), (&b, &good_b)], on_post(31), 2).await.unwrap();
    let Claimed::All(active) = outcome else { panic!("{outcome:?}") };
    assert_eq!(active.iter().map(|file| (file.id, file.state())).collect::<Vec<_>>(), [a.id, b.id].map(|id| (id, FileState::Active)));
    assert_eq!(listed(&database, None, FileId(0), 10).await, [(a.id, Some(31)), (b.id, Some(31))]);
    for file in [&a, &b] {
        let lines = lines(&database, file.id).await;
        let actions: Vec<_> = lines.iter().map(|(action, _)| action.as_str()).collect();
        assert_eq!(actions, ["file.activated", "file.attached"]);
        assert_eq!((&lines[1].1["ticket"], &lines[1].1["post"]), (&json!(7), &json!(31)));
    }
    assert_eq!(doomed(&database).await, ["files/c", "temp/a", "temp/b"], "their keys are theirs");
}

async fn a_file_moves_to_the_post_that_is_named(db: Db) {
    let Fixture { database, _folder, .. } = fixture(db).await;
    let id = active(&database, "a").await;
    let attached = async || lines(&database, id).await.into_iter().filter(|(action, _)| action == "file.attached").collect::<Vec<_>>();
    for (place, expected, told) in [
        (TICKET.into(), None, 1),
        (TICKET.into(), None, 1),
        (on_post(31), Some(31), 2),
        (on_post(31), Some(31), 2),
        (on_post(32), Some(32), 3),
        (TICKET.into(), Some(32), 3),
    ] {
        assert_eq!(attach(&database, place, &[id]).await, Attached::All);
        assert_eq!(post(&database, id).await, expected, "{place:?}");
        assert_eq!(attached().await.len(), told, "{place:?}: a line when something changed");
    }
    let posts: Vec<_> = attached().await.into_iter().map(|(_, details)| details.get("post").cloned()).collect();
    assert_eq!(posts, [None, Some(json!(31)), Some(json!(32))]);
    let (tenant, other) = ("one".parse().unwrap(), active(&database, "b").await);
    assert_eq!(attach(&database, TICKET, &[other]).await, Attached::All);
    let posts = database.posts_of(&tenant, TICKET, &[id, other, FileId(999)]).await.unwrap();
    assert_eq!(posts, BTreeMap::from([(id, PostId(32))]), "of those that belong to one");
    assert_eq!(database.posts_of(&"two".parse().unwrap(), TICKET, &[id]).await.unwrap(), BTreeMap::new());
    assert_eq!(database.posts_of(&tenant, OTHER, &[id]).await.unwrap(), BTreeMap::new());
    assert!(database.detach(&tenant, TICKET, id, caller("one").actor, NOW).await.unwrap());
    let (action, details) = lines(&database, id).await.pop().unwrap();
    assert_eq!((action.as_str(), &details["post"]), ("file.detached", &json!(32)), "it says where from");
}

async fn a_file_goes_with_its_last_hold(db: Db) {
    let Fixture { database, _folder, .. } = fixture(db).await;
    let (id, temp) = (active(&database, "a").await, insert(&database, "one", "temp/t").await.id);
    assert_eq!(attach(&database, on_post(31), &[id]).await, Attached::All);
    assert_eq!(attach(&database, OTHER, &[id]).await, Attached::All);
    for (ticket, absent) in [(TicketId(9), id), (TICKET, temp), (TICKET, FileId(999))] {
        assert_eq!(release(&database, ticket, absent).await, Released::Absent);
    }
    let (two, by) = ("two".parse().unwrap(), caller("two").actor);
    assert_eq!(database.release_file(&two, TICKET, id, by, NOW).await.unwrap(), Released::Absent, "another tenant's");

    assert_eq!(release(&database, TICKET, id).await, Released::Held);
    assert_eq!((state(&database, id).await, is_on(&database, TICKET, id).await), (FileState::Active, false));
    assert_eq!(release(&database, TICKET, id).await, Released::Absent, "once");
    assert_eq!(release(&database, OTHER, id).await, Released::Deleted);
    assert_eq!((state(&database, id).await, is_on(&database, OTHER, id).await), (FileState::Deleted, false));
    assert_eq!(release(&database, OTHER, id).await, Released::Absent, "once");
    let told = lines(&database, id).await;
    let actions: Vec<_> =
        told.iter().skip(3).map(|(action, details)| (action.as_str(), details["ticket"].as_i64(), details["post"].as_i64())).collect();
    assert_eq!(actions, [("file.detached", Some(7), Some(31)), ("file.detached", Some(8), None), ("file.deleted", None, None)]);
    let file = database.find_file(&"one".parse().unwrap(), id).await.unwrap().unwrap();
    assert_eq!(file.deletion().unwrap().by, caller("one").actor);
    assert_eq!(database.owned_keys(&["files/a".to_owned()]).await.unwrap().len(), 1, "it can be brought back");

    // What is deleted already only waits to be purged: nothing is taken off.
    let deleted = active(&database, "b").await;
    assert_eq!(attach(&database, TICKET, &[deleted]).await, Attached::All);
    let file = database.find_file(&"one".parse().unwrap(), deleted).await.unwrap().unwrap();
    let deletion = dropslip::domain::Deletion { at: NOW, by };
    database.delete_file(&file, &deletion, None).await.unwrap().unwrap();
    assert_eq!(release(&database, TICKET, deleted).await, Released::Absent);
    assert!(is_on(&database, TICKET, deleted).await);
}

/// One is taken off while another ticket wants it: it is on that ticket, or deleted.
async fn a_file_is_released_or_attached_and_never_deleted_on_a_ticket(db: Db) {
    let Fixture { database, _folder, .. } = fixture(db).await;
    let (mut kept, mut gone) = (0, 0);
    for round in 0..40 {
        let id = active(&database, &format!("{round:04}")).await;
        assert_eq!(attach(&database, TICKET, &[id]).await, Attached::All);
        let those = [id];
        // Now the one begins first, now the other.
        let (released, attached) = if round % 2 == 0 {
            tokio::join!(release(&database, TICKET, id), attach(&database, OTHER, &those))
        } else {
            let (attached, released) = tokio::join!(attach(&database, OTHER, &those), release(&database, TICKET, id));
            (released, attached)
        };
        let is_attached = attached == Attached::All;
        assert!(is_attached || attached == Attached::Gone(id), "round {round}: {attached:?}");
        assert_eq!(released, if is_attached { Released::Held } else { Released::Deleted }, "round {round}");
        let expected = if is_attached { FileState::Active } else { FileState::Deleted };
        assert_eq!((state(&database, id).await, is_on(&database, OTHER, id).await), (expected, is_attached), "round {round}");
        assert!(!is_on(&database, TICKET, id).await, "round {round}");
        (kept, gone) = (kept + usize::from(is_attached), gone + usize::from(!is_attached));
    }
    assert!(kept > 0 && gone > 0, "no race: {kept} kept, {gone} gone");
}

/// Of two who take it off two tickets at once, the last one deletes it.
async fn the_last_of_several_holds_deletes_a_file_however_many_are_dropped_at_once(db: Db) {
    let Fixture { database, _folder, .. } = fixture(db).await;
    for round in 0..20 {
        let id = active(&database, &format!("{round:04}")).await;
        for ticket in [TICKET, OTHER, TicketId(9)] {
            assert_eq!(attach(&database, ticket, &[id]).await, Attached::All);
        }
        let (one, two, three) =
            tokio::join!(release(&database, TICKET, id), release(&database, OTHER, id), release(&database, TicketId(9), id));
        let mut outcomes = [one, two, three];
        outcomes.sort_by_key(|outcome| *outcome == Released::Deleted);
        assert_eq!(outcomes, [Released::Held, Released::Held, Released::Deleted], "round {round}");
        assert_eq!(state(&database, id).await, FileState::Deleted, "round {round}");
    }
}

async fn files_of_a_ticket_come_lowest_number_first_and_by_post(db: Db) {
    let Fixture { database, _folder, .. } = fixture(db).await;
    let mut ids = Vec::new();
    for number in 0..5 {
        let id = active(&database, &format!("{number}")).await;
        let place = if number % 2 == 0 { on_post(31) } else { TICKET.into() };
        assert_eq!(attach(&database, place, &[id]).await, Attached::All);
        ids.push(id);
    }
    assert_eq!(attach(&database, OTHER, &[active(&database, "other").await]).await, Attached::All);
    let all: Vec<_> = ids.iter().enumerate().map(|(number, id)| (*id, (number % 2 == 0).then_some(31))).collect();
    assert_eq!(listed(&database, None, FileId(0), 100).await, all);
    assert_eq!(listed(&database, None, FileId(0), 2).await, all[..2]);
    assert_eq!(listed(&database, None, ids[1], 2).await, all[2..4]);
    assert_eq!(listed(&database, Some(31), ids[0], 100).await, [all[2], all[4]]);
    assert_eq!(listed(&database, Some(32), FileId(0), 100).await, []);
    let file = database.find_file(&"one".parse().unwrap(), ids[2]).await.unwrap().unwrap();
    database.delete_file(&file, &dropslip::domain::Deletion { at: NOW, by: file.created_by }, None).await.unwrap();
    assert_eq!(listed(&database, Some(31), FileId(0), 100).await, [all[0], all[4]], "active ones");
    let (types, selection) = (TypeLimit::to(["other".to_owned()]), Selection::newest());
    for reach in [
        Reach { tenant: &"two".parse().unwrap(), maker: None, types: &TypeLimit::default() },
        Reach { tenant: &file.tenant, maker: None, types: &types },
        Reach { tenant: &file.tenant, maker: Some(dropslip::domain::Actor { id: 99, ..file.created_by }), types: &TypeLimit::default() },
    ] {
        let selected = Selected { reach, ticket: Some(TICKET), selection: &selection };
        assert_eq!(database.attachments(&selected, None, FileId(0), 100, &nothing()).await.unwrap(), []);
    }
}

on_both_engines!(
    files_become_active_on_a_ticket_all_or_none,
    a_file_moves_to_the_post_that_is_named,
    a_file_goes_with_its_last_hold,
    a_file_is_released_or_attached_and_never_deleted_on_a_ticket,
    the_last_of_several_holds_deletes_a_file_however_many_are_dropped_at_once,
    files_of_a_ticket_come_lowest_number_first_and_by_post,
);
