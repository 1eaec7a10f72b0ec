//! Requests to the node that publishes a room.

use std::{rc::Rc, sync::Arc, time::Duration};

use awc::{
    Client, ClientRequest, Connector,
    http::{
        StatusCode,
        header::{self, HeaderMap},
    },
};
use bytes::Bytes;
use log::debug;
use synctv_media::{access::NodeRequest, digits, hls::segment::SEGMENT_MAX_BYTES, stream::room::RoomName};
use tokio::{sync::Semaphore, time::timeout};

use super::{
    answer::{Answer, HlsProxyError, Outcome, Refusal},
    resource::HlsResource,
    route::{PastNode, Route, route},
    settings::HlsProxySettings,
};
use crate::{
    cluster::{
        origin::{LEFT_HEADER, Origin, PULL_HEADER, Trace},
        registry::{Freshness, RegistryHandle},
    },
    hls::{PlaylistText, StoredSegment},
};

/// Requests on their way at once; further ones wait for their turn.
pub(super) const REQUESTS_MAX: usize = 256;

/// Requests on their way that their node holds until there is something new; each takes a connection for nearly all of the time
/// that a room is watched with low latency.
const HELD_MAX: usize = 4096;

/// A node holds a request for so long, and this is a little more.
const HELD_HEAD_TIMEOUT: Duration = Duration::from_secs(32);

/// Maximum time that a request waits for its turn.
const TURN_TIMEOUT: Duration = Duration::from_secs(10);

/// Time that the registry may take to name the node.
pub(super) const LOCATE_TIMEOUT: Duration = Duration::from_secs(2);

/// The same if a node is known that had the room a moment ago: viewers do not wait longer for a slow registry.
const RELOCATE_TIMEOUT: Duration = Duration::from_millis(300);

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Time that a connection is kept for the next request: less than a node keeps one, or requests would be lost to
/// connections that are just being closed.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Time limit for the head of a playlist's answer: a node waits for the first segment for 10 s, and this is a little more.
const PLAYLIST_HEAD_TIMEOUT: Duration = Duration::from_secs(12);

/// The same for segments, and for playlists if an earlier one can stand in.
const HEAD_TIMEOUT: Duration = Duration::from_secs(4);

const PLAYLIST_BODY_TIMEOUT: Duration = Duration::from_secs(5);
const SEGMENT_BODY_TIMEOUT: Duration = Duration::from_secs(30);

pub(super) const PLAYLIST_MAX_BYTES: usize = 1024 * 1024;
pub(super) const REFUSAL_MAX_BYTES: usize = 64 * 1024;

/// The frame that makes a segment too large is still in it.
const LAST_FRAME_MAX_BYTES: usize = 32 * 1024 * 1024;

/// Asks other nodes.
pub(super) struct Upstream {
    client: Client,
    registry: RegistryHandle,
    settings: HlsProxySettings,
    turns: Semaphore,
    held_turns: Semaphore,
}

/// A node's answer.
pub(super) struct Asked {
    pub answer: Answer,
    has_left: bool,
}

/// The outcome of a request.
pub(super) struct FetchResult {
    pub outcome: Outcome,
    /// The room's publisher is not on the node that was asked.
    has_left: bool,
    /// The node that was asked, if there was one to ask.
    pub origin: Option<Origin>,
}

struct Limits {
    head_timeout: Duration,
    body_timeout: Duration,
    body_max_bytes: usize,
}

impl Upstream {
    /// To be called on the thread that will use it.
    pub fn new(registry: RegistryHandle, settings: HlsProxySettings) -> Self {
        let connector = Connector::new()
            .timeout(CONNECT_TIMEOUT)
            .conn_keep_alive(KEEP_ALIVE)
            .limit(REQUESTS_MAX + HELD_MAX);
        let client = Client::builder().connector(connector).disable_redirects().finish();
        let (turns, held_turns) = (Semaphore::new(REQUESTS_MAX), Semaphore::new(HELD_MAX));
        Self { client, registry, settings, turns, held_turns }
    }

    /// Asks the node that has the resource. `last_origin` had the room a moment ago, for when the registry cannot say more;
    /// `has_stale`: a failure is not the end.
    pub async fn fetch(
        self: Rc<Self>,
        resource: HlsResource,
        last_origin: Option<Origin>,
        has_stale: bool,
    ) -> FetchResult {
        let patience = if last_origin.is_some() { RELOCATE_TIMEOUT } else { LOCATE_TIMEOUT };
        let trace = self.trace(resource.room(), Freshness::Known, patience).await;
        let fetched = self.follow(&resource, trace.clone(), last_origin.clone(), has_stale).await;
        if !fetched.is_doubtful(&resource) {
            return fetched;
        }
        match self.trace(resource.room(), Freshness::Fresh, patience).await {
            Ok(newer) if trace.as_ref() != Ok(&newer) => {
                self.follow(&resource, Ok(newer), last_origin, has_stale).await
            }
            _ => fetched,
        }
    }

