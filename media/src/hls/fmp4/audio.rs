//! The audio track's sample entry and its name in CODECS, from RTMP's sequence header or, where there is none, from a frame.

use super::boxes::{put_box, put_full_box, put_u16, put_u32, put_zeros};
use crate::{
    codec::{
        aac::{AacChannels, AacConfig, silent_frame},
        ac3::Ac3Info,
        adts::AdtsError,
        flac::{self, FlacInfo},
        opus::{OPUS_RATE_HZ, OpusHead, packet_samples},
    },
    flv::audio::AudioCodec,
    hls::{
        audio_clock::FrameSpan,
        container::{Codec, ContainerError},
        mp3::Mp3Header,
    },
};

mod upgrade;

pub(super) use self::upgrade::AudioConfigState;

/// An audio track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AudioConfig {
    pub codec: AudioCodec,
    /// The track's timescale.
    pub rate_hz: u32,
    channels: u8,
    /// Samples per channel in a frame, of codecs whose frames do not say it.
    frame_samples: u32,
    /// A frame of silence, of codecs that have one.
    pub silence: Option<Vec<u8>>,
    description: Description,
}

/// The fields of the sample entry.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Description {
    /// MPEG-4 audio: the object type (ISO/IEC 14496-1, table 5), the decoder's configuration, the name.
    Esds { object_type: u8, config: Vec<u8>, name: String },
    /// A box of the codec's own in an entry of its own.
    Own { own: OwnBox, content: Vec<u8> },
}

/// The names of a codec that has an entry and a box of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct OwnBox {
    entry: &'static [u8; 4],
    kind: &'static [u8; 4],
    /// In CODECS.
    name: &'static str,
}

impl OwnBox {
    const OPUS: Self = Self { entry: b"Opus", kind: b"dOps", name: "opus" };
    const FLAC: Self = Self { entry: b"fLaC", kind: b"dfLa", name: "fLaC" };
    const AC3: Self = Self { entry: b"ac-3", kind: b"dac3", name: "ac-3" };
    const EAC3: Self = Self { entry: b"ec-3", kind: b"dec3", name: "ec-3" };

    /// The names of a codec, if it has them.
    fn of(codec: AudioCodec) -> Option<Self> {
        match codec {
            AudioCodec::Opus => Some(Self::OPUS),
            AudioCodec::Flac => Some(Self::FLAC),
            AudioCodec::Ac3 => Some(Self::AC3),
            AudioCodec::Eac3 => Some(Self::EAC3),
            _ => None,
        }
    }
}

impl AudioConfig {
    /// Reads a sequence header. `None` for codecs that have none.
    pub fn of_header(codec: AudioCodec, header: &[u8]) -> Result<Option<Self>, ContainerError> {
        match codec {
            AudioCodec::Aac => aac(header).map(Some),
            AudioCodec::Opus => opus(header).map(Some).ok_or(unreadable(codec)),
            AudioCodec::Flac => flac(header).map(Some).ok_or(unreadable(codec)),
            AudioCodec::Mp3 | AudioCodec::Ac3 | AudioCodec::Eac3 => Ok(None),
            other => Err(ContainerError::UnsupportedCodec(Codec::Audio(other))),
        }
    }

    /// Reads what a frame says of the stream. `None` if it says nothing.
    pub fn of_frame(codec: AudioCodec, frame: &[u8]) -> Option<Self> {
        match codec {
            AudioCodec::Mp3 => Mp3Header::parse(frame).map(mp3),
            AudioCodec::Ac3 => Ac3Info::ac3(frame).map(ac3),
            AudioCodec::Eac3 => Ac3Info::eac3(frame).map(eac3),
            _ => None,
        }
    }

    /// Returns whether frames of `other` fit this track. The bit rate of E-AC-3 may differ from frame to frame.
    pub fn fits(&self, other: &Self) -> bool {
        (self.codec, self.rate_hz, self.channels) == (other.codec, other.rate_hz, other.channels)
            && (self.codec == AudioCodec::Eac3 || self.description == other.description)
    }

