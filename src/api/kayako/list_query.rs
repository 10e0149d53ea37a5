//! The query of a list: which page, and where the others are.

use url::form_urlencoded::Serializer;

use super::case::snake;
use super::request::Arguments;
use crate::api::http::Fault;
use crate::api::http::field_errors::FieldErrors;
use crate::api::http::query::Query;

/// Files of a page when nobody says how many.
const LIMIT: u32 = 10;

/// Most files of a page: a larger number means this one.
const MOST: u32 = 100;

/// From where on a list has no more files: twice as many as are counted.
const LAST_OFFSET: u32 = 200_000;

/// What may stand in a query and opens something: no link has it.
const SECRETS: [&str; 7] = ["access_token", "_session_id", "_fingerprint_id", "_jwt", "_csrf_token", "_token", "_otp"];

/// A page that is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ListQuery {
    /// So many files are passed over.
    pub(super) offset: u64,
    pub(super) limit: u32,
    /// What else was asked, for links to other pages.
    others: Vec<(String, String)>,
}

impl ListQuery {
    /// Every complaint at once.
    pub(super) fn parse(query: &str) -> Result<Self, Fault> {
        let arguments = Arguments::parsed(query);
        let mut errors = FieldErrors::new();
        let mut number = |name: &str, default: u64, least: u64| {
            let text = arguments.one(name)?;
            let read = text.map_or(Ok(default), |text| whole(name, text, least));
            Ok::<_, Fault>(read.unwrap_or_else(|complaint| {
                errors.merge(complaint);
                default
            }))
        };
        let (offset, limit) = (number("offset", 0, 0)?, number("limit", LIMIT.into(), 1)?);
        let limit = u32::try_from(limit).map_or(MOST, |limit| limit.min(MOST));
        let is_kept = |name: &str| !["offset", "limit"].contains(&name) && !SECRETS.contains(&name);
        let others = Query::parsed(query).members().iter().filter(|(name, _)| is_kept(&snake(name))).cloned().collect();
        errors.or_ok(Self { offset, limit, others }).map_err(Fault::Invalid)
    }

    /// How many files are passed over in the database: to pass over files costs as much as to read them.
    pub(super) fn skipped(&self) -> Option<u32> {
        u32::try_from(self.offset).ok().filter(|offset| *offset <= LAST_OFFSET)
    }

    /// Where the other pages are, by the names of the members that say so.
    pub(super) fn links(&self, list: &str, total: u32) -> Vec<(&'static str, String)> {
        let (total, limit) = (u64::from(total), u64::from(self.limit));
        let end = total.saturating_sub(1) / limit * limit;
        let to = |offset: u64| {
            let query = Serializer::new(String::new()).extend_pairs(&self.others).finish();
            let between = if query.is_empty() { "" } else { "&" };
            format!("{list}?{query}{between}offset={offset}&limit={limit}")
        };
        let mut links = vec![("first_url", to(0))];
        if self.offset > 0 {
            links.push(("previous_url", to(self.offset.min(end + limit).saturating_sub(limit))));
        }
        let next = self.offset.saturating_add(limit);
        if next < total {
            links.push(("next_url", to(next)));
        }
        links.push(("last_url", to(end)));
        links
    }
}

fn whole(name: &str, text: &str, least: u64) -> Result<u64, FieldErrors> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(FieldErrors::one(name, format!("must be a whole number, {least} or higher")));
    }
    // More digits than a number can have are more than the most.
    let number = text.parse().unwrap_or(u64::MAX);
    if number < least { Err(FieldErrors::one(name, format!("must be {least} or higher"))) } else { Ok(number) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Option<(u64, u32)> {
        ListQuery::parse(query).ok().map(|wanted| (wanted.offset, wanted.limit))
    }

    #[test]
    fn pages_are_told_by_offset_and_limit() {
        for (query, expected) in [
            ("", (0, 10)),
            ("limit=99999999999999999999999", (0, 100)),
            ("offset=7&limit=3&after_id=5", (7, 3)),
            ("Offset=7&Limit=3&limit=3", (7, 3)),
            ("limit=101", (0, 100)),
            ("offset=99999999999999999999999", (u64::MAX, 10)),
        ] {
            assert_eq!(read(query), Some(expected), "{query}");
        }
        for bad in [
            "limit=0",
            "limit=-1",
            "limit=ten",
            "limit=1.5",
            "offset=-1",
            "offset=x",
            "limit=5&limit=6",
            "offset=%D9%A1",
            "limit=",
            "offset=",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn links_keep_what_was_asked_and_nothing_that_opens() {
        let links = |query: &str, total| {
            let links = ListQuery::parse(query).unwrap().links("/f", total).into_iter();
            links.map(|(name, url)| format!("{} {url}", name.trim_end_matches("_url"))).collect::<Vec<_>>()
        };
        assert_eq!(links("", 0), ["first /f?offset=0&limit=10", "last /f?offset=0&limit=10"]);
        assert_eq!(
            links("limit=2&offset=2&fields=a%26b&access_token=T&_session_id=S&accessToken=T", 5),
            [
                "first /f?fields=a%26b&offset=0&limit=2",
                "previous /f?fields=a%26b&offset=0&limit=2",
                "next /f?fields=a%26b&offset=4&limit=2",
                "last /f?fields=a%26b&offset=4&limit=2",
            ]
        );
        assert_eq!(
            links("limit=2&offset=50", 4),
            ["first /f?offset=0&limit=2", "previous /f?offset=2&limit=2", "last /f?offset=2&limit=2"]
        );
    }
}
