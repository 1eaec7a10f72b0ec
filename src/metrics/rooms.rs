//! Metrics of single rooms, for a bounded number of them.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::{Deserialize, Serialize};
use synctv_actors::{
    events::StreamId,
    stream::{StreamCounts, StreamHandle},
};
use synctv_media::stream::room::RoomName;

use super::constant::{Labels, Values, labels};

/// The label of all rooms that have no series of their own.
const OTHER: &str = "other";

/// The series of rooms: of the first that come their own, of the rest one together. Clones share them.
#[derive(Debug, Clone)]
pub struct RoomSeries {
    rooms_max: usize,
    others: Arc<Mutex<Others>>,
}

/// The rooms without series of their own. Their sum must not fall when one of them ends, as a scraper takes that for a
/// restart of the counter. So what was counted is kept, and what each adds to it is the difference to the last scrape.
#[derive(Debug, Default)]
struct Others {
    sum: StreamCounts,
    /// At the last scrape; at most as many as there are streams.
    seen: HashMap<StreamId, (RoomName, StreamCounts)>,
    /// Those of before an upgrade, whose streams have other ids now, until the first scrape.
    seen_before: HashMap<RoomName, CountsSeen>,
}

/// Counts of a room, or of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
struct CountsSeen {
    ingest_bytes: u64,
    sent_bytes: u64,
    skips: u64,
}

/// The rooms without series of their own over an upgrade in place.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct OtherRoomsState {
    sum: CountsSeen,
    seen: Vec<(RoomName, CountsSeen)>,
}

impl CountsSeen {
    fn of(counts: &StreamCounts) -> Self {
        let StreamCounts { ingest_bytes, sent_bytes, skips, .. } = *counts;
        Self { ingest_bytes, sent_bytes, skips }
    }
}

/// A room at a scrape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RoomState {
    pub room: RoomName,
    pub viewers: u64,
    pub is_live: bool,
    pub counts: StreamCounts,
}

/// The counts of a room with series, or of all others.
struct Counted {
    name: String,
    is_live: bool,
    counts: StreamCounts,
}

impl RoomState {
    /// The state of a stream now, with the viewers that are connected.
    pub fn of(stream: &StreamHandle) -> Self {
        Self {
            room: stream.room().clone(),
            viewers: stream.viewers(),
            is_live: stream.is_live(),
            counts: stream.meters().counts(),
        }
    }
}

impl RoomSeries {
    /// Series of at most `rooms_max` rooms. None, also not of the rest, if that is 0.
    pub fn new(rooms_max: usize) -> Self {
        Self { rooms_max, others: Arc::default() }
    }

    /// Adds the series of the rooms that there are. `over_hls` are the viewers over HLS, also of rooms without a stream on
    /// this node, whose segments come from another one.
    pub(super) fn add(
        &self,
        values: &mut Values<'_>,
        mut rooms: Vec<(StreamId, RoomState)>,
        over_hls: &HashMap<RoomName, u64>,
    ) {
        if self.rooms_max == 0 {
            return;
        }
        // The first that came keep their series for as long as they are there.
        rooms.sort_by_key(|(id, _)| *id);
        let others = rooms.split_off(self.rooms_max.min(rooms.len()));
        let other = Counted {
            name: OTHER.to_owned(),
            is_live: others.iter().any(|(_, room)| room.is_live),
            counts: self.sum(&others),
        };
        values.gauges("room_viewers", "Viewers on this node", self.viewers(&rooms, &others, over_hls));
        let own = rooms.into_iter().map(|(_, room)| Counted {
            name: room.room.to_string(),
            is_live: room.is_live,
            counts: room.counts,
        });
        add_counts(values, &own.chain([other]).collect::<Vec<_>>());
    }

