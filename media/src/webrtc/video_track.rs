//! The video track of one stream, of which viewers get RTP payloads.

use bytes::Bytes;

use crate::{
    codec::{av1::Av1Record, vp9::Vp9Record},
    flv::video::{VideoCodec, VideoHeader, VideoKind},
    webrtc::{
        av1::{Av1Packetizer, is_reordered},
        h264::H264Packetizer,
        h265::H265Packetizer,
        order::{FrameOrder, FrameTraits, OrderWatch, Turn},
        payload::pad_last,
        profile::{Unplayable, VideoProfile},
        unit::VideoUnit,
        vp9,
    },
};

/// The track.
#[derive(Debug, Default)]
pub(super) struct VideoTrack {
    source: Source,
    order: OrderWatch,
    /// The sequence header that is in use.
    header: Bytes,
}

#[derive(Debug, Default)]
enum Source {
    /// No sequence header has come.
    #[default]
    Unknown,
    H264 {
        packetizer: H264Packetizer,
        profile_idc: u8,
    },
    H265 {
        packetizer: H265Packetizer,
        profile_idc: u8,
        tier: u8,
    },
    Vp9 {
        profile: u8,
    },
    Av1 {
        packetizer: Av1Packetizer,
        profile: u8,
    },
    Unsupported(VideoCodec),
}

/// A frame as it is in its tag.
struct Coded<'a> {
    data: &'a [u8],
    is_keyframe: bool,
    shown_ms: i64,
    /// Delay of its presentation behind its decoding.
    later_ms: i64,
}

impl VideoTrack {
    /// Takes the body of a tag that stands in front of media. A sequence header that is in use already changes nothing.
    pub fn push_header(&mut self, body: &[u8]) {
        let Ok(header) = VideoHeader::parse(body) else { return };
        if header.kind != VideoKind::SequenceHeader || self.header == body {
            return;
        }
        self.header = Bytes::copy_from_slice(body);
        let record = body.get(header.data_offset..).unwrap_or_default();
        self.source = Source::of(header.codec, record);
        self.order = OrderWatch::announced(match &self.source {
            Source::H264 { packetizer, .. } => packetizer.reorder_frames(),
            _ => None,
        });
    }

    /// Takes the body of a tag. Returns its frame, unless that is left out.
    pub fn push(&mut self, time_ms: i64, body: &[u8], is_start: bool) -> Option<VideoUnit> {
        let Coded { data, is_keyframe, shown_ms, later_ms } = self.coded(time_ms, body)?;
        let traits = self.source.traits(data, is_keyframe)?;
        if self.order.next(shown_ms, later_ms, traits) == Turn::LeaveOut {
            return None;
        }
        let mut payloads = match &mut self.source {
            Source::H264 { packetizer, .. } => packetizer.packetize(data, is_start),
            Source::H265 { packetizer, .. } => packetizer.packetize(data, is_start),
            Source::Vp9 { .. } => vp9::packetize(data, is_keyframe),
            Source::Av1 { packetizer, .. } => packetizer.packetize(data, is_start),
            Source::Unknown | Source::Unsupported(_) => None,
        }?;
        let padding_bytes = pad_last(&mut payloads);
        Some(VideoUnit { shown_ms, is_start, payloads, padding_bytes })
    }

    /// Takes the body of a tag, and makes nothing of it.
    pub fn examine(&mut self, time_ms: i64, body: &[u8]) {
        let Some(Coded { data, is_keyframe, shown_ms, later_ms }) = self.coded(time_ms, body) else { return };
        if let Some(traits) = self.source.traits(data, is_keyframe) {
            self.order.next(shown_ms, later_ms, traits);
        }
    }

