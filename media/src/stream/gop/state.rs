//! The state of a GOP cache.

use std::{collections::VecDeque, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{Gop, GopCache, GopLimits};
use crate::{
    stream::{
        batch::{Batch, BatchState},
        headers::{Headers, HeadersState},
        tracks::Tracks,
    },
    upgrade::{Blobs, StateError, check_media_time},
};

const PART: &str = "a GOP cache";

/// The state of a [`GopCache`], oldest group first.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct GopCacheState {
    gops: Vec<GopState>,
    /// A group was open, even if it is not among these.
    was_open: bool,
}

/// A cache that is being parked.
#[derive(Debug)]
pub struct ParkedCache {
    cache: GopCache,
    /// Age of its newest frame.
    newest_ago_ms: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct GopState {
    headers: HeadersState,
    batches: Vec<BatchState>,
    first_ms: i64,
    tracks: Tracks,
}

impl ParkedCache {
    /// A cache whose newest frame is this many milliseconds old.
    pub fn new(cache: GopCache, newest_ago_ms: u64) -> Self {
        Self { cache, newest_ago_ms }
    }

    /// Returns the states of all caches of a node, in their order. The media goes into `blobs`. Groups that do not fit into what the
    /// table takes of caches are left behind, oldest first: viewers who join need the open groups most.
    pub fn states(caches: &[Self], blobs: &mut Blobs) -> Vec<GopCacheState> {
        let ages =
            caches.iter().enumerate().flat_map(|(place, cache)| cache.ages_ms().map(move |age| (age, place)));
        let mut ages: Vec<(u64, usize)> = ages.collect();
        ages.sort_by_key(|(age_ms, _)| *age_ms);
        let mut kept = vec![(0, true); caches.len()];
        for (_, place) in ages {
            let (count, fits) = &mut kept[place];
            let gop = caches[place].cache.gops.iter().rev().nth(*count);
            *fits = *fits && gop.is_some_and(|gop| blobs.reserve_for_cache(gop.size_bytes));
            *count += usize::from(*fits);
        }
        let states = caches.iter().zip(kept).map(|(parked, (count, _))| parked.cache.state(count, blobs));
        states.collect()
    }

    /// The time since each group's end, newest group first.
    fn ages_ms(&self) -> impl Iterator<Item = u64> {
        let gops = &self.cache.gops;
        let newest_ms = gops.back().and_then(|open| open.batches.last()).map_or(0, |batch| batch.last_ms);
        // A group ends with the next one's beginning.
        let ends_ms = std::iter::once(newest_ms).chain(gops.iter().rev().map(|next| next.first_ms));
        let ages_ms = ends_ms.take(gops.len()).map(move |end_ms| newest_ms.saturating_sub(end_ms));
        ages_ms.map(|age_ms| self.newest_ago_ms.saturating_add(age_ms.max(0).cast_unsigned()))
    }
}

impl GopCache {
    /// Returns the state with this many of the newest groups.
    fn state(&self, kept: usize, blobs: &mut Blobs) -> GopCacheState {
        let gops = self.gops.iter().skip(self.gops.len().saturating_sub(kept));
        GopCacheState { gops: gops.map(|gop| gop.state(blobs)).collect(), was_open: !self.gops.is_empty() }
    }

    /// Restores the cache under limits that may be others than before. Without a group, the stream's batches are kept from the
    /// next keyframe on.
    pub fn restore(state: GopCacheState, limits: GopLimits, blobs: &Blobs) -> Result<Self, StateError> {
        let gops = state.gops.into_iter().map(|gop| Gop::restore(gop, blobs));
        let gops = gops.collect::<Result<VecDeque<_>, _>>()?;
        let size_bytes = gops.iter().map(|gop| gop.size_bytes).sum();
        let mut cache = Self { gops, size_bytes, ..Self::new(limits) };
        while cache.gops.len() > limits.gops_max || cache.is_too_large() {
            cache.drop_oldest();
        }
        Ok(cache)
    }
}

impl GopCacheState {
    /// Returns whether a group was open when the cache was parked. If the restored cache has none, it was left behind, and the
    /// stream's viewers join as when the open group has become too large: see
    /// [`gop_outgrown`](crate::stream::batcher::Batcher::gop_outgrown).
    pub fn was_open(&self) -> bool {
        self.was_open
    }
}

impl Gop {
    fn state(&self, blobs: &mut Blobs) -> GopState {
        GopState {
            headers: self.headers.state(blobs),
            batches: self.batches.iter().map(|batch| batch.state(blobs)).collect(),
            first_ms: self.first_ms,
            tracks: self.tracks,
        }
    }

