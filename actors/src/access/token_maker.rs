//! Tokens that this server signs itself, for its command line.

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde::Serialize;
use synctv_media::access::{Action, RoomPattern, Secret};

/// What a token is to say.
#[derive(Debug, Clone, Copy)]
pub struct TokenRequest<'a> {
    /// The rooms that it is for.
    pub room: &'a RoomPattern,
    /// The actions that it allows.
    pub actions: &'a [Action],
    /// Until when connections may begin with it, in seconds since 1970.
    pub expires_unix_s: u64,
    /// Who gets it.
    pub subject: Option<&'a str>,
    /// The name by which it can be revoked.
    pub token_id: Option<&'a str>,
    /// How many connections it may have on one node.
    pub connections_max: Option<u32>,
}

#[derive(Serialize)]
struct Payload<'a> {
    room: String,
    #[serde(rename = "do")]
    actions: Vec<&'static str>,
    exp: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<u32>,
}

/// Signs a token with HS256.
pub fn make_token(secret: &Secret, request: &TokenRequest<'_>) -> Option<String> {
    let payload = Payload {
        room: request.room.to_string(),
        actions: request.actions.iter().map(|action| action.as_str()).collect(),
        exp: request.expires_unix_s,
        sub: request.subject,
        jti: request.token_id,
        max: request.connections_max,
    };
    encode(&Header::new(Algorithm::HS256), &payload, &EncodingKey::from_secret(secret.expose())).ok()
}
