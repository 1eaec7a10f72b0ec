//! A viewer: looks at its playlist once per target duration and fetches each segment that is new, once.

use std::time::Duration;

use synctv_testkit::hls::Playlist;
use tokio::{sync::watch, time::Instant};

use super::{
    faults::Faults,
    http::{Answer, Client, HttpError},
    place::{Place, playlist},
};
use crate::stage::Stage;

/// Until the first playlist says how often to look.
const RETRY: Duration = Duration::from_secs(1);
/// Players keep so many target durations between themselves and the newest segment (RFC 8216, section 6.3.3). Without
/// a segment for longer, their screen stands still.
const STALL_TARGETS: u32 = 3;

/// The observations of one viewer. Requests, bytes and latencies are those of requests that began while it was
/// measured.
#[derive(Default)]
pub struct Watched {
    pub requests: u64,
    pub bytes: u64,
    /// From a request for a segment to its last byte.
    pub latencies_us: Vec<u32>,
    pub segments: u64,
    /// Segments that left the playlist unseen or could not be had.
    pub missed: u64,
    pub stalled: bool,
    pub faults: Faults,
}

/// Watches a room until the load is over.
pub async fn watch(place: Place, stages: watch::Receiver<Stage>) -> Watched {
    let mut over = stages.clone();
    let mut viewer = Viewer::new(place, stages);
    let mut next = Instant::now();
    while *over.borrow() != Stage::Over {
        viewer.look().await;
        next = Instant::now().max(next + viewer.target.unwrap_or(RETRY));
        tokio::select! {
            () = tokio::time::sleep_until(next) => {}
            _ = over.wait_for(|stage| *stage == Stage::Over) => {}
        }
    }
    viewer.finish()
}

struct Viewer {
    place: Place,
    stages: watch::Receiver<Stage>,
    client: Client,
    tag: Option<String>,
    target: Option<Duration>,
    next_sequence: Option<u64>,
    last_segment_at: Instant,
    gap_max: Duration,
    watched: Watched,
}

impl Viewer {
    fn new(place: Place, stages: watch::Receiver<Stage>) -> Self {
        Self {
            client: Client::new(place.server),
            place,
            stages,
            tag: None,
            target: None,
            next_sequence: None,
            last_segment_at: Instant::now(),
            gap_max: Duration::ZERO,
            watched: Watched::default(),
        }
    }

    async fn look(&mut self) {
        let mut text = Vec::new();
        let tag = self.tag.take();
        let answer = self.get("index.m3u8", tag.as_deref(), |bytes| text.extend_from_slice(bytes)).await;
        match answer.map(|answer| (answer, playlist(&text))) {
            Ok((Answer::Unchanged, _)) => self.tag = tag,
            Ok((Answer::Content { tag }, Some(playlist))) => {
                self.tag = tag;
                self.target = Some(Duration::from_secs(playlist.target_s));
                self.fetch_new(&playlist).await;
            }
            Ok((Answer::Content { .. }, None)) => {
                self.watched.faults.add("playlist: cannot be read".to_owned());
            }
            Err(error) => self.watched.faults.add(format!("playlist: {error}")),
        }
    }

    /// It begins with the newest segment.
    async fn fetch_new(&mut self, playlist: &Playlist) {
        let newest = playlist.numbered().next_back().map_or(0, |(sequence, _)| sequence);
        for (sequence, entry) in playlist.numbered() {
            let next = *self.next_sequence.get_or_insert(newest);
            if sequence < next {
                continue;
            }
            self.watched.missed += sequence - next;
            self.next_sequence = Some(sequence + 1);
            self.fetch(&entry.uri).await;
        }
    }

    async fn fetch(&mut self, uri: &str) {
        let asked = Instant::now();
        let is_measured = self.is_measured();
        if let Err(error) = self.get(uri, None, |_| {}).await {
            self.watched.missed += 1;
            return self.watched.faults.add(format!("segment: {error}"));
        }
        if is_measured {
            self.watched.latencies_us.push(asked.elapsed().as_micros() as u32);
        }
        if self.watched.segments > 0 {
            self.gap_max = self.gap_max.max(self.last_segment_at.elapsed());
        }
        self.watched.segments += 1;
        self.last_segment_at = Instant::now();
    }

    async fn get(
        &mut self,
        name: &str,
        known: Option<&str>,
        mut take: impl FnMut(&[u8]),
    ) -> Result<Answer, HttpError> {
        let is_measured = self.is_measured();
        let mut bytes = 0;
        let path = self.place.path(name);
        let answer = self.client.get(&path, known, |read| {
            bytes += read.len() as u64;
            take(read);
        });
        let answer = answer.await;
        if is_measured {
            self.watched.requests += 1;
            self.watched.bytes += bytes;
        }
        answer
    }

    fn is_measured(&self) -> bool {
        *self.stages.borrow() == Stage::Measuring
    }

    fn finish(mut self) -> Watched {
        let gap = self.gap_max.max(self.last_segment_at.elapsed());
        let is_late = self.target.is_some_and(|target| gap > target * STALL_TARGETS);
        self.watched.stalled = is_late || self.watched.segments == 0;
        self.watched
    }
}
