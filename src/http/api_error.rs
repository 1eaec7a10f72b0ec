//! Refusals of both HTTP ports: one type, rendered for the framework or written on a connection that never gets there.

use std::fmt::Write;

use actix_web::{HttpResponse, http::StatusCode};
use serde_json::json;
use synctv_actors::{
    access::OrderError,
    directory::{DirectoryEnded, OpenError},
    hls::proxy::HlsProxyError,
    webrtc::WatchError,
};
use synctv_media::{
    access::Refusal,
    hls::{blocking_request::DirectiveError, container::Unsupported},
    stream::room::RoomNameError,
    webrtc::offer::OfferError,
};

use super::cors;

/// Seconds until a live viewer retries. Players retry on their own; a shorter time would only add to the load.
const RETRY_LIVE_S: u32 = 5;

/// Seconds until a caller of the API retries what the registry did not answer.
const RETRY_API_S: u32 = 2;

/// Seconds until an HLS player retries what another node did not answer.
const RETRY_HLS_S: u32 = 1;

/// A refusal: a status, a word for programs and a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    retry_after_s: Option<u32>,
    detail: Option<Detail>,
}

/// The parts of a refusal that depend on its status.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Detail {
    /// 401 names the scheme (RFC 9110, section 15.5.2).
    BearerToken,
    /// 405 names the methods that are answered.
    Methods(&'static str),
    /// 416 gives the size of the whole.
    SizeBytes(usize),
    /// 415 names the codec, in the body.
    Codec(String),
    /// 426 names the protocol and its version.
    WebSocketVersion,
}

impl ApiError {
    /// Makes a refusal.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), retry_after_s: None, detail: None }
    }

    /// 400, for a query or a header.
    pub fn bad_request(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// 400, for HTTP on a port that speaks TLS. `host` is that of the request, as far as it is one.
    pub fn tls_required(host: &str) -> Self {
        let is_host = !host.is_empty()
            && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte));
        let address = if is_host { format!(": https://{host}/") } else { String::new() };
        Self::bad_request("tls_required", format!("this port speaks TLS{address}"))
    }

    /// 404, for a path that serves nothing.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// 500. Its cause belongs in the log.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }

    /// 503, for what may succeed later.
    pub fn unavailable(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message)
    }

    /// 501, for a room whose node cuts no segments.
    pub fn hls_off(node: &str) -> Self {
        let message = format!(
            "node {node}, where the room is published, has no HLS; the stream can be watched over HTTP-FLV"
        );
        Self::new(StatusCode::NOT_IMPLEMENTED, "hls_off", message)
    }

    /// 503, for what the registry did not answer.
    pub fn registry_unavailable(message: impl Into<String>) -> Self {
        Self::unavailable("registry_unavailable", message).retry_after(RETRY_API_S)
    }

    /// 503, for a connection over the limit.
    pub fn too_many_connections() -> Self {
        Self::unavailable("too_many_connections", "connection limit reached").retry_after(RETRY_LIVE_S)
    }

    /// 405.
    pub fn method_not_allowed(methods: &'static str) -> Self {
        let message = format!("allowed are {methods}");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
            .detailed(Detail::Methods(methods))
    }

    /// 416, for a segment of this size.
    pub fn range_not_satisfiable(size_bytes: usize) -> Self {
        let message = format!("the segment has {size_bytes} bytes");
        Self::new(StatusCode::RANGE_NOT_SATISFIABLE, "range_not_satisfiable", message)
            .detailed(Detail::SizeBytes(size_bytes))
    }

    /// 426.
    pub fn websocket_version() -> Self {
        Self::new(StatusCode::UPGRADE_REQUIRED, "websocket_version", "the WebSocket version is 13")
            .detailed(Detail::WebSocketVersion)
    }

    /// 431.
    pub fn head_too_large(message: impl Into<String>) -> Self {
        Self::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "head_too_large", message)
    }

    /// Adds the seconds until a retry may succeed.
    pub fn retry_after(self, seconds: u32) -> Self {
        Self { retry_after_s: Some(seconds), ..self }
    }

    fn detailed(self, detail: Detail) -> Self {
        Self { detail: Some(detail), ..self }
    }

    /// The headers besides those that every refusal has.
    fn headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = match &self.detail {
            None | Some(Detail::Codec(_)) => vec![],
            Some(Detail::BearerToken) => vec![("WWW-Authenticate", "Bearer".to_owned())],
            Some(Detail::Methods(methods)) => vec![("Allow", (*methods).to_owned())],
            Some(Detail::SizeBytes(size_bytes)) => vec![("Content-Range", format!("bytes */{size_bytes}"))],
            Some(Detail::WebSocketVersion) => {
                vec![("Upgrade", "websocket".to_owned()), ("Sec-WebSocket-Version", "13".to_owned())]
            }
        };
        headers.extend(self.retry_after_s.map(|seconds| ("Retry-After", seconds.to_string())));
        headers
    }

    fn body(&self) -> String {
        let body = match &self.detail {
            Some(Detail::Codec(codec)) => {
                json!({ "error": self.code, "codec": codec, "message": self.message })
            }
            _ => json!({ "error": self.code, "message": self.message }),
        };
        body.to_string()
    }

    /// Returns its status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Renders the refusal for the framework.
    pub fn response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        response
            .content_type("application/json")
            .insert_header(("Cache-Control", "no-store"))
            .insert_header(cors::ANY_ORIGIN);
        for header in self.headers() {
            response.insert_header(header);
        }
        response.body(self.body())
    }

    /// Renders the refusal as the last response of a connection.
    pub fn text(&self) -> String {
        let (body, (cors_name, cors_value)) = (self.body(), cors::ANY_ORIGIN);
        let headers = self.headers().iter().fold(String::new(), |mut lines, (name, value)| {
            let _ = write!(lines, "{name}: {value}\r\n");
            lines
        });
        format!(
            "HTTP/1.1 {}\r\n\
             Content-Type: application/json\r\n\
             Content-Length: {}\r\n\
             Cache-Control: no-store\r\n\
             {cors_name}: {cors_value}\r\n\
             {headers}Connection: close\r\n\r\n{body}",
            self.status,
            body.len(),
        )
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::FORBIDDEN);
        let challenge = (status == StatusCode::UNAUTHORIZED).then_some(Detail::BearerToken);
        Self {
            retry_after_s: refusal.retry_after_s(),
            detail: challenge,
            ..Self::new(status, refusal.code(), refusal.to_string())
        }
    }
}

