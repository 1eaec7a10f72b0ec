//! The room and query that a client names when it publishes or plays.
//!
//! A client cuts its address in two, an app and a stream name, and clients do not agree where: FFmpeg cuts at the second
//! slash, even one in the query. Both parts are read together, and every spelling with one meaning is accepted.

use crate::{
    access::Confidential,
    cluster::standing::NodeUrl,
    stream::room::{RoomName, RoomNameError},
};

/// The length from which on a stream name may have been cut, in bytes: OBS sends no longer one, and FFmpeg cuts at 1,017.
const CUT_FROM_BYTES: usize = 976;

/// The room that is to be published or played.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamRequest {
    /// The stream name without its query.
    pub room: RoomName,
    /// The queries after the stream name and after the app, joined by `&`; empty if there are none.
    pub query: Confidential,
    /// The stream name is so long that the encoder may have cut it.
    pub may_be_cut: bool,
}

/// The app that a client connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum App {
    /// The one that is served, or none at all, which can only mean the same.
    Served {
        /// The query after `?`.
        query: Confidential,
        /// None was named: the stream name may begin with it.
        is_unnamed: bool,
    },
    /// The one that is served, with one more segment behind it: the room, if no other follows as the stream name.
    WithRoom {
        /// The segment.
        room: String,
        /// The query after `?`; `None` if there is no `?`.
        query: Option<Confidential>,
    },
    /// Another one, by its name without the query.
    Other(String),
}

/// The reason a publish or play names no room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NotARoom {
    /// The app is another one, of this name.
    App(String),
    /// This is no room's name.
    Name(String, RoomNameError),
}

/// The instance that servers of the Flash era take when an address names none.
const DEFAULT_INSTANCE: &str = "_definst_";

/// File types that Flash-style clients put before a stream name. FFmpeg derives them from the name's extension.
const KIND_PREFIXES: [&str; 3] = ["mp4:", "flv:", "mp3:"];

impl App {
    /// Reads the app of a connect command, such as `live`, `live/` or `live?key=value`. `served` is the app of this
    /// server.
    pub fn parse(app: &str, served: &str) -> Self {
        let app = app.trim();
        let (path, query) = split_query(app);
        let segments: Vec<_> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        match segments[..] {
            [] => Self::Served { query: Confidential::new(trimmed_query(query)), is_unnamed: true },
            [name] | [name, DEFAULT_INSTANCE] if name == served => {
                Self::Served { query: Confidential::new(trimmed_query(query)), is_unnamed: false }
            }
            [name, room] if name == served => Self::WithRoom {
                room: room.to_owned(),
                query: app.contains('?').then(|| Confidential::new(query)),
            },
            _ => Self::Other(path.trim_matches('/').to_owned()),
        }
    }

    /// Returns the `tcUrl` at which a client that named this app finds the same at another node, with its queries. Without
    /// a name of its own there is none: the client's stream name may begin with the app.
    pub fn at(&self, node: &NodeUrl) -> Option<String> {
        let (below, query) = match self {
            Self::Served { query, is_unnamed: false } => (String::new(), query.expose()),
            Self::WithRoom { room, query } => {
                (format!("/{room}"), query.as_ref().map_or("", Confidential::expose))
            }
            Self::Served { is_unnamed: true, .. } | Self::Other(_) => return None,
        };
        let mark = if query.is_empty() { "" } else { "?" };
        Some(format!("{node}{below}{mark}{query}"))
    }

    /// Finds the room that `stream_name` means behind this app.
    pub fn request(&self, stream_name: &str, served: &str) -> Result<StreamRequest, NotARoom> {
        let stream_name = stream_name.trim();
        let may_be_cut = stream_name.len() >= CUT_FROM_BYTES;
        let request = self.meant(stream_name, served)?;
        Ok(StreamRequest { may_be_cut, ..request })
    }

    fn meant(&self, stream_name: &str, served: &str) -> Result<StreamRequest, NotARoom> {
        match self {
            Self::Served { query, is_unnamed } => {
                let (room, own_query) = split_query(stream_name);
                let room = room.trim_matches(['/', ' ']);
                let below_app = room.strip_prefix(served).and_then(|below| below.strip_prefix('/'));
                let room = below_app.filter(|_| *is_unnamed).unwrap_or(room);
                StreamRequest::new(room, &[own_query, query.expose()])
            }
            Self::WithRoom { room, query: None } => match stream_name.strip_prefix('?') {
                Some(query) => StreamRequest::new(room, &[query]),
                None if stream_name.is_empty() => StreamRequest::new(room, &[]),
                None => StreamRequest::new(&format!("{room}/{}", split_query(stream_name).0), &[]),
            },
            // The stream name is what followed a slash within the query.
            Self::WithRoom { room, query: Some(begin) } if !stream_name.is_empty() => {
                StreamRequest::new(room, &[&format!("{}/{stream_name}", begin.expose())])
            }
            Self::WithRoom { room, query: Some(query) } => {
                StreamRequest::new(room, &[trimmed_query(query.expose())])
            }
            Self::Other(name) => Err(NotARoom::App(name.clone())),
        }
    }
}

