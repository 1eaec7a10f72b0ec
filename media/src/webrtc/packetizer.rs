//! Makes RTP payloads of a stream's batches, once for all viewers that one thread serves.

use std::sync::Arc;

use bytes::Bytes;
use thiserror::Error;

use crate::{
    flv::{
        self,
        video::{VideoCodec, VideoHeader, VideoKind},
    },
    stream::{
        batch::Batch,
        frame::Track,
        headers::{Headers, SharedHeaders},
        wire_format::WireFormat,
    },
    webrtc::{
        audio::{no_audio::NoAudio, track::AudioTrack, unit::AudioUnit},
        h264::H264Packetizer,
        order::{FrameOrder, OrderWatch, Turn},
    },
};

/// RTP ticks of video in a millisecond (RFC 6184, section 8.2.1).
pub const VIDEO_TICKS_PER_MS: i64 = 90;

/// A frame of video in RTP payloads.
#[derive(Debug, PartialEq, Eq)]
pub struct VideoUnit {
    /// The time at which it is shown, in milliseconds of the stream's timeline.
    pub shown_ms: i64,
    /// Decoding can start at it.
    pub is_start: bool,
    /// The payloads, of which the last one gets the marker; at least one.
    pub payloads: Vec<Arc<[u8]>>,
}

/// A piece of media that is ready for RTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unit {
    /// Of video.
    Video(Arc<VideoUnit>),
    /// Of audio.
    Audio(Arc<AudioUnit>),
}

/// The codecs that a viewer has to decode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MediaProfile {
    /// The video; `None` if the stream has none.
    pub video: Option<VideoProfile>,
    /// There is audio, or may be later, that can be sent as Opus.
    pub has_opus: bool,
}

/// A video codec, as offers name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VideoProfile {
    /// H.264 with this `profile_idc`.
    H264(u8),
}

/// Why a stream cannot be watched over WebRTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Unplayable {
    /// Frames that others depend on are shown later than they come.
    #[error(
        "the stream has B-frames, which WebRTC cannot carry: set B-frames to 0 or tune zerolatency in the encoder, or watch over HTTP-FLV or HLS"
    )]
    BFrames,
    /// No browser takes the codec over WebRTC, or it is not supported here.
    #[error("{0} cannot be watched over WebRTC: publish H.264, or watch over HTTP-FLV or HLS")]
    Codec(VideoCodec),
}

/// The packetizer of one stream.
#[derive(Debug, Default)]
pub struct Packetizer {
    video: VideoTrack,
    order: OrderWatch,
    audio: AudioTrack,
    /// The headers that were read last. They are shared, so that a pointer says whether they are the same.
    headers: Option<SharedHeaders>,
    /// The video's sequence header that is in use.
    video_header: Bytes,
    left_out: u64,
}

#[derive(Debug, Default)]
enum VideoTrack {
    /// No sequence header has come.
    #[default]
    Unknown,
    H264 {
        packetizer: H264Packetizer,
        profile_idc: u8,
    },
    Unsupported(VideoCodec),
}

impl Packetizer {
    /// Reads the headers in front of media.
    pub fn read_headers(&mut self, headers: &SharedHeaders) {
        let is_known = self.headers.as_ref().is_some_and(|known| Arc::ptr_eq(known, headers));
        if !is_known {
            self.read_tags(headers);
            self.headers = Some(headers.clone());
        }
    }

    /// Forgets the publisher: the next one has headers and an order of its own.
    pub fn end_publisher(&mut self) {
        *self = Self { left_out: self.left_out, ..Self::default() };
    }

