//! The last GOPs of a stream, so that playback starts at once.

mod state;

use std::{collections::VecDeque, sync::Arc};

use crate::stream::{batch::Batch, headers::SharedHeaders, tracks::Tracks};
pub use state::{GopCacheState, ParkedCache};

/// Limits of a stream's GOP cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GopLimits {
    /// The most groups; 0 keeps nothing.
    pub gops_max: usize,
    /// The most bytes of FLV, over all groups.
    pub size_max_bytes: usize,
    /// Maximum distance behind live at which a viewer may start, in milliseconds, if that gives it more than the newest
    /// GOP. Older GOPs are not kept.
    pub window_ms: i64,
}

/// The start of a viewer: the headers that its decoder needs, then the media.
#[derive(Debug, Clone)]
pub struct JoinPoint {
    /// Metadata and sequence headers, stamped with the time of the first frame.
    pub headers: SharedHeaders,
    /// From a keyframe to the newest media. Empty if nothing is kept and a keyframe may be long in coming: the viewer
    /// begins with the audio then.
    pub batches: Vec<Arc<Batch>>,
}

/// The most batches that are kept for examination of a group that is not cached: enough to find the order of its frames.
const SAMPLE_BATCHES_MAX: usize = 8;

/// The fate of a batch that was offered to the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// It is in the cache.
    Yes,
    /// It is not: no keyframe came yet, or nothing is kept at all.
    No,
    /// Its group alone is over the size limit; the cache is empty until the next keyframe.
    GopTooLarge,
}

/// The cache. Batches go in whole and are shared, never copied.
#[derive(Debug)]
pub struct GopCache {
    limits: GopLimits,
    gops: VecDeque<Gop>,
    size_bytes: usize,
    /// The beginning of the newest group, while nothing is kept.
    sample: Vec<Arc<Batch>>,
}

#[derive(Debug)]
struct Gop {
    headers: SharedHeaders,
    batches: Vec<Arc<Batch>>,
    size_bytes: usize,
    first_ms: i64,
    /// The tracks with frames in it.
    tracks: Tracks,
}

impl GopCache {
    /// An empty cache.
    pub fn new(limits: GopLimits) -> Self {
        Self { limits, gops: VecDeque::new(), size_bytes: 0, sample: Vec::new() }
    }

    /// Takes the stream's next batch, and lets the oldest groups go that are over a limit.
    pub fn push(&mut self, batch: &Arc<Batch>) -> Kept {
        let kept = self.keep(batch);
        if kept == Kept::Yes {
            self.sample.clear();
        } else {
            self.take_sample(batch);
        }
        kept
    }

    fn keep(&mut self, batch: &Arc<Batch>) -> Kept {
        if self.limits.gops_max == 0 {
            return Kept::No;
        }
        if let Some(headers) = &batch.start {
            self.begin_gop(headers.clone(), batch.first_ms);
        }
        let Some(gop) = self.gops.back_mut() else {
            return Kept::No;
        };
        gop.batches.push(batch.clone());
        gop.tracks = gop.tracks.union(batch.tracks);
        gop.size_bytes += batch.size_bytes();
        self.size_bytes += batch.size_bytes();
        while self.gops.len() > 1 && (self.is_too_large() || self.is_oldest_past(batch.last_ms)) {
            self.drop_oldest();
        }
        if self.is_too_large() {
            self.clear();
            return Kept::GopTooLarge;
        }
        Kept::Yes
    }

    /// The oldest cached keyframe: of the window, or else the newest one. The viewer is to expect the tracks that are in
    /// the cache, and those that come, which are `now`.
    pub fn join(&mut self, now: Tracks) -> Option<JoinPoint> {
        let tracks = self.gops.iter().fold(now, |tracks, gop| tracks.union(gop.tracks));
        let oldest = self.gops.front_mut()?;
        if oldest.headers.tracks() != tracks {
            oldest.headers = Arc::new(oldest.headers.announcing(tracks));
        }
        Some(JoinPoint {
            headers: oldest.headers.clone(),
            batches: self.gops.iter().flat_map(|gop| gop.batches.iter().cloned()).collect(),
        })
    }

    fn take_sample(&mut self, batch: &Arc<Batch>) {
        if batch.start.is_some() {
            self.sample.clear();
        } else if self.sample.is_empty() {
            return;
        }
        if self.sample.len() < SAMPLE_BATCHES_MAX {
            self.sample.push(batch.clone());
        }
    }

    /// The batches of the newest group, or its first ones if it is not kept.
    pub fn newest(&self) -> impl Iterator<Item = &Arc<Batch>> {
        self.gops.back().map_or(&self.sample, |gop| &gop.batches).iter()
    }

