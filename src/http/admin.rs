//! Administration: disconnecting, blocking and revoking, and the lifting of these, on any node for all.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse};
use synctv_actors::access::{Administrator, OrderError, Orders};
use synctv_media::{digits, stream::room::RoomName};

use super::{
    api::Api,
    api_error::ApiError,
    cors,
    credentials::{authorization, peer},
    path::NodeOrder,
};

/// The longest that a room can be blocked, in seconds.
const BLOCK_MAX_S: u64 = 24 * 3600;

/// `DELETE /api/v1/streams/ROOM/publisher?block_s=60`.
pub(super) async fn kick_publisher(
    request: &HttpRequest,
    api: &Api,
    room: &RoomName,
) -> Result<HttpResponse, ApiError> {
    let orders = api.orders();
    let administrator = admit(request, orders, Some(room)).await?;
    let block = match value(request.query_string(), "block_s") {
        None => None,
        Some(text) => match digits::parse(&text) {
            Some(seconds @ 0..=BLOCK_MAX_S) => Some(Duration::from_secs(seconds)),
            _ => return Err(bad_query(format!("block_s is not a number of 0 to {BLOCK_MAX_S}"))),
        },
    };
    let is_live = api.require_live(room).await;
    if block.is_none_or(|block| block.is_zero()) {
        is_live?;
    }
    answer(orders.kick_publisher(&administrator, room, block).await)
}

/// `DELETE /api/v1/streams/ROOM/block`.
pub(super) async fn unblock(
    request: &HttpRequest,
    orders: &Orders,
    room: &RoomName,
) -> Result<HttpResponse, ApiError> {
    let administrator = admit(request, orders, Some(room)).await?;
    answer(orders.unblock(&administrator, room).await)
}

/// `DELETE /api/v1/streams/ROOM/viewers?sub=SUBJECT`.
pub(super) async fn kick_viewers(
    request: &HttpRequest,
    api: &Api,
    room: &RoomName,
) -> Result<HttpResponse, ApiError> {
    let orders = api.orders();
    let administrator = admit(request, orders, Some(room)).await?;
    let subject = value(request.query_string(), "sub").filter(|subject| !subject.is_empty());
    let subject = subject.ok_or_else(|| bad_query("sub is missing: whose connections are to be closed"))?;
    api.require_live(room).await?;
    answer(orders.kick_viewers(&administrator, room, &subject).await)
}

/// `DELETE /api/v1/tokens/JTI`.
pub(super) async fn revoke(
    request: &HttpRequest,
    orders: &Orders,
    token_id: &str,
) -> Result<HttpResponse, ApiError> {
    let administrator = admit(request, orders, None).await?;
    answer(orders.revoke(&administrator, &decode(token_id)).await)
}

/// `DELETE /api/v1/tokens/JTI/revocation`.
pub(super) async fn reinstate(
    request: &HttpRequest,
    orders: &Orders,
    token_id: &str,
) -> Result<HttpResponse, ApiError> {
    let administrator = admit(request, orders, None).await?;
    answer(orders.reinstate(&administrator, &decode(token_id)).await)
}

/// `POST /api/v1/server/drain`, what SIGTERM does, and `POST /api/v1/server/upgrade`, what SIGUSR2 does. The answer comes
/// before anything has happened.
pub(super) async fn order_node(
    request: &HttpRequest,
    api: &Api,
    order: NodeOrder,
) -> Result<HttpResponse, ApiError> {
    admit(request, api.orders(), None).await?;
    match order {
        NodeOrder::Drain => api.drain_order().give(),
        NodeOrder::Upgrade => api.upgrade_order().ok_or_else(cannot_upgrade)?.give(),
    }
    Ok(HttpResponse::Accepted().insert_header(cors::ANY_ORIGIN).finish())
}

fn cannot_upgrade() -> ApiError {
    ApiError::not_found("this server cannot be upgraded in place: it runs within another program")
}

async fn admit(
    request: &HttpRequest,
    orders: &Orders,
    room: Option<&RoomName>,
) -> Result<Administrator, ApiError> {
    let gatekeeper = orders.gatekeeper();
    Ok(gatekeeper.admit_administrator(authorization(request), room, peer(request)).await?)
}

fn answer(given: Result<(), OrderError>) -> Result<HttpResponse, ApiError> {
    given?;
    Ok(HttpResponse::NoContent().insert_header(cors::ANY_ORIGIN).finish())
}

fn bad_query(message: impl Into<String>) -> ApiError {
    ApiError::bad_request("bad_query", message)
}

/// The value of a name in a query, decoded.
fn value(query: &str, name: &str) -> Option<String> {
    query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).map(decode)
}

/// Undoes percent-encoding. Invalid sequences stay as they are.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let hex = behind.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let byte = hex.and_then(digits::parse_hex_byte);
        match (first, byte) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &behind[2..];
            }
            (byte, _) => {
                bytes.push(*byte);
                rest = behind;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded() {
        assert_eq!(value("a=1&sub=Ann%20B%C3%A4r", "sub"), Some("Ann Bär".to_owned()));
        assert_eq!(value("subject=x", "sub"), None);
        assert_eq!(decode("100%"), "100%");
        assert_eq!(decode("%zz%2"), "%zz%2");
        assert_eq!(decode("%ff"), "%ff");
        assert_eq!(decode("%2B+%"), "++%");
    }
}
