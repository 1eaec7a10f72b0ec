//! Conditional requests (RFC 9110, section 13).

use actix_web::http::header::{EntityTag, Header, IF_RANGE, IfNoneMatch, IfRange};

use super::request_view::RequestView;

/// Returns whether `If-None-Match` names one of a resource's tags, or any: the client has it already.
pub(super) fn is_known(request: &impl RequestView, tags: &[&EntityTag]) -> bool {
    match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => true,
        Ok(IfNoneMatch::Items(known)) => known.iter().any(|known| tags.iter().any(|tag| known.weak_eq(tag))),
        Err(_) => false,
    }
}

/// Returns whether a range is one of this version of a resource: `If-Range` is absent or names its tag (section 13.1.5).
/// A date never does, as segments have none.
pub(super) fn is_range_current(request: &impl RequestView, tag: &EntityTag) -> bool {
    match request.headers().get(IF_RANGE) {
        Some(_) => matches!(IfRange::parse(request), Ok(IfRange::EntityTag(known)) if known.strong_eq(tag)),
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use actix_web::{http::header::IF_NONE_MATCH, test::TestRequest};

    use super::*;

    fn tag(text: &str) -> EntityTag {
        EntityTag::new_strong(text.to_owned())
    }

    #[test]
    fn any_of_several_tags_is_known_weak_or_strong() {
        for (value, expected) in [
            ("\"a\"", true),
            ("\"x\", W/\"a-gzip\"", true),
            ("*", true),
            ("\"x\", W/\"y\"", false),
            ("a", false),
            ("", false),
        ] {
            let request = TestRequest::default().insert_header((IF_NONE_MATCH, value)).to_http_request();
            assert_eq!(is_known(&request, &[&tag("a"), &tag("a-gzip")]), expected, "{value}");
        }
        assert!(!is_known(&TestRequest::default().to_http_request(), &[&tag("a")]));
    }

    #[test]
    fn a_range_is_of_the_version_that_is_named_strongly() {
        for (value, expected) in [
            ("\"a\"", true),
            ("W/\"a\"", false),
            ("\"b\"", false),
            ("Sat, 29 Oct 1994 19:43:31 GMT", false),
            ("nonsense", false),
        ] {
            let request = TestRequest::default().insert_header((IF_RANGE, value)).to_http_request();
            assert_eq!(is_range_current(&request, &tag("a")), expected, "{value}");
        }
        assert!(is_range_current(&TestRequest::default().to_http_request(), &tag("a")));
    }
}
