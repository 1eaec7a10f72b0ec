//! The codecs and formats that are agreed on with a viewer.

use std::time::Duration;

use str0m::{
    RtcConfig,
    format::{Codec, CodecConfig, FormatParams},
    media::Frequency,
    rtp::{Extension, ExtensionMap},
};

use crate::webrtc::packetizer::{MediaProfile, VideoProfile};

/// Interval of the library's sender reports: the peer sends its own, and has no use for these.
const LIBRARY_REPORT_INTERVAL: Duration = Duration::from_secs(86_400);

/// The profiles of H.264 that browsers offer with packetization mode 1, with payload types for each and its
/// retransmissions.
const H264_FORMATS: [(u8, u8, u32); 5] = [
    (96, 97, 0x42_00_1f),
    (98, 99, 0x42_e0_1f),
    (100, 101, 0x4d_00_1f),
    (102, 103, 0x64_00_1f),
    (104, 105, 0xf4_00_1f),
];

/// Level 6.2 of H.265. The viewer's counts if it is lower; streams over it are sent all the same, as with H.264.
const LEVEL_MAX: u8 = 186;

/// Returns the library's settings for a stream of this profile: its own codecs alone.
pub(super) fn config(profile: MediaProfile) -> RtcConfig {
    let mut extensions = ExtensionMap::empty();
    // Without the others, receivers send less feedback, which would not be used.
    extensions.set(1, Extension::RtpMid);
    let mut config = RtcConfig::new()
        .set_ice_lite(true)
        .set_rtp_mode(true)
        .clear_codecs()
        .enable_opus(profile.has_opus, false)
        .set_extension_map(extensions)
        .set_rtcp_report_interval_audio(LIBRARY_REPORT_INTERVAL)
        .set_rtcp_report_interval_video(LIBRARY_REPORT_INTERVAL);
    if let Some(video) = profile.video {
        add_video(config.codec_config(), video);
    }
    config
}

/// Returns the library's name of a codec.
pub(super) fn codec_of(video: VideoProfile) -> Codec {
    match video {
        VideoProfile::H264(_) => Codec::H264,
        VideoProfile::H265 { .. } => Codec::H265,
        VideoProfile::Vp9(_) => Codec::Vp9,
        VideoProfile::Av1(_) => Codec::Av1,
    }
}

fn add_video(config: &mut CodecConfig, video: VideoProfile) {
    let (payload_type, retransmission, _) = H264_FORMATS[0];
    let format = match video {
        VideoProfile::H264(_) => {
            for (payload_type, retransmission, profile_level_id) in H264_FORMATS {
                config.add_h264(payload_type.into(), Some(retransmission.into()), true, profile_level_id);
            }
            return;
        }
        VideoProfile::H265 { profile_idc, tier } => {
            config.add_h265(payload_type.into(), Some(retransmission.into()), profile_idc, tier, LEVEL_MAX);
            return;
        }
        VideoProfile::Vp9(profile) => {
            FormatParams { profile_id: Some(profile.into()), ..FormatParams::default() }
        }
        VideoProfile::Av1(profile) => FormatParams { profile: Some(profile), ..FormatParams::default() },
    };
    config.add_config(
        payload_type.into(),
        Some(retransmission.into()),
        codec_of(video),
        Frequency::NINETY_KHZ,
        None,
        format,
    );
}
