//! The video track, with the framing of its NAL units.

use super::video::VideoConfig;
use crate::{
    codec::{
        avc::parse_avcc,
        frame_size::FrameSize,
        hevc::parse_hvcc,
        nal::{NalConfig, NalSyntax},
        slices::syntax_of,
    },
    flv::video::VideoCodec,
    hls::container::ContainerError,
};

/// A video track that frames share.
#[derive(Debug, PartialEq)]
pub(super) struct VideoTrack {
    pub(super) config: VideoConfig,
    /// The NAL units' syntax and the size of their lengths; `None` for codecs without NAL units.
    pub(super) nal: Option<(NalSyntax, usize)>,
}

impl VideoTrack {
    /// Reads a sequence header.
    pub(super) fn new(codec: VideoCodec, header: &[u8]) -> Result<Self, ContainerError> {
        Ok(Self { config: VideoConfig::new(codec, header)?, nal: nal_of(codec, header) })
    }

    /// The same track, with frames of this size.
    pub(super) fn sized(&self, size: FrameSize) -> Self {
        Self { config: self.config.sized(size), nal: self.nal }
    }
}

fn nal_of(codec: VideoCodec, record: &[u8]) -> Option<(NalSyntax, usize)> {
    let NalConfig { syntax, length_bytes, .. } = match syntax_of(codec)? {
        NalSyntax::H264 => parse_avcc(record).ok()?,
        NalSyntax::H265 => parse_hvcc(record).ok()?,
    };
    Some((syntax, length_bytes))
}
