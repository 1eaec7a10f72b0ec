//! The video that one viewer gets next: the cached GOP at a pace that its link bears, and from then on what is live.
//!
//! The frames of the cached GOP are past. They are sent with times a millisecond apart that end at the newest frame, so that
//! the viewer decodes them at once and shows the newest.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::webrtc::{
    gop::RtpGop,
    packetizer::{VIDEO_TICKS_PER_MS, VideoUnit},
};

/// The replay's rate, as a multiple of the stream's. In tests with a queue of 64 KiB, three times the stream's rate lost
/// nothing on links that are faster than that, and the whole GOP at once lost hundreds of packets on any.
const PACE_FACTOR: u64 = 3;

/// The least rate of a replay, in bytes per second; a GOP that has just begun says nothing of the stream's.
const PACE_MIN_BYTES_PER_S: u64 = 250_000;

/// The most that is sent at once, in bytes: a keyframe of ordinary size, which routers' queues take.
const BURST_MAX_BYTES: u64 = 32 * 1024;

/// The most frames that wait behind a replay; more would be minutes.
const QUEUE_MAX_FRAMES: usize = 7200;

/// Replays for a viewer whose first keyframe was lost.
const REPLAYS_MAX: u32 = 3;

/// An RTP packet to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VideoPacket<'a> {
    /// Its time, in ticks of 90 kHz.
    pub ticks: i64,
    /// It is the last of its frame.
    pub is_last: bool,
    /// The payload.
    pub payload: &'a Arc<[u8]>,
    /// The padding at its end, in bytes.
    pub padding_bytes: u8,
}

impl<'a> VideoPacket<'a> {
    /// Returns one of a unit's packets, if it has so many.
    fn of(unit: &'a VideoUnit, at: usize, ticks: i64) -> Option<Self> {
        let payload = unit.payloads.get(at)?;
        let is_last = at + 1 == unit.payloads.len();
        let padding_bytes = if is_last { unit.padding_bytes } else { 0 };
        Some(Self { ticks, is_last, payload, padding_bytes })
    }
}

/// One viewer's place in the video.
#[derive(Debug, Default)]
pub struct VideoFeed {
    state: FeedState,
    last_ticks: Option<i64>,
    replays: u32,
}

#[derive(Debug, Default)]
enum FeedState {
    /// The viewer needs a keyframe.
    #[default]
    Waiting,
    Replaying(Replay),
    Live,
}

#[derive(Debug)]
struct Replay {
    frames: VecDeque<Queued>,
    /// Packets of the first frame that were sent.
    sent_packets: usize,
    bytes_per_s: u64,
    /// Bytes that may be sent now; below 0 after a packet that was larger.
    allowance_bytes: i64,
    at: Instant,
}

#[derive(Debug)]
struct Queued {
    ticks: i64,
    unit: Arc<VideoUnit>,
}

impl VideoFeed {
    /// Starts the viewer with the cached GOP, or with the next keyframe if nothing is cached.
    pub fn start(&mut self, gop: &RtpGop, now: Instant) {
        let units = gop.units();
        let Some(newest) = units.last() else { return };
        let newest_ticks = newest.shown_ms * VIDEO_TICKS_PER_MS;
        let count = units.len() as i64;
        let (first_ticks, step) = match self.last_ticks {
            // Times only grow, also when frames are sent again.
            Some(last) => (last + 1, 1),
            None => (newest_ticks - (count - 1) * VIDEO_TICKS_PER_MS, VIDEO_TICKS_PER_MS),
        };
        let times = (0..count).map(|at| first_ticks + at * step);
        let frames = times.zip(units).map(|(ticks, unit)| Queued { ticks, unit: unit.clone() }).collect();
        let bytes_per_s = gop.bytes_per_second().unwrap_or_default().saturating_mul(PACE_FACTOR);
        self.replays += 1;
        self.state = FeedState::Replaying(Replay {
            frames,
            sent_packets: 0,
            bytes_per_s: bytes_per_s.max(PACE_MIN_BYTES_PER_S),
            allowance_bytes: BURST_MAX_BYTES as i64,
            at: now,
        });
    }

