//! The paths of the HTTP port.

use synctv_media::stream::room::{RoomName, RoomNameError};

use super::flv;

/// An order to the node itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NodeOrder {
    /// Send everyone to other nodes, and stop.
    Drain,
    /// Let another program take over in this process.
    Upgrade,
}

/// The target of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target<'a> {
    /// A resource that `GET` and `HEAD` read.
    Readable(Readable<'a>),
    /// A subject of an administrator's order.
    Administered(Administered<'a>),
    /// An order to the node.
    Order(NodeOrder),
    /// WebRTC: where sessions of a room begin, or one of them, by its name.
    Whep { room: Result<RoomName, RoomNameError>, session: Option<&'a str> },
}

/// A target that requests read and do not change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Readable<'a> {
    /// Liveness.
    Alive,
    /// Readiness.
    Ready,
    /// The page with the list of rooms.
    Home,
    /// The page of one room.
    Watch(Result<RoomName, RoomNameError>),
    /// A file of these pages.
    Asset(&'a str),
    /// The server's name, version and ports.
    Server,
    /// The list of rooms, or what it has of one of them.
    Streams(Option<Result<RoomName, RoomNameError>>),
    /// One room.
    Stream(Result<RoomName, RoomNameError>),
    /// The console.
    Console,
    /// Reports of the cluster's nodes.
    Nodes,
    /// The report of this node.
    ThisNode,
    /// The description of the API.
    Description,
    /// Live media.
    Flv(Result<RoomName, RoomNameError>),
}

/// A subject of an administrator's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Administered<'a> {
    /// A room's publisher, to be disconnected.
    Publisher(Result<RoomName, RoomNameError>),
    /// A room's viewers, to be disconnected.
    Viewers(Result<RoomName, RoomNameError>),
    /// A room's block, to be lifted.
    Block(Result<RoomName, RoomNameError>),
    /// A token, by its name, to be revoked.
    Token(&'a str),
    /// A token's revocation, by the token's name, to be lifted.
    Revocation(&'a str),
}

/// Reads a path and its query. `app` is that of `/APP/ROOM.flv`.
pub(super) fn parse<'a>(path: &'a str, query: &str, app: &str) -> Option<Target<'a>> {
    if let Some(rest) = path.strip_prefix("/api/") {
        return api(rest, query);
    }
    if let Some(room) = path.strip_prefix("/watch/") {
        return readable(Readable::Watch(RoomName::from_address(room)));
    }
    if let Some(name) = path.strip_prefix("/assets/") {
        return readable(Readable::Asset(name));
    }
    match path {
        "/" => readable(Readable::Home),
        "/console" => readable(Readable::Console),
        "/healthz" => readable(Readable::Alive),
        "/readyz" => readable(Readable::Ready),
        _ => whep(path, app).or_else(|| flv::room(path, app).map(Readable::Flv).and_then(readable)),
    }
}

fn readable(target: Readable<'_>) -> Option<Target<'_>> {
    Some(Target::Readable(target))
}

/// `/ROOM/whep`, `/ROOM/whep/SESSION`, and both behind the app. Without it, a room has the name of the app.
fn whep<'a>(path: &'a str, app: &str) -> Option<Target<'a>> {
    let name = path.strip_prefix('/')?.trim_start_matches('/');
    let below_app = name.strip_prefix(app).and_then(|name| name.strip_prefix('/'));
    let below_app = below_app.map(|name| name.trim_start_matches('/'));
    let (room, session) = below_app.and_then(whep_endpoint).or_else(|| whep_endpoint(name))?;
    Some(Target::Whep { room: RoomName::from_address(room), session })
}

/// Splits `ROOM/whep` and `ROOM/whep/SESSION`; a room may be named `whep` too.
fn whep_endpoint(path: &str) -> Option<(&str, Option<&str>)> {
    match path.strip_suffix("/whep") {
        Some(room) => Some((room, None)),
        None => path.rsplit_once("/whep/").map(|(room, session)| (room, Some(session))),
    }
}

/// The API's version is in its paths; without it, the newest one is meant.
fn api<'a>(path: &'a str, query: &str) -> Option<Target<'a>> {
    match path.strip_prefix("v1/").unwrap_or(path) {
        "openapi.json" => readable(Readable::Description),
        "server" => readable(Readable::Server),
        "server/drain" => Some(Target::Order(NodeOrder::Drain)),
        "server/upgrade" => Some(Target::Order(NodeOrder::Upgrade)),
        "nodes" => readable(Readable::Nodes),
        "nodes/this" => readable(Readable::ThisNode),
        "streams" => readable(Readable::Streams(room_in(query))),
        rest => match (rest.strip_prefix("streams/"), rest.strip_prefix("tokens/")) {
            (Some(room), _) => Some(stream(room)),
            (None, Some(token)) => Some(Target::Administered(match token.strip_suffix("/revocation") {
                Some(token) => Administered::Revocation(token),
                None => Administered::Token(token),
            })),
            (None, None) => None,
        },
    }
}

fn stream<'a>(path: &str) -> Target<'a> {
    let room = RoomName::from_address;
    Target::Administered(match path.rsplit_once('/') {
        Some((name, "publisher")) => Administered::Publisher(room(name)),
        Some((name, "viewers")) => Administered::Viewers(room(name)),
        Some((name, "block")) => Administered::Block(room(name)),
        _ => return Target::Readable(Readable::Stream(room(path))),
    })
}

