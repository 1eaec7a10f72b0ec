//! Encoders, as far as they differ when they are to publish elsewhere.

use serde::{Deserialize, Serialize};

/// CapsExMask.Reconnect: the client takes reconnect requests (E-RTMP v2, NetConnection connect).
pub(super) const CAPS_RECONNECT: u32 = 1;

/// The way in which an encoder comes to publish on another connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum ReconnectHabit {
    /// It publishes on a new connection when it is asked to, while the old one lasts.
    OnRequest,
    /// It reconnects at once when its connection is closed.
    #[default]
    AtOnce,
    /// It looks for its connection's end after each tenth of its messages only ([`Self::LOOKS_EACH`]), reconnects at once
    /// then, and sends what came meanwhile, from that tenth on: as FFmpeg's `fifo` muxer does.
    AtTenthMessage,
    /// It waits for 2 s first, as OBS does unless it is set otherwise.
    AfterPause,
}

impl ReconnectHabit {
    /// Messages of audio, video and data from one look of FFmpeg for what the server sent to the next: its default of
    /// `rtmp_flush_interval`.
    pub const LOOKS_EACH: u32 = 10;

    /// The habit of the encoder that calls itself so in its `flashVer`, and has these bits in its `capsEx`.
    pub fn of(flash_ver: &str, caps_ex: u32) -> Self {
        match flash_ver {
            _ if caps_ex & CAPS_RECONNECT != 0 => Self::OnRequest,
            name if name.contains("FMSc") => Self::AfterPause,
            name if name.contains("Lavf") => Self::AtTenthMessage,
            _ => Self::AtOnce,
        }
    }

    /// The time from the close until the encoder connects, with a margin for its timers, in milliseconds. If it looks for the
    /// close at times only, the time that the close needs to be seen.
    pub fn pause_ms(self) -> u64 {
        match self {
            Self::OnRequest | Self::AtOnce => 150,
            // It misses no keyframe while it connects.
            Self::AtTenthMessage => 50,
            // Another 200 ms, as a missed keyframe costs a GOP: the node that it connects to may be busy.
            Self::AfterPause => 2_200,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoders_are_known_by_what_they_call_themselves_and_say_that_they_can() {
        let of = ReconnectHabit::of;
        assert_eq!(of("FMLE/3.0 (compatible; FMSc/1.0)", 0), ReconnectHabit::AfterPause);
        assert_eq!(of("FMLE/3.0 (compatible; Lavf59.27.100)", 2), ReconnectHabit::AtTenthMessage);
        assert_eq!(of("", 0), ReconnectHabit::AtOnce);
        assert_eq!(of("LNX 9,0,124,2", 0), ReconnectHabit::AtOnce);
        assert_eq!(of("FMLE/3.0 (compatible; FMSc/1.0)", 5), ReconnectHabit::OnRequest);
    }
}
