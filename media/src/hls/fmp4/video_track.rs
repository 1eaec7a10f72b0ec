//! The video track, with the framing of its NAL units.

use serde::{Deserialize, Serialize};

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
    upgrade::{BlobId, Blobs, StateError},
};

/// A video track that frames share.
#[derive(Debug, PartialEq)]
pub(super) struct VideoTrack {
    pub(super) config: VideoConfig,
    /// The NAL units' syntax and the size of their lengths; `None` for codecs without NAL units.
    pub(super) nal: Option<(NalSyntax, usize)>,
}

/// A track as plain data.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct VideoTrackState {
    codec: VideoCodec,
    record: BlobId,
    size: Option<FrameSize>,
}

impl VideoTrack {
    /// Reads a sequence header.
    pub(super) fn new(codec: VideoCodec, header: &[u8]) -> Result<Self, ContainerError> {
        Ok(Self { config: VideoConfig::new(codec, header)?, nal: nal_of(codec, header) })
    }

    /// The track as plain data: its sequence header, of which all but the size is read again.
    pub(super) fn state(&self, blobs: &mut Blobs) -> VideoTrackState {
        let VideoConfig { codec, size, .. } = self.config;
        VideoTrackState { codec, record: blobs.put(self.config.record()), size }
    }

    /// The track that gave the state.
    pub(super) fn restore(state: VideoTrackState, blobs: &Blobs) -> Result<Self, StateError> {
        let VideoTrackState { codec, record, size } = state;
        let reason = "a sequence header cannot be used";
        let read = Self::new(codec, &blobs.get(record)?);
        let track = read.map_err(|_| StateError::Invalid { part: "fragmented MP4", reason })?;
        Ok(match size {
            Some(size) => track.sized(size),
            None => track,
        })
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
