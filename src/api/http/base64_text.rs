//! Bytes as base64 while they come: three of them are four letters, wherever one piece ends and the next begins.

use axum::body::Bytes;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Letters of so many bytes.
pub(super) fn length(bytes: u64) -> u64 {
    bytes.div_ceil(3).saturating_mul(4)
}

/// What came and is no whole group yet.
#[derive(Debug, Default)]
pub(super) struct Encoder(Vec<u8>);

impl Encoder {
    /// The letters of all whole groups.
    pub(super) fn encode(&mut self, piece: &[u8]) -> Bytes {
        let (mut text, mut piece) = (String::with_capacity(piece.len() / 3 * 4 + 8), piece);
        if !self.0.is_empty() {
            let (first, rest) = piece.split_at(piece.len().min(3 - self.0.len()));
            self.0.extend_from_slice(first);
            piece = rest;
            if self.0.len() == 3 {
                STANDARD.encode_string(&self.0, &mut text);
                self.0.clear();
            }
        }
        let (groups, rest) = piece.split_at(piece.len() - piece.len() % 3);
        STANDARD.encode_string(groups, &mut text);
        self.0.extend_from_slice(rest);
        text.into()
    }

    /// Those of the last one, filled up.
    pub(super) fn end(self) -> Bytes {
        STANDARD.encode(self.0).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_whatever_size_are_the_same_text() {
        let bytes: Vec<u8> = (0..=255).collect();
        for all in [0, 1, 2, 3, 4, 5, 255, 256] {
            for size in [1, 2, 3, 4, 5, 7, 64, 300] {
                let mut encoder = Encoder::default();
                let mut text: Vec<u8> = bytes[..all].chunks(size).flat_map(|piece| encoder.encode(piece)).collect();
                text.extend(encoder.end());
                assert_eq!(text, STANDARD.encode(&bytes[..all]).into_bytes(), "{all} by {size}");
                assert_eq!(text.len() as u64, length(all as u64));
            }
        }
    }
}