    /// The viewers of each room with a series of its own, and of the rest. Series that are left go to rooms that are
    /// watched over HLS only.
    fn viewers(
        &self,
        rooms: &[(StreamId, RoomState)],
        others: &[(StreamId, RoomState)],
        over_hls: &HashMap<RoomName, u64>,
    ) -> Vec<(Labels, f64)> {
        let mut over_hls: BTreeMap<_, _> =
            over_hls.iter().map(|(room, viewers)| (room.as_str(), *viewers)).collect();
        let mut of_room =
            |room: &RoomState| room.viewers + over_hls.remove(room.room.as_str()).unwrap_or_default();
        let own: Vec<_> = rooms.iter().map(|(_, room)| (room.room.to_string(), of_room(room))).collect();
        let mut rest: u64 = others.iter().map(|(_, room)| of_room(room)).sum();
        let mut over_hls = over_hls.into_iter();
        let places = self.rooms_max.saturating_sub(own.len());
        let elsewhere: Vec<_> =
            over_hls.by_ref().take(places).map(|(room, viewers)| (room.to_owned(), viewers)).collect();
        rest += over_hls.map(|(_, viewers)| viewers).sum::<u64>();
        let all = own.into_iter().chain(elsewhere).chain([(OTHER.to_owned(), rest)]);
        all.map(|(room, viewers)| (labels("room", room), viewers as f64)).collect()
    }

    fn sum(&self, rooms: &[(StreamId, RoomState)]) -> StreamCounts {
        let mut others = self.others();
        let seen_before = std::mem::take(&mut others.seen_before);
        for (id, room) in rooms {
            let before = others.seen.get(id).map(|(_, counts)| CountsSeen::of(counts));
            let before = before.or_else(|| seen_before.get(&room.room).copied()).unwrap_or_default();
            others.sum.ingest_bytes += room.counts.ingest_bytes.saturating_sub(before.ingest_bytes);
            others.sum.sent_bytes += room.counts.sent_bytes.saturating_sub(before.sent_bytes);
            others.sum.skips += room.counts.skips.saturating_sub(before.skips);
        }
        others.seen = rooms.iter().map(|(id, room)| (*id, (room.room.clone(), room.counts))).collect();
        others.sum
    }

    fn others(&self) -> MutexGuard<'_, Others> {
        self.others.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state for the next program. It does not grow with the rooms that there were, but with those that there are.
    pub(super) fn state(&self) -> OtherRoomsState {
        let others = self.others();
        let seen = others.seen.values().map(|(room, counts)| (room.clone(), CountsSeen::of(counts)));
        OtherRoomsState { sum: CountsSeen::of(&others.sum), seen: seen.collect() }
    }

    /// Goes on with the sum of the last program.
    pub(super) fn resume(&self, OtherRoomsState { sum, seen }: OtherRoomsState) {
        let CountsSeen { ingest_bytes, sent_bytes, skips } = sum;
        let mut others = self.others();
        others.sum = StreamCounts { ingest_bytes, sent_bytes, skips, ..StreamCounts::default() };
        others.seen_before = seen.into_iter().collect();
    }
}

fn add_counts(values: &mut Values<'_>, rooms: &[Counted]) {
    let series = |value: fn(&Counted) -> f64| {
        rooms.iter().map(|room| (labels("room", room.name.clone()), value(room))).collect::<Vec<_>>()
    };
    values.gauges(
        "room_up",
        "Whether the room has a publisher",
        series(|room| f64::from(u8::from(room.is_live))),
    );
    let ingest = "Bytes taken from the room's publishers";
    values.counters("room_ingest_bytes", ingest, series(|room| room.counts.ingest_bytes as f64));
    let sent = "Bytes of the room's media sent";
    values.counters("room_sent_bytes", sent, series(|room| room.counts.sent_bytes as f64));
    let skips = "Times that slow viewers skipped";
    values.counters("room_skips", skips, series(|room| room.counts.skips as f64));
}

#[cfg(test)]
mod tests {
    use prometheus_client::{encoding::prometheus_text, registry::Registry};

    use super::*;

    fn name(name: &str) -> RoomName {
        RoomName::new(name).unwrap()
    }

    fn room(id: StreamId, room: &str, ingest_bytes: u64) -> (StreamId, RoomState) {
        let counts = StreamCounts { ingest_bytes, ..StreamCounts::default() };
        (id, RoomState { room: name(room), viewers: 1, is_live: true, counts })
    }

