//! Access to playlists and segments.

use actix_http::Request;
use actix_web::{
    HttpResponse,
    http::header::{CACHE_CONTROL, HeaderValue},
};
use synctv_actors::{
    access::{Gatekeeper, Grant, Protocol, ToPlay},
    hls::proxy::HlsResource,
};
use synctv_media::access::{Credential, Refusal, SignedKey};

use super::super::{credentials, request_view::RequestView};

/// For a segment that its address alone does not open: the browser that asked may keep it, caches that serve others may
/// not.
const PRIVATE: HeaderValue = HeaderValue::from_static("private, max-age=86400, immutable");

/// One who was let in.
pub(super) struct Admitted {
    /// The right to watch.
    pub grant: Grant<ToPlay>,
    /// Another node asks. Its answer holds only rooms of this node.
    pub is_node: bool,
    /// The key that a playlist's segments need.
    pub segment_key: Option<SignedKey>,
    /// The credential that let it in. `None` where anyone may watch, because no credential is verified there.
    pub pass: Option<Pass>,
    is_private: bool,
}

/// The part of a request by which a viewer was let in.
#[derive(Debug, Hash)]
pub(super) enum Pass {
    /// The first credential of the request; further ones are ignored.
    Credential(Credential),
    /// An `Authorization` header that holds no token or key, or no header at all: the callback decided.
    Other(Option<Box<str>>),
}

/// Decides on a request, before it is known whether the resource exists.
pub(super) async fn admit(
    request: &Request,
    gatekeeper: &Gatekeeper,
    resource: &HlsResource,
) -> Result<Admitted, Refusal> {
    let room = resource.room();
    if let Some(grant) = credentials::node(request, gatekeeper, room) {
        let grant = grant?.into();
        return Ok(Admitted { grant, is_node: true, segment_key: None, pass: None, is_private: false });
    }
    let access = credentials::access_request(request, Protocol::Hls, room);
    let is_closed = gatekeeper.is_play_closed();
    let (grant, segment_key) = match resource {
        HlsResource::Playlist { .. } => {
            let grant = gatekeeper.admit_viewer(&access).await?;
            (grant, is_closed.then(|| gatekeeper.nodes().segment_key(room)))
        }
        HlsResource::Segment { .. } => (gatekeeper.admit_segment(&access).await?, None),
    };
    let is_private = is_closed && Credential::in_query(request.query_string()).is_none();
    let pass = is_closed.then(|| match access.credential {
        Some(credential) => Pass::Credential(credential),
        None => Pass::Other(access.authorization.map(Into::into)),
    });
    Ok(Admitted { grant, is_node: false, segment_key, pass, is_private })
}

impl Admitted {
    /// Keeps a segment out of shared caches if its address does not say that it may be had.
    pub fn guard(&self, mut response: HttpResponse) -> HttpResponse {
        if self.is_private && response.status().is_success() {
            response.headers_mut().insert(CACHE_CONTROL, PRIVATE);
        }
        response
    }
}
