//! The list of rooms: what the registry says of the cluster, and what this node knows of its own streams.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use synctv_actors::{access::Visible, cluster::origin::PublishedRoom, stream::StreamStats};
use synctv_media::{
    flv::{audio::AudioCodec, video::VideoCodec},
    stream::room::RoomName,
};

use super::webrtc_state::WebRtcState;

/// A stream on this node.
#[derive(Debug)]
pub(super) struct LocalStream {
    pub room: RoomName,
    pub viewers: u64,
    pub stats: StreamStats,
}

/// All rooms that there is anything to say of, in the order of their names.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Rooms {
    /// `true` if rooms of other nodes are in it: not while the registry does not answer.
    pub complete: bool,
    #[serde(serialize_with = "values")]
    streams: BTreeMap<String, Room>,
}

/// [`Rooms`] with some of its rooms.
#[derive(Debug, Serialize)]
pub(super) struct SomeRooms<'a> {
    complete: bool,
    streams: Vec<&'a Room>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Room {
    room: String,
    state: State,
    /// The publisher's node.
    node: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    since_unix_ms: Option<u64>,
    /// This node's statistics of the stream, if it has it.
    details: Option<Details>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Live,
    /// Its publisher is disconnected and may come back.
    Interrupted,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Details {
    video: Option<Video>,
    audio: Option<Audio>,
    bitrate_kbps: Option<u64>,
    viewers: u64,
    /// `None` while it is not known.
    webrtc: Option<WebRtcState>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Video {
    codec: String,
    width: Option<u32>,
    height: Option<u32>,
    /// None has come for so long that viewers begin without one.
    lacks_keyframes: bool,
    /// The time between the last two keyframes, once there are two.
    keyframe_interval_ms: Option<i64>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Audio {
    codec: String,
}

impl Rooms {
    /// `published` is `None` if the registry does not answer. The registry's data of a room counts more than that of
    /// the node `this_node`.
    pub fn merge(this_node: &str, published: Option<Vec<PublishedRoom>>, local: Vec<LocalStream>) -> Self {
        let complete = published.is_some();
        let published = published.into_iter().flatten().map(|published| Room {
            room: published.room.to_string(),
            state: State::Live,
            node: published.node,
            since_unix_ms: Some(published.since_unix_ms),
            details: None,
        });
        let mut streams: BTreeMap<_, _> = published.map(|room| (room.room.clone(), room)).collect();
        for stream in local {
            let room = stream.room.to_string();
            let listed = streams.entry(room).or_insert_with(|| Room::of_local(this_node, &stream));
            listed.details = Some(Details::of(&stream));
        }
        Self { complete, streams }
    }

    /// The list without other rooms.
    pub fn only(&self, room: &RoomName) -> SomeRooms<'_> {
        SomeRooms { complete: self.complete, streams: self.get(room).into_iter().collect() }
    }

    /// The list of rooms that someone may see.
    pub fn visible(&self, visible: &Visible) -> SomeRooms<'_> {
        let is_visible = |name: &str| RoomName::new(name).is_ok_and(|room| visible.sees(&room));
        let streams = self.streams.iter().filter(|(name, _)| is_visible(name)).map(|(_, room)| room);
        SomeRooms { complete: self.complete, streams: streams.collect() }
    }

    /// Describes one room.
    pub fn get(&self, room: &RoomName) -> Option<&Room> {
        self.streams.get(room.as_str())
    }
}

impl Room {
    fn of_local(this_node: &str, stream: &LocalStream) -> Self {
        let since_unix_ms = stream.stats.since_unix_ms;
        Self {
            room: stream.room.to_string(),
            state: if since_unix_ms.is_some() { State::Live } else { State::Interrupted },
            node: stream.stats.origin.as_deref().unwrap_or(this_node).to_owned(),
            since_unix_ms,
            details: None,
        }
    }
}

impl Details {
    fn of(stream: &LocalStream) -> Self {
        let webrtc = stream.stats.webrtc.as_ref().map(WebRtcState::from);
        let StreamStats {
            video, frame_size, lacks_keyframes, keyframe_interval_ms, audio, bitrate_kbps, ..
        } = stream.stats;
        let video = video.map(|codec| Video {
            codec: video_name(codec),
            width: frame_size.map(|size| size.width),
            height: frame_size.map(|size| size.height),
            lacks_keyframes,
            keyframe_interval_ms,
        });
        let audio = audio.map(|codec| Audio { codec: audio_name(codec) });
        Self { video, audio, bitrate_kbps, viewers: stream.viewers, webrtc }
    }
}

