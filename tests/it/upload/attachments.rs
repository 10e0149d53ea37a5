//! What `attachment` refuses by name: each ending with its source, and none of those that people exchange.

use std::collections::BTreeSet;

use dropslip::domain::{Disposition, FileName, FileType, NewFile};
use dropslip::server::SHIPPED_POLICIES;
use dropslip::{field_names, policy_file};

/// Which endings others hold back, one list a line.
const HELD_BACK: &str = include_str!("../../data/held_back_by_others.tsv");

fn policy() -> &'static str {
    SHIPPED_POLICIES.into_iter().find(|(file, _)| *file == "attachment.toml").unwrap().1
}

/// The text between two others.
fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    text.split_once(start).and_then(|(_, rest)| rest.split_once(end)).unwrap().0
}

/// What the policy says that it takes although others do not: every word that begins with a dot.
fn named_as_taken() -> BTreeSet<&'static str> {
    let words = between(policy(), "\n# Taken, although", "\n\n").split_whitespace();
    words.filter_map(|word| word.strip_prefix('.')).map(|word| word.trim_end_matches(['.', ',', ';', ':', ')'])).collect()
}

fn judged(attachment: &FileType, name: &str) -> Result<String, String> {
    let new = NewFile {
        type_name: attachment.name.clone(),
        name: FileName::sanitized(name),
        declared_type: None,
        disposition: Disposition::Attachment,
        size: Some(1),
        checksum_sha256: None,
        multipart: None,
    };
    attachment
        .judge(&new)
        .map(|allowed| allowed.grant.content_type.to_string())
        .map_err(|errors| format!("{:?}", field_names::spelled(&errors).by_name()))
}

#[test]
fn every_refused_ending_stands_beside_its_source() {
    let list = between(policy(), "refused_extensions = [", "\n]");
    let mut without: Vec<&str> = Vec::new();
    for (line, next) in list.lines().zip(list.lines().skip(1).chain([""])) {
        let sourced = |text: &str| text.contains('[') && text.trim_end().ends_with(']');
        // A comment may go on in the next line.
        if line.contains('"') && !sourced(line) && !(next.trim_start().starts_with('#') && sourced(next)) {
            without.push(line);
        }
    }
    assert!(without.is_empty(), "no source in {without:#?}");
}

#[test]
fn what_others_hold_back_is_refused_or_taken_for_a_reason() {
    let attachment = policy_file::parse(policy()).unwrap();
    let taken = named_as_taken();
    let lists: Vec<_> = HELD_BACK.lines().filter(|line| !line.starts_with('#')).map(|line| line.split_once('\t').unwrap()).collect();
    assert_eq!(lists.len(), 5);
    for (who, endings) in lists {
        let forgotten: Vec<_> = endings
            .split(' ')
            .filter(|ending| !taken.contains(ending) && !attachment.refused_extensions.iter().any(|e| e == ending))
            .collect();
        assert!(forgotten.is_empty(), "{who} holds back {forgotten:?}, of which the policy says nothing");
    }
}

#[test]
fn what_is_said_to_be_taken_is_taken() {
    let attachment = policy_file::parse(policy()).unwrap();
    let taken = named_as_taken();
    // So that a change of the comment's form cannot make this test say nothing.
    assert!(taken.len() > 100 && taken.contains("deb") && taken.contains("mat"), "{taken:?}");
    for ending in taken {
        assert!(judged(&attachment, &format!("file.{ending}")).is_ok(), ".{ending} is refused");
    }
}

#[test]
fn a_refused_ending_is_refused_however_it_is_written() {
    let attachment = policy_file::parse(policy()).unwrap();
    let names =
        ["Photos.library-ms", "Search.Search-MS", "a.searchConnector-ms", "x.SettingContent-ms", "Invoice.pdf.LNK", "setup.MSIXBundle"];
    let names =
        names.into_iter().chain(["Meeting.RDP", "Link.InetLoc", ".theme", "Wi-Fi.mobileConfig", "Tool.AppImage", "app.APK", "page.MHTML"]);
    for name in names {
        let refusal = judged(&attachment, name).unwrap_err();
        assert!(refusal.contains("filename") && refusal.contains("must not end in"), "{name}: {refusal}");
    }
    for ending in &attachment.refused_extensions {
        assert!(judged(&attachment, &format!("FILE.{}", ending.to_uppercase())).is_err(), ".{ending} is taken in capitals");
    }
    // What only begins or ends alike is another ending.
    for name in ["notes.library", "app.tsx", "a.slks", "readme.mjsx", "theme.txt", "lnk"] {
        assert!(judged(&attachment, name).is_ok(), "{name} is refused");
    }
}