    /// Appends the units of a batch, in its order.
    pub fn push(&mut self, batch: &Batch, units: &mut Vec<Unit>) {
        if let Some(headers) = &batch.start {
            self.read_headers(headers);
        }
        let mut is_start = batch.start.is_some();
        for (track, time_ms, body) in flv::frames(&batch.flv, batch.first_ms) {
            match track {
                Track::Video => {
                    let unit = self.video(time_ms, &body, is_start);
                    is_start &= unit.is_none();
                    units.extend(unit.map(|unit| Unit::Video(Arc::new(unit))));
                }
                Track::Audio => {
                    self.audio.push(time_ms, &body, |unit| units.push(Unit::Audio(Arc::new(unit))));
                }
                Track::Data => {}
            }
        }
    }

    /// Returns what a viewer has to decode, or why the stream cannot be watched.
    pub fn profile(&self) -> Result<MediaProfile, Unplayable> {
        let video = match self.video {
            VideoTrack::Unknown => None,
            VideoTrack::Unsupported(codec) => return Err(Unplayable::Codec(codec)),
            VideoTrack::H264 { .. } if self.order.order() == FrameOrder::LateReferences => {
                return Err(Unplayable::BFrames);
            }
            VideoTrack::H264 { profile_idc, .. } => Some(VideoProfile::H264(profile_idc)),
        };
        Ok(MediaProfile { video, has_opus: self.audio.is_playable() })
    }

    /// Returns why viewers get no audio, if the stream has some.
    pub fn why_no_audio(&self) -> Option<&NoAudio> {
        self.audio.why_none()
    }

    /// Sets whether there are viewers who get the audio. Without them it is not transcoded.
    pub fn set_listeners(&mut self, has_listeners: bool) {
        self.audio.set_listeners(has_listeners);
    }

    /// Returns the number of frames that were left out because they come late.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    fn read_tags(&mut self, headers: &Headers) {
        let flv = headers.bytes(WireFormat::Flv);
        for tag in flv::tags(&flv) {
            match Track::from_type_id(tag.type_id) {
                Some(Track::Video) => self.video_header(tag.body),
                Some(Track::Audio) => self.audio.push_header(tag.body),
                _ => {}
            }
        }
    }

    fn video_header(&mut self, body: &[u8]) {
        let Ok(header) = VideoHeader::parse(body) else { return };
        if header.kind != VideoKind::SequenceHeader || self.video_header == body {
            return;
        }
        self.video_header = Bytes::copy_from_slice(body);
        let record = body.get(header.data_offset..).unwrap_or_default();
        let h264 = (header.codec == VideoCodec::H264).then(|| H264Packetizer::new(record)).flatten();
        self.order = OrderWatch::announced(h264.as_ref().and_then(H264Packetizer::reorder_frames));
        self.video = match h264 {
            Some(packetizer) => {
                VideoTrack::H264 { packetizer, profile_idc: record.get(1).copied().unwrap_or_default() }
            }
            None => VideoTrack::Unsupported(header.codec),
        };
    }

    fn video(&mut self, time_ms: i64, body: &Bytes, is_start: bool) -> Option<VideoUnit> {
        let header = VideoHeader::parse(body).ok()?;
        match header.kind {
            VideoKind::SequenceHeader => {
                self.video_header(body);
                return None;
            }
            VideoKind::Other => return None,
            VideoKind::Keyframe | VideoKind::Inter => {}
        }
        let VideoTrack::H264 { packetizer, .. } = &mut self.video else {
            if let VideoTrack::Unknown = self.video {
                self.video = VideoTrack::Unsupported(header.codec);
            }
            return None;
        };
        let packets = packetizer.packetize(body.get(header.data_offset..)?, is_start)?;
        let later_ms = i64::from(header.composition_time_ms);
        let shown_ms = time_ms + later_ms;
        match self.order.next(shown_ms, later_ms, packets.is_disposable, packets.is_idr) {
            Turn::Send => Some(VideoUnit { shown_ms, is_start, payloads: packets.payloads }),
            Turn::LeaveOut => {
                self.left_out += 1;
                None
            }
        }
    }
}

