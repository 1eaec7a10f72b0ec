//! The audio track of one stream, from which viewers get Opus.

use bytes::Bytes;

use crate::{
    codec::aac::{AacConfig, has_extension},
    flv::audio::{AudioCodec, AudioHeader, AudioKind},
    webrtc::audio::{
        aac::channel_count,
        no_audio::NoAudio,
        rate::OpusRate,
        transcoder::Transcoder,
        trial::Trial,
        unit::{AudioUnit, OPUS_TICKS_PER_MS},
    },
};

/// The track.
#[derive(Debug, Default)]
pub struct AudioTrack {
    source: Source,
    rate: OpusRate,
    /// AAC is transcoded.
    has_listeners: bool,
}

#[derive(Debug, Default)]
enum Source {
    /// Neither a sequence header nor a frame has come.
    #[default]
    Unknown,
    Opus,
    Aac {
        header: Bytes,
        config: AacConfig,
        /// While there are listeners.
        transcoder: Option<Box<Transcoder>>,
        /// Of a track that is examined only.
        trial: Trial,
    },
    None {
        header: Bytes,
        why: NoAudio,
    },
}

impl AudioTrack {
    /// Starts one of which AAC becomes Opus of this rate.
    pub fn new(rate: OpusRate) -> Self {
        Self { rate, ..Self::default() }
    }

    /// Sets whether there are viewers who get the audio. Without them nothing is transcoded.
    pub fn set_listeners(&mut self, has_listeners: bool) {
        self.has_listeners = has_listeners;
        if let (false, Source::Aac { transcoder, .. }) = (has_listeners, &mut self.source) {
            *transcoder = None;
        }
    }

    /// Returns whether there is audio that can be sent, or may be later.
    pub fn is_playable(&self) -> bool {
        self.why_none().is_none()
    }

    /// Returns why there is no audio.
    pub fn why_none(&self) -> Option<&NoAudio> {
        match &self.source {
            Source::None { why, .. } => Some(why),
            _ => None,
        }
    }

    /// Takes the body of a tag that stands in front of media.
    pub fn push_header(&mut self, body: &[u8]) {
        let is_header = |header: AudioHeader| header.kind == AudioKind::SequenceHeader;
        if AudioHeader::parse(body).is_ok_and(is_header) {
            self.push(0, body, |_| {});
        }
    }

    /// Returns whether its AAC has an extension (HE-AAC) that is left out.
    pub fn lacks_extension(&self) -> bool {
        matches!(&self.source, Source::Aac { header, .. } if has_extension(header))
    }

    /// Takes the body of a tag, and makes nothing of it. AAC is decoded up to the first frame with which that succeeds.
    pub fn examine(&mut self, body: &[u8]) {
        let Ok(header) = AudioHeader::parse(body) else { return };
        let data = body.get(header.data_offset..).unwrap_or_default();
        self.source.note(header, data);
        if (header.codec, header.kind) == (AudioCodec::Aac, AudioKind::Coded) {
            self.source.try_decoding(data);
        }
    }

    /// Takes the body of a tag. Hands out the packets that it completes.
    pub fn push(&mut self, time_ms: i64, body: &[u8], mut put: impl FnMut(AudioUnit)) {
        let Ok(header) = AudioHeader::parse(body) else { return };
        let data = body.get(header.data_offset..).unwrap_or_default();
        self.source.note(header, data);
        match (header.codec, header.kind) {
            (AudioCodec::Opus, AudioKind::Coded) if !data.is_empty() => {
                put(AudioUnit { ticks: time_ms * OPUS_TICKS_PER_MS, payload: data.into() });
            }
            (AudioCodec::Aac, AudioKind::Coded) => self.transcode(time_ms, data, put),
            _ => {}
        }
    }

    fn transcode(&mut self, time_ms: i64, frame: &[u8], put: impl FnMut(AudioUnit)) {
        let Source::Aac { config, transcoder, .. } = &mut self.source else { return };
        if !self.has_listeners {
            return;
        }
        let started = match transcoder.take() {
            Some(running) => Ok(running),
            None => Transcoder::new(config, self.rate).map(Box::new),
        };
        let pushed = started.and_then(|mut running| running.push(time_ms, frame, put).map(|()| running));
        match pushed {
            Ok(running) => *transcoder = Some(running),
            Err(why) => self.source.give_up(why),
        }
    }
}

impl Source {
    /// Follows what a tag says of the track.
    fn note(&mut self, header: AudioHeader, data: &[u8]) {
        match (header.codec, header.kind) {
            (AudioCodec::Opus, _) => *self = Self::Opus,
            (AudioCodec::Aac, AudioKind::SequenceHeader) => self.read_header(data),
            (AudioCodec::Aac, _) => {}
            (codec, _) => *self = Self::None { header: Bytes::new(), why: NoAudio::Codec(codec) },
        }
    }

