//! From when until when a certificate is valid (RFC 5280, section 4.1.2.5).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use synctv_media::digits;

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The fields between a certificate's version and its validity: serial number, signature algorithm, issuer.
const FIELDS_BEFORE: usize = 3;

/// The time in which a certificate counts, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// Its beginning.
    pub not_before_unix_s: u64,
    /// Its end.
    pub not_after_unix_s: u64,
}

impl Validity {
    /// Reads it out of a certificate in DER. `None` if there is something else where it should be.
    pub(super) fn of(certificate: &[u8]) -> Option<Self> {
        let (certificate, _) = content(certificate, SEQUENCE)?;
        let (mut fields, _) = content(certificate, SEQUENCE)?;
        if let Some((_, rest)) = content(fields, VERSION) {
            fields = rest;
        }
        for _ in 0..FIELDS_BEFORE {
            let (_, _, rest) = element(fields)?;
            fields = rest;
        }
        let (validity, _) = content(fields, SEQUENCE)?;
        let (_, _, behind) = element(validity)?;
        Some(Self { not_before_unix_s: time(validity)?, not_after_unix_s: time(behind)? })
    }

    /// Returns what is wrong with it now, if something is.
    pub(super) fn trouble(self, now: SystemTime) -> Option<&'static str> {
        let now_s = now.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
        if now_s > self.not_after_unix_s {
            Some("the certificate has expired")
        } else if now_s < self.not_before_unix_s {
            Some("the certificate is not valid yet")
        } else {
            None
        }
    }
}

/// Tag and content of the first element, and what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, short], rest) = der.split_first_chunk()?;
    let (size_bytes, rest) = match short {
        0..=0x7f => (usize::from(short), rest),
        0x81..=0x84 => {
            let (size, rest) = rest.split_at_checked(usize::from(short - 0x80))?;
            (size.iter().fold(0, |size, byte| size << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(size_bytes)?;
    Some((tag, content, rest))
}

/// The content of the first element, and what follows it, if it is of this kind.
fn content(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    element(der).filter(|(found, ..)| *found == tag).map(|(_, content, rest)| (content, rest))
}

/// The time in the first element, in seconds since 1970.
fn time(der: &[u8]) -> Option<u64> {
    let (tag, text, _) = element(der)?;
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (year, rest) = match tag {
        // Two digits, up to 2049.
        UTC_TIME => {
            let (year, rest) = (number(text, 0)?, text.get(2..)?);
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME => (number(text, 0)? * 100 + number(text, 2)?, text.get(4..)?),
        _ => return None,
    };
    let [month, day, hour, minute, second] = [0, 2, 4, 6, 8]
        .map(|at| number(rest, at))
        .into_iter()
        .collect::<Option<Vec<_>>>()?
        .try_into()
        .ok()?;
    let days = days_since_1970(year, month, day)?;
    Some(days * 86_400 + hour * 3600 + minute * 60 + second)
}

/// Two digits.
fn number(text: &str, at: usize) -> Option<u64> {
    text.get(at..at + 2).and_then(digits::parse)
}

/// Of the Gregorian calendar. `None` before 1970, and for what is no month.
fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    const BEFORE_MONTH: [u64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let leap_days = |years: u64| years / 4 - years / 100 + years / 400;
    let before_month = BEFORE_MONTH.get(usize::try_from(month.checked_sub(1)?).ok()?)?;
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let years = year.checked_sub(1970)? * 365 + leap_days(year - 1) - leap_days(1969);
    Some(years + before_month + u64::from(is_leap && month > 2) + day.checked_sub(1)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn der(tag: u8, content: &[u8]) -> Vec<u8> {
        let size = content.len() as u16;
        let head = if size < 0x80 {
            vec![tag, size as u8]
        } else {
            [&[tag, 0x82][..], &size.to_be_bytes()].concat()
        };
        [head, content.to_vec()].concat()
    }

    fn certificate(version: &[u8], not_before: &[u8], not_after: &[u8]) -> Vec<u8> {
        let validity = der(SEQUENCE, &[not_before, not_after].concat());
        let before = [der(2, &[1; 16]), der(SEQUENCE, &[5; 10]), der(SEQUENCE, &[7; 200])].concat();
        let fields = [version, &before, &validity, &der(SEQUENCE, b"name")].concat();
        der(SEQUENCE, &[der(SEQUENCE, &fields), der(SEQUENCE, b"rsa"), der(3, b"signature")].concat())
    }

    #[test]
    fn both_forms_of_time_are_read_with_and_without_a_version() {
        let (begin, end) = (der(UTC_TIME, b"240229120000Z"), der(GENERALIZED_TIME, b"20500101000001Z"));
        let expected = Validity { not_before_unix_s: 1_709_208_000, not_after_unix_s: 2_524_608_001 };
        for version in [der(VERSION, &[2, 1, 2]), Vec::new()] {
            assert_eq!(Validity::of(&certificate(&version, &begin, &end)), Some(expected));
        }
    }

    #[test]
    fn what_is_no_certificate_has_none() {
        let good = certificate(&[], &der(UTC_TIME, b"700101000000Z"), &der(UTC_TIME, b"700101000000Z"));
        assert!(Validity::of(&good).is_some());
        for end in 0..good.len() {
            assert_eq!(Validity::of(&good[..end]), None, "{end}");
        }
        for time in [&b"701301000000Z"[..], b"690101000000Z", b"7001010000Z", b"70010100000+Z", b"Z"] {
            let end = der(UTC_TIME, time);
            assert_eq!(Validity::of(&certificate(&[], &end, &end)), None, "{time:?}");
        }
    }

    #[test]
    fn trouble_is_outside_of_it() {
        let validity = Validity { not_before_unix_s: 100, not_after_unix_s: 200 };
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(validity.trouble(at(99)), Some("the certificate is not valid yet"));
        assert_eq!((validity.trouble(at(100)), validity.trouble(at(200))), (None, None));
        assert_eq!(validity.trouble(at(201)), Some("the certificate has expired"));
    }
}
