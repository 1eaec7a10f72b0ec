//! Answers that are good for a moment, and the playlists that stand in for them when a node fails.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{Answer, HlsResource, Outcome};
use crate::hls::PlaylistText;

/// Time that a playlist is served from the cache. Segments come every other second.
const PLAYLIST_FRESH: Duration = Duration::from_millis(250);

/// Time that a node's refusal is served from the cache.
const REFUSAL_FRESH: Duration = Duration::from_millis(500);

/// Time that a failed node is not asked.
const FAILURE_FRESH: Duration = Duration::from_secs(1);

/// Time that a room's last playlist stands in (RFC 5861, stale-if-error) when its node fails, or no longer has the room and
/// did not end the playlist. To players that is a stream without news, which they wait for, whereas they give up after a
/// few errors; and the publisher is about to find another node.
const STALE_MAX: Duration = Duration::from_secs(30);

/// Answers that are remembered; further ones are asked for each time. A playlist takes the place of those that are none:
/// of segments that do not exist, anyone can ask for any number.
const ANSWERS_MAX: usize = 4096;

const NOT_FOUND: u16 = 404;
const SERVICE_UNAVAILABLE: u16 = 503;

/// The last answers.
#[derive(Debug, Default)]
pub(super) struct ResponseCache(HashMap<HlsResource, Remembered>);

#[derive(Debug)]
struct Remembered {
    outcome: Outcome,
    fresh_until: Instant,
    stale: Option<StalePlaylist>,
}

#[derive(Debug, Clone)]
struct StalePlaylist {
    text: Arc<PlaylistText>,
    until: Instant,
}

impl ResponseCache {
    /// Returns the cached answer, if it is fresh.
    pub fn fresh(&self, resource: &HlsResource, now: Instant) -> Option<Outcome> {
        let remembered = self.0.get(resource).filter(|remembered| remembered.fresh_until > now)?;
        Some(remembered.outcome.clone())
    }

    /// Returns whether a playlist can stand in if the node fails.
    pub fn has_stale(&self, resource: &HlsResource, now: Instant) -> bool {
        self.stale(resource, now).is_some()
    }

    /// Caches a new answer, and returns the one to give. The playlist of a held request is cached as the plain playlist, and
    /// only that one may stand in later: held requests are for another part each time.
    pub fn settle(&mut self, resource: &HlsResource, outcome: Outcome, now: Instant) -> Outcome {
        let at_once = resource.at_once();
        if at_once != *resource {
            return match self.settle(&at_once, outcome, now) {
                Ok(playlist @ Answer::Playlist(_)) => Ok(playlist),
                outcome => {
                    self.0.remove(&at_once);
                    outcome
                }
            };
        }
        let (outcome, fresh, stale) = match (outcome, self.stale(resource, now).cloned()) {
            (Ok(Answer::Playlist(text)), _) => {
                let stale = StalePlaylist { text: text.clone(), until: now + STALE_MAX };
                (Ok(Answer::Playlist(text)), PLAYLIST_FRESH, Some(stale))
            }
            (outcome, Some(stale)) if stale.stands_in_for(&outcome) => {
                let text = stale.text.clone();
                (Ok(Answer::Playlist(text)), FAILURE_FRESH, Some(stale))
            }
            (Err(error), _) => (Err(error), FAILURE_FRESH, None),
            (Ok(refusal @ Answer::Refused(_)), _) => (Ok(refusal), REFUSAL_FRESH, None),
            // Segments have a cache of their own, and the registry remembers where rooms are not.
            (Ok(answer), _) => {
                self.0.remove(resource);
                return Ok(answer);
            }
        };
        let remembered = Remembered { outcome: outcome.clone(), fresh_until: now + fresh, stale };
        self.insert(resource, remembered, now);
        outcome
    }

    /// The number of answers that are remembered.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Nothing that was answered counts any more.
    pub fn forget(&mut self, resource: &HlsResource) {
        self.0.remove(resource);
    }

    /// Forgets what is too old to be used.
    pub fn sweep(&mut self, now: Instant) {
        self.0.retain(|_, remembered| {
            remembered.fresh_until > now || remembered.stale.as_ref().is_some_and(|it| it.until > now)
        });
    }

    fn stale(&self, resource: &HlsResource, now: Instant) -> Option<&StalePlaylist> {
        self.0.get(resource)?.stale.as_ref().filter(|stale| stale.until > now)
    }

    fn insert(&mut self, resource: &HlsResource, remembered: Remembered, now: Instant) {
        if self.0.contains_key(resource) || self.make_room(remembered.stale.is_some(), now) {
            self.0.insert(resource.clone(), remembered);
        }
    }

    /// Returns whether there is room for one more, which is a playlist or not.
    fn make_room(&mut self, for_playlist: bool, now: Instant) -> bool {
        if self.0.len() >= ANSWERS_MAX {
            self.sweep(now);
        }
        if self.0.len() >= ANSWERS_MAX && for_playlist {
            self.0.retain(|_, remembered| remembered.stale.is_some());
        }
        self.0.len() < ANSWERS_MAX
    }
}

