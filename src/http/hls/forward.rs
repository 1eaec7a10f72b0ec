//! Answers to those who ask for what another node publishes.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
};
use synctv_actors::{
    registry::origin::PULL_HEADER,
    relay::{Answer, Asset, Outcome, Refusal, RelayError, RelayHandle},
};

use super::{super::reply::error, playlist, segment};

/// When to ask again if the publisher's node does not answer, in seconds.
const RETRY_AFTER_S: u32 = 1;

/// What the publisher's node has; `None` if no other node publishes the room. Another node is told of nothing but what
/// is here.
pub(super) async fn answer(request: &HttpRequest, relay: &RelayHandle, asset: Asset) -> Option<HttpResponse> {
    if request.headers().contains_key(PULL_HEADER) {
        return None;
    }
    outcome(request, relay.fetch(asset).await).await
}

async fn outcome(request: &HttpRequest, outcome: Outcome) -> Option<HttpResponse> {
    match outcome {
        Ok(Answer::Playlist(text)) => Some(playlist::text(request, &text)),
        Ok(Answer::Segment(stored)) => Some(segment::answer(request, &stored).await),
        Ok(Answer::Refused(refused)) => Some(refusal(&refused)),
        Ok(Answer::Nowhere) => None,
        Err(error) => Some(failure(&error)),
    }
}

fn refusal(refusal: &Refusal) -> HttpResponse {
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_GATEWAY);
    let mut response = HttpResponse::build(status);
    response
        .insert_header((header::CONTENT_TYPE, refusal.content_type.as_str()))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"));
    if let Some(retry_after) = &refusal.retry_after {
        response.insert_header((header::RETRY_AFTER, retry_after.as_str()));
    }
    response.body(refusal.body.clone())
}

/// The reason is for the log: it names addresses.
fn failure(failure: &RelayError) -> HttpResponse {
    let mut response = match failure {
        RelayError::Origin { node, .. } => error(
            StatusCode::BAD_GATEWAY,
            "origin_unreachable",
            &format!("node {node}, where the room is published, does not answer"),
        ),
        RelayError::Busy | RelayError::Stopped => {
            error(StatusCode::SERVICE_UNAVAILABLE, "busy", &failure.to_string())
        }
    };
    response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER_S.into());
    response
}