    fn try_decoding(&mut self, frame: &[u8]) {
        let Self::Aac { config, trial, .. } = self else { return };
        if let Err(why) = trial.push(config, frame) {
            self.give_up(why);
        }
    }

    /// There is no audio from here on, until another sequence header comes.
    fn give_up(&mut self, why: NoAudio) {
        if let Self::Aac { header, .. } = self {
            *self = Self::None { header: std::mem::take(header), why };
        }
    }

    /// Takes the sequence header of AAC. One that has been read already changes nothing.
    fn read_header(&mut self, body: &[u8]) {
        if let Self::Aac { header, .. } | Self::None { header, .. } = self
            && header == body
        {
            return;
        }
        let header = Bytes::copy_from_slice(body);
        *self = match AacConfig::parse(body) {
            Ok(config) if channel_count(&config).is_some() => {
                Self::Aac { header, config, transcoder: None, trial: Trial::default() }
            }
            Ok(_) => Self::None { header, why: NoAudio::UnsupportedAac },
            Err(error) => Self::None { header, why: error.into() },
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{codec::aac::AacConfigError, webrtc::audio::transcoder::FAILURES_MAX};

    const LC_STEREO_44100: &[u8] = b"\xAF\x00\x12\x10";
    const LC_MONO_48000: &[u8] = b"\xAF\x00\x11\x88";
    const LC_5_1_48000: &[u8] = b"\xAF\x00\x11\xB0";

    /// The packets' times of a second of frames without any element, which is silence.
    fn listen(track: &mut AudioTrack, frame_ms: i64) -> Vec<i64> {
        let mut ticks = Vec::new();
        for at in 0..1000 / frame_ms {
            track.push(at * frame_ms, b"\xAF\x01\xE0", |unit| ticks.push(unit.ticks));
        }
        ticks
    }

    #[test]
    fn aac_is_transcoded_for_listeners_alone() {
        let mut track = AudioTrack::default();
        track.push_header(LC_STEREO_44100);
        assert!(track.is_playable() && listen(&mut track, 23).is_empty());
        track.set_listeners(true);
        assert_eq!(listen(&mut track, 23).len(), 49);
        track.set_listeners(false);
        assert!(matches!(track.source, Source::Aac { transcoder: None, .. }));
    }

    #[test]
    fn another_format_is_followed_and_the_same_header_changes_nothing() {
        let mut track = AudioTrack::default();
        track.set_listeners(true);
        track.push_header(LC_STEREO_44100);
        listen(&mut track, 23);
        track.push_header(LC_STEREO_44100);
        assert!(matches!(track.source, Source::Aac { transcoder: Some(_), .. }));
        track.push_header(LC_MONO_48000);
        assert!(matches!(track.source, Source::Aac { transcoder: None, .. }));
        assert_eq!(listen(&mut track, 21).len(), 50);
        track.push(0, b"\x91Opusdata", |unit| assert_eq!(&*unit.payload, b"data"));
        assert!(matches!(track.source, Source::Opus));
    }

    #[test]
    fn aac_that_never_decodes_is_given_up_also_where_it_is_only_examined() {
        let frame = b"\xAF\x01aac";
        let (mut heard, mut examined) = (AudioTrack::default(), AudioTrack::default());
        heard.set_listeners(true);
        for track in [&mut heard, &mut examined] {
            track.push_header(LC_STEREO_44100);
        }
        for at in 0..=FAILURES_MAX {
            assert!(heard.is_playable() && examined.is_playable(), "after {at} frames");
            heard.push(i64::from(at) * 23, frame, |_| {});
            examined.examine(frame);
        }
        for mut track in [heard, examined] {
            assert!(matches!(track.why_none(), Some(NoAudio::Decoder(_))), "{track:?}");
            track.push_header(LC_STEREO_44100);
            assert!(!track.is_playable(), "the same header changes nothing");
        }
    }

    #[test]
    fn one_frame_that_decodes_is_enough_for_the_examiner() {
        let mut track = AudioTrack::default();
        track.push_header(LC_STEREO_44100);
        track.examine(b"\xAF\x01aac");
        track.examine(b"\xAF\x01\xE0");
        (0..=FAILURES_MAX).for_each(|_| track.examine(b"\xAF\x01aac"));
        assert!(track.is_playable());
    }

    #[test]
    fn what_cannot_be_heard_says_why() {
        let mut track = AudioTrack::default();
        track.push_header(LC_5_1_48000);
        assert_eq!(track.why_none(), Some(&NoAudio::UnsupportedAac));
        track.push_header(b"\xAF\x00\x12");
        assert_eq!(track.why_none(), Some(&NoAudio::Config(AacConfigError::Truncated)));
        track.push(0, b"\x2Fmp3", |_| panic!("it is not sent"));
        assert_eq!(track.why_none(), Some(&NoAudio::Codec(AudioCodec::Mp3)));
        track.push_header(LC_STEREO_44100);
        assert!(track.is_playable());
    }
}
