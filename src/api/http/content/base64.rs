//! Base64 that comes in pieces.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// What is said of a text that is none.
pub(super) const NOT_BASE64: &str = "must be base64: A to Z, a to z, 0 to 9, + and /, with = at its end alone";

/// Bytes that are no base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotBase64;

/// Reads base64 however it is cut.
///
/// Line ends and tabs are passed over, and the padding at the end may be missing. Everything else is refused: spaces, the alphabet of URLs,
/// padding in the middle or half of it, and bits at the end that no encoder leaves there.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    /// Characters that are no whole group yet, fewer than four.
    carried: Vec<u8>,
    padding: usize,
}

impl Decoder {
    /// What the next characters come to.
    pub(super) fn take(&mut self, text: &[u8]) -> Result<Vec<u8>, NotBase64> {
        let mut characters = std::mem::take(&mut self.carried);
        let before = characters.len();
        characters.extend(text.iter().filter(|byte| !matches!(byte, b'\r' | b'\n' | b'\t' | 0x0b | 0x0c)));
        let end = characters.iter().position(|byte| *byte == b'=').unwrap_or(characters.len());
        let padding = characters.split_off(end);
        if (self.padding > 0 && end > before) || padding.iter().any(|byte| *byte != b'=') {
            return Err(NotBase64);
        }
        self.padding += padding.len();
        if self.padding > 2 {
            return Err(NotBase64);
        }
        self.carried = characters.split_off(end - end % 4);
        STANDARD_NO_PAD.decode(characters).map_err(|_| NotBase64)
    }

    /// What the last characters come to.
    pub(super) fn end(&mut self) -> Result<Vec<u8>, NotBase64> {
        let carried = std::mem::take(&mut self.carried);
        match (carried.len(), self.padding) {
            (0, 0) | (2, 0 | 2) | (3, 0 | 1) => STANDARD_NO_PAD.decode(carried).map_err(|_| NotBase64),
            _ => Err(NotBase64),
        }
    }
}

/// What a whole text comes to.
///
/// # Errors
/// Why it comes to nothing.
pub(in crate::api) fn decoded(text: &str) -> Result<Vec<u8>, &'static str> {
    let mut decoder = Decoder::default();
    let mut bytes = decoder.take(text.as_bytes()).map_err(|_| NOT_BASE64)?;
    bytes.extend(decoder.end().map_err(|_| NOT_BASE64)?);
    Ok(bytes)
}
