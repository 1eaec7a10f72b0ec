//! Answers to those who ask for a segment.

use std::ops::Range;

use actix_web::{
    HttpRequest, HttpResponse,
    body::BoxBody,
    http::{
        Method, StatusCode,
        header::{self, EntityTag, Header, IfNoneMatch, IfRange},
    },
};
use log::warn;
use synctv_actors::hls::{SegmentFile, SegmentPlace, StoredSegment};

use super::{super::reply::error, body};

/// A sequence number is not used twice, and so a segment's address never means another one. A day, because a cache can
/// have no use of it for longer.
const CACHE_CONTROL: &str = "public, max-age=86400, immutable";

/// What is asked for of a segment.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    Whole,
    Range(Range<usize>),
    /// The range begins behind the segment's end.
    Nothing,
}

/// A segment, wherever it is from.
pub(super) async fn answer(request: &HttpRequest, segment: &StoredSegment) -> HttpResponse {
    let size_bytes = segment.size_bytes();
    let tag = EntityTag::new_strong(format!("{}-{size_bytes:x}", segment.name().sequence));
    let part = part(request, &tag, size_bytes);
    let range = match &part {
        _ if is_known(request, &tag) => return head(StatusCode::NOT_MODIFIED, segment, &tag).finish(),
        Part::Nothing => return out_of_range(size_bytes),
        Part::Whole => 0..size_bytes,
        Part::Range(range) => range.clone(),
    };
    let body = match *request.method() {
        Method::HEAD => Some(body::absent(range.len())),
        _ => content(segment, range.clone()).await,
    };
    let Some(body) = body else { return unknown() };
    match part {
        Part::Range(range) => head(StatusCode::PARTIAL_CONTENT, segment, &tag)
            .insert_header((header::CONTENT_RANGE, content_range(&range, size_bytes)))
            .body(body),
        _ => head(StatusCode::OK, segment, &tag).body(body),
    }
}

pub(super) fn unknown() -> HttpResponse {
    error(StatusCode::NOT_FOUND, "no_such_segment", "there is no such segment, or no longer")
}

async fn content(segment: &StoredSegment, range: Range<usize>) -> Option<BoxBody> {
    match segment.place()? {
        SegmentPlace::Memory(bytes) => Some(body::memory(bytes.slice(range))),
        SegmentPlace::File(path) => match SegmentFile::open(path.clone(), segment.size_bytes()).await {
            Ok(file) => Some(body::file(file, range)),
            // It may have expired just now.
            Err(error) => {
                warn!(path:% = path.display(), reason:% = error; "a segment's file cannot be read");
                None
            }
        },
    }
}

fn head(status: StatusCode, segment: &StoredSegment, tag: &EntityTag) -> actix_web::HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    response
        .insert_header((header::CONTENT_TYPE, segment.name().format.content_type))
        .insert_header((header::CACHE_CONTROL, CACHE_CONTROL))
        .insert_header((header::ETAG, tag.to_string()))
        .insert_header((header::ACCEPT_RANGES, "bytes"))
        .insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"));
    response
}

fn out_of_range(size_bytes: usize) -> HttpResponse {
    let mut response = error(
        StatusCode::RANGE_NOT_SATISFIABLE,
        "range_not_satisfiable",
        &format!("the segment has {size_bytes} bytes"),
    );
    if let Ok(value) = header::HeaderValue::try_from(format!("bytes */{size_bytes}")) {
        response.headers_mut().insert(header::CONTENT_RANGE, value);
    }
    response
}

fn content_range(range: &Range<usize>, size_bytes: usize) -> String {
    format!("bytes {}-{}/{size_bytes}", range.start, range.end - 1)
}

fn is_known(request: &HttpRequest, tag: &EntityTag) -> bool {
    match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => true,
        Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|known| known.weak_eq(tag)),
        Err(_) => false,
    }
}

/// A range of a segment that the client has another version of is no range of this one (RFC 9110, section 13.1.5), and
/// there are ranges for GET only (section 14.2).
fn part(request: &HttpRequest, tag: &EntityTag, size_bytes: usize) -> Part {
    let is_current = match request.headers().get(header::IF_RANGE) {
        Some(_) => matches!(IfRange::parse(request), Ok(IfRange::EntityTag(known)) if known.strong_eq(tag)),
        None => true,
    };
    let is_get = request.method() == Method::GET;
    let range = request.headers().get(header::RANGE).filter(|_| is_current && is_get);
    match range.and_then(|range| range.to_str().ok()) {
        Some(range) => parse_range(range, size_bytes),
        None => Part::Whole,
    }
}

/// One range of bytes. Several, other units and what cannot be read count as none (RFC 9110, section 14.2).
fn parse_range(text: &str, size_bytes: usize) -> Part {
    let bounds = text.trim().strip_prefix("bytes=").and_then(|range| range.split_once('-'));
    let Some((first, last)) = bounds.map(|(first, last)| (first.trim(), last.trim())) else {
        return Part::Whole;
    };
    let range = match (first.parse::<usize>(), last.parse::<usize>()) {
        (Ok(first), Ok(last)) if first <= last => first..last.saturating_add(1).min(size_bytes),
        (Ok(first), Err(_)) if last.is_empty() => first..size_bytes,
        (Err(_), Ok(suffix)) if first.is_empty() => size_bytes.saturating_sub(suffix)..size_bytes,
        _ => return Part::Whole,
    };
    if range.is_empty() { Part::Nothing } else { Part::Range(range) }
}

#[cfg(test)]
mod tests {
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
            ("lines=0-3", Part::Whole),
            ("", Part::Whole),
        ] {
            assert_eq!(parse_range(text, 10), part, "{text}");
        }
        assert_eq!(parse_range("bytes=0-", 0), Part::Nothing);
        assert_eq!(content_range(&(2..10), 10), "bytes 2-9/10");
    }
}