    /// The duration of a frame.
    pub fn span(&self, frame: &[u8]) -> Option<FrameSpan> {
        let samples = match self.codec {
            AudioCodec::Opus => packet_samples(frame)?,
            AudioCodec::Flac => flac::frame_samples(frame)?,
            AudioCodec::Eac3 => Ac3Info::eac3(frame)?.samples,
            _ => self.frame_samples,
        };
        Some(FrameSpan { samples, rate_hz: self.rate_hz })
    }

    /// The codec's name in CODECS.
    pub fn name(&self) -> &str {
        match &self.description {
            Description::Esds { name, .. } => name,
            Description::Own { own, .. } => own.name,
        }
    }

    /// AudioSampleEntry (ISO/IEC 14496-12, section 12.2.3).
    pub fn put_sample_entry(&self, out: &mut Vec<u8>) {
        let entry = match &self.description {
            Description::Esds { .. } => b"mp4a",
            Description::Own { own, .. } => own.entry,
        };
        put_box(out, entry, |out| {
            put_zeros(out, 6);
            put_u16(out, 1);
            put_zeros(out, 8);
            put_u16(out, self.channels.into());
            put_u16(out, 16);
            put_zeros(out, 4);
            // 16.16: rates beyond do not fit, and are read from the codec's own description.
            put_u32(out, u16::try_from(self.rate_hz).map_or(0, |rate_hz| u32::from(rate_hz) << 16));
            match &self.description {
                Description::Esds { object_type, config, .. } => put_esds(out, *object_type, config),
                Description::Own { own, content } => {
                    put_box(out, own.kind, |out| out.extend_from_slice(content))
                }
            }
        });
    }
}

fn unreadable(codec: AudioCodec) -> ContainerError {
    ContainerError::SequenceHeader(Codec::Audio(codec))
}

fn aac(header: &[u8]) -> Result<AudioConfig, ContainerError> {
    let config = AacConfig::parse(header).map_err(AdtsError::from)?;
    if config.sample_rate_hz == 0 {
        return Err(unreadable(AudioCodec::Aac));
    }
    let (channels, silence) = match &config.channels {
        AacChannels::Configuration(7) => (8, silent_frame(7)),
        AacChannels::Configuration(configuration) => (*configuration, silent_frame(*configuration)),
        AacChannels::Program(program) => (0, program.configuration().and_then(silent_frame)),
    };
    let name = format!("mp4a.40.{}", config.object_type);
    Ok(AudioConfig {
        codec: AudioCodec::Aac,
        rate_hz: config.sample_rate_hz,
        channels,
        frame_samples: config.frame_samples,
        silence,
        description: Description::Esds { object_type: 0x40, config: header.to_vec(), name },
    })
}

/// "Encapsulation of Opus in ISO Base Media File Format", section 4.3.2: the fields of the header, in network order.
fn opus(header: &[u8]) -> Option<AudioConfig> {
    let head = OpusHead::parse(header)?;
    let mut content = vec![0, head.channels];
    put_u16(&mut content, head.pre_skip);
    put_u32(&mut content, head.input_rate_hz);
    content.extend_from_slice(&head.output_gain.to_be_bytes());
    content.extend_from_slice(head.mapping);
    Some(AudioConfig {
        codec: AudioCodec::Opus,
        rate_hz: OPUS_RATE_HZ,
        channels: head.channels,
        frame_samples: 0,
        silence: None,
        description: Description::Own { own: OwnBox::OPUS, content },
    })
}

/// "Encapsulation of FLAC in ISO Base Media File Format", section 3.3.2. Only what all frames share is kept of STREAMINFO:
/// FFmpeg ends its streams with another one, which counts and hashes what was sent.
fn flac(header: &[u8]) -> Option<AudioConfig> {
    const BEHIND_FORMAT_BYTES: usize = flac::STREAM_INFO_BYTES - 14;
    let (block, FlacInfo { rate_hz, channels, .. }) = flac::stream_info(header)?;
    let mut content = vec![0, 0, 0, 0, 0x80, 0, 0, flac::STREAM_INFO_BYTES as u8];
    content.extend_from_slice(block.get(..4)?);
    put_zeros(&mut content, 6);
    content.extend_from_slice(block.get(10..13)?);
    // The highest four bits of the number of samples share a byte with the format.
    content.push(block.get(13)? & 0xF0);
    put_zeros(&mut content, BEHIND_FORMAT_BYTES);
    Some(AudioConfig {
        codec: AudioCodec::Flac,
        rate_hz,
        channels,
        frame_samples: 0,
        silence: None,
        description: Description::Own { own: OwnBox::FLAC, content },
    })
}