/// As people who watch know it.
pub(crate) fn video_name(codec: VideoCodec) -> String {
    match codec {
        VideoCodec::H264 => "H.264".to_owned(),
        VideoCodec::H265 => "H.265".to_owned(),
        VideoCodec::Av1 => "AV1".to_owned(),
        VideoCodec::Vp9 => "VP9".to_owned(),
        VideoCodec::Id(_) | VideoCodec::FourCc(_) => codec.to_string(),
    }
}

/// The codec's name.
pub(crate) fn audio_name(codec: AudioCodec) -> String {
    match codec {
        AudioCodec::Aac => "AAC".to_owned(),
        AudioCodec::Mp3 => "MP3".to_owned(),
        AudioCodec::Opus => "Opus".to_owned(),
        AudioCodec::Flac => "FLAC".to_owned(),
        AudioCodec::Ac3 => "AC-3".to_owned(),
        AudioCodec::Eac3 => "E-AC-3".to_owned(),
        AudioCodec::Id(_) | AudioCodec::FourCc(_) => codec.to_string(),
    }
}

fn values<S: Serializer>(rooms: &BTreeMap<String, Room>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(rooms.values())
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use synctv_media::{
        codec::frame_size::FrameSize,
        webrtc::{packetizer::Unplayable, playability::Playability},
    };

    use super::*;

    fn published(room: &str, node: &str) -> PublishedRoom {
        PublishedRoom { room: RoomName::new(room).unwrap(), node: node.to_owned(), since_unix_ms: 7 }
    }

    fn local(room: &str, since_unix_ms: Option<u64>) -> LocalStream {
        let stats = StreamStats {
            origin: None,
            publisher: None,
            since_unix_ms,
            video: Some(VideoCodec::H264),
            frame_size: Some(FrameSize { width: 640, height: 360 }),
            lacks_keyframes: false,
            audio: Some(AudioCodec::Aac),
            bitrate_kbps: Some(900),
            encoder: None,
            announced_frame_rate: None,
            keyframe_interval_ms: Some(2000),
            video_after_audio_ms: None,
            has_b_frames: false,
            webrtc: Some(Playability::Refused(Unplayable::BFrames)),
        };
        LocalStream { room: RoomName::new(room).unwrap(), viewers: 3, stats }
    }

    fn details() -> serde_json::Value {
        json!({
            "video": { "codec": "H.264", "width": 640, "height": 360, "lacks_keyframes": false, "keyframe_interval_ms": 2000 },
            "audio": { "codec": "AAC" },
            "bitrate_kbps": 900,
            "viewers": 3,
            "webrtc": { "state": "refused", "reasons": [{ "code": "b_frames", "message": Unplayable::BFrames.to_string() }] },
        })
    }

    #[test]
    fn rooms_of_all_nodes_are_listed_by_name_with_details_of_those_that_are_here() {
        let cluster = vec![published("b", "n2"), published("a", "n1"), published("c", "n2")];
        let rooms = Rooms::merge("n1", Some(cluster), vec![local("c", Some(9)), local("a", Some(9))]);
        let room = |name: &str, node: &str, details| json!({ "room": name, "state": "live", "node": node, "since_unix_ms": 7, "details": details });
        let streams = [room("a", "n1", details()), room("b", "n2", json!(null)), room("c", "n2", details())];
        assert_eq!(serde_json::to_value(&rooms).unwrap(), json!({ "complete": true, "streams": streams }));
    }

    #[test]
    fn without_the_registry_the_rooms_of_this_node_are_left() {
        let rooms = Rooms::merge("n1", None, vec![local("a", Some(9))]);
        assert!(!rooms.complete);
        let room = rooms.get(&RoomName::new("a").unwrap()).unwrap();
        assert_eq!((room.state, room.since_unix_ms), (State::Live, Some(9)));
    }

    #[test]
    fn without_the_registry_a_room_is_still_of_the_node_that_it_is_pulled_from() {
        let mut pulled = local("a", Some(9));
        pulled.stats.origin = Some("n2".to_owned());
        let rooms = Rooms::merge("n1", None, vec![pulled]);
        assert_eq!(rooms.get(&RoomName::new("a").unwrap()).unwrap().node, "n2");
    }

    #[test]
    fn a_room_whose_publisher_left_is_interrupted_until_another_node_has_it() {
        let state = |cluster| {
            let rooms = Rooms::merge("n1", Some(cluster), vec![local("a", None)]);
            let room = rooms.get(&RoomName::new("a").unwrap()).unwrap();
            (room.state, room.node.clone())
        };
        assert_eq!(state(vec![]), (State::Interrupted, "n1".to_owned()));
        assert_eq!(state(vec![published("a", "n2")]), (State::Live, "n2".to_owned()));
    }
}