    /// Returns what a viewer has to decode, or why the track cannot be watched; `None` if there is no track.
    pub fn profile(&self) -> Result<Option<VideoProfile>, Unplayable> {
        let is_late = self.order.order() == FrameOrder::LateReferences;
        Ok(Some(match self.source {
            Source::Unknown => return Ok(None),
            Source::Unsupported(codec) => return Err(Unplayable::Codec(codec)),
            Source::Av1 { .. } if is_late => return Err(Unplayable::HiddenFrames),
            _ if is_late => return Err(Unplayable::BFrames),
            Source::H264 { profile_idc, .. } => VideoProfile::H264(profile_idc),
            Source::H265 { profile_idc, tier, .. } => VideoProfile::H265 { profile_idc, tier },
            Source::Vp9 { profile } => VideoProfile::Vp9(profile),
            Source::Av1 { profile, .. } => VideoProfile::Av1(profile),
        }))
    }

    /// Returns whether most browsers do not take the codec over WebRTC.
    pub fn is_rarely_taken(&self) -> bool {
        matches!(self.source, Source::H265 { .. })
    }

    /// Returns whether frames that come late are left out.
    pub fn drops_frames(&self) -> bool {
        self.order.order() == FrameOrder::LateDisposable
    }

    /// Returns the frame of a tag, if it is one and its codec is known.
    fn coded<'a>(&mut self, time_ms: i64, body: &'a [u8]) -> Option<Coded<'a>> {
        let header = VideoHeader::parse(body).ok()?;
        match header.kind {
            VideoKind::SequenceHeader => {
                self.push_header(body);
                return None;
            }
            VideoKind::Other => return None,
            VideoKind::Keyframe | VideoKind::Inter => {}
        }
        if let Source::Unknown = self.source {
            // Encoders may leave out the record of VP9, which is of no use to decoders.
            self.source = Source::of(header.codec, &[]);
        }
        let is_keyframe = header.kind == VideoKind::Keyframe;
        let later_ms = i64::from(header.composition_time_ms);
        let data = body.get(header.data_offset..)?;
        Some(Coded { data, is_keyframe, shown_ms: time_ms + later_ms, later_ms })
    }
}

impl Source {
    fn of(codec: VideoCodec, record: &[u8]) -> Self {
        Self::known(codec, record).unwrap_or(Self::Unsupported(codec))
    }

    fn known(codec: VideoCodec, record: &[u8]) -> Option<Self> {
        match codec {
            VideoCodec::H264 => {
                let packetizer = H264Packetizer::new(record)?;
                Some(Self::H264 { packetizer, profile_idc: record.get(1).copied()? })
            }
            VideoCodec::H265 => {
                // general_profile_space, general_tier_flag, general_profile_idc (ISO/IEC 14496-15, section 8.3.3.1).
                let profile = *record.get(1)?;
                let (profile_idc, tier) = (profile & 0x1F, profile >> 5 & 1);
                Some(Self::H265 { packetizer: H265Packetizer::new(record)?, profile_idc, tier })
            }
            VideoCodec::Vp9 => {
                Some(Self::Vp9 { profile: Vp9Record::parse(record).map_or(0, |record| record.profile) })
            }
            VideoCodec::Av1 => {
                let profile = Av1Record::parse(record)?.profile;
                Some(Self::Av1 { packetizer: Av1Packetizer::new(record)?, profile })
            }
            _ => None,
        }
    }

    /// Returns the traits of a frame; `None` if it is none that can be sent.
    fn traits(&mut self, data: &[u8], is_keyframe: bool) -> Option<FrameTraits> {
        let in_order = FrameTraits { is_disposable: false, is_refresh: is_keyframe, is_reordered: false };
        match self {
            Self::H264 { packetizer, .. } => packetizer.traits(data),
            Self::H265 { packetizer, .. } => packetizer.traits(data),
            Self::Vp9 { .. } => Some(in_order),
            Self::Av1 { .. } => Some(FrameTraits { is_reordered: is_reordered(data), ..in_order }),
            Self::Unknown | Self::Unsupported(_) => None,
        }
    }
}
