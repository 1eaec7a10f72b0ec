//! Cross-origin requests: pages of any site may watch, and may read what they get.

use actix_web::{HttpResponse, http::header};

/// The methods that are answered on both ports, except for what is administered.
pub(super) const READ_METHODS: &str = "GET, HEAD, OPTIONS";

/// The header with which pages of any origin may read a response.
pub(super) const ANY_ORIGIN: (&str, &str) = ("Access-Control-Allow-Origin", "*");

/// The wildcard does not cover Authorization (Fetch, CORS-unsafe request-header names).
const ALLOWED_HEADERS: &str = "Authorization, *";

/// The headers of an HLS response that a page of another origin may read.
const EXPOSED_HEADERS: &str = "Content-Length, Content-Range, Date, ETag, Retry-After";

/// Answers a preflight request where these methods are answered.
pub(super) fn preflight(methods: &'static str) -> HttpResponse {
    HttpResponse::NoContent()
        .insert_header(ANY_ORIGIN)
        .insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, methods))
        .insert_header((header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED_HEADERS))
        .insert_header((header::ACCESS_CONTROL_MAX_AGE, "86400"))
        .finish()
}

/// Lets pages of other origins read the headers that HLS players use.
pub(super) fn expose_headers(response: &mut HttpResponse) {
    let exposed = header::HeaderValue::from_static(EXPOSED_HEADERS);
    response.headers_mut().insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
}
