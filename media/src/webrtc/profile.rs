//! The profile that a viewer has to decode, and the reasons that it cannot.

use thiserror::Error;

use crate::flv::video::VideoCodec;

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
    /// H.265 with this `general_profile_idc` and `general_tier_flag`. Few browsers take it: those with a hardware decoder.
    H265 {
        /// The profile.
        profile_idc: u8,
        /// The tier.
        tier: u8,
    },
    /// VP9 of this profile.
    Vp9(u8),
    /// AV1 with this `seq_profile`.
    Av1(u8),
}

impl MediaProfile {
    /// Returns whether a viewer whose offer was answered for this profile can decode another. Browsers decode any profile of
    /// H.264.
    pub fn covers(self, other: Self) -> bool {
        let has_same_video = match (self.video, other.video) {
            (Some(VideoProfile::H264(_)), Some(VideoProfile::H264(_))) => true,
            (agreed, other) => agreed == other,
        };
        has_same_video && (self.has_opus || !other.has_opus)
    }
}

impl VideoProfile {
    /// The codec's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::H264(_) => "H.264",
            Self::H265 { .. } => "H.265",
            Self::Vp9(_) => "VP9",
            Self::Av1(_) => "AV1",
        }
    }
}

/// The reason a stream cannot be watched over WebRTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Unplayable {
    /// Frames that others depend on are shown later than they come.
    #[error(
        "the stream has B-frames, which WebRTC cannot carry: set B-frames to 0 or tune zerolatency in the encoder, or watch over HTTP-FLV or HLS"
    )]
    BFrames,
    /// The same in AV1, whose units come in order and have frames for later.
    #[error(
        "the stream has AV1 frames that are shown later than they come, which WebRTC cannot carry: set the encoder to low delay (SVT-AV1: pred-struct=1), or watch over HTTP-FLV or HLS"
    )]
    HiddenFrames,
    /// No browser takes the codec over WebRTC, or it is not supported here.
    #[error(
        "{0} cannot be watched over WebRTC: publish H.264, H.265, VP9 or AV1, or watch over HTTP-FLV or HLS"
    )]
    Codec(VideoCodec),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_viewer_of_one_profile_of_h264_decodes_the_others_and_no_other_codec() {
        let of = |video, has_opus| MediaProfile { video, has_opus };
        let (main, high) = (Some(VideoProfile::H264(77)), Some(VideoProfile::H264(100)));
        assert!(of(main, true).covers(of(high, true)) && of(main, true).covers(of(high, false)));
        assert!(!of(main, false).covers(of(main, true)));
        for other in [None, Some(VideoProfile::Vp9(0))] {
            assert!(!of(main, true).covers(of(other, true)) && !of(other, true).covers(of(main, true)));
        }
        assert!(!of(Some(VideoProfile::Vp9(0)), true).covers(of(Some(VideoProfile::Vp9(2)), true)));
    }
}
