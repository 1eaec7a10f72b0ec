//! Answers to those who ask for a playlist.

use std::time::Duration;

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    http::{
        Method, StatusCode,
        header::{self, EntityTag, Header, IfNoneMatch},
    },
};
use serde_json::json;
use synctv_actors::{
    directory::{DirectoryEnded, StreamDirectory},
    hls::{HlsSessions, PlaylistState, PlaylistText, proxy::PlaylistAddress},
};
use synctv_media::{hls::container::Unsupported, stream::room::RoomName};

use super::{
    super::{accept_encoding::takes_gzip, reply::error},
    admission::Admitted,
    body,
};

const CONTENT_TYPE: &str = "application/vnd.apple.mpegurl";

/// How long a request waits for the first segment.
const FIRST_SEGMENT_TIMEOUT: Duration = Duration::from_secs(10);

/// When to ask again for a playlist that is not there yet, in seconds.
const RETRY_AFTER_S: u32 = 2;

/// A session may end between being found and being asked; the next one may be there by then.
const ATTEMPTS: usize = 2;

/// What this node has, if anything.
pub(super) async fn answer(
    request: &HttpRequest,
    admitted: &Admitted,
    hls: &HlsSessions,
    directory: &StreamDirectory,
    address: PlaylistAddress,
) -> Option<HttpResponse> {
    for _ in 0..ATTEMPTS {
        let session = match hls.open(directory, &admitted.grant).await {
            Ok(session) => session?,
            Err(ended) => return Some(directory_ended(ended)),
        };
        match session.playlist_state(FIRST_SEGMENT_TIMEOUT).await {
            PlaylistState::Ready(playlists) => {
                let playlist = match address {
                    PlaylistAddress::Index => &playlists.index,
                    PlaylistAddress::Flat => &playlists.flat,
                };
                return Some(text(request, admitted, playlist));
            }
            PlaylistState::Pending => return Some(pending()),
            PlaylistState::Unsupported(codec) => return Some(unsupported(&codec)),
            PlaylistState::Gone => {}
        }
    }
    None
}

pub(super) fn not_live(room: &RoomName) -> HttpResponse {
    error(StatusCode::NOT_FOUND, "room_not_live", &format!("nobody publishes {room}"))
}

/// Not 404, which players take for the end of the stream.
pub(super) fn directory_ended(ended: DirectoryEnded) -> HttpResponse {
    unavailable("directory_ended", &ended.to_string())
}

/// A playlist, wherever it is from, with the key that its segments need.
pub(super) fn text(request: &HttpRequest, admitted: &Admitted, text: &PlaylistText) -> HttpResponse {
    match &admitted.segment_key {
        Some(key) => answer_with(request, &text.signed(key)),
        None => answer_with(request, text),
    }
}

fn answer_with(request: &HttpRequest, text: &PlaylistText) -> HttpResponse {
    let plain_tag = EntityTag::new_strong(text.tag.clone());
    let gzip_tag = EntityTag::new_strong(format!("{}-gzip", text.tag));
    let is_known = match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => true,
        Ok(IfNoneMatch::Items(tags)) => {
            tags.iter().any(|tag| tag.weak_eq(&plain_tag) || tag.weak_eq(&gzip_tag))
        }
        Err(_) => false,
    };
    let status = if is_known { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
    let mut response = HttpResponse::build(status);
    let bytes = match takes_gzip(request).then(|| text.gzip()).flatten() {
        Some(compressed) => {
            response
                .insert_header((header::ETAG, gzip_tag.to_string()))
                .insert_header((header::CONTENT_ENCODING, "gzip"));
            compressed
        }
        None => {
            response.insert_header((header::ETAG, plain_tag.to_string()));
            &text.plain
        }
    };
    common_headers(&mut response);
    match *request.method() {
        _ if is_known => response.finish(),
        Method::HEAD => response.body(body::absent(bytes.len())),
        _ => response.body(bytes.clone()),
    }
}

fn common_headers(response: &mut HttpResponseBuilder) {
    response
        .insert_header((header::CONTENT_TYPE, CONTENT_TYPE))
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .insert_header((header::VARY, "Accept-Encoding"))
        .insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"));
}

fn pending() -> HttpResponse {
    unavailable("no_segment_yet", "the stream has no segment yet")
}

fn unavailable(code: &str, message: &str) -> HttpResponse {
    let mut response = error(StatusCode::SERVICE_UNAVAILABLE, code, message);
    response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER_S.into());
    response
}

fn unsupported(unsupported: &Unsupported) -> HttpResponse {
    HttpResponse::UnsupportedMediaType()
        .insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .json(json!({
            "error": "unsupported_codec",
            "codec": unsupported.codec.to_string(),
            "message": format!("{unsupported}; the stream can be watched over HTTP-FLV"),
        }))
}
