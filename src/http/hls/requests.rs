//! Requests for playlists and segments, as they are counted.

use actix_web::HttpResponse;
use synctv_actors::{
    hls::proxy::HlsResource,
    metrics::{Counter, Labelled, MetricSet, label},
};
use synctv_media::hls::segment_name::Piece;

label!(
    /// The kind of what was asked for.
    HlsRequestKind, "kind" {
        /// A playlist.
        Playlist = "playlist",
        /// A segment, or the section that it needs.
        Segment = "segment",
        /// A part of a segment.
        Part = "part",
    }
);

label!(
    /// The origin of an answer.
    HlsRequestSource, "source" {
        /// This node.
        Here = "here",
        /// The node that publishes the room.
        Relayed = "relayed",
    }
);

label!(
    /// The status of an answer.
    HlsRequestCode, "code" {
        /// It was there.
        Success = "2xx",
        /// The client has it already, in this version.
        NotModified = "304",
        /// The client's fault.
        ClientError = "4xx",
        /// The server's.
        ServerError = "5xx",
    }
);

/// Marks an answer of another node.
#[derive(Debug, Clone, Copy)]
pub(super) struct Relayed;

/// The requests that were answered. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct HlsRequests(Labelled<(HlsRequestKind, (HlsRequestSource, HlsRequestCode)), Counter>);

impl HlsRequests {
    /// Registers them under their name.
    pub fn register(&self, registry: &mut MetricSet) {
        let requests = self.0.clone().with_rare(&[("source", "relayed")]);
        registry.register("hls_requests", "Requests answered", requests);
    }

    pub(super) fn note(&self, kind: HlsRequestKind, response: &HttpResponse) {
        let is_relayed = response.extensions().contains::<Relayed>();
        let source = if is_relayed { HlsRequestSource::Relayed } else { HlsRequestSource::Here };
        let code = match response.status().as_u16() {
            304 => HlsRequestCode::NotModified,
            400..500 => HlsRequestCode::ClientError,
            500.. => HlsRequestCode::ServerError,
            _ => HlsRequestCode::Success,
        };
        self.0.get((kind, (source, code))).inc();
    }
}

impl HlsRequestKind {
    pub(super) fn of(resource: &HlsResource) -> Self {
        match resource {
            HlsResource::Playlist { .. } => Self::Playlist,
            HlsResource::Segment { name, .. } if matches!(name.piece, Piece::Part(_)) => Self::Part,
            HlsResource::Segment { .. } => Self::Segment,
        }
    }
}
