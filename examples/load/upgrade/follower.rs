//! HLS viewers who fetch every segment, take it apart, and fetch it once more after each upgrade.

use std::{collections::BTreeMap, time::Duration};

use synctv_media::{
    hls::ts::check::{CheckedSegment, TsChecker, adts_frames},
    stream::frame::Track,
};
use synctv_testkit::hls::Playlist;
use tokio::sync::watch;

use super::{findings::Findings, record::Record};
use crate::{
    hls::{
        faults::Faults,
        http::{Client, HttpError},
        place::{Place, playlist},
    },
    stamp::{STAMP_OFFSET, Stamp},
};

const KIND: &str = "HLS followers";

/// Interval of requests for the playlist. Players wait for a target duration or half of it; shorter intervals meet the upgrade.
const LOOK_INTERVAL: Duration = Duration::from_millis(300);

/// A viewer of one room.
pub struct Follower {
    place: Place,
    client: Client,
    record: Record,
    checker: TsChecker,
    /// The segments of the playlist that were fetched, by their sequence numbers.
    fetched: BTreeMap<u64, Vec<u8>>,
    next_sequence: Option<u64>,
    /// The number of discontinuities, including past ones, once a playlist was seen.
    discontinuities: Option<u64>,
    /// The numbers of the next frames, of video and audio.
    next: [Option<u64>; 2],
    segments: u64,
    faults: Faults,
    findings: Findings,
}

impl Follower {
    pub fn new(place: Place, record: Record, findings: Findings) -> Self {
        Self {
            client: Client::new(place.server),
            place,
            record,
            checker: TsChecker::new(),
            fetched: BTreeMap::new(),
            next_sequence: None,
            discontinuities: None,
            next: [None; 2],
            segments: 0,
            faults: Faults::default(),
            findings,
        }
    }

    /// Follows the playlist until it is aborted. `upgrades` counts finished upgrades.
    pub async fn follow(mut self, upgrades: watch::Receiver<usize>) {
        let mut seen = *upgrades.borrow();
        loop {
            let upgraded = *upgrades.borrow();
            if let Some(playlist) = self.look().await {
                if upgraded != seen {
                    self.compare(&playlist).await;
                    seen = upgraded;
                }
                self.fetch_new(&playlist).await;
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    async fn look(&mut self) -> Option<Playlist> {
        let text = self.get("index.m3u8").await?;
        let Some(playlist) = playlist(&text) else {
            self.faults.add("playlist: cannot be read".to_owned());
            return None;
        };
        // A node's first segment of a room has one in front of it, which is counted in one number or the other.
        let discontinuities = playlist.discontinuity_sequence + playlist.discontinuities() as u64;
        if *self.discontinuities.get_or_insert(discontinuities) != discontinuities {
            self.faults.add("playlist: a discontinuity".to_owned());
        }
        if playlist.ended {
            self.faults.add("playlist: it ended".to_owned());
        }
        Some(playlist)
    }

    /// Begins with the newest segment.
    async fn fetch_new(&mut self, playlist: &Playlist) {
        let newest = playlist.numbered().next_back().map_or(0, |(sequence, _)| sequence);
        let next = *self.next_sequence.get_or_insert(newest);
        if newest + 1 < next {
            self.faults.add("playlist: its numbers went back".to_owned());
        }
        for (sequence, entry) in playlist.numbered().filter(|(sequence, _)| *sequence >= next) {
            if self.next_sequence.replace(sequence + 1) != Some(sequence) {
                self.faults.add("playlist: segments are missing".to_owned());
            }
            if let Some(bytes) = self.get(&entry.uri).await {
                self.check(&bytes);
                self.fetched.insert(sequence, bytes);
                self.segments += 1;
            }
        }
        self.fetched.retain(|sequence, _| *sequence >= playlist.sequence);
    }

    /// Fetches the listed segments once more.
    async fn compare(&mut self, playlist: &Playlist) {
        for (sequence, entry) in playlist.numbered() {
            if let Some(before) = self.fetched.get(&sequence).cloned()
                && self.get(&entry.uri).await.is_some_and(|bytes| bytes != before)
            {
                self.faults.add("segment: other bytes than before the upgrade".to_owned());
            }
        }
    }

    /// Compares each frame of a segment with the published frame.
    fn check(&mut self, bytes: &[u8]) {
        let CheckedSegment { video, audio, starts_with_keyframe, .. } = match self.checker.segment(bytes) {
            Ok(segment) => segment,
            Err(fault) => return self.faults.add(format!("segment: {fault}")),
        };
        if !starts_with_keyframe {
            self.faults.add("segment: it does not start with a keyframe".to_owned());
        }
        for unit in &video {
            let number = Stamp::find(&unit.payload).map(|stamp| stamp.number);
            self.check_frame(Track::Video, number, &unit.payload, STAMP_OFFSET);
        }
        for packet in &audio {
            for frame in adts_frames(&packet.payload).unwrap_or_default() {
                // Behind the ADTS header of 7 bytes.
                let number = frame.get(7..).and_then(|data| data.first_chunk());
                let number = number.map(|bytes| u64::from_be_bytes(*bytes));
                self.check_frame(Track::Audio, number, frame, 2);
            }
        }
    }

    /// `data_at`: the offset in the published payload of the bytes that a segment ends this frame with.
    fn check_frame(&mut self, track: Track, number: Option<u64>, came: &[u8], data_at: usize) {
        let Some(number) = number else {
            return self.faults.add(format!("segment: {track:?} without a number"));
        };
        let next = &mut self.next[usize::from(track == Track::Audio)];
        if next.replace(number + 1).is_some_and(|next| next != number) {
            self.faults.add(format!("segment: {track:?} lost or repeated"));
        }
        let sent = self.record.get(track, number);
        if !sent.is_some_and(|(_, payload)| came.ends_with(&payload[data_at..])) {
            self.faults.add(format!("segment: the bytes of {track:?} changed"));
        }
    }

    /// Gets a body. A connection that the server has closed since the last request is made anew, as by browsers.
    async fn get(&mut self, name: &str) -> Option<Vec<u8>> {
        let path = self.place.path(name);
        let mut last_try = false;
        loop {
            let mut body = Vec::new();
            match self.client.get(&path, None, |bytes| body.extend_from_slice(bytes)).await {
                Ok(_) => return Some(body),
                Err(HttpError::Connection(_) | HttpError::Head(_)) if !last_try => last_try = true,
                Err(error) => {
                    let kind = name.rsplit('.').next().unwrap_or(name);
                    self.faults.add(format!("request for {kind}: {error}"));
                    return None;
                }
            }
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.findings.add(KIND, self.segments, std::mem::take(&mut self.faults));
    }
}
