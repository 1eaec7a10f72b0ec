//! The API's state of a room over WebRTC.

use serde::Serialize;
use synctv_media::webrtc::playability::Playability;

/// The verdict whether a room can be watched over WebRTC, and the reasons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct WebRtcState {
    state: Verdict,
    /// The reason it is not [`Verdict::Ok`].
    reasons: Vec<Reason>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    /// Viewers get everything.
    Ok,
    /// Viewers get a part.
    Limited,
    /// Offers are answered 422.
    Refused,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Reason {
    code: &'static str,
    /// For people.
    message: String,
}

impl From<&Playability> for WebRtcState {
    fn from(playability: &Playability) -> Self {
        match playability {
            Playability::Refused(why) => {
                let reason = Reason { code: why.code(), message: why.to_string() };
                Self { state: Verdict::Refused, reasons: vec![reason] }
            }
            Playability::Plays(limits) => {
                let reasons = limits.iter().map(|why| Reason { code: why.code(), message: why.to_string() });
                let state = if limits.is_empty() { Verdict::Ok } else { Verdict::Limited };
                Self { state, reasons: reasons.collect() }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use synctv_media::webrtc::playability::Limit;

    use super::*;

    #[test]
    fn a_room_plays_wholly_or_in_part() {
        let state = |limits| serde_json::to_value(WebRtcState::from(&Playability::Plays(limits))).unwrap();
        assert_eq!(state(vec![]), json!({ "state": "ok", "reasons": [] }));
        let limited = state(vec![Limit::FramesDropped]);
        assert_eq!(
            (&limited["state"], &limited["reasons"][0]["code"]),
            (&json!("limited"), &json!("b_frames_dropped"))
        );
    }
}