    /// Drops all groups, as when the publisher is disconnected and its media is past.
    pub fn clear(&mut self) {
        self.gops.clear();
        self.sample.clear();
        self.size_bytes = 0;
    }

    /// Bytes of FLV that are kept.
    pub fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    fn is_too_large(&self) -> bool {
        self.size_bytes > self.limits.size_max_bytes
    }

    /// Returns whether the oldest group began before the window, which only moves forward.
    fn is_oldest_past(&self, newest_ms: i64) -> bool {
        self.gops.front().is_some_and(|oldest| newest_ms - oldest.first_ms > self.limits.window_ms)
    }

    fn begin_gop(&mut self, headers: SharedHeaders, first_ms: i64) {
        if self.gops.back().is_some_and(|newest| newest.first_ms > first_ms) {
            // The timeline started over.
            self.clear();
        }
        // A GOP has as many batches as the one before it, most of the time.
        let batches_expected = self.gops.back().map_or(0, |newest| newest.batches.len());
        while self.gops.len() >= self.limits.gops_max {
            self.drop_oldest();
        }
        self.gops.push_back(Gop {
            headers,
            batches: Vec::with_capacity(batches_expected),
            size_bytes: 0,
            first_ms,
            tracks: Tracks::default(),
        });
    }

    fn drop_oldest(&mut self) {
        if let Some(gop) = self.gops.pop_front() {
            self.size_bytes -= gop.size_bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{samples, stream::batcher::Batcher};

    fn batch(at_ms: u32, keyframe: bool) -> Arc<Batch> {
        let mut batcher = Batcher::default();
        batcher.push(samples::keyframe(0)).unwrap();
        let kept = batcher.flush().remove(0);
        let frame = if keyframe { samples::keyframe(at_ms) } else { samples::inter(at_ms) };
        if keyframe && at_ms == 0 {
            return kept;
        }
        batcher.push(frame).unwrap();
        batcher.flush().remove(0)
    }

    const WINDOW_MS: i64 = 60_000;

    fn cache(gops_max: usize, size_max_bytes: usize, window_ms: i64) -> GopCache {
        GopCache::new(GopLimits { gops_max, size_max_bytes, window_ms })
    }

    fn joined_ms(cache: &mut GopCache) -> Option<Vec<i64>> {
        Some(cache.join(Tracks::default())?.batches.iter().map(|batch| batch.first_ms).collect())
    }

    #[test]
    fn nothing_is_kept_before_a_keyframe() {
        let mut cache = cache(2, 1000, WINDOW_MS);
        assert_eq!(cache.push(&batch(0, false)), Kept::No);
        assert_eq!(joined_ms(&mut cache), None);
        assert_eq!(cache.push(&batch(33, true)), Kept::Yes);
        assert_eq!(joined_ms(&mut cache), Some(vec![33]));
    }

    #[test]
    fn the_beginning_of_a_group_is_there_to_be_examined_also_where_nothing_is_kept() {
        let newest = |cache: &GopCache| cache.newest().map(|batch| batch.first_ms).collect::<Vec<_>>();
        for size_max_bytes in [0, 1000] {
            let mut cache = cache(usize::from(size_max_bytes == 0), size_max_bytes, WINDOW_MS);
            cache.push(&batch(10, false));
            assert!(newest(&cache).is_empty());
            for at in 0..20 {
                cache.push(&batch(100 + at, at == 0));
            }
            assert_eq!(newest(&cache), [100, 101, 102, 103, 104, 105, 106, 107]);
            assert_eq!((cache.size_bytes(), joined_ms(&mut cache)), (0, None));
            cache.push(&batch(1000, true));
            assert_eq!(newest(&cache), [1000]);
            cache.clear();
            assert!(newest(&cache).is_empty());
        }
        let mut cache = cache(1, 1000, WINDOW_MS);
        cache.push(&batch(0, true));
        assert_eq!((newest(&cache), cache.sample.len()), (vec![0], 0));
    }

    #[test]
    fn viewers_join_at_the_oldest_keyframe_of_the_window_else_at_the_newest() {
        let joined = |window_ms| {
            let mut cache = cache(3, 10_000, window_ms);
            for (at_ms, keyframe) in [(0, true), (500, false), (1000, true), (1500, true), (1800, false)] {
                cache.push(&batch(at_ms, keyframe));
            }
            joined_ms(&mut cache)
        };
        assert_eq!(joined(1000), Some(vec![1000, 1500, 1800]));
        assert_eq!(joined(5000), Some(vec![0, 500, 1000, 1500, 1800]));
        assert_eq!(joined(0), Some(vec![1500, 1800]));
    }

    #[test]
    fn a_group_goes_when_no_viewer_will_start_at_it_any_more() {
        let mut cache = cache(9, 10_000, 1000);
        for (at_ms, keyframe) in [(0, true), (900, true), (1000, false)] {
            cache.push(&batch(at_ms, keyframe));
        }
        assert_eq!(joined_ms(&mut cache), Some(vec![0, 900, 1000]));
        cache.push(&batch(1001, false));
        assert_eq!(joined_ms(&mut cache), Some(vec![900, 1000, 1001]));
        let kept: usize =
            cache.join(Tracks::default()).unwrap().batches.iter().map(|batch| batch.size_bytes()).sum();
        assert_eq!(cache.size_bytes(), kept);
    }

    #[test]
    fn the_oldest_group_goes_at_the_limit_of_groups() {
        let mut cache = cache(2, 10_000, WINDOW_MS);
        for at_ms in [0, 1000, 2000] {
            cache.push(&batch(at_ms, true));
        }
        assert_eq!(joined_ms(&mut cache), Some(vec![1000, 2000]));
    }

    #[test]
    fn the_oldest_group_goes_at_the_limit_of_size() {
        let one = batch(0, true).size_bytes();
        let mut cache = cache(9, 2 * one, WINDOW_MS);
        for at_ms in [0, 1000, 2000] {
            assert_eq!(cache.push(&batch(at_ms, true)), Kept::Yes);
        }
        assert_eq!(joined_ms(&mut cache), Some(vec![1000, 2000]));
    }

    #[test]
    fn a_group_over_the_limit_is_given_up_until_the_next_keyframe() {
        let one = batch(0, true).size_bytes();
        let mut cache = cache(2, one, WINDOW_MS);
        assert_eq!(cache.push(&batch(0, true)), Kept::Yes);
        assert_eq!(cache.push(&batch(33, false)), Kept::GopTooLarge);
        assert_eq!(cache.push(&batch(66, false)), Kept::No);
        assert_eq!(joined_ms(&mut cache), None);
        assert_eq!(cache.push(&batch(99, true)), Kept::Yes);
    }

    #[test]
    fn a_disabled_cache_keeps_nothing() {
        let mut cache = cache(0, 1000, WINDOW_MS);
        assert_eq!(cache.push(&batch(0, true)), Kept::No);
        assert_eq!(cache.size_bytes(), 0);
    }

    #[test]
    fn a_viewer_expects_what_is_cached_and_what_comes() {
        const VIDEO: Tracks = Tracks { audio: false, video: true };
        let mut cache = cache(2, 10_000, WINDOW_MS);
        cache.push(&batch(0, true));
        let mut expected = |now| cache.join(now).unwrap().headers;
        let video = expected(VIDEO);
        assert_eq!(video.tracks(), VIDEO);
        assert!(Arc::ptr_eq(&video, &expected(VIDEO)), "one encoding for all");
        assert_eq!(expected(Tracks::default()).tracks(), VIDEO, "it is in the cache");
        assert_eq!(expected(Tracks { audio: true, video: false }).tracks(), Tracks::ALL);
    }

    #[test]
    fn a_timeline_that_starts_over_leaves_nothing_of_before() {
        let mut cache = cache(9, 10_000, WINDOW_MS);
        for at_ms in [1000, 2000, 500] {
            cache.push(&batch(at_ms, true));
        }
        assert_eq!(joined_ms(&mut cache), Some(vec![500]));
    }

    proptest! {
        #[test]
        fn the_limits_hold_and_a_join_starts_at_a_keyframe(
            keyframes in proptest::collection::vec(any::<bool>(), 1..100),
            gops_max in 0_usize..4,
            size_max_bytes in 0_usize..500,
            window_ms in 0_i64..3000,
        ) {
            let mut cache = cache(gops_max, size_max_bytes, window_ms);
            for (at, keyframe) in keyframes.into_iter().enumerate() {
                let batch = batch(at as u32 * 33, keyframe);
                cache.push(&batch);
                prop_assert!(cache.size_bytes() <= size_max_bytes);
                if let Some(join) = cache.join(Tracks::default()) {
                    prop_assert!(join.batches[0].start.is_some());
                    prop_assert!(Arc::ptr_eq(join.batches.last().unwrap(), &batch));
                    let newest_ms = batch.last_ms;
                    let starts = join.batches.iter().filter(|batch| batch.start.is_some()).count();
                    prop_assert!(starts <= gops_max);
                    prop_assert!(starts == 1 || newest_ms - join.batches[0].first_ms <= window_ms);
                }
            }
        }
    }
}
