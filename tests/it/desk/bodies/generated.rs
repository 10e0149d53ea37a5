//! Bodies that nobody would write: arbitrary JSON where something else belongs, and good bodies with damage.

use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::{BoxedStrategy, ValueTree as _};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::json;

use super::written::{KNOWN, UNKNOWN, object, utf16, valid, with, wrapped};

const SEED: [u8; 32] = *b"the bodies of dropslip are JSON.";

/// Any JSON text, also one that few would write.
fn json_text() -> BoxedStrategy<String> {
    let odd = select(
        &[
            "null",
            "true",
            "false",
            "0",
            "-0",
            "-1",
            "1.5",
            "1e999",
            "-1e999",
            "9223372036854775808",
            "18446744073709551616",
            "NaN",
            r#""""#,
            r#""\u0000""#,
            r#""\ud800""#,
            r#""attachment""#,
            r#""text/plain""#,
            r#""note.txt""#,
            r#""a.exe""#,
            r#""../..""#,
            "[]",
            "{}",
        ][..],
    );
    let text = prop_oneof!["\\PC{0,20}", proptest::collection::vec(any::<char>(), 0..8).prop_map(String::from_iter)];
    let text = text.prop_map(|text| json!(text).to_string()).boxed();
    let leaf = prop_oneof![
        4 => odd.prop_map(str::to_owned),
        2 => text.clone(),
        1 => any::<i64>().prop_map(|number| number.to_string()),
        1 => any::<u64>().prop_map(|number| number.to_string()),
        1 => any::<f64>().prop_map(|number| number.to_string()),
    ];
    let name = prop_oneof![3 => select(&KNOWN[..]).prop_map(|name| json!(name).to_string()), 1 => Just(r#""file""#.to_owned()), 1 => text];
    leaf.prop_recursive(4, 24, 5, move |inner| {
        let member = (name.clone(), inner.clone()).prop_map(|(name, value)| format!("{name}:{value}"));
        prop_oneof![
            proptest::collection::vec(inner, 0..5).prop_map(|values| format!("[{}]", values.join(","))),
            proptest::collection::vec(member, 0..6).prop_map(|members| format!("{{{}}}", members.join(","))),
        ]
    })
    .boxed()
}

#[derive(Debug, Clone)]
enum Mutation {
    Truncate,
    Flip(u8),
    Overwrite(u8),
    Remove,
    Insert(Vec<u8>),
    Repeat,
    Utf16,
    Mark,
}

impl Mutation {
    fn of(&self, mut body: Vec<u8>, place: prop::sample::Index) -> Vec<u8> {
        if body.is_empty() {
            return body;
        }
        let at = place.index(body.len());
        match self {
            Self::Truncate => body.truncate(at),
            Self::Flip(bit) => body[at] ^= 1 << bit,
            Self::Overwrite(byte) => body[at] = *byte,
            Self::Remove => drop(body.remove(at)),
            Self::Insert(bytes) => drop(body.splice(at..at, bytes.iter().copied())),
            Self::Repeat => body.extend_from_within(at..),
            Self::Utf16 => body = utf16(&String::from_utf8_lossy(&body), u16::to_le_bytes),
            Self::Mark => drop(body.splice(0..0, *b"\xef\xbb\xbf")),
        }
        body
    }
}

fn mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        3 => Just(Mutation::Truncate),
        6 => (0..8_u8).prop_map(Mutation::Flip),
        3 => any::<u8>().prop_map(Mutation::Overwrite),
        3 => Just(Mutation::Remove),
        3 => proptest::collection::vec(any::<u8>(), 1..6).prop_map(Mutation::Insert),
        2 => Just(Mutation::Repeat),
        1 => Just(Mutation::Utf16),
        1 => Just(Mutation::Mark),
    ]
}

fn generated() -> impl Strategy<Value = Vec<u8>> {
    let good = || prop_oneof![Just(valid()), Just(wrapped(&valid())), Just(with("size", "5"))];
    let one_of = |members: &'static [&'static str]| {
        (select(members), json_text(), any::<bool>()).prop_map(|(member, value, wrap)| {
            let body = with(member, &value);
            if wrap { wrapped(&body) } else { body }
        })
    };
    let all_members = (proptest::collection::vec(json_text(), KNOWN.len()), any::<bool>()).prop_map(|(values, wrap)| {
        let members: Vec<_> = KNOWN.into_iter().zip(values.iter().map(String::as_str)).collect();
        if wrap { wrapped(&object(&members)) } else { object(&members) }
    });
    let mutated = (good(), proptest::collection::vec((mutation(), any::<prop::sample::Index>()), 1..4));
    prop_oneof![
        4 => one_of(&KNOWN).prop_map(String::into_bytes),
        1 => one_of(&UNKNOWN).prop_map(String::into_bytes),
        2 => all_members.prop_map(String::into_bytes),
        2 => json_text().prop_map(String::into_bytes),
        4 => mutated.prop_map(|(body, mutations)| mutations.iter().fold(body.into_bytes(), |body, (m, place)| m.of(body, *place))),
    ]
}

/// The same in every run.
pub(super) fn generated_bodies(count: usize) -> Vec<Vec<u8>> {
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &SEED));
    std::iter::repeat_with(|| generated().new_tree(&mut runner).unwrap().current()).take(count).collect()
}