    fn restore(state: GopState, blobs: &Blobs) -> Result<Self, StateError> {
        let GopState { headers, batches, first_ms, tracks } = state;
        check_media_time(first_ms, PART)?;
        let headers = Arc::new(Headers::restore(headers, blobs)?);
        let batches = batches.into_iter().map(|batch| Batch::restore(batch, blobs).map(Arc::new));
        let batches = batches.collect::<Result<Vec<_>, _>>()?;
        let is_begun = batches.first().is_some_and(|first| first.start.is_some());
        StateError::unless(is_begun, PART, "a group does not begin where decoding can")?;
        let size_bytes = batches.iter().map(|batch| batch.size_bytes()).sum();
        Ok(Self { headers, batches, size_bytes, first_ms, tracks })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        samples,
        stream::{batcher::Batcher, gop::JoinPoint, wire_format::WireFormat},
        upgrade::testing::read_again,
    };

    const LIMITS: GopLimits = GopLimits { gops_max: 3, size_max_bytes: 4_000, window_ms: 2_000 };

    /// Batches of one frame; a letter for each: `K`eyframe, `p`, `a`udio, at 100 ms steps.
    fn batches(pattern: &str) -> Vec<Arc<Batch>> {
        let mut batcher = Batcher::default();
        batcher.push(samples::video_header()).unwrap();
        let frames = pattern.chars().zip((0..).step_by(100)).map(|(letter, time_ms)| match letter {
            'K' => samples::keyframe(time_ms),
            'p' => samples::inter(time_ms),
            _ => samples::audio(time_ms),
        });
        frames
            .flat_map(|frame| {
                batcher.push(frame).unwrap();
                batcher.flush()
            })
            .collect()
    }

    fn joined(cache: &mut GopCache) -> Option<(Vec<u8>, Vec<Vec<u8>>)> {
        let JoinPoint { headers, batches } = cache.join(Tracks::default())?;
        let formats = [WireFormat::Flv, WireFormat::FlvChunks, WireFormat::RtmpChunks];
        let media = batches.iter().map(|batch| formats.map(|format| batch.bytes(format).to_vec()).concat());
        Some((headers.bytes(WireFormat::Flv).to_vec(), media.collect()))
    }

    proptest! {
        #[test]
        fn a_restored_cache_goes_on_as_the_one_before(pattern in "K[Kpppa]{1,60}", cut: prop::sample::Index) {
            let batches = batches(&pattern);
            let (before, after) = batches.split_at(cut.index(batches.len()));
            let mut cache = GopCache::new(LIMITS);
            before.iter().for_each(|batch| { cache.push(batch); });
            let mut blobs = Blobs::default();
            let state = cache.state(usize::MAX, &mut blobs);
            let (state, blobs) = read_again(&state, &blobs);
            let mut restored = GopCache::restore(state, LIMITS, &blobs).unwrap();
            prop_assert_eq!(restored.size_bytes(), cache.size_bytes());
            prop_assert_eq!(joined(&mut restored), joined(&mut cache));
            for batch in after {
                prop_assert_eq!(restored.push(batch), cache.push(batch));
                prop_assert_eq!(joined(&mut restored), joined(&mut cache));
            }
        }
    }

    fn cache(pattern: &str) -> GopCache {
        let mut cache = GopCache::new(GopLimits { size_max_bytes: 1 << 20, ..LIMITS });
        batches(pattern).iter().for_each(|batch| {
            cache.push(batch);
        });
        cache
    }

    fn group_sizes(cache: &GopCache) -> Vec<usize> {
        cache.gops.iter().map(|gop| gop.batches.len()).collect()
    }

