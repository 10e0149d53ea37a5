//! Randomness comes from one place: the operating system.

/// `N` bytes nobody can guess.
///
/// # Panics
/// When the operating system has no randomness to give; nothing secure can be done then.
#[must_use]
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    #[expect(clippy::expect_used, reason = "without randomness every key and token would be guessable")]
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}
