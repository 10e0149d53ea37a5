//! What must be true of what clients of this dialect send; see `crate::fuzzing`.

use axum::http::Uri;

use super::auth::Credentials;
use super::numbers::{HIGHEST, number};
use super::paths::{leads_to, named};
use super::request::Arguments;
use super::response as xml;

/// A call leads to one path, whatever its spelling, and nothing that is signed stands in that path.
pub(crate) fn spelling(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for start in ["/api/index.php?", "/api/?", "/api/", "/api?e="] {
        let Ok(uri) = format!("{start}{text}").parse::<Uri>() else { continue };
        let Some(led) = leads_to(&uri) else { continue };
        assert!(led.path() == "/api/index.php" || named(led.path().trim_start_matches("/api/")).is_some(), "{uri}: {led}");
        assert!(!led.path().contains(['&', '=']) && !led.path().contains("//") && !led.path().ends_with('/'), "{uri}: {led}");
        assert_eq!(leads_to(&led).filter(|_| led.path() != "/api/index.php"), None, "{uri}: {led}");
    }
    if let Some(number) = number(&text) {
        assert!((1..=HIGHEST).contains(&number), "{text:?}");
    }
    // Whatever is said, one document comes of it.
    let said = xml::line("a", &text);
    let inside = said.strip_suffix("]]></a>\n").and_then(|said| said.split_once("<a><![CDATA[")).map(|(_, inside)| inside);
    let inside = inside.map(|inside| inside.replace("]]]]><![CDATA[>", ""));
    assert!(inside.is_some_and(|inside| !inside.contains("]]>") && !inside.contains(['\0', '\u{b}', '\u{ffff}'])), "{said:?}");
}

/// Credentials are whole or not there, and none is made up.
pub(crate) fn credentials(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Ok(arguments) = Arguments::of(text.as_bytes()) else { return };
    let said = |name: &str| arguments.one(name).ok().flatten().is_some();
    if let Ok(found) = Credentials::of(&arguments) {
        assert_eq!(found.is_some(), said("apikey") && said("salt") && said("signature"), "{text:?}");
        if let Some(found) = found {
            let (salts, signature) = found.judged();
            assert!(salts.len() <= 2 && salts.iter().all(|salt| !salt.is_empty()), "{text:?}");
            assert!(signature.len() <= text.len(), "{text:?}");
        }
    }
}