impl StalePlaylist {
    /// A playlist with an end expires, so it does not stand in for a 404. One without an end never expires by itself: its node
    /// has lost it.
    fn stands_in_for(&self, outcome: &Outcome) -> bool {
        match outcome {
            Err(_) => true,
            Ok(Answer::Nowhere | Answer::Past) => !self.text.has_end(),
            Ok(Answer::Refused(refusal)) => match refusal.status {
                NOT_FOUND => !self.text.has_end(),
                status => status == SERVICE_UNAVAILABLE,
            },
            Ok(Answer::Playlist(_) | Answer::Segment(_) | Answer::Here { .. } | Answer::HlsOff { .. }) => {
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{
        hls::proxy::{HlsProxyError, PlaylistAddress, Refusal},
        testing::{room, segment_name},
    };

    fn resource(name: &str) -> HlsResource {
        HlsResource::Playlist { room: room(name), address: PlaylistAddress::Index, request: None }
    }

    fn playlist(tag: &str, end: &str) -> Outcome {
        let text = format!("#EXTM3U\n{end}");
        Ok(Answer::Playlist(Arc::new(PlaylistText::new(text.into(), tag.to_owned()))))
    }

    fn refusal(status: u16) -> Outcome {
        let refusal =
            Refusal { status, content_type: String::new(), retry_after: None, body: Bytes::default() };
        Ok(Answer::Refused(Arc::new(refusal)))
    }

    fn failure() -> Outcome {
        Err(HlsProxyError::Origin { node: "n".to_owned(), reason: "off".to_owned() })
    }

    fn tag(outcome: Option<Outcome>) -> String {
        match outcome {
            Some(Ok(Answer::Playlist(text))) => text.tag.clone(),
            Some(Ok(Answer::Refused(refusal))) => refusal.status.to_string(),
            Some(Ok(Answer::Nowhere)) => "nowhere".to_owned(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn a_failing_node_s_last_playlist_stands_in_for_a_while() {
        let (mut response_cache, resource, start) = (ResponseCache::default(), resource("r"), Instant::now());
        let _ = response_cache.settle(&resource, playlist("1", ""), start);
        assert_eq!(tag(response_cache.fresh(&resource, start)), "1");
        assert!(response_cache.fresh(&resource, start + PLAYLIST_FRESH).is_none());
        let later = start + STALE_MAX / 2;
        response_cache.sweep(later);
        assert_eq!(tag(Some(response_cache.settle(&resource, failure(), later))), "1");
        assert_eq!(tag(response_cache.fresh(&resource, later)), "1");
        let too_late = start + STALE_MAX;
        assert!(!response_cache.has_stale(&resource, too_late));
        assert_eq!(
            response_cache.settle(&resource, failure(), too_late).unwrap_err(),
            failure().unwrap_err()
        );
    }

    #[test]
    fn a_playlist_goes_without_an_end_only_after_a_while() {
        for (end, outcome, said) in [
            ("", refusal(404), "1"),
            ("", Ok(Answer::Nowhere), "1"),
            ("", refusal(503), "1"),
            ("", refusal(415), "415"),
            ("#EXT-X-ENDLIST\n", refusal(404), "404"),
            ("#EXT-X-ENDLIST\n", Ok(Answer::Nowhere), "nowhere"),
            ("#EXT-X-ENDLIST\n", failure(), "1"),
        ] {
            let (mut response_cache, resource, start) =
                (ResponseCache::default(), resource("r"), Instant::now());
            let _ = response_cache.settle(&resource, playlist("1", end), start);
            assert_eq!(tag(Some(response_cache.settle(&resource, outcome, start))), said, "{end}");
        }
    }

    #[test]
    fn the_number_of_answers_is_bounded_and_old_ones_make_room() {
        let (mut response_cache, start) = (ResponseCache::default(), Instant::now());
        for at in 0..ANSWERS_MAX + 10 {
            let _ = response_cache.settle(&resource(&format!("r{at}")), failure(), start);
        }
        assert_eq!(response_cache.0.len(), ANSWERS_MAX);
        let _ = response_cache.settle(&resource("new"), failure(), start + FAILURE_FRESH);
        assert_eq!(response_cache.0.len(), 1);
    }

    #[test]
    fn a_flood_of_refusals_keeps_no_playlist_out() {
        let (mut response_cache, start) = (ResponseCache::default(), Instant::now());
        let _ = response_cache.settle(&resource("old"), playlist("1", ""), start);
        for sequence in 0..ANSWERS_MAX as u64 {
            let segment = HlsResource::Segment { room: room("old"), name: segment_name(sequence) };
            let _ = response_cache.settle(&segment, refusal(404), start);
        }
        assert_eq!(response_cache.0.len(), ANSWERS_MAX);
        let _ = response_cache.settle(&resource("new"), playlist("2", ""), start);
        assert_eq!(tag(response_cache.fresh(&resource("old"), start)), "1");
        assert_eq!(tag(response_cache.fresh(&resource("new"), start)), "2");
    }

    #[test]
    fn playlists_are_bounded_too_and_known_ones_are_renewed() {
        let (mut response_cache, start) = (ResponseCache::default(), Instant::now());
        for at in 0..ANSWERS_MAX + 10 {
            let _ = response_cache.settle(&resource(&format!("r{at}")), playlist("1", ""), start);
        }
        assert_eq!(response_cache.0.len(), ANSWERS_MAX);
        let _ = response_cache.settle(&resource("r0"), playlist("2", ""), start);
        assert_eq!(tag(response_cache.fresh(&resource("r0"), start)), "2");
    }
}
