//! Range requests (RFC 9110, section 14): one range of bytes.

use std::ops::Range;

use actix_web::http::{
    Method,
    header::{EntityTag, RANGE},
};

use synctv_media::digits;

use super::{conditional::is_range_current, request_view::RequestView};

/// The part of a resource that a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    Whole,
    Range(Range<usize>),
    /// The range begins behind the end.
    Nothing,
}

/// Returns the part that a request asks for. Ranges of another version count as none, and so do those of other methods
/// than GET (section 14.2).
pub(super) fn requested(request: &impl RequestView, tag: &EntityTag, size_bytes: usize) -> Part {
    let is_ranged = request.method() == Method::GET && is_range_current(request, tag);
    let range = request.headers().get(RANGE).filter(|_| is_ranged);
    match range.and_then(|range| range.to_str().ok()) {
        Some(range) => parse(range, size_bytes),
        None => Part::Whole,
    }
}

/// Writes `Content-Range` of a range that is not empty.
pub(super) fn content_range(range: &Range<usize>, size_bytes: usize) -> String {
    format!("bytes {}-{}/{size_bytes}", range.start, range.end - 1)
}

/// Reads one range of bytes. Several, other units and what cannot be read count as none (section 14.2).
fn parse(text: &str, size_bytes: usize) -> Part {
    let bounds = text.trim().strip_prefix("bytes=").and_then(|range| range.split_once('-'));
    let Some((first, last)) = bounds.map(|(first, last)| (first.trim(), last.trim())) else {
        return Part::Whole;
    };
    // Positions behind all ends are alike, also those that no number here holds.
    let range = match (digits::parse_capped(first), digits::parse_capped(last)) {
        (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(size_bytes),
        (Some(first), None) if last.is_empty() => first..size_bytes,
        (None, Some(suffix)) if first.is_empty() => size_bytes.saturating_sub(suffix)..size_bytes,
        _ => return Part::Whole,
    };
    if range.is_empty() { Part::Nothing } else { Part::Range(range) }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn ranges_are_read_as_the_rfc_says() {
        for (text, part) in [
            ("bytes=0-3", Part::Range(0..4)),
            ("bytes=2-", Part::Range(2..10)),
            ("bytes=-3", Part::Range(7..10)),
            ("bytes=-30", Part::Range(0..10)),
            ("bytes=5-100", Part::Range(5..10)),
            ("bytes=9-9", Part::Range(9..10)),
            ("bytes=10-", Part::Nothing),
            ("bytes=10-12", Part::Nothing),
            ("bytes=-0", Part::Nothing),
            ("bytes=0-18446744073709551615", Part::Range(0..10)),
            ("bytes=3-2", Part::Whole),
            ("bytes=0-1,3-4", Part::Whole),
            ("bytes=-", Part::Whole),
            ("bytes=x-3", Part::Whole),
            ("bytes=+1-3", Part::Whole),
            ("bytes=1-+3", Part::Whole),
            ("bytes=99999999999999999999-", Part::Nothing),
            ("bytes=99999999999999999999-99999999999999999999", Part::Nothing),
            ("bytes=2-99999999999999999999", Part::Range(2..10)),
            ("bytes=-99999999999999999999", Part::Range(0..10)),
            ("bytes=99999999999999999999-3", Part::Whole),
            ("bytes=+99999999999999999999-", Part::Whole),
            ("lines=0-3", Part::Whole),
            ("", Part::Whole),
        ] {
            assert_eq!(parse(text, 10), part, "{text}");
        }
        assert_eq!(parse("bytes=0-", 0), Part::Nothing);
        assert_eq!(content_range(&(2..10), 10), "bytes 2-9/10");
    }

    #[test]
    fn only_get_has_ranges() {
        for (method, part) in [(Method::GET, Part::Range(0..1)), (Method::HEAD, Part::Whole)] {
            let request =
                TestRequest::default().method(method).insert_header((RANGE, "bytes=0-0")).to_http_request();
            assert_eq!(requested(&request, &EntityTag::new_strong("a".to_owned()), 10), part);
        }
    }
}
