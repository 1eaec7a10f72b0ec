//! Requests for a WebSocket (RFC 6455 section 4): FLV players of browsers ask for one at a room's address.

use actix_http::ws::hash_key;
use bytes::Bytes;

use super::api_error::ApiError;

/// The only version there is.
const VERSION: &[u8] = b"13";

/// The length of a key: 16 bytes in base64.
const KEY_BYTES: usize = 24;

/// The upgrade that a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Upgrade {
    /// None.
    None,
    /// A WebSocket, with the answer to its key.
    WebSocket {
        /// Sec-WebSocket-Accept.
        accept: String,
    },
    /// It does, in a version that is not spoken here.
    OtherVersion,
    /// It does, without a key.
    NoKey,
}

impl Upgrade {
    /// Reads the headers of a request that asks for a WebSocket.
    pub fn to_websocket(version: Option<&[u8]>, key: Option<&[u8]>) -> Self {
        match (version, key) {
            (Some(VERSION), Some(key)) if key.len() == KEY_BYTES => {
                Self::WebSocket { accept: hash_key(key).map(char::from).iter().collect() }
            }
            (Some(VERSION), _) => Self::NoKey,
            _ => Self::OtherVersion,
        }
    }
}

/// The head of the response behind which messages follow.
pub(super) fn response_head(accept: &str) -> Bytes {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\n\
         Upgrade: websocket\r\n\
         Connection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    )
    .into()
}

/// Refuses a request without a key.
pub(super) fn no_key() -> ApiError {
    let message = "the request for a WebSocket has no Sec-WebSocket-Key of 16 bytes in base64";
    ApiError::bad_request("websocket_key", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_answered_as_the_rfc_says() {
        let upgrade = Upgrade::to_websocket(Some(b"13"), Some(b"dGhlIHNhbXBsZSBub25jZQ=="));
        assert_eq!(upgrade, Upgrade::WebSocket { accept: "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=".to_owned() });
    }

    #[test]
    fn what_is_missing_is_named() {
        let key = Some(&b"dGhlIHNhbXBsZSBub25jZQ=="[..]);
        assert_eq!(Upgrade::to_websocket(Some(b"8"), key), Upgrade::OtherVersion);
        assert_eq!(Upgrade::to_websocket(None, key), Upgrade::OtherVersion);
        assert_eq!(Upgrade::to_websocket(Some(b"13"), None), Upgrade::NoKey);
        assert_eq!(Upgrade::to_websocket(Some(b"13"), Some(b"short")), Upgrade::NoKey);
    }
}
