//! Texts as they are compared: Unicode can spell the same letters in two ways, and people see no difference.

use std::borrow::Cow;

use unicode_normalization::{UnicodeNormalization as _, is_nfc};

/// The text with each letter and its marks as one character, where there is one (NFC).
///
/// What stands for the same in a document stays apart: neither cases nor ligatures are changed.
#[must_use]
pub fn composed(text: &str) -> Cow<'_, str> {
    if text.is_ascii() || is_nfc(text) { Cow::Borrowed(text) } else { Cow::Owned(text.nfc().collect()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn two_spellings_of_the_same_letters_are_one() {
        for (one, other) in [
            ("R\u{e9}sum\u{e9}.pdf", "Re\u{301}sume\u{301}.pdf"),
            ("\u{c5}", "\u{212b}"),
            ("\u{1ebf}", "e\u{302}\u{301}"),
            ("\u{d55c}\u{ae00}", "\u{1112}\u{1161}\u{11ab}\u{1100}\u{1173}\u{11af}"),
            ("\u{304c}", "\u{304b}\u{3099}"),
            ("\u{439}", "\u{438}\u{306}"),
        ] {
            assert_eq!(composed(one), composed(other));
            assert_eq!(composed(one), one);
        }
        for (one, other) in [("e", "\u{e9}"), ("\u{c9}", "\u{e9}"), ("\u{fb01}", "fi"), ("a", "A")] {
            assert_ne!(composed(one), composed(other));
        }
    }

    proptest! {
        #[test]
        fn what_is_composed_stays_as_it_is(text in any::<String>()) {
            let once = composed(&text).into_owned();
            prop_assert_eq!(composed(&once), once.as_str());
            let apart: String = text.nfd().collect();
            prop_assert_eq!(composed(&apart), once.as_str());
        }
    }
}
