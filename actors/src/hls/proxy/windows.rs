//! Windows of the nodes that had rooms last, and their segments.

use std::rc::Rc;

use actix::{Handler, ResponseFuture};
use awc::http::StatusCode;
use bytes::Bytes;
use futures::future::join_all;
use log::debug;
use synctv_media::{hls::segment_name::SegmentName, stream::room::RoomName};
use tokio::time::timeout;

use super::{
    Answer, HlsProxy, HlsProxyActor, HlsResource,
    route::{PastNode, past_node},
    upstream::{LOCATE_TIMEOUT, Upstream},
};
use crate::{
    cluster::registry::Freshness,
    hls::window::{FetchPieces, FetchWindow, FoundWindow, SessionWindow, WINDOW_TIMEOUT, Windows},
};

/// The longest text of a window: a segment with twenty parts takes half a kilobyte.
const WINDOW_MAX_BYTES: usize = 1024 * 1024;

impl HlsProxy {
    /// Returns the way to windows of other nodes.
    pub fn windows(&self) -> Windows {
        Windows { windows: self.actor.clone().recipient(), pieces: self.actor.clone().recipient() }
    }
}

impl Upstream {
    /// Asks the node that had the room before this one.
    async fn fetch_window(&self, FetchWindow { room, form, epoch }: FetchWindow) -> Option<FoundWindow> {
        let trace = self.trace(&room, Freshness::Anew, LOCATE_TIMEOUT).await.ok()?;
        let last = trace.holders.iter().rev().find(|holder| !holder.is_own)?;
        let PastNode { node, address } = past_node(last)?;
        let path = SessionWindow::path(self.app(), &room, form, epoch);
        match self.window_at(&address, &path).await {
            Ok(window) => window.map(|window| FoundWindow { window, address }),
            Err(reason) => {
                debug!(room = room.as_str(), node = node.as_str(), reason = reason.as_str();
                    "HLS: the room's previous node does not send its window");
                None
            }
        }
    }

    async fn window_at(&self, address: &str, path: &str) -> Result<Option<SessionWindow>, String> {
        let request = self.request(address, path, path).timeout(WINDOW_TIMEOUT);
        let mut response = request.send().await.map_err(|error| error.to_string())?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(None),
            status => return Err(format!("it answered {status}")),
        }
        let body = response.body().limit(WINDOW_MAX_BYTES).await.map_err(|error| error.to_string())?;
        SessionWindow::read(&body).map(Some).map_err(|error| error.to_string())
    }

    async fn fetch_piece(
        &self,
        address: &str,
        room: RoomName,
        name: SegmentName,
    ) -> Option<(SegmentName, Bytes)> {
        let resource = HlsResource::Segment { room, name };
        match self.ask_in_turn(address, &resource, false).await {
            Ok(Ok(asked)) => match asked.answer {
                Answer::Segment(segment) => segment.bytes().map(|bytes| (name, bytes)),
                _ => None,
            },
            Ok(Err(_)) | Err(_) => None,
        }
    }
}

impl Handler<FetchWindow> for HlsProxyActor {
    type Result = ResponseFuture<Option<FoundWindow>>;

    fn handle(&mut self, fetch: FetchWindow, _: &mut Self::Context) -> Self::Result {
        let upstream = self.upstream.clone();
        Box::pin(async move { timeout(WINDOW_TIMEOUT, upstream.fetch_window(fetch)).await.ok().flatten() })
    }
}

impl Handler<FetchPieces> for HlsProxyActor {
    type Result = ResponseFuture<Vec<(SegmentName, Bytes)>>;

    /// All at once: the node may be about to stop.
    fn handle(&mut self, fetch: FetchPieces, _: &mut Self::Context) -> Self::Result {
        let upstream: Rc<Upstream> = self.upstream.clone();
        Box::pin(async move {
            let FetchPieces { room, address, names } = fetch;
            let pieces = names.into_iter().map(|name| upstream.fetch_piece(&address, room.clone(), name));
            join_all(pieces).await.into_iter().flatten().collect()
        })
    }
}
