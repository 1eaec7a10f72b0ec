//! The time that a message takes to the peer and back, as the handshake shows it.

use std::time::Duration;

use synctv_media::rtmp::session::Phase;
use tokio::time::Instant;

/// The length of C0 and C1, in bytes. C2 answers what they are answered with.
const C0C1_BYTES: u64 = 1537;

/// The measurement, once a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RoundTrip {
    /// Nothing was sent yet that the peer answers.
    Unasked,
    /// S2 was sent.
    Asked { since: Instant },
    /// C2 came. It is nothing for a peer that does not wait for S2.
    Known(Duration),
}

impl RoundTrip {
    /// Notes how far the handshake is after something was read.
    pub fn note(&mut self, phase: Phase, received_bytes: u64, now: Instant) {
        *self = match (*self, phase) {
            (Self::Unasked, Phase::Handshake) if received_bytes >= C0C1_BYTES => Self::Asked { since: now },
            (unasked @ Self::Unasked, Phase::Handshake) => unasked,
            (Self::Asked { since }, Phase::Handshake) => Self::Asked { since },
            (Self::Unasked, _) => Self::Known(Duration::ZERO),
            (Self::Asked { since }, _) => Self::Known(now - since),
            (known @ Self::Known(_), _) => known,
        };
    }

    /// The time, if it is known.
    pub fn duration(self) -> Duration {
        match self {
            Self::Known(duration) => duration,
            Self::Unasked | Self::Asked { .. } => Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_from_s2_to_c2_counts() {
        let begin = Instant::now();
        let at = |ms| begin + Duration::from_millis(ms);
        let mut round_trip = RoundTrip::Unasked;
        round_trip.note(Phase::Handshake, 1000, at(0));
        round_trip.note(Phase::Handshake, 1537, at(10));
        round_trip.note(Phase::Handshake, 2000, at(30));
        assert_eq!(round_trip.duration(), Duration::ZERO);
        round_trip.note(Phase::Connecting, 3073, at(50));
        round_trip.note(Phase::Idle, 4000, at(90));
        assert_eq!(round_trip.duration(), Duration::from_millis(40));
    }

    #[test]
    fn a_peer_that_does_not_wait_for_the_answer_shows_nothing() {
        let mut round_trip = RoundTrip::Unasked;
        round_trip.note(Phase::Idle, 4000, Instant::now());
        assert_eq!(round_trip, RoundTrip::Known(Duration::ZERO));
    }
}
