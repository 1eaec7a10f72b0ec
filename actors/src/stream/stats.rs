//! Statistics of a stream, for the API.

mod upgrade;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use synctv_media::{
    codec::frame_size::FrameSize,
    flv::{audio::AudioCodec, video::VideoCodec},
    stream::{batcher::Batcher, bitrate::BitrateMeter, gop::GopCache},
    webrtc::playability::{Examiner, Playability},
};

use tokio::time::Instant;

use crate::clock::{SteadyClock, unix_ms};

/// Keyframes further apart than this are worth a warning, in milliseconds: a segment of MPEG-TS ends with a keyframe, and
/// players stay three segments behind.
const KEYFRAME_INTERVAL_WARN_MS: i64 = 4_000;

/// A stream as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamStats {
    /// The node that it is pulled from, or was last. `None` if its last publisher is one of this node.
    pub origin: Option<String>,
    /// The address of its publisher, while that is one of this node.
    pub publisher: Option<SocketAddr>,
    /// The time at which its publisher connected, in milliseconds since 1970, UTC. `None` while it waits for one.
    pub since_unix_ms: Option<u64>,
    /// The codec of its video, if any comes.
    pub video: Option<VideoCodec>,
    /// The size of its frames, if it is known.
    pub frame_size: Option<FrameSize>,
    /// Viewers who join start without a keyframe, because none has come for too long.
    pub lacks_keyframes: bool,
    /// The codec of its audio, if any comes.
    pub audio: Option<AudioCodec>,
    /// The program that publishes it, if it gives its name.
    pub encoder: Option<String>,
    /// Frames a second, as the publisher announces them.
    pub announced_frame_rate: Option<u32>,
    /// The time between its last two keyframes, in milliseconds.
    pub keyframe_interval_ms: Option<i64>,
    /// The distance between the newest video and audio as they come, in milliseconds; negative if audio is ahead.
    pub video_after_audio_ms: Option<i64>,
    /// Frames are presented in another order than they are decoded in.
    pub has_b_frames: bool,
    /// The tracks that viewers over WebRTC get of it, once they are known.
    pub webrtc: Option<Playability>,
    /// The mean over the last seconds, in kbit/s, once there is one.
    pub bitrate_kbps: Option<u64>,
}

/// The counters behind a stream's [`StreamStats`].
#[derive(Debug)]
pub(super) struct StatsMeter {
    origin: Option<String>,
    since_unix_ms: Option<u64>,
    /// The bit rate's time counts from here: the wall clock can be set back.
    clock: SteadyClock,
    bitrate: BitrateMeter,
    keyframe_ms: Option<i64>,
    keyframe_interval_ms: Option<i64>,
    has_warned_of_interval: bool,
    examiner: Examiner,
}

impl Default for StatsMeter {
    fn default() -> Self {
        Self {
            origin: None,
            since_unix_ms: None,
            clock: SteadyClock::start(),
            bitrate: BitrateMeter::default(),
            keyframe_ms: None,
            keyframe_interval_ms: None,
            has_warned_of_interval: false,
            examiner: Examiner::default(),
        }
    }
}

impl StatsMeter {
    /// A publisher came, to this node or to `origin`, which is pulled from.
    pub fn publisher_came(&mut self, origin: Option<String>) {
        *self = Self { origin, since_unix_ms: Some(unix_ms()), ..Self::default() };
    }

    /// Counts media that goes out and was read at `received`.
    pub fn count(&mut self, size_bytes: usize, received: Instant) {
        self.bitrate.add(self.clock.at_ms(received), size_bytes);
    }

    /// Describes a stream with this media, but for its publisher. Fields that only a publisher has are left out while
    /// there is none.
    pub fn report(&mut self, media: &Batcher, gops: &GopCache, is_fed: bool) -> StreamStats {
        let webrtc = self.examiner.examine(gops.newest()).filter(|_| is_fed);
        let (headers, tracks) = (media.headers(), media.tracks());
        StreamStats {
            origin: self.origin.clone(),
            publisher: None,
            since_unix_ms: self.since_unix_ms.filter(|_| is_fed),
            video: headers.video_codec().filter(|_| tracks.video),
            frame_size: headers.frame_size().filter(|_| tracks.video),
            lacks_keyframes: media.lacks_keyframes(),
            audio: headers.audio_codec().filter(|_| tracks.audio),
            bitrate_kbps: self.kbps().filter(|_| is_fed),
            encoder: headers.metadata().encoder.as_deref().map(ToOwned::to_owned),
            announced_frame_rate: headers.metadata().frame_rate,
            keyframe_interval_ms: self.keyframe_interval_ms.filter(|_| is_fed),
            video_after_audio_ms: media.video_after_audio_ms().filter(|_| is_fed),
            has_b_frames: media.has_b_frames(),
            webrtc,
        }
    }

    /// Notes a keyframe at a time of the stream. Returns the interval before it if that is long, once per publisher.
    pub fn note_keyframe(&mut self, time_ms: i64) -> Option<i64> {
        let interval_ms = time_ms - self.keyframe_ms.replace(time_ms)?;
        self.keyframe_interval_ms = Some(interval_ms);
        let is_news = interval_ms > KEYFRAME_INTERVAL_WARN_MS && !self.has_warned_of_interval;
        self.has_warned_of_interval |= is_news;
        is_news.then_some(interval_ms)
    }

    fn kbps(&self) -> Option<u64> {
        self.bitrate.kbps(self.clock.now_ms())
    }
}

/// Counts of a stream's viewers on this node: HTTP-FLV viewers and RTMP players.
#[derive(Debug, Clone, Default)]
pub struct ViewerCount(Arc<AtomicU64>);

/// One counted viewer, until it is dropped.
#[derive(Debug)]
pub struct CountedViewer(ViewerCount);

impl ViewerCount {
    /// Counts one more.
    pub(crate) fn add(&self) -> CountedViewer {
        self.0.fetch_add(1, Ordering::Relaxed);
        CountedViewer(self.clone())
    }

    /// The current count.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for CountedViewer {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keyframes_that_are_far_apart_are_worth_one_warning_per_publisher() {
        let mut stats = StatsMeter::default();
        let noted: Vec<_> = [0, 4_000, 12_300, 20_600].map(|time_ms| stats.note_keyframe(time_ms)).into();
        assert_eq!(noted, [None, None, Some(8_300), None]);
        stats.publisher_came(None);
        assert_eq!([20_700, 29_000].map(|time_ms| stats.note_keyframe(time_ms)), [None, Some(8_300)]);
    }

    #[test]
    fn viewers_are_counted_while_they_are_there() {
        let count = ViewerCount::default();
        let (first, second) = (count.add(), count.add());
        assert_eq!(count.get(), 2);
        drop(first);
        assert_eq!(count.get(), 1);
        drop(second);
        assert_eq!(count.get(), 0);
    }
}
