//! Numbers in texts of peers.
//!
//! Grammars of the protocols have `1*DIGIT` (RFC 5234, appendix B.1). The parsers of the standard library take a sign in front of
//! it as well, and other readers of the same text, such as a proxy, do not: the two would see different numbers.

use std::str::FromStr;

/// Reads a number that is digits alone. `None` for every other text, and for a number that is too large for its type.
///
/// ```
/// use synctv_media::digits;
///
/// assert_eq!(digits::parse::<u8>("07"), Some(7));
/// assert_eq!([digits::parse::<u8>("+7"), digits::parse("256"), digits::parse("")], [None; 3]);
/// ```
pub fn parse<T: FromStr>(text: &str) -> Option<T> {
    are_digits(text).then(|| text.parse().ok())?
}

/// Reads a number that is digits alone, as [`usize::MAX`] if it is larger than that. `None` for every other text.
pub fn parse_capped(text: &str) -> Option<usize> {
    are_digits(text).then(|| text.parse().unwrap_or(usize::MAX))
}

/// Reads the two digits of an escaped byte (RFC 3986, section 2.1). `None` for every other text.
pub fn parse_hex_byte(text: &str) -> Option<u8> {
    let is_escape = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_escape.then(|| u8::from_str_radix(text, 16).ok())?
}

fn are_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_digits_are_a_number() {
        assert_eq!((parse("0"), parse_capped("0")), (Some(0_u64), Some(0)));
        assert_eq!(parse(&u64::MAX.to_string()), Some(u64::MAX));
        for text in ["", "+1", "-1", "-0", " 1", "1 ", "1.", "0x1", "1_0", "١", "１"] {
            assert_eq!((parse::<u64>(text), parse_capped(text)), (None, None), "{text}");
        }
    }

    #[test]
    fn numbers_that_are_too_large_are_none_or_the_largest() {
        let large = "99999999999999999999999";
        assert_eq!((parse::<u64>(large), parse_capped(large)), (None, Some(usize::MAX)));
    }

    #[test]
    fn an_escaped_byte_has_two_digits() {
        assert_eq!((parse_hex_byte("2F"), parse_hex_byte("f0")), (Some(0x2f), Some(0xf0)));
        for text in ["", "f", "+f", "-1", " f", "0f0", "fg", "é"] {
            assert_eq!(parse_hex_byte(text), None, "{text}");
        }
    }
}
