//! Answers to those who ask for a playlist.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, http::header};
use synctv_actors::{
    directory::{DirectoryEnded, StreamDirectory},
    hls::{HlsSessions, PlaylistState, PlaylistText, proxy::PlaylistAddress},
};

use super::{
    super::{api_error::ApiError, compressed::Text, cors},
    admission::Admitted,
};

const CONTENT_TYPE: &str = "application/vnd.apple.mpegurl";

/// Time that a request waits for the first segment.
const FIRST_SEGMENT_TIMEOUT: Duration = Duration::from_secs(10);

/// When to ask again for a playlist that is not there yet, in seconds.
const RETRY_AFTER_S: u32 = 2;

/// A session may end between being found and being asked; the next one may be there by then.
const ATTEMPTS: usize = 2;

/// A playlist of this node.
#[derive(Debug, Clone, Copy)]
pub(super) struct Here {
    pub address: PlaylistAddress,
    /// A playlist that has only lower numbers is outdated.
    pub from_sequence: u64,
}

/// The playlist of this node, if it has one.
pub(super) async fn answer(
    request: &HttpRequest,
    admitted: &Admitted,
    hls: &HlsSessions,
    directory: &StreamDirectory,
    Here { address, from_sequence }: Here,
) -> Result<Option<HttpResponse>, ApiError> {
    for _ in 0..ATTEMPTS {
        let session = hls.open(directory, &admitted.grant, from_sequence).await.map_err(directory_ended)?;
        let Some(session) = session else { return Ok(None) };
        match session.playlist_state(FIRST_SEGMENT_TIMEOUT).await {
            PlaylistState::Ready(playlists) => {
                let playlist = match address {
                    PlaylistAddress::Index => &playlists.index,
                    PlaylistAddress::Flat => &playlists.flat,
                };
                return Ok(Some(text(request, admitted, playlist)));
            }
            PlaylistState::Pending => return Err(pending()),
            PlaylistState::Unsupported(codec) => return Err(codec.into()),
            PlaylistState::Gone => {}
        }
    }
    Ok(None)
}

/// Not 404, which players take for the end of the stream.
pub(super) fn directory_ended(ended: DirectoryEnded) -> ApiError {
    ApiError::from(ended).retry_after(RETRY_AFTER_S)
}

fn pending() -> ApiError {
    ApiError::unavailable("no_segment_yet", "the stream has no segment yet").retry_after(RETRY_AFTER_S)
}

/// A playlist, wherever it is from, with the key that its segments need.
pub(super) fn text(request: &HttpRequest, admitted: &Admitted, text: &PlaylistText) -> HttpResponse {
    match &admitted.segment_key {
        Some(key) => answer_with(request, &text.signed(key)),
        None => answer_with(request, text),
    }
}

fn answer_with(request: &HttpRequest, text: &PlaylistText) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response
        .insert_header((header::CONTENT_TYPE, CONTENT_TYPE))
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .insert_header(cors::ANY_ORIGIN);
    let plain = Text { tag: &text.tag, plain: text.plain.clone() };
    plain.answer(request, response, || text.gzip().cloned())
}
