//! Metrics of single rooms, for a bounded number of them.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use synctv_actors::{
    events::StreamId,
    stream::{StreamCounts, StreamHandle},
};

use super::constant::{Values, labels};

/// The label of all rooms that have no series of their own.
const OTHER: &str = "other";

/// The series of rooms: of the first that come their own, of the rest one together.
#[derive(Debug)]
pub(super) struct RoomSeries {
    rooms_max: usize,
    others: Mutex<Others>,
}

/// The rooms without series of their own. Their sum must not fall when one of them ends, as a scraper takes that for a
/// restart of the counter. So what was counted is kept, and what each adds to it is the difference to the last scrape.
#[derive(Debug, Default)]
struct Others {
    sum: StreamCounts,
    /// At the last scrape; at most as many as there are streams.
    seen: HashMap<StreamId, StreamCounts>,
}

/// A room at a scrape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RoomState {
    pub room: String,
    pub viewers: u64,
    pub is_live: bool,
    pub counts: StreamCounts,
}

impl RoomState {
    /// The state of a stream now.
    pub fn of(stream: &StreamHandle) -> Self {
        Self {
            room: stream.room().to_string(),
            viewers: stream.viewers(),
            is_live: stream.is_live(),
            counts: stream.meters().counts(),
        }
    }
}

impl RoomSeries {
    /// Series of at most `rooms_max` rooms. None, also not of the rest, if that is 0.
    pub fn new(rooms_max: usize) -> Self {
        Self { rooms_max, others: Mutex::default() }
    }

    /// Adds the series of the rooms that there are.
    pub fn add(&self, values: &mut Values<'_>, mut rooms: Vec<(StreamId, RoomState)>) {
        if self.rooms_max == 0 {
            return;
        }
        // The first that came keep their series for as long as they are there.
        rooms.sort_by_key(|(id, _)| *id);
        let others = rooms.split_off(self.rooms_max.min(rooms.len()));
        let other = RoomState {
            viewers: others.iter().map(|(_, room)| room.viewers).sum(),
            is_live: others.iter().any(|(_, room)| room.is_live),
            counts: self.sum(&others),
            room: OTHER.to_owned(),
        };
        let rooms: Vec<_> = rooms.into_iter().map(|(_, room)| room).chain([other]).collect();
        let series = |value: fn(&RoomState) -> f64| {
            rooms.iter().map(|room| (labels("room", room.room.clone()), value(room))).collect::<Vec<_>>()
        };
        values.gauges(
            "room_up",
            "Whether the room has a publisher",
            series(|room| f64::from(u8::from(room.is_live))),
        );
        values.gauges("room_viewers", "Viewers connected to this node", series(|room| room.viewers as f64));
        let ingest = "Bytes of frames taken from the room's publishers on this node";
        values.counters("room_ingest_bytes", ingest, series(|room| room.counts.ingest_bytes as f64));
        let sent = "Bytes of the room's media sent by this node";
        values.counters("room_sent_bytes", sent, series(|room| room.counts.sent_bytes as f64));
        let skips = "Times that slow viewers of the room were moved on to a later keyframe";
        values.counters("room_skips", skips, series(|room| room.counts.skips as f64));
    }

    fn sum(&self, rooms: &[(StreamId, RoomState)]) -> StreamCounts {
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        for (id, room) in rooms {
            let before = others.seen.get(id).copied().unwrap_or_default();
            others.sum.ingest_bytes += room.counts.ingest_bytes.saturating_sub(before.ingest_bytes);
            others.sum.sent_bytes += room.counts.sent_bytes.saturating_sub(before.sent_bytes);
            others.sum.skips += room.counts.skips.saturating_sub(before.skips);
        }
        others.seen = rooms.iter().map(|(id, room)| (*id, room.counts)).collect();
        others.sum
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::{encoding::prometheus_text, registry::Registry};

    use super::*;

    fn room(id: StreamId, name: &str, ingest_bytes: u64) -> (StreamId, RoomState) {
        let counts = StreamCounts { ingest_bytes, ..StreamCounts::default() };
        (id, RoomState { room: name.to_owned(), viewers: 1, is_live: true, counts })
    }

    fn ingest(series: &RoomSeries, rooms: Vec<(StreamId, RoomState)>) -> Vec<(String, u64)> {
        let mut registry = Registry::default();
        series.add(&mut Values(&mut registry), rooms);
        let mut text = String::new();
        prometheus_text::encode(&mut text, &registry).unwrap();
        let values = text.lines().filter_map(|line| line.strip_prefix("room_ingest_bytes_total{room=\""));
        let value = |line: &str| {
            let (room, value) = line.split_once("\"} ").unwrap();
            (room.to_owned(), value.parse::<f64>().unwrap() as u64)
        };
        values.map(value).collect()
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
}