    fn restored(cache: &GopCache, limits: GopLimits) -> Vec<usize> {
        let mut blobs = Blobs::default();
        let state = cache.state(usize::MAX, &mut blobs);
        group_sizes(&GopCache::restore(state, limits, &blobs).unwrap())
    }

    /// The groups of caches that are carried, given the ages of their newest frames and a limit of bytes for all.
    fn carried(caches: [(GopCache, u64); 2], size_max_bytes: usize) -> [Vec<usize>; 2] {
        let mut blobs = Blobs::with_cache_limit(size_max_bytes);
        let parked = caches.map(|(cache, newest_ago_ms)| ParkedCache::new(cache, newest_ago_ms));
        let states: [GopCacheState; 2] = ParkedCache::states(&parked, &mut blobs).try_into().unwrap();
        states.map(|state| {
            assert!(state.was_open());
            group_sizes(&GopCache::restore(state, cache("K").limits, &blobs).unwrap())
        })
    }

    #[test]
    fn the_oldest_groups_of_all_caches_stay_behind_where_memory_does_not_suffice() {
        let sizes: Vec<usize> = cache("KpKppKppp").gops.iter().map(|gop| gop.size_bytes).collect();
        let all = 2 * sizes.iter().sum::<usize>();
        // The oldest groups ended 600 ms before the newest frames, those in the middle 300 ms; the second cache's are 100 ms
        // older.
        let carried = |size_bytes| carried([(cache("KpKppKppp"), 0), (cache("KpKppKppp"), 100)], size_bytes);
        assert_eq!(carried(all), [vec![2, 3, 4], vec![2, 3, 4]]);
        assert_eq!(carried(all - 1), [vec![2, 3, 4], vec![3, 4]]);
        assert_eq!(carried(all - sizes[0] - 1), [vec![3, 4], vec![3, 4]]);
        assert_eq!(carried(2 * sizes[2] + sizes[1]), [vec![3, 4], vec![4]]);
        assert_eq!(carried(2 * sizes[2]), [vec![4], vec![4]]);
        assert_eq!(carried(sizes[2]), [vec![4], vec![]]);
        assert_eq!(carried(sizes[2] - 1), [vec![0; 0], vec![]]);
    }

    #[test]
    fn a_large_group_does_not_keep_those_of_other_rooms_behind() {
        let large = cache("Kppppppppppppppppppppppp");
        let size_bytes = large.size_bytes() - 1;
        assert_eq!(carried([(large, 0), (cache("KpKpp"), 30)], size_bytes), [vec![], vec![2, 3]]);
    }

    #[test]
    fn a_group_that_ended_long_ago_stays_behind_before_the_open_one_of_a_room_whose_frames_stopped() {
        let (live, stopped) = (cache("KpKppppp"), cache("Kpp"));
        let size_bytes = live.gops[1].size_bytes + stopped.size_bytes();
        assert_eq!(carried([(live, 0), (stopped, 50)], size_bytes), [vec![6], vec![3]]);
    }

    #[test]
    fn a_cache_without_groups_has_none_that_stays_behind() {
        let parked = [ParkedCache::new(GopCache::new(LIMITS), 0)];
        let states = ParkedCache::states(&parked, &mut Blobs::default());
        assert!(!states[0].was_open());
    }

    #[test]
    fn limits_that_became_smaller_hold() {
        let cache = cache("KpKppKppp");
        let limits = cache.limits;
        assert_eq!(restored(&cache, GopLimits { gops_max: 1, ..limits }), [4]);
        assert!(restored(&cache, GopLimits { gops_max: 0, ..limits }).is_empty());
        let size_max_bytes = cache.size_bytes() - 1;
        assert_eq!(restored(&cache, GopLimits { size_max_bytes, ..limits }), [3, 4]);
    }

    #[test]
    fn a_group_that_begins_where_decoding_cannot_is_refused() {
        let mut blobs = Blobs::default();
        let mut state = cache("Kpp").state(usize::MAX, &mut blobs);
        state.gops[0].batches.remove(0);
        assert!(GopCache::restore(state.clone(), LIMITS, &blobs).is_err());
        state.gops[0].batches.clear();
        assert!(GopCache::restore(state, LIMITS, &blobs).is_err());
    }
}
