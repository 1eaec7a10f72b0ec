//! The way that media takes to a viewer.

use std::time::{Duration, Instant};

use super::address::PeerAddress;

/// Time after which a nomination that is not repeated is outdated. Browsers repeat theirs with each check, every
/// 2.5 s at most; a viewer that has moved must not wait much longer than that.
const NOMINATION_LIFE: Duration = Duration::from_secs(4);

/// A verified check of the viewer that nominates its pair (RFC 8445, section 7.3.1.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Nomination {
    pub from: PeerAddress,
    /// The priority of the viewer's candidate.
    pub priority: u32,
}

/// The destination of media.
///
/// This server is ICE-lite and sends no checks: the viewer chooses the pair. The library follows the nomination of the highest priority,
/// and of equal ones the oldest, until that pair had no check for 15 s. A viewer whose router gives it a new port
/// nominates another pair of the same priority, and would see nothing for 15 s.
///
/// Checks have no replay protection: an attacker who captured one could send it from another address and divert the media. RTCP
/// has it, so media that flows moves to a nominated address only once the viewer's RTCP arrives from there too.
#[derive(Debug, Default)]
pub(super) struct MediaPath {
    to: Option<PeerAddress>,
    nominated: Option<(Nomination, Instant)>,
}

impl MediaPath {
    /// Returns the destination, once there is one.
    pub fn to(&self) -> Option<PeerAddress> {
        self.to
    }

    /// Notes the library's destination, which counts until the viewer has nominated a pair.
    pub fn note_library(&mut self, to: PeerAddress) {
        if self.nominated.is_none() {
            self.to = Some(to);
        }
    }

    /// Takes a nomination. Until media flows, it is the destination at once. It replaces one of a lower or the same priority, and any that is outdated. Viewers nominate one pair at a
    /// time, except those of RFC 5245, which nominate each pair that they check and mean the one of the highest priority.
    pub fn nominate(&mut self, nomination: Nomination, flows: bool, now: Instant) {
        let keeps = self.nominated.is_some_and(|(last, at)| {
            last.from != nomination.from
                && last.priority > nomination.priority
                && now.saturating_duration_since(at) < NOMINATION_LIFE
        });
        if keeps {
            return;
        }
        self.nominated = Some((nomination, now));
        if !flows {
            self.to = Some(nomination.from);
        }
    }

    /// Notes that RTCP of the viewer came from there.
    pub fn confirm(&mut self, from: PeerAddress) {
        if self.nominated.is_some_and(|(nomination, _)| nomination.from == from) {
            self.to = Some(from);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::webrtc::peer::address::Transport;

    fn at(port: u16) -> PeerAddress {
        PeerAddress {
            transport: Transport::Udp,
            remote: SocketAddr::from(([192, 0, 2, 1], port)),
            local: None,
        }
    }

    fn nomination(port: u16, priority: u32) -> Nomination {
        Nomination { from: at(port), priority }
    }

    #[allow(clippy::disallowed_methods, reason = "an instant to count from")]
    fn now() -> Instant {
        Instant::now()
    }

    #[test]
    fn the_librarys_destination_counts_until_a_pair_is_nominated() {
        let mut path = MediaPath::default();
        assert_eq!(path.to(), None);
        path.note_library(at(1));
        assert_eq!(path.to(), Some(at(1)));
        path.nominate(nomination(2, 5), false, now());
        path.note_library(at(1));
        assert_eq!(path.to(), Some(at(2)));
    }

    #[test]
    fn a_nomination_of_the_same_priority_is_followed_at_once() {
        let (mut path, now) = (MediaPath::default(), now());
        path.nominate(nomination(1, 5), false, now);
        path.nominate(nomination(2, 5), false, now);
        assert_eq!(path.to(), Some(at(2)));
    }

    #[test]
    fn one_of_a_lower_priority_is_followed_once_the_other_is_outdated() {
        let (mut path, begin) = (MediaPath::default(), now());
        path.nominate(nomination(1, 5), false, begin);
        path.nominate(nomination(1, 5), false, begin + Duration::from_secs(1));
        path.nominate(nomination(2, 4), false, begin + NOMINATION_LIFE);
        assert_eq!(path.to(), Some(at(1)));
        path.nominate(nomination(2, 4), false, begin + NOMINATION_LIFE + Duration::from_secs(1));
        assert_eq!(path.to(), Some(at(2)));
    }

    #[test]
    fn media_that_flows_moves_once_rtcp_comes_from_there() {
        let (mut path, now) = (MediaPath::default(), now());
        path.nominate(nomination(1, 5), false, now);
        path.nominate(nomination(2, 5), true, now);
        path.confirm(at(1));
        path.confirm(at(3));
        assert_eq!(path.to(), Some(at(1)));
        path.confirm(at(2));
        assert_eq!(path.to(), Some(at(2)));
    }
}
