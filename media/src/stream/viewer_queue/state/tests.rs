//! A viewer whose queue was restored is sent the same bytes as one whose queue was not.

use std::{io::IoSlice, time::Duration};

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::{
    samples,
    stream::{
        batch::Batch, batcher::Batcher, gop::JoinPoint, headers::HeaderSet, tracks::Tracks,
        viewer_queue::LagLimits,
    },
    upgrade::testing::{moment, read_again},
};

const FORMATS: [WireFormat; 4] =
    [WireFormat::Flv, WireFormat::FlvChunks, WireFormat::FlvMessages, WireFormat::RtmpChunks];

/// Something that happens to a viewer.
#[derive(Debug, Clone)]
enum Step {
    /// The next batch comes, a keyframe or not, and the socket takes so many bytes.
    Batch {
        is_keyframe: bool,
        has_audio: bool,
        room: usize,
    },
    /// The viewer joins with the batches of the cache, so many of them.
    Join {
        cached: usize,
    },
    Control,
    Tags,
    Miss,
    Pause,
    Restart,
    Finish,
}

fn any_step() -> impl Strategy<Value = Step> {
    let batch = (any::<bool>(), any::<bool>(), prop_oneof![0_usize..200, Just(usize::MAX)])
        .prop_map(|(is_keyframe, has_audio, room)| Step::Batch { is_keyframe, has_audio, room });
    let rare = prop_oneof![
        (0_usize..6).prop_map(|cached| Step::Join { cached }),
        Just(Step::Control),
        Just(Step::Tags),
        Just(Step::Miss),
        Just(Step::Pause),
        Just(Step::Restart),
    ];
    prop_oneof![8 => batch, 3 => rare, 1 => prop_oneof![9 => Just(Step::Restart), 1 => Just(Step::Finish)]]
}

/// The stream that the viewers of a test have.
struct Source {
    batcher: Batcher,
    time_ms: u32,
    cached: Vec<Arc<Batch>>,
}

impl Source {
    fn new() -> Self {
        let mut batcher = Batcher::default();
        for frame in
            [samples::audio_header(), samples::video_header(), samples::keyframe(0), samples::audio(0)]
        {
            batcher.push(frame).unwrap();
        }
        let cached = batcher.flush();
        Self { batcher, time_ms: 0, cached }
    }

    fn next(&mut self, is_keyframe: bool, has_audio: bool) -> Vec<Arc<Batch>> {
        self.time_ms += 100;
        let frame = if is_keyframe { samples::keyframe(self.time_ms) } else { samples::inter(self.time_ms) };
        self.batcher.push(frame).unwrap();
        if has_audio {
            self.batcher.push(samples::audio(self.time_ms)).unwrap();
        }
        let batches = self.batcher.flush();
        self.cached.extend(batches.iter().cloned());
        batches
    }

    fn join_point(&self, cached: usize) -> JoinPoint {
        let starts = self.cached.iter().rev().filter(|batch| batch.start.is_some());
        let newest_start = starts.skip(cached).map(|batch| batch.first_ms).next().unwrap_or(i64::MAX);
        let batches = self.cached.iter().skip_while(|batch| batch.first_ms < newest_start);
        JoinPoint {
            headers: Arc::new(HeaderSet::default().at(0, Tracks::ALL)),
            batches: batches.cloned().collect(),
        }
    }
}

/// A step as both queues take it.
enum Taken {
    Batches { batches: Vec<Arc<Batch>>, room: usize },
    Join(JoinPoint),
    Other(Step),
}

fn resolve(step: Step, source: &mut Source) -> Taken {
    match step {
        Step::Batch { is_keyframe, has_audio, room } => {
            Taken::Batches { batches: source.next(is_keyframe, has_audio), room }
        }
        Step::Join { cached } => Taken::Join(source.join_point(cached)),
        other => Taken::Other(other),
    }
}

/// Sends as much as the socket has room for, and returns it.
fn send(queue: &mut ViewerQueue, room: usize, now: Instant) -> Vec<u8> {
    let mut slices = [IoSlice::new(&[]); 64];
    let filled = queue.fill(&mut slices);
    let mut sent: Vec<u8> = slices[..filled].iter().flat_map(|slice| slice.to_vec()).collect();
    sent.truncate(room);
    queue.advance(sent.len(), now);
    sent
}

/// Takes a step as `ViewerSocket` does: past the queue if it is empty.
fn take(queue: &mut ViewerQueue, taken: &Taken, limits: &LagLimits, now: Instant) -> Vec<u8> {
    let mut sent = Vec::new();
    match taken {
        Taken::Batches { batches, room } => {
            for batch in batches {
                if queue.is_direct() {
                    let bytes = batch.bytes(queue.format);
                    let direct = (*room).min(bytes.len());
                    sent.extend_from_slice(&bytes[..direct]);
                    if direct < bytes.len() {
                        queue.push_rest(batch, direct, now);
                    }
                } else {
                    queue.push(batch, now);
                    sent.extend(send(queue, *room, now));
                }
                queue.enforce(limits);
            }
        }
        Taken::Join(point) => queue.join(point, now),
        Taken::Other(Step::Control) => queue.push_control(Bytes::from_static(b"control"), now),
        Taken::Other(Step::Tags) => queue.push_tags(&crate::flv::moving::tag(Duration::ZERO), now),
        Taken::Other(Step::Miss) => queue.miss(),
        Taken::Other(Step::Pause) => queue.pause(),
        Taken::Other(Step::Restart) => queue.restart(),
        Taken::Other(Step::Finish) => queue.finish(now),
        Taken::Other(Step::Batch { .. } | Step::Join { .. }) => {}
    }
    sent
}

