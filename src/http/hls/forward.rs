//! Answers to those who ask for what another node publishes.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
};
use synctv_actors::hls::proxy::{Answer, HlsProxy, HlsProxyError, HlsResource, Outcome, Refusal};

use super::{super::reply::error, admission::Admitted, playlist, segment};

/// When to ask again if the publisher's node does not answer, in seconds.
const RETRY_AFTER_S: u32 = 1;

/// What other nodes have.
pub(super) enum Elsewhere {
    /// The publisher's node has it, or says why not.
    Answered(HttpResponse),
    /// No other node publishes the room.
    Nowhere,
    /// No node publishes the room, and what this one has of it is outdated.
    Past,
    /// The registry does not say. If there is nothing here either, this is the answer.
    Unknown(HttpResponse),
}

/// Asks the publisher's node. Another node is told of nothing but what is here.
pub(super) async fn ask(
    request: &HttpRequest,
    admitted: &Admitted,
    proxy: &HlsProxy,
    resource: HlsResource,
) -> Elsewhere {
    if admitted.is_node {
        return Elsewhere::Nowhere;
    }
    outcome(request, admitted, proxy.fetch(resource).await).await
}

async fn outcome(request: &HttpRequest, admitted: &Admitted, outcome: Outcome) -> Elsewhere {
    Elsewhere::Answered(match outcome {
        Ok(Answer::Nowhere) => return Elsewhere::Nowhere,
        Ok(Answer::Past) => return Elsewhere::Past,
        Ok(Answer::HlsOff { node }) => hls_off(&node),
        Err(error @ HlsProxyError::Registry) => return Elsewhere::Unknown(failure(&error)),
        Ok(Answer::Playlist(text)) => playlist::text(request, admitted, &text),
        Ok(Answer::Segment(stored)) => segment::answer(request, &stored).await,
        Ok(Answer::Refused(refused)) => refusal(&refused),
        Err(error) => failure(&error),
    })
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

fn hls_off(node: &str) -> HttpResponse {
    let message = format!(
        "node {node}, where the room is published, has no HLS; the stream can be watched over HTTP-FLV"
    );
    error(StatusCode::NOT_IMPLEMENTED, "hls_off", &message)
}

/// The reason is for the log: it names addresses.
fn failure(failure: &HlsProxyError) -> HttpResponse {
    let mut response = match failure {
        HlsProxyError::Origin { node, .. } => error(
            StatusCode::BAD_GATEWAY,
            "origin_unreachable",
            &format!("node {node}, where the room is published, does not answer"),
        ),
        HlsProxyError::Registry => {
            error(StatusCode::SERVICE_UNAVAILABLE, "registry_unavailable", &failure.to_string())
        }
        HlsProxyError::Busy | HlsProxyError::Stopped => {
            error(StatusCode::SERVICE_UNAVAILABLE, "busy", &failure.to_string())
        }
    };
    response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER_S.into());
    response
}