impl StreamRequest {
    fn new(room: &str, queries: &[&str]) -> Result<Self, NotARoom> {
        let of_kind = KIND_PREFIXES.iter().find_map(|prefix| room.strip_prefix(prefix));
        let room = of_kind.unwrap_or(room);
        match RoomName::from_address(room) {
            Ok(room) => {
                let query = Confidential::join(queries.iter().copied());
                Ok(Self { room, query, may_be_cut: false })
            }
            Err(reason) => Err(NotARoom::Name(room.to_owned(), reason)),
        }
    }
}

/// The query of an app, without the slash that some clients put between app and stream name.
fn trimmed_query(query: &str) -> &str {
    query.trim_end_matches('/')
}

/// Splits a name at its first `?`.
fn split_query(text: &str) -> (&str, &str) {
    text.split_once('?').unwrap_or((text, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_sent_to_another_node_with_its_keys() {
        let node = NodeUrl::new("rtmp://n2:1936/live").unwrap();
        let at = |app: &str| App::parse(app, "live").at(&node);
        assert_eq!(at("live").as_deref(), Some("rtmp://n2:1936/live"));
        assert_eq!(at("live?key=1/").as_deref(), Some("rtmp://n2:1936/live?key=1"));
        assert_eq!(at("live/r").as_deref(), Some("rtmp://n2:1936/live/r"));
        assert_eq!(at("live/r?token=a").as_deref(), Some("rtmp://n2:1936/live/r?token=a"));
        assert_eq!(at("?key=1"), None, "its stream name may be live/r");
    }

    /// The room and the query that an app and a stream name mean.
    fn meant(app: &str, stream_name: &str) -> Result<(String, String), NotARoom> {
        let request = App::parse(app, "live").request(stream_name, "live")?;
        Ok((request.room.to_string(), request.query.expose().to_owned()))
    }

    fn room(name: &str, query: &str) -> Result<(String, String), NotARoom> {
        Ok((name.to_owned(), query.to_owned()))
    }

    #[test]
    fn slashes_blanks_and_an_instance_change_nothing() {
        for app in ["live", "live/", "/live", "//live//", " live", "live/_definst_", "", "/"] {
            for name in ["room", "/room", "room/", "room ", " room\r\n", "//room/ ", "mp4:room", "%72oom"] {
                assert_eq!(meant(app, name), room("room", ""), "{app:?} {name:?}");
            }
        }
        assert_eq!(meant("live", "clip.mp4"), room("clip.mp4", ""));
    }

    #[test]
    fn queries_of_app_and_stream_are_kept() {
        assert_eq!(meant("live", "room?a=1&b=2"), room("room", "a=1&b=2"));
        assert_eq!(meant("live?key=v", "room"), room("room", "key=v"));
        assert_eq!(meant("live?key=v/", "room"), room("room", "key=v"));
        assert_eq!(meant("/live/?key=v", "room"), room("room", "key=v"));
        assert_eq!(meant("live?key=v", "room?a=1?"), room("room", "a=1?&key=v"));
        assert_eq!(meant("live", "room?token=a/b"), room("room", "token=a/b"));
        assert_eq!(meant("live", "/room/?token=a/b/ "), room("room", "token=a/b/"));
    }

    #[test]
    fn the_room_may_come_with_the_app() {
        assert_eq!(meant("live/room", ""), room("room", ""));
        assert_eq!(meant("/live/room", " "), room("room", ""));
        assert_eq!(meant("live/room/", ""), room("room", ""));
        assert_eq!(meant("live/room?token=a", ""), room("room", "token=a"));
        assert_eq!(meant("live/room", "?token=a"), room("room", "token=a"));
        assert_eq!(meant("", "live/room?a=1"), room("room", "a=1"));
    }

    #[test]
    fn a_slash_within_the_query_does_not_end_it() {
        assert_eq!(meant("live/room?token=a", "b"), room("room", "token=a/b"));
        assert_eq!(meant("live/room?token=a", "b/c=="), room("room", "token=a/b/c=="));
        assert_eq!(meant("live/room?token=a", "/b?c"), room("room", "token=a//b?c"));
        assert_eq!(meant("live?token=a/b", "room"), room("room", "token=a/b"));
    }

    #[test]
    fn a_long_stream_name_may_be_cut() {
        let may_be_cut = |length| {
            let name = format!("room?token={}", "x".repeat(length - "room?token=".len()));
            App::parse("live", "live").request(&name, "live").unwrap().may_be_cut
        };
        assert!(!may_be_cut(975) && may_be_cut(976));
    }

    #[test]
    fn what_has_no_meaning_is_refused_by_name() {
        for (app, name) in
            [("vod", "vod"), ("vod/room", "vod/room"), ("room?a=b", "room"), ("live/a/b", "live/a/b")]
        {
            assert_eq!(meant(app, "room"), Err(NotARoom::App(name.to_owned())));
        }
        let refused = |name: &str, reason| Err(NotARoom::Name(name.to_owned(), reason));
        for app in ["live", ""] {
            assert_eq!(meant(app, ""), refused("", RoomNameError::Empty));
            assert_eq!(meant(app, "?a"), refused("", RoomNameError::Empty));
            assert_eq!(meant(app, "a/b?c"), refused("a/b", RoomNameError::Character('/')));
        }
        assert_eq!(meant("live/a", "b?c"), refused("a/b", RoomNameError::Character('/')));
        assert_eq!(meant("live", "live/room"), refused("live/room", RoomNameError::Character('/')));
        assert_eq!(meant("live", "a%2Fb"), refused("a%2Fb", RoomNameError::Character('%')));
    }
}
