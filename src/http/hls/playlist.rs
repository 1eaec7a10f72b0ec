//! Answers to requests for a playlist.

use std::time::Duration;

use actix_http::Request;
use actix_web::{HttpResponse, http::header};
use synctv_actors::{
    directory::{DirectoryEnded, StreamDirectory},
    hls::{ConnectionHolds, HlsForm, HlsSession, HlsSessions, PlaylistAddress, PlaylistState, PlaylistText},
};
use synctv_media::hls::{blocking_request::BlockingRequest, fmp4, playlist::Reload};

use super::{
    super::{api_error::ApiError, compressed::Text, cors, request_view::RequestView},
    admission::Admitted,
};

const CONTENT_TYPE: &str = "application/vnd.apple.mpegurl";

/// Time that a request waits for the first segment.
const FIRST_SEGMENT_TIMEOUT: Duration = Duration::from_secs(10);

/// Time until the next request for a playlist that does not exist yet, in seconds.
const RETRY_AFTER_S: u32 = 2;

/// The same for a request that was held in vain.
const NOT_YET_RETRY_AFTER_S: u32 = 1;

/// A session may end between being found and being asked; the next one may be there by then, also in the other form.
const ATTEMPTS: usize = 3;

/// The form and the numbers of a request for a playlist.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub address: PlaylistAddress,
    /// The segment or part that it has to list. Only the playlist with parts waits for anything.
    pub request: Option<BlockingRequest>,
}

impl Wanted {
    pub fn read(request: &Request, address: PlaylistAddress) -> Result<Self, ApiError> {
        let request = match address {
            PlaylistAddress::LowLatency => BlockingRequest::parse(request.query_string())?,
            PlaylistAddress::Index | PlaylistAddress::Flat | PlaylistAddress::Master => None,
        };
        Ok(Self { address, request })
    }

    /// The form of the playlist's segments.
    pub fn form(&self, hls: &HlsSessions) -> Result<HlsForm, ApiError> {
        match self.address {
            PlaylistAddress::Index | PlaylistAddress::Flat => Ok(HlsForm::Ts),
            PlaylistAddress::LowLatency | PlaylistAddress::Master if hls.has(HlsForm::Fmp4) => {
                Ok(HlsForm::Fmp4)
            }
            PlaylistAddress::LowLatency | PlaylistAddress::Master => Err(ApiError::not_found(
                "this server has HLS in MPEG-TS alone; its playlist is index.m3u8".to_owned(),
            )),
        }
    }
}

/// A playlist of this node.
#[derive(Debug, Clone, Copy)]
pub(super) struct Here<'c> {
    pub wanted: Wanted,
    /// The limit of the client's connection, if it has one.
    pub holds: Option<&'c ConnectionHolds>,
    pub form: HlsForm,
    /// The lowest sequence number that is not outdated.
    pub from_sequence: u64,
}

impl Here<'_> {
    /// Returns whether fragmented MP4 is served if there is no MPEG-TS.
    fn may_change_form(&self, hls: &HlsSessions) -> bool {
        self.form == HlsForm::Ts && hls.has(HlsForm::Fmp4)
    }
}

/// Returns this node's playlist, if it has one. A stream whose codecs MPEG-TS cannot carry is in fragmented MP4 at the
/// same address, and stays so.
pub(super) async fn answer(
    request: &Request,
    admitted: &Admitted,
    hls: &HlsSessions,
    directory: &StreamDirectory,
    mut here: Here<'_>,
) -> Result<Option<HttpResponse>, ApiError> {
    for _ in 0..ATTEMPTS {
        let session = hls.open(directory, &admitted.grant, here.form, here.from_sequence).await;
        let Some(session) = session.map_err(directory_ended)? else {
            // One that nothing was ever in does not outlive its stream.
            if here.may_change_form(hls) {
                here.form = HlsForm::Fmp4;
                continue;
            }
            return Ok(None);
        };
        match state(hls, &session, here).await? {
            PlaylistState::Ready(_) if session.is_replaced() && here.may_change_form(hls) => {
                here.form = HlsForm::Fmp4;
            }
            PlaylistState::Ready(listing) => {
                let playlist = listing.text(here.wanted.address);
                return Ok(playlist.map(|playlist| text(request, admitted, here.wanted.address, playlist)));
            }
            PlaylistState::Pending => return Err(pending()),
            PlaylistState::Unsupported(unsupported)
                if here.may_change_form(hls) && fmp4::container::carries(unsupported.codec) =>
            {
                session.note_replaced();
                here.form = HlsForm::Fmp4;
            }
            PlaylistState::Unsupported(codec) => return Err(codec.into()),
            PlaylistState::Gone => {}
        }
    }
    Ok(None)
}

/// Returns the playlist's state, once the first segment and the requested part are there.
async fn state(hls: &HlsSessions, session: &HlsSession, here: Here<'_>) -> Result<PlaylistState, ApiError> {
    let state = session.playlist_state(FIRST_SEGMENT_TIMEOUT).await;
    let (Some(request), PlaylistState::Ready(listing)) = (here.wanted.request, &state) else {
        return Ok(state);
    };
    match listing.playlist().reload(request)? {
        Reload::Ready => Ok(state),
        Reload::Hold => {
            let Some(held) = hls.hold(session, here.holds).await else {
                // It may list it since the request waits for a place.
                let listed = session.playlist_with(request, Duration::ZERO).await;
                return listed.ok_or_else(too_many);
            };
            let answer = session.playlist_with(request, held.patience);
            hls.unless_released(answer).await.flatten().ok_or_else(not_yet)
        }
    }
}

fn too_many() -> ApiError {
    ApiError::unavailable("busy", "too many requests wait for playlists").retry_after(NOT_YET_RETRY_AFTER_S)
}

pub(super) fn not_yet() -> ApiError {
    ApiError::unavailable("not_yet", "the stream has nothing new").retry_after(NOT_YET_RETRY_AFTER_S)
}

/// Not 404, which players take for the end of the stream.
pub(super) fn directory_ended(ended: DirectoryEnded) -> ApiError {
    ApiError::from(ended).retry_after(RETRY_AFTER_S)
}

fn pending() -> ApiError {
    ApiError::unavailable("no_segment_yet", "the stream has no segment yet").retry_after(RETRY_AFTER_S)
}

/// A playlist, wherever it is from, with the key that its segments need, or what opens the playlist that it names.
pub(super) fn text(
    request: &Request,
    admitted: &Admitted,
    address: PlaylistAddress,
    text: &PlaylistText,
) -> HttpResponse {
    match (&admitted.segment_key, address) {
        (None, _) => answer_with(request, text),
        (Some(_), PlaylistAddress::Master) => answer_with(request, &text.with_query(request.query_string())),
        (Some(key), _) => answer_with(request, &text.signed(key)),
    }
}

fn answer_with(request: &Request, text: &PlaylistText) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response
        .insert_header((header::CONTENT_TYPE, CONTENT_TYPE))
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .insert_header(cors::ANY_ORIGIN);
    let plain = Text { tag: &text.tag, plain: text.plain.clone() };
    plain.answer(request, response, || text.gzip().cloned())
}
