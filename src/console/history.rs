//! The last ten minutes of a node and of its rooms, in rings of fixed size.

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use synctv_actors::{
    directory::StreamDirectory,
    events::StreamId,
    metrics::{StreamMetrics, ViewerProtocol},
    stream::{StreamCounts, StreamHandle},
};
use synctv_media::stream::room::RoomName;
use tokio::time::{Instant, sleep};

use super::report::{Charts, INTERVAL, RoomCharts};
use crate::http::hls::HlsViewers;

/// Samples that are kept: ten minutes.
const SAMPLES_MAX: usize = 120;

/// Rooms whose history is kept, the first that come. With 16 bytes for a sample, that is 2 MiB at most.
const ROOMS_MAX: usize = 1000;

/// The history. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct History(Arc<Mutex<Rings>>);

#[derive(Debug, Default)]
struct Rings {
    node: Ring<NodeSample>,
    rooms: HashMap<StreamId, RoomRing>,
    /// Those of before an upgrade, whose streams have other ids now, until the first sample.
    rooms_before: HashMap<RoomName, Ring<RoomSample>>,
}

/// The history over an upgrade in place: 20 bytes for a sample, of a node and at most [`ROOMS_MAX`] rooms.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct HistoryState {
    node: VecDeque<NodeSample>,
    rooms: Vec<(RoomName, VecDeque<RoomSample>)>,
}

#[derive(Debug)]
struct Ring<T>(VecDeque<T>);

impl<T> Default for Ring<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T> Ring<T> {
    /// The newest of these samples.
    fn of(mut samples: VecDeque<T>) -> Self {
        samples.drain(..samples.len().saturating_sub(SAMPLES_MAX));
        Self(samples)
    }

    fn push(&mut self, sample: T) {
        if self.0.len() == SAMPLES_MAX {
            self.0.pop_front();
        }
        self.0.push_back(sample);
    }
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct NodeSample {
    ingest_kbps: u32,
    sent_kbps: u32,
    viewers: u32,
    /// `None` without viewers, and beyond the last bound.
    publish_to_send_ms: Option<f32>,
}

#[derive(Debug)]
struct RoomRing {
    room: RoomName,
    last: StreamCounts,
    samples: Ring<RoomSample>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct RoomSample {
    kbps: u32,
    sent_kbps: u32,
    viewers: u32,
    frames_per_s: f32,
}

/// A node's counts at the last sample.
#[derive(Debug)]
struct Last {
    at: Instant,
    ingest_bytes: u64,
    sent_bytes: u64,
    sends: Vec<u64>,
}

impl History {
    /// Takes samples on the current thread, for as long as the directory lives.
    pub(super) fn keep(&self, directory: StreamDirectory, hls_viewers: HlsViewers) {
        let history = self.clone();
        actix_rt::spawn(async move {
            let mut last = Last::of(directory.metrics());
            loop {
                sleep(INTERVAL).await;
                let Ok(streams) = directory.streams().await else { return };
                history.take(directory.metrics(), &mut last, &hls_viewers.by_room(), &streams);
            }
        });
    }

    fn take(
        &self,
        metrics: &StreamMetrics,
        last: &mut Last,
        over_hls: &HashMap<RoomName, u64>,
        streams: &[StreamHandle],
    ) {
        let now = Last::of(metrics);
        // On a node that is busy, samples come late.
        let elapsed = now.at.saturating_duration_since(last.at);
        let p99_s = metrics.publish_to_send.quantile_s(0.99, &last.sends, &now.sends);
        let sample = NodeSample {
            ingest_kbps: kbps(last.ingest_bytes, now.ingest_bytes, elapsed),
            sent_kbps: kbps(last.sent_bytes, now.sent_bytes, elapsed),
            viewers: saturated(viewers(metrics) + over_hls.values().sum::<u64>()),
            publish_to_send_ms: p99_s.map(|seconds| (seconds * 1000.0) as f32),
        };
        *last = now;
        let mut rings = self.rings();
        rings.node.push(sample);
        rings.take_rooms(streams, over_hls, elapsed);
    }

    /// Returns the charts of the node.
    pub(super) fn node(&self) -> Charts {
        let rings = self.rings();
        let samples = || rings.node.0.iter();
        Charts {
            ingest_kbps: samples().map(|sample| sample.ingest_kbps).collect(),
            sent_kbps: samples().map(|sample| sample.sent_kbps).collect(),
            viewers: samples().map(|sample| sample.viewers).collect(),
            publish_to_send_ms: samples().map(|sample| sample.publish_to_send_ms).collect(),
        }
    }

    /// Returns the charts of a room.
    pub(super) fn room(&self, id: StreamId) -> RoomCharts {
        let rings = self.rings();
        let samples = || rings.rooms.get(&id).into_iter().flat_map(|room| room.samples.0.iter());
        RoomCharts {
            kbps: samples().map(|sample| sample.kbps).collect(),
            sent_kbps: samples().map(|sample| sample.sent_kbps).collect(),
            viewers: samples().map(|sample| sample.viewers).collect(),
            frame_rate: samples().map(|sample| sample.frames_per_s).collect(),
        }
    }

    /// The history for the next program.
    pub fn state(&self) -> HistoryState {
        let rings = self.rings();
        let rooms = rings.rooms.values().map(|ring| (ring.room.clone(), ring.samples.0.clone()));
        HistoryState { node: rings.node.0.clone(), rooms: rooms.collect() }
    }

    /// Goes on with the history of the last program.
    pub fn resume(&self, HistoryState { node, rooms }: HistoryState) {
        let mut rings = self.rings();
        rings.node = Ring::of(node);
        rings.rooms_before = rooms.into_iter().map(|(room, samples)| (room, Ring::of(samples))).collect();
    }

