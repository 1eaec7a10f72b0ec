//! The headers that a decoder must have before its first frame: metadata and sequence headers.

mod state;

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use thiserror::Error;

use crate::{
    codec::{avc::parse_avcc, frame_size::FrameSize, hevc::parse_hvcc, nal::NalConfig},
    flv::{
        TAG_OVERHEAD_BYTES,
        audio::{AudioCodec, AudioHeader},
        file_header, put_tag,
        video::{VideoCodec, VideoHeader},
    },
    stream::{
        frame::Track,
        header_key::HeaderKey,
        metadata::{Metadata, announcing},
        tracks::Tracks,
        wire_format::{Encodings, WireFormat},
    },
};
pub use state::{HeaderSetState, HeadersState};

/// The longest metadata or sequence header, in bytes. Each is kept, parsed, and sent to every viewer who joins.
pub const HEADER_MAX_BYTES: usize = 64 * 1024;

/// The most headers besides those of the main tracks: further tracks have one or two each.
pub const EXTRAS_MAX: usize = 16;

/// The bytes of a NAL unit's length where no sequence header says it.
const NAL_LENGTH_BYTES: usize = 4;

/// The reason a header is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum HeaderError {
    /// Over [`HEADER_MAX_BYTES`].
    #[error("metadata or a sequence header of {0} bytes, the limit is {HEADER_MAX_BYTES}")]
    TooLarge(usize),
    /// It configures nothing, and what was configured before still counts.
    #[error("a sequence header without a configuration")]
    Empty,
    /// Over [`EXTRAS_MAX`].
    #[error("more than {EXTRAS_MAX} headers of further tracks")]
    TooMany,
}

/// The headers of a stream as they are now, gathered from its frames.
#[derive(Debug, Clone, Default)]
pub struct HeaderSet {
    metadata_payload: Option<Bytes>,
    metadata: Metadata,
    video: Option<Bytes>,
    audio: Option<Bytes>,
    extras: Option<Arc<[Extra]>>,
    video_codec: Option<VideoCodec>,
    audio_codec: Option<AudioCodec>,
    video_config: VideoConfig,
}

#[derive(Debug, Clone)]
struct Extra {
    key: HeaderKey,
    payload: Bytes,
}

/// The part of the video's sequence header that matters for the frames behind it.
#[derive(Debug, Clone, Copy)]
struct VideoConfig {
    nal_length_bytes: usize,
    has_parameter_sets: bool,
}

impl Default for VideoConfig {
    fn default() -> Self {
        Self { nal_length_bytes: NAL_LENGTH_BYTES, has_parameter_sets: false }
    }
}

impl HeaderSet {
    /// Keeps onMetaData. Returns whether it differs from the one before.
    pub fn set_metadata(&mut self, payload: &Bytes) -> Result<bool, HeaderError> {
        let changed = replace(&mut self.metadata_payload, payload)?;
        if changed {
            self.metadata = Metadata::parse(payload);
        }
        Ok(changed)
    }

    /// Keeps the video sequence header, whose own header was read. Returns whether it differs from the one before.
    pub fn set_video(&mut self, header: &VideoHeader, payload: &Bytes) -> Result<bool, HeaderError> {
        if self.video.as_ref() == Some(payload) {
            return Ok(false);
        }
        let config = VideoConfig::of(header, payload)?;
        let is_same_codec = self.video_codec == Some(header.codec);
        if is_same_codec && self.video_config.has_parameter_sets && !config.has_parameter_sets {
            return Err(HeaderError::Empty);
        }
        let changed = replace(&mut self.video, payload)?;
        self.video_codec = Some(header.codec);
        self.video_config = config;
        Ok(changed)
    }

    /// Keeps the audio sequence header, whose own header was read. Returns whether it differs from the one before.
    pub fn set_audio(&mut self, header: &AudioHeader, payload: &Bytes) -> Result<bool, HeaderError> {
        if payload.len() <= header.data_offset {
            return Err(HeaderError::Empty);
        }
        self.audio_codec = Some(header.codec);
        replace(&mut self.audio, payload)
    }

