//! HTTP-FLV: `GET /ROOM.flv` and `GET /APP/ROOM.flv`.

use std::time::SystemTime;
use synctv_actors::wire::Wire;

use bytes::Bytes;
use synctv_media::stream::{
    room::{RoomName, RoomNameError},
    wire_format::WireFormat,
};

use super::{
    cors,
    request_head::Request,
    websocket::{self, Upgrade},
};

/// The type of a live FLV body.
pub const CONTENT_TYPE: &str = "video/x-flv";

/// The room that a path asks for: `None` if it is no FLV path, an error if its name is none. Addresses that were put
/// together of parts have a slash too many now and then.
pub fn room(path_and_query: &str, app: &str) -> Option<Result<RoomName, RoomNameError>> {
    let path = path_and_query.split('?').next()?;
    let name = path.strip_suffix(".flv")?.strip_prefix('/')?.trim_start_matches('/');
    let below_app = name.strip_prefix(app).and_then(|name| name.strip_prefix('/'));
    Some(RoomName::from_address(below_app.map_or(name, |name| name.trim_start_matches('/'))))
}

/// Returns the format of the media for a request. Chunks distinguish a body's end from a broken connection; HTTP/1.0 has
/// none, and other nodes read plain FLV.
pub(super) fn format(request: &Request) -> WireFormat {
    match request {
        Request { pull: Some(_), .. } | Request { is_http_1_1: false, .. } => WireFormat::Flv,
        Request { upgrade: Upgrade::WebSocket { .. }, .. } => WireFormat::FlvMessages,
        _ => WireFormat::FlvChunks,
    }
}

/// Returns whether the viewer asked for a notice before a draining node closes its connection (`?moves=1`). Others get the
/// stream's bytes and no more.
pub(super) fn wants_notice(request: &Request) -> bool {
    request.query.expose().split('&').any(|pair| pair == "moves=1")
}

/// The head of the response with live media. The connection ends with it.
pub(super) fn response_head(request: &Request) -> Bytes {
    if let Upgrade::WebSocket { accept } = &request.upgrade {
        return websocket::response_head(accept);
    }
    let encoding = match format(request) {
        WireFormat::FlvChunks => "Transfer-Encoding: chunked\r\n",
        _ => "",
    };
    let (cors_name, cors_value) = cors::ANY_ORIGIN;
    format!(
        "HTTP/1.1 200 OK\r\n\
         Content-Type: {CONTENT_TYPE}\r\n\
         {encoding}\
         Cache-Control: no-store\r\n\
         {cors_name}: {cors_value}\r\n\
         X-Accel-Buffering: no\r\n\
         Connection: close\r\n\
         Date: {}\r\n\r\n",
        httpdate::fmt_http_date(now())
    )
    .into()
}

/// Sends a short response to a connection that is dropped next. A socket that cannot take so much has no reader.
pub(super) fn send_and_close(wire: &mut Wire, response: &[u8]) {
    let _ = wire.try_write(response);
}

#[allow(clippy::disallowed_methods, reason = "a Date header is the wall clock's")]
fn now() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(path: &str) -> Option<Result<String, RoomNameError>> {
        Some(room(path, "live")?.map(|room| room.to_string()))
    }

    #[test]
    fn both_paths_name_the_room_with_or_without_a_query() {
        for path in ["/r1.flv", "/live/r1.flv", "/r1.flv?token=a/b.flv", "/live/r1.flv?"] {
            assert_eq!(named(path), Some(Ok("r1".to_owned())), "{path}");
        }
        for path in ["//r1.flv", "/live//r1.flv", "///live/r1.flv", "/%721.flv", "/live/r%31.flv"] {
            assert_eq!(named(path), Some(Ok("r1".to_owned())), "{path}");
        }
        assert_eq!(named("/live.flv"), Some(Ok("live".to_owned())));
        assert_eq!(named("/a.b.flv"), Some(Ok("a.b".to_owned())));
    }

    #[test]
    fn bad_names_are_errors_and_other_paths_are_none() {
        assert_eq!(named("/.flv"), Some(Err(RoomNameError::Empty)));
        assert_eq!(named("/other/r1.flv"), Some(Err(RoomNameError::Character('/'))));
        assert_eq!(named("/../etc.flv"), Some(Err(RoomNameError::Character('/'))));
        assert_eq!(named("/%2e%2e.flv"), Some(Err(RoomNameError::Dots)));
        assert_eq!(named("/live%2Fr1.flv"), Some(Err(RoomNameError::Character('%'))));
        assert_eq!(named("/r1"), None);
        assert_eq!(named("/"), None);
    }
}
