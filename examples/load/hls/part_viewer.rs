//! A viewer of Low-Latency HLS: asks for the playlist with the next part, which the server holds, and fetches the part.

use std::{cell::RefCell, collections::HashMap, rc::Rc, time::Duration};

use tokio::{sync::watch, time::Instant};

use super::{
    faults::Faults,
    http::{Client, HttpError},
    part_listing::{PartListing, PartNumber},
    place::Place,
};
use crate::{
    clock::now_us,
    publisher::FPS,
    stage::Stage,
    stamp::{STAMP_BYTES, Stamp},
};

/// Before it asks again after a fault.
const RETRY: Duration = Duration::from_millis(200);
/// Without a new part for so long, a screen stands still.
const STALL: Duration = Duration::from_secs(3);

/// The earliest times at which parts could be listed: those of the frame behind the last one of each. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct PartEnds(Rc<RefCell<HashMap<String, u64>>>);

impl PartEnds {
    fn note(&self, uri: &str, part: &[u8]) -> Option<u64> {
        let ended_us = last_stamp(part)?.sent_us + 1_000_000 / u64::from(FPS);
        self.0.borrow_mut().insert(uri.to_owned(), ended_us);
        Some(ended_us)
    }

    /// Returns the delays of answers behind the ends of their parts.
    pub fn lags_us(&self, arrivals: &[(String, u64)]) -> Vec<u32> {
        let ends = self.0.borrow();
        let lag_us = |(uri, at_us): &(String, u64)| Some(at_us.saturating_sub(*ends.get(uri)?) as u32);
        arrivals.iter().filter_map(lag_us).collect()
    }
}

/// The observations of one viewer while it was measured.
#[derive(Default)]
pub struct PartsWatched {
    pub requests: u64,
    pub bytes: u64,
    /// The newest part of each playlist, and when the playlist was there.
    pub playlists: Vec<(String, u64)>,
    /// From the end of each part to its last byte.
    pub part_lags_us: Vec<u32>,
    pub parts: u64,
    pub stalled: bool,
    pub faults: Faults,
}

/// Watches a room until the load is over. One that does not fetch only waits for playlists. With a pace, it asks so often
/// for a playlist that is not held.
pub async fn watch(
    place: Place,
    mut stages: watch::Receiver<Stage>,
    ends: PartEnds,
    fetches: bool,
    pace: Option<Duration>,
) -> PartsWatched {
    let client = Client::new(place.server);
    let stage = stages.clone();
    let (last, watched) = (None, PartsWatched::default());
    let mut viewer = PartViewer {
        place,
        client,
        stage,
        ends,
        fetches,
        pace,
        next: None,
        last,
        last_us: now_us(),
        watched,
    };
    tokio::select! {
        () = viewer.go_on() => {}
        _ = stages.wait_for(|stage| *stage == Stage::Over) => {}
    }
    viewer.watched
}

struct PartViewer {
    place: Place,
    client: Client,
    stage: watch::Receiver<Stage>,
    ends: PartEnds,
    fetches: bool,
    pace: Option<Duration>,
    next: Option<PartNumber>,
    last: Option<PartNumber>,
    last_us: u64,
    watched: PartsWatched,
}

impl PartViewer {
    async fn go_on(&mut self) {
        let mut paced = Instant::now();
        loop {
            if let Some(pace) = self.pace {
                paced += pace;
                tokio::time::sleep_until(paced).await;
            }
            if let Err(fault) = self.look().await {
                self.next = None;
                self.watched.faults.add(fault);
                tokio::time::sleep(RETRY).await;
            }
        }
    }

    async fn look(&mut self) -> Result<(), String> {
        let query = self.next.map(PartNumber::query).unwrap_or_default();
        let text =
            self.get(&format!("ll.m3u8{query}")).await.map_err(|error| format!("playlist: {error}"))?;
        let listed_us = now_us();
        let listing = PartListing::parse(&text).ok_or("playlist: lists no part")?;
        self.next = Some(listing.next.ok_or("playlist: it has ended")?);
        let (newest, newest_uri) = listing.listed.last().cloned().ok_or("playlist: lists no part")?;
        let last = self.last.replace(newest);
        if last != Some(newest) && self.is_measured() {
            self.watched.playlists.push((newest_uri, listed_us));
            self.watched.stalled |= u128::from(listed_us.saturating_sub(self.last_us)) > STALL.as_micros();
        }
        self.last_us = listed_us;
        for (number, uri) in listing.listed {
            // It begins with the newest.
            if self.fetches
                && number > last.unwrap_or(PartNumber { index: newest.index.saturating_sub(1), ..newest })
            {
                self.fetch(&uri).await.map_err(|error| format!("part: {error}"))?;
            }
        }
        Ok(())
    }

    async fn fetch(&mut self, uri: &str) -> Result<(), HttpError> {
        let part = self.get(uri).await?;
        let fetched_us = now_us();
        let ended_us = self.ends.note(uri, &part);
        self.watched.parts += 1;
        match ended_us {
            Some(ended_us) if self.is_measured() => {
                self.watched.part_lags_us.push(fetched_us.saturating_sub(ended_us) as u32);
            }
            Some(_) => {}
            None => self.watched.faults.add("part: without stamps".to_owned()),
        }
        Ok(())
    }

    async fn get(&mut self, name: &str) -> Result<Vec<u8>, HttpError> {
        let is_measured = self.is_measured();
        let mut body = Vec::new();
        self.client.get(&self.place.path(name), None, |read| body.extend_from_slice(read)).await?;
        if is_measured {
            self.watched.requests += 1;
            self.watched.bytes += body.len() as u64;
        }
        Ok(body)
    }

    fn is_measured(&self) -> bool {
        *self.stage.borrow() == Stage::Measuring
    }
}

/// The stamp of the last frame of video in a fragment. Its first track is video, whose samples are NAL units of one frame each.
fn last_stamp(fragment: &[u8]) -> Option<Stamp> {
    const COUNT_OFFSET: usize = 8;
    let number = |bytes: &[u8], at: usize| {
        let four = bytes.get(at..at + 4)?.first_chunk()?;
        usize::try_from(u32::from_be_bytes(*four)).ok()
    };
    let moof_bytes = number(fragment, 0)?;
    let moof = fragment.get(..moof_bytes)?;
    let run = moof.windows(4).position(|name| name == b"trun")?;
    let count = number(moof, run + COUNT_OFFSET)?;
    let (mut data, mut last) = (fragment.get(moof_bytes + 8..)?, None);
    for _ in 0..count {
        let size = number(data, 0)?;
        last = data.get(5..5 + STAMP_BYTES);
        data = data.get(4 + size..)?;
    }
    Stamp::read(last?)
}