    fn rings(&self) -> MutexGuard<'_, Rings> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rings {
    fn take_rooms(&mut self, streams: &[StreamHandle], over_hls: &HashMap<RoomName, u64>, elapsed: Duration) {
        let ids: HashMap<StreamId, &StreamHandle> =
            streams.iter().map(|stream| (stream.id(), stream)).collect();
        self.rooms.retain(|id, _| ids.contains_key(id));
        let mut before = std::mem::take(&mut self.rooms_before);
        for (id, stream) in ids {
            let counts = stream.meters().counts();
            let over_hls = over_hls.get(stream.room()).copied().unwrap_or_default();
            let has_room = self.rooms.len() < ROOMS_MAX;
            match self.rooms.entry(id) {
                Entry::Occupied(mut room) => {
                    room.get_mut().take(counts, stream.viewers() + over_hls, elapsed)
                }
                Entry::Vacant(place) if has_room => {
                    let room = stream.room().clone();
                    let samples = before.remove(&room).unwrap_or_default();
                    place.insert(RoomRing { room, last: counts, samples });
                }
                Entry::Vacant(_) => {}
            }
        }
    }
}

impl RoomRing {
    fn take(&mut self, now: StreamCounts, viewers: u64, elapsed: Duration) {
        let frames = now.video_frames.saturating_sub(self.last.video_frames);
        self.samples.push(RoomSample {
            kbps: kbps(self.last.media_bytes, now.media_bytes, elapsed),
            sent_kbps: kbps(self.last.sent_bytes, now.sent_bytes, elapsed),
            viewers: saturated(viewers),
            frames_per_s: per_second(frames, elapsed) as f32,
        });
        self.last = now;
    }
}

impl Last {
    fn of(metrics: &StreamMetrics) -> Self {
        let sent = ViewerProtocol::ALL.iter().map(|protocol| metrics.sent_bytes.get(*protocol).get());
        Self {
            at: Instant::now(),
            ingest_bytes: metrics.ingest_bytes.get(),
            sent_bytes: sent.sum(),
            sends: metrics.publish_to_send.counts(),
        }
    }
}

fn viewers(metrics: &StreamMetrics) -> u64 {
    let protocols = ViewerProtocol::ALL.iter().filter(|protocol| **protocol != ViewerProtocol::Pull);
    let counts = protocols.map(|protocol| metrics.viewers.get(*protocol).get());
    counts.map(|count| u64::try_from(count).unwrap_or_default()).sum()
}

fn kbps(before: u64, after: u64, elapsed: Duration) -> u32 {
    saturated((per_second(after.saturating_sub(before), elapsed) * 8.0 / 1000.0) as u64)
}

fn per_second(count: u64, elapsed: Duration) -> f64 {
    // Two samples at one moment count as a millisecond apart.
    count as f64 / elapsed.as_secs_f64().max(0.001)
}

fn saturated(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_rt::test]
    async fn samples_are_of_what_came_between_and_the_oldest_go() {
        tokio::time::pause();
        let (history, metrics) = (History::default(), StreamMetrics::default());
        let mut last = Last::of(&metrics);
        let over_hls = HashMap::from([(RoomName::new("r").unwrap(), 2)]);
        for at in 0..SAMPLES_MAX + 5 {
            metrics.ingest_bytes.inc_by(625 * at as u64);
            metrics.publish_to_send.observe(Duration::from_millis(4));
            tokio::time::advance(INTERVAL).await;
            history.take(&metrics, &mut last, &over_hls, &[]);
        }
        let Charts { ingest_kbps, viewers, publish_to_send_ms, .. } = history.node();
        assert_eq!((ingest_kbps.len(), ingest_kbps[0]), (SAMPLES_MAX, 5));
        assert_eq!(ingest_kbps.last(), Some(&(SAMPLES_MAX as u32 + 4)));
        assert!(viewers.iter().all(|count| *count == 2));
        assert!(publish_to_send_ms.iter().all(|ms| *ms == Some(5.0)));
    }

    #[actix_rt::test]
    async fn a_nodes_samples_go_on_over_an_upgrade() {
        let (before, after, metrics) = (History::default(), History::default(), StreamMetrics::default());
        let mut last = Last::of(&metrics);
        metrics.ingest_bytes.inc_by(1_000_000);
        (0..SAMPLES_MAX).for_each(|_| before.take(&metrics, &mut last, &HashMap::new(), &[]));
        after.resume(before.state());
        assert_eq!(after.node().ingest_kbps, before.node().ingest_kbps);
        after.take(&metrics, &mut last, &HashMap::new(), &[]);
        let charts = after.node().ingest_kbps;
        assert_eq!((charts.len(), charts[0], charts[SAMPLES_MAX - 1]), (SAMPLES_MAX, 0, 0));
    }

    #[test]
    fn a_rooms_frames_and_bytes_are_counted_per_second() {
        let room = RoomName::new("r").unwrap();
        let mut room = RoomRing { room, last: StreamCounts::default(), samples: Ring::default() };
        let counts = |video_frames, media_bytes, sent_bytes| StreamCounts {
            video_frames,
            media_bytes,
            sent_bytes,
            ..StreamCounts::default()
        };
        room.take(counts(150, 62_500, 125_000), 2, INTERVAL);
        room.take(counts(275, 62_500, 125_000), 0, 2 * INTERVAL);
        let samples: Vec<_> = room.samples.0.iter().copied().collect();
        let sample =
            |frames_per_s, kbps, sent_kbps, viewers| RoomSample { kbps, sent_kbps, viewers, frames_per_s };
        assert_eq!(samples, [sample(30.0, 100, 200, 2), sample(12.5, 0, 0, 0)]);
    }
}
