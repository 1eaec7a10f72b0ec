//! Makes RTP payloads of a stream's batches, once for all viewers that one thread serves.

use std::sync::Arc;

pub use crate::webrtc::{
    profile::{MediaProfile, Unplayable, VideoProfile},
    unit::{Unit, VIDEO_TICKS_PER_MS, VideoUnit},
};
use crate::{
    flv,
    stream::{
        batch::Batch,
        frame::Track,
        headers::{Headers, SharedHeaders},
        wire_format::WireFormat,
    },
    webrtc::{
        audio::{no_audio::NoAudio, rate::OpusRate, track::AudioTrack},
        video_track::VideoTrack,
    },
};

/// The packetizer of one stream.
#[derive(Debug, Default)]
pub struct Packetizer {
    video: VideoTrack,
    audio: AudioTrack,
    /// The headers that were read last. They are shared, so that a pointer says whether they are the same.
    headers: Option<SharedHeaders>,
    rate: OpusRate,
}

impl Packetizer {
    /// Starts one that makes Opus of this rate of AAC.
    pub fn new(rate: OpusRate) -> Self {
        Self { audio: AudioTrack::new(rate), rate, ..Self::default() }
    }

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
        *self = Self::new(self.rate);
    }

    /// Appends the units of a batch, in its order.
    pub fn push(&mut self, batch: &Batch, units: &mut Vec<Unit>) {
        if let Some(headers) = &batch.start {
            self.read_headers(headers);
        }
        let mut is_start = batch.start.is_some();
        for (track, time_ms, body) in flv::frames(batch.flv(), batch.first_ms) {
            match track {
                Track::Video => {
                    let unit = self.video.push(time_ms, &body, is_start);
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

    /// Reads a batch as [`push`](Self::push) does, and makes nothing of it: a look at a stream that no one watches over WebRTC.
    pub fn examine(&mut self, batch: &Batch) {
        if let Some(headers) = &batch.start {
            self.read_headers(headers);
        }
        for (track, time_ms, body) in flv::frames(batch.flv(), batch.first_ms) {
            match track {
                Track::Video => self.video.examine(time_ms, &body),
                Track::Audio => self.audio.examine(&body),
                Track::Data => {}
            }
        }
    }

    /// Returns what a viewer has to decode, or why the stream cannot be watched.
    pub fn profile(&self) -> Result<MediaProfile, Unplayable> {
        Ok(MediaProfile { video: self.video.profile()?, has_opus: self.audio.is_playable() })
    }

    /// Returns whether most browsers do not take the video's codec over WebRTC.
    pub fn is_rarely_taken(&self) -> bool {
        self.video.is_rarely_taken()
    }

    /// Returns whether frames that come late are left out.
    pub fn drops_frames(&self) -> bool {
        self.video.drops_frames()
    }

    /// Returns why viewers get no audio, if the stream has some.
    pub fn why_no_audio(&self) -> Option<&NoAudio> {
        self.audio.why_none()
    }

    /// Returns whether viewers get the core of HE-AAC alone.
    pub fn lacks_audio_extension(&self) -> bool {
        self.audio.lacks_extension()
    }

    /// Sets whether there are viewers who get the audio. Without them it is not transcoded.
    pub fn set_listeners(&mut self, has_listeners: bool) {
        self.audio.set_listeners(has_listeners);
    }

    fn read_tags(&mut self, headers: &Headers) {
        let flv = headers.bytes(WireFormat::Flv);
        for tag in flv::tags(&flv) {
            match Track::from_type_id(tag.type_id) {
                Some(Track::Video) => self.video.push_header(tag.body),
                Some(Track::Audio) => self.audio.push_header(tag.body),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{
        flv::{audio::AudioCodec, video::VideoCodec},
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
        let frames = [video(0, b"\x90vvc1header"), video(0, b"\x93vvc1\0\0\0\x02\x26\x01")];
        assert_eq!(packetized(frames).0.profile(), Err(Unplayable::Codec(VideoCodec::FourCc(*b"vvc1"))));
    }

    #[test]
    fn late_references_make_a_stream_unplayable_until_another_publisher_comes() {
        let late = video(33, b"\x27\x01\0\0\x00\0\0\0\x02\x41b");
        let ahead = video(16, b"\x27\x01\0\0\x50\0\0\0\x02\x41p");
        let (mut packetizer, units) =
            packetized([samples::video_header(), samples::keyframe(0), ahead, late]);
        assert_eq!((packetizer.profile(), units.len()), (Err(Unplayable::BFrames), 2));
        packetizer.end_publisher();
        assert!(packetizer.profile().is_ok());
    }
}