impl VideoUnit {
    /// Returns the size of its payloads, in bytes.
    pub fn size_bytes(&self) -> usize {
        self.payloads.iter().map(|payload| payload.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        flv::audio::AudioCodec,
        samples,
        stream::{batcher::Batcher, frame::Frame},
    };

    fn packetized(frames: impl IntoIterator<Item = Frame>) -> (Packetizer, Vec<Unit>) {
        let (mut batcher, mut packetizer, mut units) =
            (Batcher::default(), Packetizer::default(), Vec::new());
        for frame in frames {
            batcher.push(frame).unwrap();
            batcher.flush().iter().for_each(|batch| packetizer.push(batch, &mut units));
        }
        batcher.open();
        batcher.flush().iter().for_each(|batch| packetizer.push(batch, &mut units));
        (packetizer, units)
    }

    fn video(timestamp_ms: u32, payload: &'static [u8]) -> Frame {
        Frame { track: Track::Video, timestamp_ms, payload: Bytes::from_static(payload) }
    }

    fn opus(timestamp_ms: u32) -> Frame {
        Frame { track: Track::Audio, timestamp_ms, payload: Bytes::from_static(b"\x91Opusdata") }
    }

    #[test]
    fn h264_and_opus_become_units_on_one_timeline() {
        let frames = [samples::video_header(), samples::keyframe(0), opus(10), samples::inter(33)];
        let (packetizer, units) = packetized(frames);
        let profile = MediaProfile { video: Some(VideoProfile::H264(0x4d)), has_opus: true };
        assert_eq!(packetizer.profile(), Ok(profile));
        let [Unit::Video(start), Unit::Audio(audio), Unit::Video(inter)] = &units[..] else {
            panic!("{units:?}")
        };
        assert_eq!((start.shown_ms, start.is_start, start.payloads.len()), (0, true, 2));
        assert_eq!((audio.ticks, &*audio.payload), (480, &b"data"[..]));
        assert_eq!((inter.shown_ms, inter.is_start, inter.payloads.len()), (33, false, 1));
    }

    #[test]
    fn aac_is_playable_and_transcoded_for_listeners_alone() {
        let frames =
            [samples::video_header(), samples::audio_header(), samples::keyframe(0), samples::audio(10)];
        let (packetizer, units) = packetized(frames);
        assert_eq!((units.len(), packetizer.why_no_audio()), (1, None));
        assert!(packetizer.profile().unwrap().has_opus);
    }

    #[test]
    fn audio_that_cannot_be_sent_is_named_and_left_out() {
        let mp3 = Frame { track: Track::Audio, timestamp_ms: 10, payload: Bytes::from_static(b"\x2Fmp3") };
        let (packetizer, units) = packetized([samples::video_header(), samples::keyframe(0), mp3]);
        assert_eq!((units.len(), packetizer.why_no_audio()), (1, Some(&NoAudio::Codec(AudioCodec::Mp3))));
        assert!(!packetizer.profile().unwrap().has_opus);
    }

    #[test]
    fn other_codecs_are_named() {
        let frames = [video(0, b"\x90hvc1header"), video(0, b"\x93hvc1\0\0\0\x02\x26\x01")];
        assert_eq!(packetized(frames).0.profile(), Err(Unplayable::Codec(VideoCodec::H265)));
    }

    #[test]
    fn late_references_make_a_stream_unplayable_until_another_publisher_comes() {
        let late = video(33, b"\x27\x01\0\0\x00\0\0\0\x02\x41b");
        let ahead = video(16, b"\x27\x01\0\0\x50\0\0\0\x02\x41p");
        let (mut packetizer, units) =
            packetized([samples::video_header(), samples::keyframe(0), ahead, late]);
        assert_eq!((packetizer.profile(), units.len()), (Err(Unplayable::BFrames), 2));
        assert_eq!(packetizer.left_out(), 1);
        packetizer.end_publisher();
        assert!(packetizer.profile().is_ok());
    }
}