fn mp3(header: Mp3Header) -> AudioConfig {
    const MPEG_2: u8 = 0x69;
    const MPEG_1: u8 = 0x6B;
    let FrameSpan { samples, rate_hz } = header.span();
    let (object_type, name) = if samples == 1_152 { (MPEG_1, "mp4a.6B") } else { (MPEG_2, "mp4a.69") };
    AudioConfig {
        codec: AudioCodec::Mp3,
        rate_hz,
        channels: header.channels(),
        frame_samples: samples,
        silence: Some(header.silence()),
        description: Description::Esds { object_type, config: Vec::new(), name: name.to_owned() },
    }
}

/// ETSI TS 102 366, section F.4.
fn ac3(info: Ac3Info) -> AudioConfig {
    let bits = u32::from(info.rate_code) << 22
        | u32::from(info.bsid) << 17
        | u32::from(info.bsmod) << 14
        | u32::from(info.acmod) << 11
        | u32::from(info.has_lfe) << 10
        | u32::from(info.bit_rate) << 5;
    let content = low_three_bytes(bits).to_vec();
    dolby(AudioCodec::Ac3, &info, Description::Own { own: OwnBox::AC3, content })
}

/// Section F.6, with one substream: dependent ones are in the frames all the same.
fn eac3(info: Ac3Info) -> AudioConfig {
    let head = info.bit_rate << 3;
    let substream = u32::from(info.rate_code) << 22
        | u32::from(info.bsid) << 17
        | u32::from(info.bsmod) << 12
        | u32::from(info.acmod) << 9
        | u32::from(info.has_lfe) << 8;
    let content = [&head.to_be_bytes()[..], &low_three_bytes(substream)].concat();
    dolby(AudioCodec::Eac3, &info, Description::Own { own: OwnBox::EAC3, content })
}

fn dolby(codec: AudioCodec, info: &Ac3Info, description: Description) -> AudioConfig {
    AudioConfig {
        codec,
        rate_hz: info.rate_hz,
        channels: info.channels(),
        frame_samples: info.samples,
        silence: None,
        description,
    }
}

fn low_three_bytes(bits: u32) -> [u8; 3] {
    let [_, high, middle, low] = bits.to_be_bytes();
    [high, middle, low]
}

/// ISO/IEC 14496-1, section 7.2.6.5. Sizes take four bytes, as a configuration may be longer than one can say.
fn put_esds(out: &mut Vec<u8>, object_type: u8, config: &[u8]) {
    const AUDIO_STREAM: u8 = 5 << 2 | 1;
    put_full_box(out, b"esds", 0, 0, |out| {
        put_descriptor(out, 3, |out| {
            put_zeros(out, 3);
            put_descriptor(out, 4, |out| {
                out.extend_from_slice(&[object_type, AUDIO_STREAM]);
                put_zeros(out, 3 + 4 + 4);
                if !config.is_empty() {
                    put_descriptor(out, 5, |out| out.extend_from_slice(config));
                }
            });
            put_descriptor(out, 6, |out| out.push(2));
        });
    });
}

fn put_descriptor(out: &mut Vec<u8>, tag: u8, content: impl FnOnce(&mut Vec<u8>)) {
    const MORE: u8 = 0x80;
    let mut bytes = Vec::new();
    content(&mut bytes);
    let size = bytes.len();
    out.push(tag);
    out.extend([21, 14, 7].map(|shift| MORE | (size >> shift) as u8));
    out.push(size as u8 & !MORE);
    out.extend_from_slice(&bytes);
}
