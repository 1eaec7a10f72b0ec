//! The target of a path. Names are parsed; no file is ever looked up by a path.

use synctv_actors::hls::{PlaylistAddress, proxy::HlsResource};
use synctv_media::{
    hls::segment_name::SegmentName,
    stream::room::{RoomName, RoomNameError},
};

#[derive(Debug, PartialEq, Eq)]
pub(in crate::http) enum TargetError {
    /// Neither a playlist's path nor a segment's.
    Unknown,
    /// It would be, if that were a room.
    Room(RoomNameError),
}

pub(in crate::http) fn parse(path: &str, app: &str) -> Result<HlsResource, TargetError> {
    let below_app = path
        .strip_prefix('/')
        .and_then(|path| path.strip_prefix(app)?.strip_prefix('/'))
        .ok_or(TargetError::Unknown)?;
    match below_app.rsplit_once('/') {
        Some((room, "index.m3u8")) => playlist(room, PlaylistAddress::Index),
        Some((room, "ll.m3u8")) => playlist(room, PlaylistAddress::LowLatency),
        Some((room, "master.m3u8")) => playlist(room, PlaylistAddress::Master),
        Some((room, file)) => segment(room, file),
        None => match below_app.strip_suffix(".m3u8") {
            Some(room) => playlist(room, PlaylistAddress::Flat),
            None => Err(TargetError::Unknown),
        },
    }
}

fn playlist(room: &str, address: PlaylistAddress) -> Result<HlsResource, TargetError> {
    let room = RoomName::from_address(room)?;
    Ok(HlsResource::Playlist { room, address, request: None })
}

fn segment(room: &str, file: &str) -> Result<HlsResource, TargetError> {
    let name = SegmentName::parse(file).ok_or(TargetError::Unknown)?;
    let room = RoomName::from_address(room)?;
    Ok(HlsResource::Segment { room, name })
}

impl From<RoomNameError> for TargetError {
    fn from(error: RoomNameError) -> Self {
        Self::Room(error)
    }
}

#[cfg(test)]
mod tests {
    use synctv_media::hls::{container::Container, ts::container::TsContainer};

    use super::*;

    fn room(name: &str) -> RoomName {
        RoomName::new(name).unwrap()
    }

    fn target(path: &str) -> Result<HlsResource, TargetError> {
        parse(path, "live")
    }

    #[test]
    fn playlists_and_segments_are_told_by_their_paths() {
        let playlist = |name, address| Ok(HlsResource::Playlist { room: room(name), address, request: None });
        assert_eq!(target("/live/r1/index.m3u8"), playlist("r1", PlaylistAddress::Index));
        assert_eq!(target("/live/r1.m3u8"), playlist("r1", PlaylistAddress::Flat));
        assert_eq!(target("/live/r1/ll.m3u8"), playlist("r1", PlaylistAddress::LowLatency));
        assert_eq!(target("/live/r1/master.m3u8"), playlist("r1", PlaylistAddress::Master));
        assert_eq!(target("/live/a.m3u8/index.m3u8"), playlist("a.m3u8", PlaylistAddress::Index));
        assert_eq!(target("/live/index.m3u8"), playlist("index", PlaylistAddress::Flat));
        assert_eq!(target("/live/%72%31/index.m3u8"), playlist("r1", PlaylistAddress::Index));
        assert_eq!(
            target("/live/r1/seg-42.ts"),
            Ok(HlsResource::Segment { room: room("r1"), name: SegmentName::whole(42, TsContainer::FORMAT) })
        );
    }

    #[test]
    fn what_a_node_asks_another_for_is_what_it_was_asked_for() {
        let playlists = ["index.m3u8", "ll.m3u8", "master.m3u8"].map(|file| format!("/live/r1/{file}"));
        let segments = ["seg-42.ts", "seg-42.m4s", "part-42.3.m4s", "init-42.mp4"]
            .map(|file| format!("/live/r1/{file}"));
        for path in ["/live/r1.m3u8".to_owned()].iter().chain(&playlists).chain(&segments) {
            assert_eq!(&target(path).unwrap().path("live"), path);
        }
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
