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
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct GopState {
    headers: HeadersState,
    batches: Vec<BatchState>,
    first_ms: i64,
    tracks: Tracks,
}

impl GopCache {
    /// Gives its state. The media goes into `blobs`, the newest group first; groups that do not fit into what the table takes of
    /// caches stay behind.
    pub fn state(&self, blobs: &mut Blobs) -> GopCacheState {
        let newest = self.gops.iter().rev();
        let kept = newest.take_while(|gop| blobs.reserve_for_cache(gop.size_bytes)).count();
        let kept = self.gops.iter().skip(self.gops.len() - kept);
        GopCacheState { gops: kept.map(|gop| gop.state(blobs)).collect() }
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
    /// Returns whether it has a group, the one that is open. If not, the stream's viewers join without one, as when the open
    /// group has become too large: see [`gop_outgrown`](crate::stream::batcher::Batcher::gop_outgrown).
    pub fn has_newest(&self) -> bool {
        !self.gops.is_empty()
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
            let state = cache.state(&mut blobs);
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

    fn restored(cache: &GopCache, size_max_bytes: usize, limits: GopLimits) -> Vec<usize> {
        let mut blobs = Blobs::with_cache_limit(size_max_bytes);
        let state = cache.state(&mut blobs);
        assert_eq!(state.has_newest(), !state.gops.is_empty());
        let restored = GopCache::restore(state, limits, &blobs).unwrap();
        restored.gops.iter().map(|gop| gop.batches.len()).collect()
    }

    #[test]
    fn the_oldest_groups_stay_behind_where_memory_does_not_suffice() {
        let cache = cache("KpKppKppp");
        let sizes: Vec<usize> = cache.gops.iter().map(|gop| gop.size_bytes).collect();
        let limits = cache.limits;
        assert_eq!(restored(&cache, sizes.iter().sum(), limits), [2, 3, 4]);
        assert_eq!(restored(&cache, sizes.iter().sum::<usize>() - 1, limits), [3, 4]);
        assert_eq!(restored(&cache, sizes[2], limits), [4]);
        assert!(restored(&cache, sizes[2] - 1, limits).is_empty());
    }

    #[test]
    fn limits_that_became_smaller_hold() {
        let cache = cache("KpKppKppp");
        let limits = cache.limits;
        assert_eq!(restored(&cache, usize::MAX, GopLimits { gops_max: 1, ..limits }), [4]);
        assert!(restored(&cache, usize::MAX, GopLimits { gops_max: 0, ..limits }).is_empty());
        let size_max_bytes = cache.size_bytes() - 1;
        assert_eq!(restored(&cache, usize::MAX, GopLimits { size_max_bytes, ..limits }), [3, 4]);
    }

    #[test]
    fn a_group_that_begins_where_decoding_cannot_is_refused() {
        let mut blobs = Blobs::default();
        let mut state = cache("Kpp").state(&mut blobs);
        state.gops[0].batches.remove(0);
        assert!(GopCache::restore(state.clone(), LIMITS, &blobs).is_err());
        state.gops[0].batches.clear();
        assert!(GopCache::restore(state, LIMITS, &blobs).is_err());
    }
}