    /// Keeps a header of this key. Returns whether it differs from the one before.
    pub fn set_extra(&mut self, key: HeaderKey, payload: &Bytes) -> Result<bool, HeaderError> {
        check_size(payload)?;
        let mut extras = self.extras.as_deref().unwrap_or_default().to_vec();
        let is_full = extras.len() >= EXTRAS_MAX;
        match extras.iter_mut().find(|extra| extra.key == key) {
            Some(known) if known.payload == *payload => return Ok(false),
            Some(known) => known.payload = payload.clone(),
            None if is_full => return Err(HeaderError::TooMany),
            None => extras.push(Extra { key, payload: payload.clone() }),
        }
        self.extras = Some(extras.into());
        Ok(true)
    }

    /// Notes the codec of the video.
    pub fn see_video(&mut self, codec: VideoCodec) {
        self.video_codec = Some(codec);
    }

    /// Notes the codec of the audio.
    pub fn see_audio(&mut self, codec: AudioCodec) {
        self.audio_codec = Some(codec);
    }

    /// The codec of the video, once a frame or a sequence header came.
    pub fn video_codec(&self) -> Option<VideoCodec> {
        self.video_codec
    }

    /// The codec of the audio, once a frame or a sequence header came.
    pub fn audio_codec(&self) -> Option<AudioCodec> {
        self.audio_codec
    }

    /// The bytes of the length before each NAL unit of the video.
    pub fn nal_length_bytes(&self) -> usize {
        self.video_config.nal_length_bytes
    }

    /// The tracks that sequence headers or metadata announce.
    pub fn announced(&self) -> Tracks {
        let by_header = Tracks { audio: self.audio.is_some(), video: self.video.is_some() };
        by_header.union(self.metadata.announced())
    }

    /// Returns whether there is metadata that says which tracks to expect.
    pub fn has_announcement(&self) -> bool {
        !self.metadata.announced().is_empty()
    }

    /// The frame size: that of the sequence header, or else the publisher's announcement.
    pub fn frame_size(&self) -> Option<FrameSize> {
        let coded = self.video.as_deref().and_then(FrameSize::of_sequence_header);
        coded.or_else(|| {
            let Metadata { width, height, .. } = self.metadata;
            Some(FrameSize { width: width?, height: height? })
        })
    }

    /// The tracks that the publisher announced.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The metadata without what it announces beyond `tracks`.
    pub fn metadata_for(&self, tracks: Tracks) -> Option<Bytes> {
        let payload = self.metadata_payload.as_ref()?;
        if tracks.includes(self.metadata.announced()) {
            return Some(payload.clone());
        }
        Some(announcing(payload, tracks).unwrap_or_else(|| payload.clone()))
    }

    /// All headers that are of use to a viewer who is to expect `tracks`, in a player's order.
    pub fn tags_for(&self, tracks: Tracks) -> Vec<(Track, Bytes)> {
        let metadata = self.metadata_for(tracks).map(|payload| (Track::Data, payload));
        let main = [Track::Video, Track::Audio].into_iter().filter(|track| tracks.contains(*track));
        let main =
            main.flat_map(|track| self.of_track(track).into_iter().map(move |payload| (track, payload)));
        let extras = self.extras.as_deref().unwrap_or_default().iter();
        let of_others = extras.filter(|extra| !extra.key.is_of_main_track());
        let of_others = of_others.map(|extra| (extra.key.track(), extra.payload.clone()));
        metadata.into_iter().chain(main).chain(of_others).collect()
    }

    /// The headers of one main track.
    pub fn of_track(&self, track: Track) -> Vec<Bytes> {
        let main = match track {
            Track::Video => &self.video,
            Track::Audio => &self.audio,
            Track::Data => &None,
        };
        let extras = self.extras.as_deref().unwrap_or_default().iter();
        let of_main = extras.filter(|extra| extra.key.track() == track && extra.key.is_of_main_track());
        main.iter().chain(of_main.map(|extra| &extra.payload)).cloned().collect()
    }

