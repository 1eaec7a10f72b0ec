//! A prober: looks at a playlist all the time, and takes apart each segment that comes.

use std::time::Duration;

use synctv_testkit::ts::{CheckedSegment, TsChecker};
use tokio::{sync::watch, time::Instant};

use super::{
    faults::Faults,
    http::{Answer, Client, HttpError},
    place::{Place, playlist},
};
use crate::{clock::now_us, stage::Stage, stamp::Stamp};

/// Interval between looks. No GOP is a multiple of it: else all looks would come at the same moment of their segments,
/// be it the best or the worst.
const INTERVAL: Duration = Duration::from_millis(47);

/// The observations of one prober.
#[derive(Default)]
pub struct Probed {
    /// From the send of the stream's first frame to a playlist that lists it.
    pub first_playlist_us: Option<u32>,
    /// The age of the last frame of each segment when the segment was listed.
    pub ages_us: Vec<u32>,
    /// Segments that could not be had, or not in time.
    pub missed: u64,
    pub faults: Faults,
}

/// Probes a room until the load is over.
pub async fn probe(place: Place, mut stages: watch::Receiver<Stage>) -> Probed {
    let client = Client::new(place.server);
    let mut prober = Prober { place, client, tag: None, last_sequence: None, probed: Probed::default() };
    let mut next = Instant::now();
    while *stages.borrow() != Stage::Over {
        prober.look().await;
        next = Instant::now().max(next + INTERVAL);
        tokio::select! {
            () = tokio::time::sleep_until(next) => {}
            _ = stages.wait_for(|stage| *stage == Stage::Over) => {}
        }
    }
    prober.finish()
}

struct Prober {
    place: Place,
    client: Client,
    tag: Option<String>,
    last_sequence: Option<u64>,
    probed: Probed,
}

impl Prober {
    async fn look(&mut self) {
        let path = self.place.path("index.m3u8");
        let mut text = Vec::new();
        let answer = self.client.get(&path, self.tag.as_deref(), |bytes| text.extend_from_slice(bytes)).await;
        match answer {
            Ok(Answer::Unchanged) => {}
            Ok(Answer::Content { tag }) => {
                self.tag = tag;
                self.listed(&text, now_us()).await;
            }
            // It asks before the publisher is there.
            Err(HttpError::Status(404)) if self.last_sequence.is_none() => {}
            Err(error) => self.probed.faults.add(format!("playlist: {error}")),
        }
    }

    async fn listed(&mut self, text: &[u8], listed_us: u64) {
        let Some(playlist) = playlist(text) else {
            return self.probed.faults.add("playlist: cannot be read".to_owned());
        };
        let Some((sequence, entry)) = playlist.numbered().next_back() else { return };
        let last = self.last_sequence.replace(sequence);
        if last.is_some_and(|last| last >= sequence) {
            return;
        }
        self.probed.missed += last.map_or(0, |last| sequence - last - 1);
        match self.fetch(&entry.uri).await {
            Ok(frames) if last.is_none() => self.first(frames, listed_us),
            Ok(frames) => self.age(frames, listed_us),
            Err(fault) => {
                self.probed.missed += 1;
                self.probed.faults.add(format!("segment: {fault}"));
            }
        }
    }

    /// The stamps of a segment's first and last frame.
    async fn fetch(&mut self, uri: &str) -> Result<[Stamp; 2], String> {
        let mut bytes = Vec::new();
        let answer = self.client.get(&self.place.path(uri), None, |read| bytes.extend_from_slice(read)).await;
        answer.map_err(|error| error.to_string())?;
        let segment = TsChecker::new().segment(&bytes).map_err(|fault| fault.to_string())?;
        if !segment.starts_with_keyframe {
            return Err("does not begin with a keyframe".to_owned());
        }
        ends(&segment).ok_or_else(|| "without stamps".to_owned())
    }

    fn first(&mut self, frames: [Stamp; 2], listed_us: u64) {
        let [first, _] = frames;
        if first.number == 0 {
            self.probed.first_playlist_us = Some(listed_us.saturating_sub(first.sent_us) as u32);
        } else {
            self.probed.faults.add("playlist: the first does not list the first frame".to_owned());
        }
        self.age(frames, listed_us);
    }

    fn age(&mut self, [_, last]: [Stamp; 2], listed_us: u64) {
        self.probed.ages_us.push(listed_us.saturating_sub(last.sent_us) as u32);
    }

    fn finish(mut self) -> Probed {
        if self.last_sequence.is_none() {
            self.probed.faults.add("playlist: none until the end".to_owned());
        }
        self.probed
    }
}

fn ends(segment: &CheckedSegment) -> Option<[Stamp; 2]> {
    let (first, last) = (segment.video.first()?, segment.video.last()?);
    Some([Stamp::find(&first.payload)?, Stamp::find(&last.payload)?])
}
