//! Answers about rooms that another node publishes.

use actix_http::Request;
use actix_web::{
    HttpResponse,
    http::{StatusCode, header},
};
use synctv_actors::{
    cluster::origin::LEFT_HEADER,
    hls::{
        PlaylistAddress, StoredPiece,
        proxy::{Answer, HlsProxy, HlsProxyError, HlsResource, Outcome, Refusal},
    },
};

use super::{
    super::{api_error::ApiError, cors},
    admission::Admitted,
    playlist,
    requests::Relayed,
    segment,
};

/// The answers of other nodes.
pub(super) enum Elsewhere {
    /// The publisher's node has it, or says why not.
    Answered(HttpResponse),
    /// No other node publishes the room.
    Nowhere,
    /// The room is, or was last, on this node, which has it from this number on.
    Here { from_sequence: u64 },
    /// No node publishes the room, and what this one has of it is outdated.
    Past,
    /// The registry does not say. If there is nothing here either, this is the answer.
    Unknown(ApiError),
}

/// Asks the publisher's node. A request of another node is answered from this node alone.
pub(super) async fn ask(
    request: &Request,
    admitted: &Admitted,
    proxy: &HlsProxy,
    resource: HlsResource,
) -> Result<Elsewhere, ApiError> {
    if admitted.is_node {
        return Ok(Elsewhere::Nowhere);
    }
    let address = match &resource {
        HlsResource::Playlist { address, .. } => *address,
        HlsResource::Segment { .. } => PlaylistAddress::Index,
    };
    outcome(request, admitted, address, proxy.fetch(resource).await).await
}

/// Answers another node that the room's publisher is not here.
pub(super) fn note_left(mut response: HttpResponse) -> HttpResponse {
    let name = header::HeaderName::from_static(LEFT_HEADER);
    response.headers_mut().insert(name, header::HeaderValue::from_static("1"));
    response
}

async fn outcome(
    request: &Request,
    admitted: &Admitted,
    address: PlaylistAddress,
    outcome: Outcome,
) -> Result<Elsewhere, ApiError> {
    let mut answered = match outcome {
        Ok(Answer::Nowhere) => return Ok(Elsewhere::Nowhere),
        Ok(Answer::Here { from_sequence }) => return Ok(Elsewhere::Here { from_sequence }),
        Ok(Answer::Past) => return Ok(Elsewhere::Past),
        Ok(Answer::HlsOff { node }) => return Err(ApiError::hls_off(&node)),
        Err(error @ HlsProxyError::Registry) => return Ok(Elsewhere::Unknown(error.into())),
        Ok(Answer::Playlist(text)) => playlist::text(request, admitted, address, &text),
        Ok(Answer::Segment(stored)) => segment::answer(request, &StoredPiece::whole(stored)).await?,
        Ok(Answer::Refused(refused)) => refusal(&refused),
        Err(error) => return Err(error.into()),
    };
    answered.extensions_mut().insert(Relayed);
    Ok(Elsewhere::Answered(answered))
}

/// Passes on the other node's refusal.
fn refusal(refusal: &Refusal) -> HttpResponse {
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_GATEWAY);
    let mut response = HttpResponse::build(status);
    response
        .insert_header((header::CONTENT_TYPE, refusal.content_type.as_str()))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header(cors::ANY_ORIGIN);
    if let Some(retry_after) = &refusal.retry_after {
        response.insert_header((header::RETRY_AFTER, retry_after.as_str()));
    }
    response.body(refusal.body.clone())
}
