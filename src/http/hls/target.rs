//! What a path asks for. Names are parsed; no file is ever looked up by what a path says.

use synctv_media::{
    hls::playlist::parse_segment_name,
    room::{RoomName, RoomNameError},
};

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    Playlist { room: RoomName, address: Address },
    Segment { room: RoomName, sequence: u64 },
}

/// The two addresses of a playlist: segments are named relative to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Address {
    /// `/APP/ROOM/index.m3u8`
    Index,
    /// `/APP/ROOM.m3u8`
    Flat,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum TargetError {
    /// Neither a playlist's path nor a segment's.
    Unknown,
    /// It would be, if that were a room.
    Room(RoomNameError),
}

pub(super) fn parse(path: &str, app: &str) -> Result<Target, TargetError> {
    let below_app = path
        .strip_prefix('/')
        .and_then(|path| path.strip_prefix(app)?.strip_prefix('/'))
        .ok_or(TargetError::Unknown)?;
    match below_app.rsplit_once('/') {
        Some((room, "index.m3u8")) => playlist(room, Address::Index),
        Some((room, file)) => segment(room, file),
        None => match below_app.strip_suffix(".m3u8") {
            Some(room) => playlist(room, Address::Flat),
            None => Err(TargetError::Unknown),
        },
    }
}

fn playlist(room: &str, address: Address) -> Result<Target, TargetError> {
    let room = RoomName::new(room)?;
    Ok(Target::Playlist { room, address })
}

fn segment(room: &str, file: &str) -> Result<Target, TargetError> {
    let sequence = parse_segment_name(file).ok_or(TargetError::Unknown)?;
    let room = RoomName::new(room)?;
    Ok(Target::Segment { room, sequence })
}

impl From<RoomNameError> for TargetError {
    fn from(error: RoomNameError) -> Self {
        Self::Room(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(name: &str) -> RoomName {
        RoomName::new(name).unwrap()
    }

    fn target(path: &str) -> Result<Target, TargetError> {
        parse(path, "live")
    }

    #[test]
    fn playlists_and_segments_are_told_by_their_paths() {
        let playlist = |name, address| Ok(Target::Playlist { room: room(name), address });
        assert_eq!(target("/live/r1/index.m3u8"), playlist("r1", Address::Index));
        assert_eq!(target("/live/r1.m3u8"), playlist("r1", Address::Flat));
        assert_eq!(target("/live/a.m3u8/index.m3u8"), playlist("a.m3u8", Address::Index));
        assert_eq!(target("/live/index.m3u8"), playlist("index", Address::Flat));
        assert_eq!(target("/live/r1/seg-42.ts"), Ok(Target::Segment { room: room("r1"), sequence: 42 }));
    }

    #[test]
    fn bad_rooms_and_other_paths_are_told_apart() {
        for path in [
            "/live/../index.m3u8",
            "/live//index.m3u8",
            "/live/.m3u8",
            "/live/a%2Fb/index.m3u8",
            "/live/a/b/index.m3u8",
            "/live/../../etc/seg-1.ts",
        ] {
            assert!(matches!(target(path), Err(TargetError::Room(_))), "{path}");
        }
        for path in [
            "/",
            "/live",
            "/live/r1",
            "/other/r1.m3u8",
            "/liver1.m3u8",
            "/live/r1/seg-.ts",
            "/live/r1/seg-007.ts",
            "/live/r1/seg-1.ts.tmp",
            "/live/r1/passwd",
        ] {
            assert_eq!(target(path), Err(TargetError::Unknown), "{path}");
        }
    }
}
