//! Lines on stdout and stderr, which whoever reads them may close at any time.
//!
//! `println!` panics then. Here a reader that has seen enough (`| head -1`) is no failure: what is left is said to nobody, and the command
//! goes on to its end and to the exit code that it would have had, which may be a verdict. Only what must not get lost is handed over
//! or fails. Every other reason why stdout takes nothing, such as a full disk, is an error like any.

use std::fmt;
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
