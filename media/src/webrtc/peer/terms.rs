//! The streams that an answer agrees on.

use str0m::{
    Rtc,
    format::Codec,
    media::{Direction, MediaKind, Mid, Pt},
};

use super::{
    codecs::codec_of,
    rtp_stream::{StreamTerms, name_extension},
};
use crate::{
    digits,
    webrtc::{
        offer::OfferError,
        packetizer::{MediaProfile, VideoProfile},
    },
};

const NAME_EXTENSION: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";

/// The streams of a session.
#[derive(Debug)]
pub(super) struct SessionTerms {
    pub video: Option<StreamTerms>,
    pub audio: Option<StreamTerms>,
}

/// Finds what can be sent. The library accepts offers of which it rejects everything.
pub(super) fn find(rtc: &mut Rtc, answer: &str, profile: MediaProfile) -> Result<SessionTerms, OfferError> {
    let mut found = SessionTerms { video: None, audio: None };
    for section in answer.split("\r\nm=").skip(1) {
        let Some(mid) = attribute(section, "a=mid:") else { continue };
        let Some(media) = rtc.media(Mid::from(mid)) else { continue };
        let kind = media.kind();
        if !matches!(media.direction(), Direction::SendOnly | Direction::SendRecv) {
            continue;
        }
        let terms = terms(rtc, section, mid, kind, profile);
        match kind {
            MediaKind::Video if found.video.is_none() => found.video = terms,
            MediaKind::Audio if found.audio.is_none() => found.audio = terms,
            _ => {}
        }
    }
    match profile.video {
        Some(video) if found.video.is_none() => Err(OfferError::NoCodec(video.name())),
        None if found.audio.is_none() => Err(OfferError::NoCodec("Opus")),
        _ => Ok(found),
    }
}

fn terms(
    rtc: &mut Rtc,
    section: &str,
    name: &str,
    kind: MediaKind,
    profile: MediaProfile,
) -> Option<StreamTerms> {
    let mid = Mid::from(name);
    let (payload_type, resent_type) = payload_types(rtc, mid, kind, profile)?;
    let mut api = rtc.direct_api();
    let stream = api.stream_tx_by_mid(mid, None)?;
    let ssrc = *stream.ssrc();
    // A viewer that did not offer retransmissions has no payload type for them.
    let is_agreed = |pt: &Pt| section.contains(&format!("\r\na=rtpmap:{pt} rtx/"));
    let retransmission = stream.rtx().zip(resent_type.filter(is_agreed)).map(|(ssrc, pt)| (*ssrc, *pt));
    let cname = attribute(section, &format!("a=ssrc:{ssrc} cname:")).unwrap_or_default().to_owned();
    let clock_hz = if kind == MediaKind::Audio { 48_000 } else { 90_000 };
    let name = name_extension(extension_id(section).unwrap_or_default(), name);
    Some(StreamTerms { ssrc, payload_type: *payload_type, clock_hz, retransmission, name, cname })
}

/// Chooses among the payload types that were agreed on: that of the stream's profile, or else any. Browsers decode High
/// profile though they do not offer it. Returns that of retransmissions, too.
fn payload_types(rtc: &Rtc, mid: Mid, kind: MediaKind, profile: MediaProfile) -> Option<(Pt, Option<Pt>)> {
    let agreed = rtc.media(mid)?.remote_pts();
    let params = rtc.codec_config().params();
    let of_kind = |codec: Codec| match kind {
        MediaKind::Video => profile.video.is_some_and(|video| codec == codec_of(video)),
        MediaKind::Audio => codec == Codec::Opus,
    };
    let mut usable =
        params.iter().filter(|param| of_kind(param.spec().codec) && agreed.contains(&param.pt()));
    let is_same = |id: u32| profile.video == Some(VideoProfile::H264((id >> 16) as u8));
    let same = usable.clone().find(|param| param.spec().format.profile_level_id.is_some_and(is_same));
    same.or_else(|| usable.next()).map(|param| (param.pt(), param.resend()))
}

/// Returns the number of the extension that names sections; a direction may follow it (RFC 8285, section 5).
fn extension_id(section: &str) -> Option<u8> {
    let line = section.lines().find(|line| line.ends_with(NAME_EXTENSION))?;
    let id = line.strip_prefix("a=extmap:")?.split([' ', '/']).next()?;
    digits::parse(id)
}

fn attribute<'a>(section: &'a str, prefix: &str) -> Option<&'a str> {
    section.lines().find_map(|line| line.strip_prefix(prefix))
}
