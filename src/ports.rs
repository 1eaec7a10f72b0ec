//! The ports that the server listens on.

/// The ports that were bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// For RTMP.
    pub rtmp: u16,
    /// For HTTP-FLV.
    pub httpflv: u16,
    /// For HLS, unless it is off.
    pub hls: Option<u16>,
    /// For all of them over TLS, unless it is off.
    pub tls: Option<u16>,
    /// For HLS alone over TLS with HTTP/2, unless it is off.
    pub hls_tls: Option<u16>,
    /// There is one for WebRTC viewers.
    pub has_webrtc: bool,
}
