//! Answers that both HTTP ports give.

use actix_web::{
    HttpResponse,
    http::{StatusCode, header},
};
use serde_json::json;

const METHODS: &str = "GET, HEAD, OPTIONS";

/// The wildcard does not cover Authorization (Fetch, CORS-unsafe request-header names).
const ALLOWED_HEADERS: &str = "Authorization, *";

/// What a browser asks before it asks.
pub(super) fn preflight() -> HttpResponse {
    preflight_of(METHODS)
}

/// The same, where these methods are answered.
pub(super) fn preflight_of(methods: &'static str) -> HttpResponse {
    HttpResponse::NoContent()
        .insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"))
        .insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, methods))
        .insert_header((header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED_HEADERS))
        .insert_header((header::ACCESS_CONTROL_MAX_AGE, "86400"))
        .finish()
}

/// Another method than those that are answered.
pub(super) fn not_allowed() -> HttpResponse {
    not_allowed_but(METHODS)
}

/// The same, where these methods are answered.
pub(super) fn not_allowed_but(methods: &'static str) -> HttpResponse {
    let mut response =
        error(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", &format!("allowed are {methods}"));
    response.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static(methods));
    response
}

/// An error, in JSON: a word for programs and a sentence for people.
pub(super) fn error(status: StatusCode, code: &str, message: &str) -> HttpResponse {
    HttpResponse::build(status)
        .insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .json(json!({ "error": code, "message": message }))
}
