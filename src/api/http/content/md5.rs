//! MD5s as clients write them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

/// An MD5 in hex, in letters of any size, or in base64 (RFC 1864).
pub(in crate::api) fn md5(text: &str) -> Option<[u8; 16]> {
    let text = text.trim();
    let bytes = if text.len() == 32 { hex::decode(text).ok() } else { BASE64.decode(text).ok() };
    bytes?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_and_base64_are_the_same_and_nothing_else_is_an_md5() {
        let md5_of_nothing = Some([0xd4, 0x1d, 0x8c, 0xd9, 0x8f, 0, 0xb2, 4, 0xe9, 0x80, 9, 0x98, 0xec, 0xf8, 0x42, 0x7e]);
        for text in ["d41d8cd98f00b204e9800998ecf8427e", "D41D8CD98F00B204E9800998ECF8427E", " 1B2M2Y8AsgTpgAmY7PhCfg==\t"] {
            assert_eq!(md5(text), md5_of_nothing, "{text}");
        }
        for text in
            ["", "d41d8cd98f00b204e9800998ecf8427", "d41d8cd98f00b204e9800998ecf8427g", "1B2M2Y8AsgTpgAmY7PhCfg", "1B2M2Y8AsgTpgAmY7PhC"]
        {
            assert_eq!(md5(text), None, "{text}");
        }
    }
}
