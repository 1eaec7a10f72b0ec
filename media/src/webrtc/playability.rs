//! A judgement of streams for WebRTC, also of those that no one watches so.

use std::sync::Arc;

use thiserror::Error;

use crate::{
    stream::batch::Batch,
    webrtc::{
        audio::no_audio::NoAudio,
        packetizer::{Packetizer, Unplayable},
    },
};

/// The tracks of a stream that viewers over WebRTC get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Playability {
    /// All of it, if there is no limit.
    Plays(Vec<Limit>),
    /// Nothing: their offers are refused.
    Refused(Unplayable),
}

/// A part of a stream that viewers over WebRTC do not get.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Limit {
    /// Frames that come late, which nothing depends on.
    #[error(
        "the stream has B-frames, which are left out over WebRTC: it has a lower frame rate there. Set B-frames to 0 in the encoder to keep all frames"
    )]
    FramesDropped,
    /// Everything, where the browser lacks the codec.
    #[error(
        "over WebRTC, H.265 plays only in browsers that have a hardware decoder for it: publish H.264 for the others"
    )]
    FewBrowsers,
    /// The audio.
    #[error("there is no audio over WebRTC: {0}")]
    NoAudio(NoAudio),
    /// The extension of HE-AAC, as far as its sequence header names it.
    #[error(
        "over WebRTC the audio lacks the extension of HE-AAC, and with it the high tones: publish AAC-LC or Opus"
    )]
    NoAudioExtension,
}

/// Examines the media of one publisher.
///
/// It reads the cached GOP when it is asked, and needs no share in a frame's path. A verdict counts until the codec
/// changes: the frames of a moment may be in order though others are not.
#[derive(Debug, Default)]
pub struct Examiner {
    packetizer: Packetizer,
    has_media: bool,
}

impl Examiner {
    /// Examines the newest media, from a place where decoding can start. Returns `None` until there was any.
    pub fn examine<'a>(&mut self, batches: impl IntoIterator<Item = &'a Arc<Batch>>) -> Option<Playability> {
        for batch in batches {
            self.packetizer.examine(batch);
            self.has_media = true;
        }
        self.has_media.then(|| Playability::of(&self.packetizer))
    }
}

impl Playability {
    fn of(packetizer: &Packetizer) -> Self {
        if let Err(unplayable) = packetizer.profile() {
            return Self::Refused(unplayable);
        }
        let no_audio = packetizer.why_no_audio().cloned().map(Limit::NoAudio);
        let limits = [
            packetizer.is_rarely_taken().then_some(Limit::FewBrowsers),
            packetizer.drops_frames().then_some(Limit::FramesDropped),
            no_audio,
            packetizer.lacks_audio_extension().then_some(Limit::NoAudioExtension),
        ];
        Self::Plays(limits.into_iter().flatten().collect())
    }
}

impl Unplayable {
    /// A word for programs.
    pub fn code(self) -> &'static str {
        match self {
            Self::BFrames | Self::HiddenFrames => "b_frames",
            Self::Codec(_) => "codec",
        }
    }
}

impl Limit {
    /// A word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::FewBrowsers => "few_browsers",
            Self::FramesDropped => "b_frames_dropped",
            Self::NoAudio(_) => "no_audio",
            Self::NoAudioExtension => "no_audio_extension",
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{
        flv::audio::AudioCodec,
        samples,
        stream::{
            batcher::Batcher,
            frame::{Frame, Track},
        },
    };

    fn examined(frames: impl IntoIterator<Item = Frame>) -> Option<Playability> {
        let (mut batcher, mut examiner) = (Batcher::default(), Examiner::default());
        for frame in frames {
            batcher.push(frame).unwrap();
        }
        batcher.open();
        let batches: Vec<_> = batcher.flush();
        let first = examiner.examine(&batches);
        assert_eq!(examiner.examine([]), first, "it is known from now on");
        first
    }

    fn frame(track: Track, timestamp_ms: u32, payload: &'static [u8]) -> Frame {
        Frame { track, timestamp_ms, payload: Bytes::from_static(payload) }
    }

    /// A frame ahead of its time, and the one that it overtakes.
    fn reordered(late: &'static [u8]) -> [Frame; 4] {
        let ahead = frame(Track::Video, 16, b"\x27\x01\0\0\x50\0\0\0\x02\x41p");
        [samples::video_header(), samples::keyframe(0), ahead, frame(Track::Video, 33, late)]
    }

    #[test]
    fn a_stream_in_order_plays() {
        let frames =
            [samples::video_header(), samples::audio_header(), samples::keyframe(0), samples::audio(1)];
        assert_eq!(examined(frames), Some(Playability::Plays(Vec::new())));
        assert_eq!(examined([]), None);
    }

    #[test]
    fn frames_out_of_order_are_left_out_or_refused() {
        let reference = examined(reordered(b"\x27\x01\0\0\x00\0\0\0\x02\x41b"));
        assert_eq!(reference, Some(Playability::Refused(Unplayable::BFrames)));
        let disposable = examined(reordered(b"\x27\x01\0\0\x00\0\0\0\x02\x01b"));
        assert_eq!(disposable, Some(Playability::Plays(vec![Limit::FramesDropped])));
    }

    #[test]
    fn audio_that_is_missing_is_named() {
        let with =
            |header| examined([samples::video_header(), header, samples::keyframe(0), samples::audio(1)]);
        let mp3 = Limit::NoAudio(NoAudio::Codec(AudioCodec::Mp3));
        let he_aac = frame(Track::Audio, 0, b"\xAF\x00\x2B\x8A\x08\x00");
        assert_eq!(with(he_aac), Some(Playability::Plays(vec![Limit::NoAudioExtension])));
        let frames = [samples::video_header(), samples::keyframe(0), frame(Track::Audio, 10, b"\x2Fmp3")];
        assert_eq!(examined(frames), Some(Playability::Plays(vec![mp3])));
    }
}