/// The room that a query asks for.
fn room_in(query: &str) -> Option<Result<RoomName, RoomNameError>> {
    query.split('&').find_map(|pair| pair.strip_prefix("room=")).map(RoomName::from_address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(path: &str) -> Option<Target<'_>> {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        parse(path, query, "live")
    }

    fn room(name: &str) -> Result<RoomName, RoomNameError> {
        RoomName::new(name)
    }

    fn administered(subject: Administered<'_>) -> Option<Target<'_>> {
        Some(Target::Administered(subject))
    }

    #[test]
    fn pages_and_the_api_have_their_paths() {
        assert_eq!(target("/"), readable(Readable::Home));
        assert_eq!(target("/console"), readable(Readable::Console));
        assert_eq!(target("/api/v1/nodes"), readable(Readable::Nodes));
        assert_eq!(target(crate::console::REPORT_PATH), readable(Readable::ThisNode));
        assert_eq!(target("/healthz"), readable(Readable::Alive));
        assert_eq!(target("/readyz?x"), readable(Readable::Ready));
        assert_eq!(target("/watch/a.flv"), readable(Readable::Watch(room("a.flv"))));
        assert_eq!(target("/assets/players/x.js"), readable(Readable::Asset("players/x.js")));
        assert_eq!(target("/api/v1/server/drain"), Some(Target::Order(NodeOrder::Drain)));
        assert_eq!(target("/api/v1/server/upgrade"), Some(Target::Order(NodeOrder::Upgrade)));
        assert_eq!(target("/api/v1/streams"), readable(Readable::Streams(None)));
        assert_eq!(target("/api/streams"), readable(Readable::Streams(None)));
        assert_eq!(target("/api/v1/streams?room=r"), readable(Readable::Streams(Some(room("r")))));
        assert_eq!(target("/api/v1/streams?a=b&room="), readable(Readable::Streams(Some(room("")))));
        assert_eq!(target("/api/v1/streams/r"), readable(Readable::Stream(room("r"))));
        assert_eq!(target("/api/streams/r.flv"), readable(Readable::Stream(room("r.flv"))));
        assert_eq!(target("/api/v1/streams/r/publisher"), administered(Administered::Publisher(room("r"))));
        assert_eq!(target("/api/v1/streams/r/viewers?sub=s"), administered(Administered::Viewers(room("r"))));
        assert_eq!(target("/api/v1/streams/publisher"), readable(Readable::Stream(room("publisher"))));
        assert_eq!(target("/api/v1/streams/r/block"), administered(Administered::Block(room("r"))));
        assert_eq!(target("/api/v1/tokens/a%20b"), administered(Administered::Token("a%20b")));
        assert_eq!(target("/api/v1/tokens/a/revocation"), administered(Administered::Revocation("a")));
        assert_eq!(target("/api/v1/server"), readable(Readable::Server));
        assert_eq!(target("/api/openapi.json"), readable(Readable::Description));
    }

    #[test]
    fn everything_else_is_media_or_nothing() {
        assert_eq!(target("/r.flv"), readable(Readable::Flv(room("r"))));
        assert_eq!(target("/live/r.flv"), readable(Readable::Flv(room("r"))));
        for path in ["/my%2Droom.flv", "//my-room.flv", "/live//%6d%79-room.flv"] {
            assert_eq!(target(path), readable(Readable::Flv(room("my-room"))), "{path}");
        }
        assert_eq!(target("/watch/my%2Droom"), readable(Readable::Watch(room("my-room"))));
        assert_eq!(
            target("/api/v1/streams?room=my%2droom"),
            readable(Readable::Streams(Some(room("my-room"))))
        );
        assert_eq!(target("/api/v1/streams/my%2droom"), readable(Readable::Stream(room("my-room"))));
        for path in ["/r", "/watch", "/api", "/api/v2/streams", "/api/", "/index.html"] {
            assert_eq!(target(path), None, "{path}");
        }
    }

    #[test]
    fn webrtc_sessions_are_below_their_rooms() {
        let whep = |name: &str, session| Some(Target::Whep { room: room(name), session });
        assert_eq!(target("/r/whep"), whep("r", None));
        assert_eq!(target("/live/r/whep?token=x"), whep("r", None));
        assert_eq!(target("/live/whep"), whep("live", None));
        assert_eq!(target("/live//my%2Droom/whep/0a"), whep("my-room", Some("0a")));
        assert_eq!(target("/r/whep/"), whep("r", Some("")));
        assert_eq!(target("/watch/whep"), readable(Readable::Watch(room("whep"))));
        assert_eq!(target("/other/r/whep"), whep("other/r", None));
        assert_eq!(target("/whep"), None);
        assert_eq!(target("/whep/whep"), whep("whep", None));
        assert_eq!(target("/live/whep/whep"), whep("whep", None));
        assert_eq!(target("/whep/whep/0a"), whep("whep", Some("0a")));
        assert_eq!(target("/live/whep/0a"), whep("live", Some("0a")));
    }

    #[test]
    fn bad_names_are_named_as_such() {
        let markup = Err(RoomNameError::Character('%'));
        assert_eq!(target("/watch/%3Cimg%20src=x%3E"), readable(Readable::Watch(markup.clone())));
        assert_eq!(target("/api/v1/streams/%3Cimg%20src=x%3E"), readable(Readable::Stream(markup)));
        assert_eq!(target("/watch/"), readable(Readable::Watch(Err(RoomNameError::Empty))));
    }
}