    /// The headers as a viewer gets them who joins at `time_ms` and is to expect `tracks`. They are encoded when the
    /// first one does.
    pub fn at(&self, time_ms: i64, tracks: Tracks) -> Headers {
        Headers { set: self.clone(), time_ms, tracks, flv: OnceLock::new(), encodings: Encodings::default() }
    }
}

impl VideoConfig {
    fn of(header: &VideoHeader, payload: &[u8]) -> Result<Self, HeaderError> {
        let record = payload.get(header.data_offset..).filter(|record| !record.is_empty());
        let record = record.ok_or(HeaderError::Empty)?;
        let config = match header.codec {
            VideoCodec::H264 => parse_avcc(record).ok(),
            VideoCodec::H265 => parse_hvcc(record).ok(),
            _ => None,
        };
        Ok(config.map_or_else(Self::default, |NalConfig { length_bytes, parameter_sets, .. }| Self {
            nal_length_bytes: length_bytes,
            has_parameter_sets: !parameter_sets.is_empty(),
        }))
    }
}

fn replace(slot: &mut Option<Bytes>, payload: &Bytes) -> Result<bool, HeaderError> {
    let changed = slot.as_ref() != Some(payload);
    if changed {
        check_size(payload)?;
        *slot = Some(payload.clone());
    }
    Ok(changed)
}

fn check_size(payload: &Bytes) -> Result<(), HeaderError> {
    if payload.len() > HEADER_MAX_BYTES {
        return Err(HeaderError::TooLarge(payload.len()));
    }
    Ok(())
}

/// Metadata and sequence headers at one join point, encoded once for all who join there.
#[derive(Debug)]
pub struct Headers {
    set: HeaderSet,
    time_ms: i64,
    tracks: Tracks,
    flv: OnceLock<Bytes>,
    encodings: Encodings,
}

impl Headers {
    /// The headers in a viewer's format, without what begins a connection.
    pub fn bytes(&self, format: WireFormat) -> Bytes {
        let flv = self.flv.get_or_init(|| self.encode());
        self.encodings.get(format, flv).clone()
    }

    /// The first bytes of a connection's media in this format: FLV's file header, nothing for RTMP.
    pub fn preamble(&self, format: WireFormat) -> Bytes {
        format.frame_flv(&file_header(self.tracks.audio, self.tracks.video))
    }

    /// The tracks that they announce.
    pub fn tracks(&self) -> Tracks {
        self.tracks
    }

    /// The same headers, for a viewer who is to expect other tracks.
    pub fn announcing(&self, tracks: Tracks) -> Self {
        self.set.at(self.time_ms, tracks)
    }

    fn encode(&self) -> Bytes {
        let tags = self.set.tags_for(self.tracks);
        let size_bytes = tags.iter().map(|(_, body)| TAG_OVERHEAD_BYTES + body.len()).sum();
        let mut flv = Vec::with_capacity(size_bytes);
        for (track, body) in tags {
            // FFmpeg takes metadata at any other time for a text track.
            let time_ms = if track == Track::Data { 0 } else { self.time_ms };
            put_tag(&mut flv, track, time_ms, &body);
        }
        flv.into()
    }
}