impl From<OpenError> for ApiError {
    fn from(error: OpenError) -> Self {
        let code = match &error {
            OpenError::NotLive(_) => {
                return Self::new(StatusCode::NOT_FOUND, "room_not_live", error.to_string());
            }
            OpenError::Registry(_) => "registry_unavailable",
            OpenError::OriginSilent { .. } => "origin_unreachable",
            OpenError::RoomLimit { .. } => "too_many_rooms",
            OpenError::Draining => "draining",
            OpenError::Directory(_) => "directory_ended",
        };
        Self::unavailable(code, error.to_string()).retry_after(RETRY_LIVE_S)
    }
}

/// Not 404, which players take for the end of the stream.
impl From<DirectoryEnded> for ApiError {
    fn from(ended: DirectoryEnded) -> Self {
        Self::unavailable("directory_ended", ended.to_string())
    }
}

impl From<HlsProxyError> for ApiError {
    fn from(error: HlsProxyError) -> Self {
        let refusal = match &error {
            // The reason is for the log: it names addresses.
            HlsProxyError::Origin { node, .. } => {
                let message = format!("node {node}, where the room is published, does not answer");
                Self::new(StatusCode::BAD_GATEWAY, "origin_unreachable", message)
            }
            HlsProxyError::Registry => Self::unavailable("registry_unavailable", error.to_string()),
            HlsProxyError::Busy | HlsProxyError::Stopped => Self::unavailable("busy", error.to_string()),
        };
        refusal.retry_after(RETRY_HLS_S)
    }
}

impl From<OrderError> for ApiError {
    fn from(error: OrderError) -> Self {
        match &error {
            OrderError::Name => Self::bad_request("bad_name", error.to_string()),
            OrderError::TooMany => Self::unavailable("too_many_orders", error.to_string()),
            OrderError::NotInForce => Self::new(StatusCode::NOT_FOUND, "not_in_force", error.to_string()),
            OrderError::NotPassedOn(_) => Self::registry_unavailable(error.to_string()),
        }
    }
}

/// 422 and not 406, which is a counter-offer that players act on (draft-ietf-wish-whep, section 4.2).
impl From<WatchError> for ApiError {
    fn from(error: WatchError) -> Self {
        let message = error.to_string();
        match error {
            WatchError::Offer(OfferError::NoCodec(_)) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "codec_not_offered", message)
            }
            WatchError::Offer(_) => Self::bad_request("bad_offer", message),
            WatchError::Unplayable(_) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "not_for_webrtc", message)
            }
            WatchError::NoMedia => Self::unavailable("no_media", message).retry_after(RETRY_LIVE_S),
            WatchError::TooManyViewers { .. } | WatchError::TooManyJoining { .. } => {
                Self::unavailable("too_many_viewers", message).retry_after(RETRY_LIVE_S)
            }
            WatchError::Ended => Self::new(StatusCode::NOT_FOUND, "room_not_live", message),
            WatchError::Stopped => Self::unavailable("webrtc_stopped", message),
        }
    }
}

