//! Viewers over HLS, who are known by their requests only.

use std::{
    collections::HashMap,
    hash::{BuildHasher, DefaultHasher, Hash, Hasher, RandomState},
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde::{Deserialize, Serialize};
use synctv_media::stream::room::RoomName;
use tokio::time::Instant;

use super::admission::Pass;

/// Time that a viewer counts after a request for a playlist. Players ask every few seconds; the longest interval is
/// that of a stream whose segments are as long as this.
const WATCHES_FOR: Duration = Duration::from_secs(10);

/// The most viewers that are counted. More are served and not counted.
const VIEWERS_MAX: usize = 20_000;

/// The interval at which viewers who have left are removed, once the list is full. The search
/// visits every viewer, and each request may be that of another one.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// The viewers of all rooms: addresses, with the credentials that let them in, that asked for a room's playlist in the last 10 s.
/// Clones share them.
///
/// Several viewers behind one address without credentials count as one, and a viewer who changes its address as two for a
/// moment. A credential that was not verified, and what else a client says of itself, may be another one in each request, and
/// makes no further viewer. Nothing of them is kept but a hash.
#[derive(Debug, Clone, Default)]
pub struct HlsViewers(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// A key that is hashed with each viewer, so that an address cannot be found by its hash. The next program gets it with the hashes.
    secret: [AtomicU64; 2],
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
    /// Notes that a client got a room's playlist, for which it was let in with `pass`. Returns whether it has just begun to watch.
    pub(super) fn note(&self, room: &RoomName, client: IpAddr, pass: Option<&Pass>) -> bool {
        self.note_at(room, self.hash((client.to_canonical(), pass)), Instant::now())
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

    /// Hashes a viewer. Programs that were built with another standard library may have another hash: then viewers are counted
    /// again after an upgrade.
    fn hash(&self, identity: impl Hash) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.secret().hash(&mut hasher);
        identity.hash(&mut hasher);
        hasher.finish()
    }

    fn secret(&self) -> [u64; 2] {
        self.0.secret.each_ref().map(|half| half.load(Ordering::Relaxed))
    }

    /// Returns the present viewers, for the next program.
    pub(crate) fn state(&self) -> HlsViewersState {
        let now = Instant::now();
        let seen = self.seen();
        let seen = seen.last.iter().map(|((room, viewer), last)| {
            let ago_ms = u64::try_from(now.duration_since(*last).as_millis()).unwrap_or(u64::MAX);
            (room.clone(), *viewer, ago_ms)
        });
        HlsViewersState { secret: self.secret(), seen: seen.collect() }
    }

    /// Goes on with the viewers from before an upgrade: they are not counted as new ones.
    pub(crate) fn resume(&self, HlsViewersState { secret, seen }: HlsViewersState) {
        let now = Instant::now();
        for (half, of_state) in self.0.secret.iter().zip(secret) {
            half.store(of_state, Ordering::Relaxed);
        }
        let seen = seen.into_iter().filter_map(|(room, viewer, ago_ms)| {
            Some(((room, viewer), now.checked_sub(Duration::from_millis(ago_ms))?))
        });
        self.seen().last = seen.take(VIEWERS_MAX).collect();
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

impl Default for Shared {
    fn default() -> Self {
        let random = RandomState::new();
        Self { secret: [0, 1].map(|half: u64| random.hash_one(half).into()), seen: Mutex::default() }
    }
}

/// The viewers over an upgrade in place: at most [`VIEWERS_MAX`], about 25 bytes each.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct HlsViewersState {
    secret: [u64; 2],
    /// A room, a viewer's hash, and the time since its last request.
    seen: Vec<(RoomName, u64, u64)>,
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
    fn a_viewer_is_the_same_one_behind_an_upgrade() {
        let (before, after) = (HlsViewers::default(), HlsViewers::default());
        let viewer = before.hash("viewer");
        assert_ne!(after.hash("viewer"), viewer);
        before.note_at(&room("a"), viewer, Instant::now());
        after.resume(before.state());
        assert_eq!(after.by_room()[&room("a")], 1);
        assert!(!after.note_at(&room("a"), after.hash("viewer"), Instant::now()));
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
