//! Administration: disconnecting, blocking and revoking, on any node for all.

use std::{str::FromStr, time::Duration};

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
};
use synctv_actors::access::{OrderError, Orders};
use synctv_media::stream::room::RoomName;

use super::{
    api::{Api, Presence},
    credentials::{authorization, peer, refused},
    reply::error,
};

/// The longest that a room can be blocked, in seconds.
const BLOCK_MAX_S: u64 = 24 * 3600;

/// When to ask again if the other nodes could not be told, in seconds.
const RETRY_AFTER_S: u32 = 2;

/// `DELETE /api/v1/streams/ROOM/publisher?block_s=60`.
pub(super) async fn kick_publisher(request: &HttpRequest, api: &Api, room: &RoomName) -> HttpResponse {
    let orders = api.orders();
    let admitted = orders.gatekeeper().admit_administrator(authorization(request), Some(room), peer(request));
    let administrator = match admitted.await {
        Ok(administrator) => administrator,
        Err(refusal) => return refused(&refusal),
    };
    let block = match value(request.query_string(), "block_s") {
        None => None,
        Some(text) => match u64::from_str(&text) {
            Ok(seconds @ 0..=BLOCK_MAX_S) => Some(Duration::from_secs(seconds)),
            _ => return bad_query(&format!("block_s is not a number of 0 to {BLOCK_MAX_S}")),
        },
    };
    match api.presence(room).await {
        Presence::Absent(answer) if block.is_none_or(|block| block.is_zero()) => answer,
        _ => answer(orders.kick_publisher(&administrator, room, block).await),
    }
}

/// `DELETE /api/v1/streams/ROOM/viewers?sub=SUBJECT`.
pub(super) async fn kick_viewers(request: &HttpRequest, api: &Api, room: &RoomName) -> HttpResponse {
    let orders = api.orders();
    let admitted = orders.gatekeeper().admit_administrator(authorization(request), Some(room), peer(request));
    let administrator = match admitted.await {
        Ok(administrator) => administrator,
        Err(refusal) => return refused(&refusal),
    };
    let Some(subject) = value(request.query_string(), "sub").filter(|subject| !subject.is_empty()) else {
        return bad_query("sub is missing: whose connections are to be closed");
    };
    match api.presence(room).await {
        Presence::Absent(answer) => answer,
        Presence::Present => answer(orders.kick_viewers(&administrator, room, &subject).await),
    }
}

/// `DELETE /api/v1/tokens/JTI`.
pub(super) async fn revoke(request: &HttpRequest, orders: &Orders, token_id: &str) -> HttpResponse {
    let admitted = orders.gatekeeper().admit_administrator(authorization(request), None, peer(request));
    match admitted.await {
        Ok(administrator) => answer(orders.revoke(&administrator, &decode(token_id)).await),
        Err(refusal) => refused(&refusal),
    }
}

fn answer(given: Result<(), OrderError>) -> HttpResponse {
    match given {
        Ok(()) => {
            HttpResponse::NoContent().insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, "*")).finish()
        }
        Err(failed @ OrderError::Name) => error(StatusCode::BAD_REQUEST, "bad_name", &failed.to_string()),
        Err(failed @ OrderError::TooMany) => {
            error(StatusCode::SERVICE_UNAVAILABLE, "too_many_orders", &failed.to_string())
        }
        Err(failed @ OrderError::NotPassedOn(_)) => {
            let mut response =
                error(StatusCode::SERVICE_UNAVAILABLE, "registry_unavailable", &failed.to_string());
            response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER_S.into());
            response
        }
    }
}

fn bad_query(message: &str) -> HttpResponse {
    error(StatusCode::BAD_REQUEST, "bad_query", message)
}

/// The value of a name in a query, decoded.
fn value(query: &str, name: &str) -> Option<String> {
    query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).map(decode)
}

/// Undoes percent-encoding. What cannot be decoded stays as it is.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let hex = behind.get(..2).filter(|hex| hex.iter().all(u8::is_ascii_hexdigit));
        let hex = hex.and_then(|hex| std::str::from_utf8(hex).ok());
        let byte = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
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