    async fn follow(
        &self,
        resource: &HlsResource,
        trace: Result<Trace, HlsProxyError>,
        last_origin: Option<Origin>,
        has_stale: bool,
    ) -> FetchResult {
        match route(resource, trace, last_origin) {
            Route::Current(origin) => self.fetch_from(origin, resource, has_stale).await,
            Route::Past(nodes) => self.fetch_past(nodes, resource, has_stale).await,
            Route::None(outcome) => FetchResult::without_origin(outcome),
        }
    }

    async fn fetch_from(&self, origin: Origin, resource: &HlsResource, has_stale: bool) -> FetchResult {
        let Some(address) = &origin.addresses.hls else {
            return FetchResult::without_origin(Ok(Answer::HlsOff { node: origin.node }));
        };
        let asked = match self.ask_in_turn(address, resource, has_stale).await {
            Ok(asked) => asked,
            Err(busy) => return FetchResult { outcome: Err(busy), has_left: false, origin: Some(origin) },
        };
        let has_left = asked.as_ref().is_ok_and(|asked| asked.has_left);
        let outcome = asked
            .map(|asked| asked.answer)
            .map_err(|reason| HlsProxyError::Origin { node: origin.node.clone(), reason });
        FetchResult { outcome, has_left, origin: Some(origin) }
    }

    /// Asks nodes that do not have the room any more, which may have ended: then what they had is past.
    async fn fetch_past(&self, nodes: Vec<PastNode>, resource: &HlsResource, has_stale: bool) -> FetchResult {
        let mut last = Answer::Past;
        for PastNode { node, address } in nodes {
            match self.ask_in_turn(&address, resource, has_stale).await {
                Ok(Ok(Asked { answer: refused @ Answer::Refused(_), .. })) => last = refused,
                Ok(Ok(Asked { answer, .. })) => {
                    return FetchResult { outcome: Ok(answer), has_left: true, origin: None };
                }
                Ok(Err(reason)) => {
                    debug!(node = node.as_str(), reason = reason.as_str();
                        "HLS: a node that had the room does not answer any more");
                }
                Err(busy) => return FetchResult::without_origin(Err(busy)),
            }
        }
        FetchResult { outcome: Ok(last), has_left: true, origin: None }
    }

    pub(super) async fn ask_in_turn(
        &self,
        address: &str,
        resource: &HlsResource,
        has_stale: bool,
    ) -> Result<Result<Asked, String>, HlsProxyError> {
        let turns = if resource.is_held() { &self.held_turns } else { &self.turns };
        let turn = timeout(TURN_TIMEOUT, turns.acquire()).await;
        let _turn = turn.map_err(|_| HlsProxyError::Busy)?;
        Ok(self.ask(address, resource, &Limits::new(resource, has_stale)).await)
    }

    pub(super) async fn trace(
        &self,
        room: &RoomName,
        freshness: Freshness,
        patience: Duration,
    ) -> Result<Trace, HlsProxyError> {
        match timeout(patience, self.registry.trace(room.clone(), freshness)).await {
            Ok(Ok(trace)) => Ok(trace),
            Ok(Err(error)) => {
                debug!(room = room.as_str(), reason:% = error; "HLS: the registry cannot say who publishes the room");
                Err(HlsProxyError::Registry)
            }
            Err(_) => Err(HlsProxyError::Registry),
        }
    }

    pub(super) fn app(&self) -> &str {
        &self.settings.app
    }

    /// A request with this node's signature.
    pub(super) fn request(&self, address: &str, path: &str, path_and_query: &str) -> ClientRequest {
        let signature = self.settings.nodes.sign(&NodeRequest { method: "GET", host: address, path });
        self.client
            .get(format!("http://{address}{path_and_query}"))
            .insert_header((PULL_HEADER, signature))
            .insert_header((header::ACCEPT_ENCODING, "identity"))
    }

    async fn ask(&self, address: &str, resource: &HlsResource, limits: &Limits) -> Result<Asked, String> {
        let (path, path_and_query) = (resource.path(self.app()), resource.path_and_query(self.app()));
        let request = self.request(address, &path, &path_and_query).timeout(limits.head_timeout);
        let mut response = request.send().await.map_err(|error| error.to_string())?;
        let (status, head) = (response.status(), response.headers().clone());
        let body_max_bytes = match status {
            StatusCode::OK => limits.body_max_bytes,
            StatusCode::BAD_REQUEST
            | StatusCode::NOT_FOUND
            | StatusCode::UNSUPPORTED_MEDIA_TYPE
            | StatusCode::SERVICE_UNAVAILABLE => REFUSAL_MAX_BYTES,
            status => return Err(format!("it answered {status}")),
        };
        let body = timeout(limits.body_timeout, response.body().limit(body_max_bytes))
            .await
            .map_err(|_| format!("its answer took more than {} s", limits.body_timeout.as_secs()))?
            .map_err(|error| error.to_string())?;
        check_length(&head, body.len())?;
        let answer = match (status, resource) {
            (StatusCode::OK, HlsResource::Playlist { .. }) => playlist(&head, body)?,
            (StatusCode::OK, HlsResource::Segment { name, .. }) => {
                Answer::Segment(Arc::new(StoredSegment::new(*name, body)))
            }
            (status, _) => Answer::Refused(Arc::new(refusal(status, &head, body))),
        };
        Ok(Asked { answer, has_left: head.contains_key(LEFT_HEADER) })
    }
}

