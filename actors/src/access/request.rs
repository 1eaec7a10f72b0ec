//! Requests for access, as the ports make them.

use std::net::SocketAddr;

use synctv_media::{access::Credential, stream::room::RoomName};

/// The protocol that access is asked over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// RTMP.
    Rtmp,
    /// HTTP-FLV.
    HttpFlv,
    /// HLS, whose viewers have no connection that lasts: they are not cut, but refused at the next playlist.
    Hls,
    /// WebRTC.
    WebRtc,
    /// The HTTP API.
    Api,
}

impl Protocol {
    /// The name of the protocol, as logs and callbacks have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rtmp => "rtmp",
            Self::HttpFlv => "http-flv",
            Self::Hls => "hls",
            Self::WebRtc => "webrtc",
            Self::Api => "api",
        }
    }
}

/// A request for access to a room. It holds credentials, so it has no `Debug`.
#[derive(Clone)]
pub struct AccessRequest<'a> {
    /// The room.
    pub room: &'a RoomName,
    /// The protocol.
    pub protocol: Protocol,
    /// The client.
    pub peer: SocketAddr,
    /// The first credential that was found.
    pub credential: Option<Credential>,
    /// The query, for the callback.
    pub query: &'a str,
    /// The value of the header `Authorization`, for the callback.
    pub authorization: Option<&'a str>,
    /// The program, as it calls itself.
    pub user_agent: Option<&'a str>,
    /// The credential is at the end of a text that encoders cut at its length.
    pub may_be_cut: bool,
}

impl<'a> AccessRequest<'a> {
    /// A request with what an HTTP request has: a credential in its `Authorization` header, or else in its query.
    pub fn http(
        protocol: Protocol,
        peer: SocketAddr,
        room: &'a RoomName,
        query: &'a str,
        authorization: Option<&'a str>,
        user_agent: Option<&'a str>,
    ) -> Self {
        let credential =
            authorization.and_then(Credential::in_authorization).or_else(|| Credential::in_query(query));
        Self { room, protocol, peer, credential, query, authorization, user_agent, may_be_cut: false }
    }

    /// A request with what an RTMP client says in its stream name and its app.
    pub fn rtmp(peer: SocketAddr, room: &'a RoomName, query: &'a str, may_be_cut: bool) -> Self {
        let credential = Credential::in_query(query);
        let (protocol, authorization, user_agent) = (Protocol::Rtmp, None, None);
        Self { room, protocol, peer, credential, query, authorization, user_agent, may_be_cut }
    }
}
