//! Requests of a WebRTC player, without the media.

mod player;

use std::net::SocketAddr;

pub use self::player::{Player, PlayerError, ReceivedPacket, is_of_connection};
pub use synctv_media::samples::WEBRTC_OFFER as OFFER;

use crate::http::{Response, exchange};

/// The type of offers and answers.
pub const SDP: (&str, &str) = ("Content-Type", "application/sdp");

/// Sends an offer, or another body, with these headers.
pub fn post(server: SocketAddr, path: &str, headers: &[(&str, &str)], body: &str) -> Response {
    send(server, "POST", path, headers, body)
}

/// Sends a request with a body.
pub fn send(server: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Response {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let size = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}Content-Length: {size}\r\n\r\n"
    );
    exchange(server, (head + body).as_bytes())
}
