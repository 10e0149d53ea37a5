//! Lines on stdout and stderr, which whoever reads them may close at any time.
//!
//! `println!` panics then. Here a reader that has seen enough (`| head -1`) is no failure: what is left is said to nobody, and the command
//! goes on to its end and to the exit code that it would have had, which may be a verdict. Only what must not get lost is handed over
//! or fails. Every other reason why stdout takes nothing, such as a full disk, is an error like any.

use std::fmt::{self, Write as _};
use std::io::{self, ErrorKind, Write as _};

/// Says a line on stdout.
macro_rules! say {
    ($($word:tt)*) => { $crate::output::out(format_args!("{}\n", format_args!($($word)*))) };
}

/// Says a line on stderr. Where nobody reads that, there is nowhere left to say so.
macro_rules! complain {
    ($($word:tt)*) => { $crate::output::err(format_args!("{}\n", format_args!($($word)*))) };
}

pub(crate) use {complain, say};

/// Writes to stdout, for as long as somebody reads it.
///
/// # Errors
/// When it cannot be written for another reason.
pub fn out(text: fmt::Arguments<'_>) -> io::Result<()> {
    match hand_over(text) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Writes to stdout what somebody must take.
///
/// # Errors
/// When nobody does.
pub fn hand_over(text: fmt::Arguments<'_>) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_fmt(text).and_then(|()| stdout.flush());
    written.map_err(|error| io::Error::new(error.kind(), format!("stdout: {error}")))
}

/// Writes to stderr, if that can be.
pub fn err(text: fmt::Arguments<'_>) {
    let _ = io::stderr().lock().write_fmt(text);
}

/// A text that a terminal can be shown: what would move its cursor, change its colours or turn the direction of writing is escaped
/// as JSON does it, so that JSON stays JSON.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_steering(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(shown, "\\u{unit:04x}");
            }
        } else {
            shown.push(c);
        }
    }
    shown
}

/// The same where nobody reads it as JSON: what is not shown is marked.
#[must_use]
pub fn without_controls(text: &str) -> String {
    text.chars().map(|c| if is_steering(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// Controls, marks of direction, joiners and other characters without a glyph.
fn is_steering(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_moves_a_terminal_is_shown_as_it_is() {
        let hostile = "a\u{1b}[2Jb\u{202e}c\u{9b}d\u{e0041}\n\u{200b}";
        assert_eq!(escaped(hostile), "a\\u001b[2Jb\\u202ec\\u009bd\\udb40\\udc41\\u000a\\u200b");
        assert_eq!(without_controls(hostile), "a\u{fffd}[2Jb\u{fffd}c\u{fffd}d\u{fffd}\u{fffd}\u{fffd}");
        for harmless in ["Größe 日本 🙂", ""] {
            assert_eq!((escaped(harmless), without_controls(harmless)), (harmless.to_owned(), harmless.to_owned()));
        }
    }
}
