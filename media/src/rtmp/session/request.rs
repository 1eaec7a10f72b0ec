//! What a client names when it publishes or plays.

use crate::{
    access::Confidential,
    stream::room::{RoomName, RoomNameError},
};

/// The length from which on a stream name may have been cut, in bytes: OBS sends no longer one, and FFmpeg cuts at 1,017.
const CUT_FROM_BYTES: usize = 976;

/// The room that is to be published or played.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamRequest {
    /// The stream name without its query.
    pub room: RoomName,
    /// What followed `?` after the stream name and after the app, joined by `&`; empty if nothing did.
    pub query: Confidential,
    /// The stream name is so long that the encoder may have cut it.
    pub may_be_cut: bool,
}

impl StreamRequest {
    /// Splits a stream name such as `room?key=value`; `app_query` is what the app carried.
    pub(super) fn parse(app_query: &str, stream_name: &str) -> Result<Self, RoomNameError> {
        let (room, query) = split_query(stream_name);
        let may_be_cut = stream_name.len() >= CUT_FROM_BYTES;
        Ok(Self { room: RoomName::new(room)?, query: Confidential::join([query, app_query]), may_be_cut })
    }
}

/// The name and the query of an app such as `live`, `live/` or `live?key=value`.
pub(super) fn split_app(app: &str) -> (&str, &str) {
    let (name, query) = split_query(app);
    (name.trim_matches('/'), query.trim_end_matches('/'))
}

/// What comes before the first `?`, and what after it.
pub(super) fn split_query(text: &str) -> (&str, &str) {
    text.split_once('?').unwrap_or((text, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apps_may_carry_slashes_and_a_query() {
        assert_eq!(split_app("live"), ("live", ""));
        assert_eq!(split_app("live/"), ("live", ""));
        assert_eq!(split_app("/live/?key=v"), ("live", "key=v"));
        assert_eq!(split_app("live?key=v/"), ("live", "key=v"));
        assert_eq!(split_app("live/room"), ("live/room", ""));
    }

    #[test]
    fn queries_of_app_and_stream_are_kept() {
        let query =
            |app_query, name| StreamRequest::parse(app_query, name).unwrap().query.expose().to_owned();
        assert_eq!(query("", "room"), "");
        assert_eq!(query("", "room?a=1&b=2"), "a=1&b=2");
        assert_eq!(query("key=v", "room"), "key=v");
        assert_eq!(query("key=v", "room?a=1?"), "a=1?&key=v");
        assert_eq!(StreamRequest::parse("", "?a"), Err(RoomNameError::Empty));
    }

    #[test]
    fn a_long_stream_name_may_be_cut() {
        let may_be_cut = |length| {
            let name = format!("room?token={}", "x".repeat(length - "room?token=".len()));
            StreamRequest::parse("", &name).unwrap().may_be_cut
        };
        assert!(!may_be_cut(975) && may_be_cut(976));
    }
}