    fn scrape(
        series: &RoomSeries,
        rooms: Vec<(StreamId, RoomState)>,
        over_hls: &[(&str, u64)],
        metric: &str,
    ) -> Vec<(String, u64)> {
        let mut registry = Registry::default();
        let over_hls = over_hls.iter().map(|(room, viewers)| (name(room), *viewers)).collect();
        series.add(&mut Values(&mut registry), rooms, &over_hls);
        let mut text = String::new();
        prometheus_text::encode(&mut text, &registry).unwrap();
        let prefix = format!("{metric}{{room=\"");
        let values = text.lines().filter_map(|line| line.strip_prefix(&prefix));
        let value = |line: &str| {
            let (room, value) = line.split_once("\"} ").unwrap();
            (room.to_owned(), value.parse::<f64>().unwrap() as u64)
        };
        values.map(value).collect()
    }

    fn ingest(series: &RoomSeries, rooms: Vec<(StreamId, RoomState)>) -> Vec<(String, u64)> {
        scrape(series, rooms, &[], "room_ingest_bytes_total")
    }

    fn named(values: &[(&str, u64)]) -> Vec<(String, u64)> {
        values.iter().map(|(room, value)| ((*room).to_owned(), *value)).collect()
    }

    #[test]
    fn no_room_has_series_unless_some_may() {
        assert_eq!(ingest(&RoomSeries::new(0), vec![room(StreamId::unique(), "a", 1)]), []);
    }

    #[test]
    fn the_first_have_their_own_series_and_the_sum_of_the_rest_never_falls() {
        let series = RoomSeries::new(1);
        let [a, b, c] = [(); 3].map(|()| StreamId::unique());
        let rooms = vec![room(c, "c", 30), room(a, "a", 1), room(b, "b", 20)];
        assert_eq!(ingest(&series, rooms), named(&[("a", 1), ("other", 50)]));
        assert_eq!(
            ingest(&series, vec![room(a, "a", 1), room(b, "b", 25)]),
            named(&[("a", 1), ("other", 55)])
        );
        assert_eq!(ingest(&series, vec![room(b, "b", 30)]), named(&[("b", 30), ("other", 55)]));
    }

    #[test]
    fn the_sum_goes_on_over_an_upgrade() {
        let before = RoomSeries::new(1);
        let [a, b, c] = [(); 3].map(|()| StreamId::unique());
        ingest(&before, vec![room(a, "a", 1), room(b, "b", 20), room(c, "c", 30)]);
        // One has ended, and the other one has counted since it was scraped.
        let state = before.state();
        let after = RoomSeries::new(1);
        after.resume(state);
        let [a, b] = [(); 2].map(|()| StreamId::unique());
        let values = ingest(&after, vec![room(a, "a", 2), room(b, "b", 25)]);
        assert_eq!(values, named(&[("a", 2), ("other", 55)]));
        // A room of the same name is another stream.
        let values = ingest(&after, vec![room(a, "a", 2), room(StreamId::unique(), "b", 5)]);
        assert_eq!(values, named(&[("a", 2), ("other", 60)]));
    }

    #[test]
    fn viewers_over_hls_count_also_in_rooms_of_other_nodes() {
        let viewers = |rooms_max, over_hls: &[(&str, u64)]| {
            let rooms = vec![room(StreamId::unique(), "a", 0), room(StreamId::unique(), "b", 0)];
            scrape(&RoomSeries::new(rooms_max), rooms, over_hls, "room_viewers")
        };
        assert_eq!(viewers(1, &[("b", 5)]), named(&[("a", 1), ("other", 6)]));
        let over_hls = [("a", 2), ("d", 4), ("c", 3)];
        assert_eq!(viewers(3, &over_hls), named(&[("a", 3), ("b", 1), ("c", 3), ("other", 4)]));
        assert_eq!(viewers(9, &[("c", 3)]), named(&[("a", 1), ("b", 1), ("c", 3), ("other", 0)]));
    }
}