impl FetchResult {
    fn without_origin(outcome: Outcome) -> Self {
        Self { outcome, has_left: false, origin: None }
    }

    /// Returns whether the registry has to be asked anew before this is final. A room whose publisher left is likely to
    /// be on another node a moment later, and players on all nodes have to see it there at the same time.
    fn is_doubtful(&self, resource: &HlsResource) -> bool {
        match (resource, &self.outcome) {
            (HlsResource::Playlist { .. }, Ok(Answer::Here { .. } | Answer::Past)) => true,
            (HlsResource::Playlist { .. }, Ok(_)) => self.has_left,
            (HlsResource::Segment { .. }, Ok(Answer::Nowhere | Answer::Past | Answer::Refused(_))) => true,
            (_, _) => false,
        }
    }
}

impl Limits {
    fn new(resource: &HlsResource, has_stale: bool) -> Self {
        match resource {
            HlsResource::Playlist { .. } => Self {
                head_timeout: match has_stale {
                    _ if resource.is_held() => HELD_HEAD_TIMEOUT,
                    true => HEAD_TIMEOUT,
                    false => PLAYLIST_HEAD_TIMEOUT,
                },
                body_timeout: PLAYLIST_BODY_TIMEOUT,
                body_max_bytes: PLAYLIST_MAX_BYTES,
            },
            HlsResource::Segment { .. } => Self {
                head_timeout: if resource.is_held() { HELD_HEAD_TIMEOUT } else { HEAD_TIMEOUT },
                body_timeout: SEGMENT_BODY_TIMEOUT,
                body_max_bytes: SEGMENT_MAX_BYTES + LAST_FRAME_MAX_BYTES,
            },
        }
    }
}

/// To the client, a connection that is closed within a body ends it like any other.
fn check_length(head: &HeaderMap, size_bytes: usize) -> Result<(), String> {
    let expected_bytes = text(head, header::CONTENT_LENGTH).and_then(digits::parse::<usize>);
    match expected_bytes {
        Some(expected_bytes) if size_bytes == expected_bytes => Ok(()),
        Some(expected_bytes) => Err(format!("it broke off after {size_bytes} of {expected_bytes} bytes")),
        None => Err("its answer has no Content-Length".to_owned()),
    }
}

/// The node's own tag, so that all nodes give the same one.
fn playlist(head: &HeaderMap, body: Bytes) -> Result<Answer, String> {
    let tag = text(head, header::ETAG).unwrap_or_default();
    match tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')) {
        None | Some("") => Err("its playlist has no ETag".to_owned()),
        Some(tag) if tag.bytes().all(can_be_in_tag) => {
            Ok(Answer::Playlist(Arc::new(PlaylistText::new(body, tag.to_owned()))))
        }
        Some(_) => Err("its playlist has an ETag with characters that none can have".to_owned()),
    }
}

/// Of RFC 9110's, those that are ASCII. The header of viewers' answers relies on it.
fn can_be_in_tag(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x7e)
}

fn refusal(status: StatusCode, head: &HeaderMap, body: Bytes) -> Refusal {
    Refusal {
        status: status.as_u16(),
        content_type: text(head, header::CONTENT_TYPE).unwrap_or("application/json").to_owned(),
        retry_after: text(head, header::RETRY_AFTER).map(ToOwned::to_owned),
        body,
    }
}

fn text(head: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    head.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use awc::http::header::HeaderValue;

    use super::*;

    fn tag_of(header: &'static str) -> Result<String, String> {
        let head = HeaderMap::from_iter([(header::ETAG, HeaderValue::from_static(header))]);
        match playlist(&head, Bytes::new())? {
            Answer::Playlist(text) => Ok(text.tag.clone()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_playlist_s_tag_is_taken_without_its_quotes() {
        assert_eq!(tag_of("\"17-a!~\""), Ok("17-a!~".to_owned()));
    }

    #[test]
    fn a_playlist_without_a_strong_tag_is_refused() {
        for header in ["", "\"", "\"\"", "17", "W/\"17\""] {
            assert_eq!(tag_of(header), Err("its playlist has no ETag".to_owned()), "{header}");
        }
    }

    #[test]
    fn a_tag_with_characters_that_none_can_have_is_refused() {
        for header in ["\"1 7\"", "\"1\"7\"", "\"\"17\"\"", "\"1\t7\"", "\" \""] {
            let reason = tag_of(header).unwrap_err();
            assert!(reason.contains("characters"), "{header}: {reason}");
        }
    }
}