    /// Starts anew from the cached GOP because the viewer asks for a keyframe. A publisher cannot be asked for one. Returns
    /// whether it does: not again and again, and not for a viewer that is only behind.
    pub fn restart(&mut self, gop: &RtpGop, now: Instant) -> bool {
        let is_due = matches!(self.state, FeedState::Live) && self.replays < REPLAYS_MAX;
        if is_due {
            self.start(gop, now);
        }
        is_due
    }

    /// Takes the next live frame. Sends it, unless it has to wait behind others or for a keyframe.
    pub fn push(&mut self, unit: &Arc<VideoUnit>, send: impl FnMut(VideoPacket<'_>)) {
        let ticks = self.later_than_last(unit.shown_ms * VIDEO_TICKS_PER_MS);
        match &mut self.state {
            FeedState::Waiting if !unit.is_start => return,
            FeedState::Replaying(replay) if !unit.is_start => {
                let ticks = replay.frames.back().map_or(ticks, |last| ticks.max(last.ticks + 1));
                replay.frames.push_back(Queued { ticks, unit: unit.clone() });
                if replay.frames.len() > QUEUE_MAX_FRAMES {
                    self.state = FeedState::Waiting;
                }
                return;
            }
            FeedState::Waiting | FeedState::Replaying(_) => self.state = FeedState::Live,
            FeedState::Live => {}
        }
        self.last_ticks = Some(ticks);
        (0..unit.payloads.len()).filter_map(|at| VideoPacket::of(unit, at, ticks)).for_each(send);
    }

    /// Sends what the pace of a replay allows by now.
    pub fn send_due(&mut self, now: Instant, mut send: impl FnMut(VideoPacket<'_>)) {
        let FeedState::Replaying(replay) = &mut self.state else { return };
        replay.earn(now);
        while replay.allowance_bytes > 0 {
            let Some(Queued { ticks, unit }) = replay.frames.front() else { break };
            if let Some(packet) = VideoPacket::of(unit, replay.sent_packets, *ticks) {
                replay.sent_packets += 1;
                replay.allowance_bytes -= packet.payload.len() as i64;
                send(packet);
                self.last_ticks = Some(*ticks);
            }
            if replay.sent_packets >= unit.payloads.len() {
                replay.sent_packets = 0;
                replay.frames.pop_front();
            }
        }
        if replay.frames.is_empty() {
            self.state = FeedState::Live;
        }
    }

    /// Waits for a keyframe: frames are missing.
    pub fn miss(&mut self) {
        self.state = FeedState::Waiting;
    }

    /// Returns whether frames wait for their time to be sent.
    pub fn is_replaying(&self) -> bool {
        matches!(self.state, FeedState::Replaying(_))
    }

    fn later_than_last(&self, ticks: i64) -> i64 {
        /// A frame this much earlier is of a timeline that started over.
        const RESTART_TICKS: i64 = 10_000 * VIDEO_TICKS_PER_MS;
        self.last_ticks
            .filter(|last| (ticks - RESTART_TICKS..).contains(last))
            .filter(|last| last - ticks < RESTART_TICKS)
            .map_or(ticks, |last| ticks.max(last + 1))
    }
}

impl Replay {
    fn earn(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at).min(Duration::from_secs(1));
        let earned = u128::from(self.bytes_per_s) * passed.as_micros() / 1_000_000;
        self.at = now;
        self.allowance_bytes = (self.allowance_bytes + earned as i64).min(BURST_MAX_BYTES as i64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webrtc::gop::tests::unit;

    const PACKET_BYTES: usize = 1000;
    const NONE: [i64; 0] = [];

    fn now() -> Instant {
        #[allow(clippy::disallowed_methods, reason = "an instant to count from")]
        Instant::now()
    }

    /// A GOP of so many frames of one packet, 40 ms apart.
    fn gop(frames: i64) -> RtpGop {
        let mut gop = RtpGop::default();
        (0..frames).for_each(|at| gop.push(&unit(at * 40, at == 0, PACKET_BYTES)));
        gop
    }

    fn due(feed: &mut VideoFeed, at: Instant) -> Vec<i64> {
        let mut ticks = Vec::new();
        feed.send_due(at, |packet| ticks.push(packet.ticks));
        ticks
    }

    fn live(feed: &mut VideoFeed, shown_ms: i64, is_start: bool) -> Vec<i64> {
        let mut ticks = Vec::new();
        feed.push(&unit(shown_ms, is_start, PACKET_BYTES), |packet| ticks.push(packet.ticks));
        ticks
    }

    #[test]
    fn a_viewer_starts_with_the_cached_gop_squeezed_to_end_at_the_newest_frame() {
        let (mut feed, begin) = (VideoFeed::default(), now());
        feed.start(&gop(5), begin);
        assert_eq!(due(&mut feed, begin), [156, 157, 158, 159, 160].map(|ms| ms * 90));
        assert_eq!(live(&mut feed, 200, false), [200 * 90]);
    }

    #[test]
    fn live_frames_wait_behind_the_replay_and_nothing_is_lost() {
        let (mut feed, begin) = (VideoFeed::default(), now());
        feed.start(&gop(100), begin);
        let mut sent = due(&mut feed, begin);
        assert_eq!(sent.len(), 33, "a burst");
        assert_eq!(live(&mut feed, 4000, false), NONE);
        assert!(feed.is_replaying());
        sent.extend(due(&mut feed, begin + Duration::from_millis(10)));
        assert_eq!(sent.len(), 36, "10 ms of the pace, and what began before it was used up");
        for at in 1..60 {
            sent.extend(due(&mut feed, begin + Duration::from_millis(at * 20)));
        }
        assert!(sent.is_sorted() && sent.last() == Some(&(4000 * 90)) && !feed.is_replaying());
    }

    #[test]
    fn a_keyframe_ends_the_replay() {
        let (mut feed, begin) = (VideoFeed::default(), now());
        feed.start(&gop(100), begin);
        due(&mut feed, begin);
        assert_eq!(live(&mut feed, 4000, true), [4000 * 90]);
        assert_eq!(due(&mut feed, begin + Duration::from_secs(1)), NONE);
    }

    #[test]
    fn without_a_gop_the_first_frame_is_a_keyframe() {
        let mut feed = VideoFeed::default();
        feed.start(&RtpGop::default(), now());
        assert_eq!(live(&mut feed, 40, false), NONE);
        assert_eq!(live(&mut feed, 80, true), [80 * 90]);
        feed.miss();
        assert_eq!(live(&mut feed, 120, false), NONE);
    }

    #[test]
    fn a_keyframe_that_was_lost_is_sent_again_a_few_times_and_times_still_grow() {
        let (mut feed, begin) = (VideoFeed::default(), now());
        let gop = gop(3);
        feed.start(&gop, begin);
        let mut sent = due(&mut feed, begin);
        for _ in 1..REPLAYS_MAX {
            assert!(feed.restart(&gop, begin));
            sent.extend(due(&mut feed, begin));
        }
        assert!(!feed.restart(&gop, begin));
        sent.extend(live(&mut feed, 120, false));
        assert!(sent.is_sorted_by(|one, next| one < next), "{sent:?}");
    }

    #[test]
    fn a_timeline_that_starts_over_is_followed() {
        let mut feed = VideoFeed::default();
        live(&mut feed, 2_000_000_000, true);
        assert_eq!(live(&mut feed, 500, true), [500 * 90]);
    }
}