/// Headers shared by a batch, the cache and the viewers that hold them.
pub type SharedHeaders = Arc<Headers>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{flv::tags, samples, stream::frame::Frame};

    fn set() -> HeaderSet {
        let mut set = HeaderSet::default();
        set.set_metadata(&samples::metadata(true, true).payload).unwrap();
        set_video(&mut set, &samples::video_header()).unwrap();
        let audio = samples::audio_header().payload;
        set.set_audio(&AudioHeader::parse(&audio).unwrap(), &audio).unwrap();
        set
    }

    fn set_video(set: &mut HeaderSet, frame: &Frame) -> Result<bool, HeaderError> {
        set.set_video(&VideoHeader::parse(&frame.payload).unwrap(), &frame.payload)
    }

    fn video(payload: &[u8]) -> Frame {
        Frame { payload: Bytes::copy_from_slice(payload), ..samples::video_header() }
    }

    fn announced(headers: &Headers) -> (u8, Vec<(u8, u32)>, Tracks) {
        let flv = headers.bytes(WireFormat::Flv);
        let tags: Vec<_> = tags(&flv).collect();
        let metadata = tags.iter().find(|tag| tag.type_id == 18).map(|tag| Metadata::parse(tag.body));
        let order = tags.iter().map(|tag| (tag.type_id, tag.timestamp_ms)).collect();
        (headers.preamble(WireFormat::Flv)[4], order, metadata.unwrap().announced())
    }

    #[test]
    fn what_a_viewer_is_to_expect_is_all_that_is_announced() {
        let both = set().at(700, Tracks::ALL);
        assert_eq!(announced(&both), (5, vec![(18, 0), (9, 700), (8, 700)], Tracks::ALL));
        for (track, flags, type_id) in [(Track::Audio, 4, 8), (Track::Video, 1, 9)] {
            let mut only = Tracks::default();
            only.insert(track);
            let headers = both.announcing(only);
            assert_eq!(announced(&headers), (flags, vec![(18, 0), (type_id, 700)], only));
        }
    }

    #[test]
    fn a_sequence_header_without_a_configuration_replaces_nothing() {
        let mut set = set();
        let without_sets = b"\x17\0\0\0\0\x01\x4d\x40\x1e\xff\xe0\0";
        for empty in [&b"\x17\0\0\0\0"[..], without_sets, b"\x90avc1"] {
            assert_eq!(set_video(&mut set, &video(empty)), Err(HeaderError::Empty), "{empty:?}");
        }
        let empty = Bytes::from_static(b"\xaf\0");
        let refused = set.set_audio(&AudioHeader::parse(&empty).unwrap(), &empty);
        assert_eq!(refused, Err(HeaderError::Empty));
        assert_eq!(set_video(&mut set, &samples::video_header()), Ok(false), "it is as it was");
        assert_eq!(set_video(&mut set, &video(b"\x90hvc1\x01")), Ok(true), "another codec");
    }

    #[test]
    fn a_record_without_parameter_sets_is_kept_if_it_is_all_there_is() {
        let mut set = HeaderSet::default();
        assert_eq!(set_video(&mut set, &video(b"\x17\0\0\0\0\x01\x4d\x40\x1e\xfd\xe0\0")), Ok(true));
        assert_eq!(set.nal_length_bytes(), 2);
    }

    #[test]
    fn further_headers_are_kept_beside_and_bounded() {
        let mut set = set();
        let key = |payload: &Bytes, track| {
            HeaderKey::of(&Frame { track, timestamp_ms: 0, payload: payload.clone() }).unwrap()
        };
        let colour = Bytes::from_static(b"\x94hvc1\x02");
        let colour_key = key(&colour, Track::Video);
        assert_eq!(set.set_extra(colour_key, &colour), Ok(true));
        assert_eq!(set.set_extra(colour_key, &colour), Ok(false));
        assert_eq!(set.of_track(Track::Video).len(), 2);
        assert_eq!(set.of_track(Track::Audio).len(), 1);
        let second = |id: u8| Bytes::from([&b"\x95\0mp4a"[..], &[id], b"config"].concat());
        for id in 1..EXTRAS_MAX as u8 {
            assert_eq!(set.set_extra(key(&second(id), Track::Audio), &second(id)), Ok(true));
        }
        let over = second(EXTRAS_MAX as u8);
        assert_eq!(set.set_extra(key(&over, Track::Audio), &over), Err(HeaderError::TooMany));
        let audio_only = set.at(0, Tracks { audio: true, video: false });
        let flv = audio_only.bytes(WireFormat::Flv);
        assert_eq!(tags(&flv).filter(|tag| tag.type_id == 9).count(), 0, "no colour without its video");
        assert_eq!(tags(&flv).filter(|tag| tag.type_id == 8).count(), EXTRAS_MAX);
    }
}