impl From<RoomNameError> for ApiError {
    fn from(error: RoomNameError) -> Self {
        Self::bad_request("bad_room_name", error.to_string())
    }
}

impl From<DirectiveError> for ApiError {
    fn from(error: DirectiveError) -> Self {
        Self::bad_request("bad_directive", error.to_string())
    }
}

impl From<Unsupported> for ApiError {
    fn from(unsupported: Unsupported) -> Self {
        let message = format!("{unsupported}; the stream can be watched over HTTP-FLV");
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_codec", message)
            .detailed(Detail::Codec(unsupported.codec.to_string()))
    }
}

#[cfg(test)]
pub(in crate::http) mod tests {
    use actix_web::body::to_bytes;
    use synctv_media::stream::room::RoomName;

    use super::*;

    /// Reads the word for programs out of a refusal.
    pub fn code(error: &ApiError) -> (u16, &'static str) {
        (error.status.as_u16(), error.code)
    }

    fn refusals() -> Vec<ApiError> {
        let room = RoomName::new("r").unwrap();
        vec![
            OpenError::NotLive(room).into(),
            OpenError::RoomLimit { max: 3 }.into(),
            Refusal::TokenMissing.into(),
            Refusal::WrongRoom.into(),
            Refusal::TooManyConnections(2).into(),
            Refusal::Unavailable.into(),
            HlsProxyError::Origin { node: "n2".to_owned(), reason: "10.0.0.1 refused".to_owned() }.into(),
            ApiError::method_not_allowed("GET, HEAD"),
            ApiError::range_not_satisfiable(7),
            ApiError::websocket_version(),
            ApiError::head_too_large("too large"),
            RoomNameError::Empty.into(),
        ]
    }

    /// The lines of a head that say something of the refusal itself, in lower case and sorted.
    fn lines(text: &str) -> Vec<String> {
        let lines = text.split("\r\n").skip(1).map(str::to_lowercase);
        let mut lines: Vec<_> = lines
            .filter(|line| !line.starts_with("connection:") && !line.starts_with("content-length:"))
            .collect();
        lines.sort();
        lines
    }

    #[actix_rt::test]
    async fn the_framework_and_the_wire_say_the_same() {
        for refusal in refusals() {
            let response = refusal.response();
            let text = refusal.text();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            assert_eq!(head.split("\r\n").next(), Some(&*format!("HTTP/1.1 {}", response.status())));
            let mut of_framework: Vec<_> = response
                .headers()
                .iter()
                .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap().to_lowercase()))
                .collect();
            of_framework.sort();
            assert_eq!(of_framework, lines(head));
            assert_eq!(to_bytes(response.into_body()).await.unwrap(), body);
        }
    }

    #[test]
    fn a_refusal_on_the_wire_is_a_whole_response() {
        assert_eq!(
            ApiError::from(Refusal::TokenMissing).text(),
            "HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\nContent-Length: 55\r\n\
             Cache-Control: no-store\r\nAccess-Control-Allow-Origin: *\r\nWWW-Authenticate: Bearer\r\n\
             Connection: close\r\n\r\n{\"error\":\"token_missing\",\"message\":\"a token is needed\"}"
        );
        assert_eq!(
            ApiError::websocket_version().text(),
            "HTTP/1.1 426 Upgrade Required\r\nContent-Type: application/json\r\nContent-Length: 69\r\n\
             Cache-Control: no-store\r\nAccess-Control-Allow-Origin: *\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nConnection: close\r\n\r\n\
             {\"error\":\"websocket_version\",\"message\":\"the WebSocket version is 13\"}"
        );
    }

    #[test]
    fn what_may_succeed_later_has_a_time() {
        let times: Vec<_> = refusals().iter().map(|refusal| refusal.retry_after_s).collect();
        let (live, hls) = (Some(5), Some(1));
        let expected = [None, live, None, None, live, live, hls, None, None, None, None, None];
        assert_eq!(times, expected);
    }

    #[test]
    fn addresses_of_other_nodes_are_not_shown() {
        let error = HlsProxyError::Origin { node: "n2".to_owned(), reason: "10.0.0.1 refused".to_owned() };
        let text = ApiError::from(error).text();
        assert!(text.contains("502 Bad Gateway") && text.contains("node n2") && !text.contains("10.0.0.1"));
    }
}