fn restored(queue: &ViewerQueue, parked: Instant, now: Instant) -> ViewerQueue {
    let mut blobs = Blobs::default();
    let state = queue.state(&mut blobs, parked);
    let (state, blobs) = read_again(&state, &blobs);
    ViewerQueue::restore(state, &blobs, now).unwrap()
}

proptest! {
    #[test]
    fn a_restored_queue_sends_what_the_one_before_would_have(
        format in prop::sample::select(FORMATS.to_vec()),
        steps in prop::collection::vec(any_step(), 1..60),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 1..4),
        queue_max_bytes in 100_usize..2_000,
    ) {
        let limits = LagLimits { queue_max_bytes, queue_max_ms: 1_500, stall_max: Duration::from_secs(30) };
        let start = moment();
        let mut kept = ViewerQueue::new(format, start);
        let mut moved = ViewerQueue::new(format, start);
        let cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(steps.len())).collect();
        let mut source = Source::new();
        for (at, step) in steps.into_iter().enumerate() {
            let now = start + Duration::from_millis(at as u64 * 100);
            if cuts.contains(&at) {
                moved = restored(&moved, now, now);
            }
            let taken = resolve(step, &mut source);
            prop_assert_eq!(take(&mut moved, &taken, &limits, now), take(&mut kept, &taken, &limits, now));
            prop_assert_eq!(moved.is_direct(), kept.is_direct());
            prop_assert_eq!(moved.live_bytes(), kept.live_bytes());
            prop_assert_eq!(moved.control_bytes(), kept.control_bytes());
            prop_assert_eq!(moved.dropped(), kept.dropped());
        }
        while !kept.is_empty() {
            prop_assert_eq!(send(&mut moved, 300, start), send(&mut kept, 300, start));
        }
        prop_assert!(moved.is_empty());
    }
}

#[test]
fn a_viewer_is_not_stalled_by_the_upgrade() {
    let start = moment();
    let seconds = |count| start + Duration::from_secs(count);
    let limits =
        LagLimits { queue_max_bytes: 1_000, queue_max_ms: 60_000, stall_max: Duration::from_secs(30) };
    let mut queue = ViewerQueue::new(WireFormat::Flv, start);
    queue.push_control(Bytes::from_static(b"head"), start);
    let queue = restored(&queue, seconds(20), seconds(25));
    assert!(!queue.is_stalled(&limits, seconds(34)));
    assert!(queue.is_stalled(&limits, seconds(35)));
}

#[test]
fn queues_of_one_room_share_their_media_with_each_other() {
    let now = moment();
    let mut source = Source::new();
    let batches: Vec<_> = (0..20).flat_map(|at| source.next(at % 10 == 0, true)).collect();
    let media_bytes: usize = batches.iter().map(|batch| batch.bytes(WireFormat::FlvChunks).len()).sum();
    let mut blobs = Blobs::default();
    let states: Vec<ViewerQueueState> = (0..200)
        .map(|at| {
            let format = if at % 2 == 0 { WireFormat::Flv } else { WireFormat::FlvChunks };
            let mut queue = ViewerQueue::new(format, now);
            batches.iter().for_each(|batch| queue.push(batch, now));
            send(&mut queue, at, now);
            queue.state(&mut blobs, now)
        })
        .collect();
    let file = crate::upgrade::StateFile::encode(&(), &blobs).unwrap();
    let written: usize = file.parts().skip(1).map(<[u8]>::len).sum();
    // Besides the media, each has a file header of its own, and headers that are encoded once for each format.
    assert!(written < media_bytes + 200 * 40 + 8 * 1024, "{written} of {media_bytes}");
    let (states, blobs) = read_again(&states, &blobs);
    for state in states {
        assert!(!ViewerQueue::restore(state, &blobs, now).unwrap().is_empty());
    }
}

#[test]
fn a_queue_that_is_in_no_such_state_is_refused() {
    let now = moment();
    let mut queue = ViewerQueue::new(WireFormat::Flv, now);
    Source::new().cached.iter().for_each(|batch| queue.push(batch, now));
    let mut blobs = Blobs::default();
    let state = queue.state(&mut blobs, now);
    let empty = blobs.put(&Bytes::new());
    let refused = |change: &dyn Fn(&mut ViewerQueueState)| {
        let mut changed = state.clone();
        change(&mut changed);
        ViewerQueue::restore(changed, &blobs, now).is_err()
    };
    assert!(!refused(&|_| {}));
    assert!(refused(&|state| state.dropped.tags = u64::MAX));
    assert!(refused(&|state| state.items[0].bytes = empty));
    assert!(refused(&|state| {
        state.items[0].kind = KindState::Media { start: None, last_ms: i64::MIN, tag_count: 1, live: true };
    }));
}
