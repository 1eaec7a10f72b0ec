//! Viewers over HLS, who are known by their requests only.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use actix_http::Request;
use synctv_media::stream::room::RoomName;
use tokio::time::Instant;

use super::super::{credentials, request_view::RequestView};

/// Time that a viewer counts after a request for a playlist. Players ask every few seconds; the longest interval is
/// that of a stream whose segments are as long as this.
const WATCHES_FOR: Duration = Duration::from_secs(10);

/// The most viewers that are counted. More are served and not counted.
const VIEWERS_MAX: usize = 20_000;

/// The interval at which viewers who have left make room for others, once there are too many. The search
/// visits every viewer, and each request may bring another token.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// The viewers of all rooms: addresses and tokens that asked for a room's playlist in the last 10 s. Clones share them.
///
/// Several viewers behind one address without tokens count as one, and a viewer who changes its address as two for a
/// moment. Nothing of them is kept but a hash.
#[derive(Debug, Clone, Default)]
pub struct HlsViewers(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    hasher: RandomState,
    seen: Mutex<Seen>,
}

/// The last request of each viewer.
#[derive(Debug, Default)]
struct Seen {
    last: HashMap<(RoomName, u64), Instant>,
    swept: Option<Instant>,
}

impl Seen {
    /// Returns whether another viewer can be counted.
    fn has_room(&mut self, now: Instant) -> bool {
        let is_swept = self.swept.is_some_and(|swept| now.duration_since(swept) < SWEEP_INTERVAL);
        if self.last.len() >= VIEWERS_MAX && !is_swept {
            self.swept = Some(now);
            self.last.retain(|_, last| now.duration_since(*last) < WATCHES_FOR);
        }
        self.last.len() < VIEWERS_MAX
    }
}

impl HlsViewers {
    /// Notes that a client got a room's playlist. Returns whether it has just begun to watch.
    pub(super) fn note(&self, room: &RoomName, request: &Request) -> bool {
        let identity = (
            credentials::peer(request).ip().to_canonical(),
            token(request.query_string()),
            credentials::authorization(request),
        );
        self.note_at(room, self.0.hasher.hash_one(identity), Instant::now())
    }

    fn note_at(&self, room: &RoomName, viewer: u64, now: Instant) -> bool {
        let mut seen = self.seen();
        if let Some(last) = seen.last.get_mut(&(room.clone(), viewer)) {
            let is_back = now.duration_since(*last) >= WATCHES_FOR;
            *last = now;
            return is_back;
        }
        let is_counted = seen.has_room(now);
        if is_counted {
            seen.last.insert((room.clone(), viewer), now);
        }
        is_counted
    }

    /// Returns how many watch each room.
    pub fn by_room(&self) -> HashMap<RoomName, u64> {
        self.by_room_at(Instant::now())
    }

    fn by_room_at(&self, now: Instant) -> HashMap<RoomName, u64> {
        let mut counts = HashMap::new();
        let mut seen = self.seen();
        seen.last.retain(|(room, _), last| {
            let watches = now.duration_since(*last) < WATCHES_FOR;
            if watches {
                *counts.entry(room.clone()).or_default() += 1;
            }
            watches
        });
        counts
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Of a query, only the credential: players add what keeps caches away.
fn token(query: &str) -> Option<&str> {
    query.split('&').find(|pair| pair.starts_with("token=") || pair.starts_with("key="))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(name: &str) -> RoomName {
        RoomName::new(name).unwrap()
    }

    #[test]
    fn a_viewer_counts_for_ten_seconds_after_its_last_request() {
        let (viewers, start) = (HlsViewers::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(viewers.note_at(&room("a"), 1, at(0)), "it begins");
        assert!(!viewers.note_at(&room("a"), 1, at(9)), "it goes on");
        assert!(viewers.note_at(&room("a"), 2, at(9)) && viewers.note_at(&room("b"), 1, at(9)));
        assert_eq!(viewers.by_room_at(at(18)), HashMap::from([(room("a"), 2), (room("b"), 1)]));
        assert_eq!(viewers.by_room_at(at(19)), HashMap::new());
        assert!(viewers.note_at(&room("a"), 1, at(20)), "it begins again");
    }

    #[test]
    fn viewers_beyond_the_limit_are_not_counted_until_others_have_left() {
        let (viewers, start) = (HlsViewers::default(), Instant::now());
        for viewer in 0..VIEWERS_MAX as u64 + 5 {
            viewers.note_at(&room("a"), viewer, start);
        }
        assert_eq!(viewers.by_room_at(start)[&room("a")], VIEWERS_MAX as u64);
        assert!(!viewers.note_at(&room("a"), u64::MAX, start));
        assert!(viewers.note_at(&room("a"), u64::MAX, start + WATCHES_FOR));
    }

    #[test]
    fn the_full_list_is_not_searched_for_each_request() {
        let (viewers, start) = (HlsViewers::default(), Instant::now());
        for viewer in 0..VIEWERS_MAX as u64 {
            viewers.note_at(&room("a"), viewer, start);
        }
        let late = start + WATCHES_FOR - SWEEP_INTERVAL / 2;
        assert!(!viewers.note_at(&room("a"), u64::MAX, late), "it is searched, and all still watch");
        assert!(!viewers.note_at(&room("a"), u64::MAX, start + WATCHES_FOR), "it was searched just now");
        assert!(viewers.note_at(&room("a"), u64::MAX, late + SWEEP_INTERVAL));
    }
}
