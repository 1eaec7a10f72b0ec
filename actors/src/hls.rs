//! HLS on this node: which rooms have segments, and where those are.
//!
//! A [`SegmenterActor`] cuts a stream and publishes what it cut to an [`HlsSession`]. The HTTP port reads sessions
//! without asking an actor: a playlist is a text behind an `Arc`, a segment is bytes in memory or a file.

pub mod proxy;
mod segment_file;
mod segment_memory;
pub mod segmenter;
mod sequence_allocator;
mod session;
mod storage;
mod stored_segment;

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::Duration,
};

use synctv_media::{
    cluster::sequences::HlsNumbers,
    hls::{
        buffer_pool::BufferPool,
        segment::Segment,
        segmenter::{Segmenter, SegmenterConfig},
    },
    stream::room::RoomName,
};
use tokio::time::Instant;

pub(crate) use self::sequence_allocator::unix_ms;
pub use self::{
    segment_file::SegmentFile,
    segment_memory::FetchedMemory,
    session::{HlsSession, PlaylistState, PlaylistText, Playlists},
    stored_segment::{SegmentPlace, StoredSegment},
};
use self::{
    segment_memory::{MemoryLimits, SegmentMemory},
    session::SessionShape,
    storage::StorageHandle,
};
use crate::{
    cluster::registry::sequences::NumberReserve, directory::StreamDirectory, hls::segmenter::SegmenterActor,
    stream::StreamHandle,
};

/// The first segment ends at the first keyframe at or after this age, in milliseconds, so that the first viewers wait
/// for one GOP and not for the target.
const FIRST_TARGET_MS: u32 = 500;

/// Sessions of one room that have ended and are kept. A publisher who comes and goes all the time makes more; the oldest
/// go before their time.
const ENDED_SESSIONS_MAX: usize = 4;

/// A quarter of the segments' memory is for buffers that wait for new ones, and no more than this.
const BUFFERS_MAX_BYTES: usize = 16 * 1024 * 1024;

/// Which streams are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HlsMode {
    /// All, as long as they last: a viewer never waits for a stream that has been live for a while.
    Always,
    /// Those that someone watches.
    OnDemand,
}

/// What HLS of all rooms has in common.
#[derive(Debug, Clone)]
pub struct HlsSettings {
    /// Which streams are cut.
    pub mode: HlsMode,
    /// How long segments should be, in milliseconds.
    pub target_ms: u32,
    /// How many segments a playlist lists.
    pub window: usize,
    /// Where segments are written to, a directory a room.
    pub storage: PathBuf,
    /// How much memory the segments of all rooms may take that are in files as well, and buffers for new ones, in bytes.
    pub memory_max_bytes: usize,
    /// How long the playlist and segments stay when the stream has ended.
    pub keep_ended: Duration,
    /// Other nodes may have had the room before. Nothing here tells, so that each playlist begins with a discontinuity.
    pub in_cluster: bool,
    /// On demand: how long a stream is cut without anyone asking for the playlist.
    pub idle_timeout: Duration,
}

/// Talks to the HLS of this node.
#[derive(Debug, Clone)]
pub struct HlsSessions(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    settings: HlsSettings,
    /// The sessions of each room, oldest first. Only the last one may be live.
    rooms: RwLock<HashMap<RoomName, Vec<Arc<HlsSession>>>>,
    storage: StorageHandle,
    memory: Arc<SegmentMemory>,
    buffers: BufferPool,
    since: Instant,
}

impl HlsSessions {
    /// Starts a thread for the files, which clears what a process that died left behind.
    pub fn start(settings: HlsSettings) -> Self {
        let buffers_max_bytes = BUFFERS_MAX_BYTES.min(settings.memory_max_bytes / 4);
        let limits = MemoryLimits::new(settings.memory_max_bytes - buffers_max_bytes);
        let memory = Arc::new(SegmentMemory::new(limits));
        Self(Arc::new(Shared {
            storage: StorageHandle::start(settings.storage.clone(), memory.clone()),
            memory,
            buffers: BufferPool::new(buffers_max_bytes),
            settings,
            rooms: RwLock::default(),
            since: Instant::now(),
        }))
    }

    /// What a viewer of `room` watches: a live session, or one that has just ended. On demand, this begins it.
    pub async fn open(&self, directory: &StreamDirectory, room: &RoomName) -> Option<Arc<HlsSession>> {
        let newest = self.newest(room);
        let session = match (self.0.settings.mode, newest) {
            (HlsMode::OnDemand, newest) if newest.as_ref().is_none_or(|session| !session.is_live()) => {
                match directory.find(room.clone()).await.filter(StreamHandle::is_published_here) {
                    Some(stream) => Some(self.begin_on_demand(stream)),
                    None => newest,
                }
            }
            (_, newest) => newest,
        };
        session.inspect(|session| session.touch(self.now_ms()))
    }

    /// A segment of `room`, listed or no longer listed but not expired.
    pub fn segment(&self, room: &RoomName, sequence: u64) -> Option<Arc<StoredSegment>> {
        let rooms = self.rooms();
        let sessions = rooms.get(room)?;
        sessions.iter().rev().find_map(|session| session.segment(sequence))
    }

    /// The memory for segments of other nodes.
    pub fn fetched_memory(&self) -> FetchedMemory {
        FetchedMemory::of(self.0.memory.clone())
    }

    /// Deletes all files. Called when the server stops: nothing can be published after it.
    pub async fn clear(&self) {
        self.0.storage.clear().await;
    }

    /// A stream was started; nobody publishes it yet.
    pub(crate) fn stream_started(&self, stream: &StreamHandle) {
        if self.0.settings.mode == HlsMode::Always {
            SegmenterActor::start(self.clone(), stream.clone(), None);
        }
    }

    /// Begins a session of `room`, which has a publisher with these numbers.
    pub(crate) fn begin(&self, room: &RoomName, reserve: NumberReserve) -> Arc<HlsSession> {
        let (session, retired) = self.begin_in(&mut self.rooms_mut(), room);
        // It is new, and so goes on from any numbers.
        session.resume(reserve);
        self.retire(retired);
        session
    }

    /// Lists a segment, and takes care of its bytes and of those of segments that expired.
    pub(crate) fn publish(&self, session: &Arc<HlsSession>, segment: Segment, program_date_time_ms: u64) {
        let Some(change) = session.publish(segment, program_date_time_ms, self.now_ms()) else {
            return;
        };
        self.0.memory.add(change.published.clone());
        let room = session.room();
        self.0.storage.write(room, change.published);
        self.0.storage.delete(&change.expired);
    }

    /// The session is over: its playlist, its segments and their files go.
    pub(crate) fn remove(&self, session: &Arc<HlsSession>) {
        let mut rooms = self.rooms_mut();
        if let Some(sessions) = rooms.get_mut(session.room()) {
            sessions.retain(|other| !Arc::ptr_eq(other, session));
            if sessions.is_empty() {
                rooms.remove(session.room());
            }
        }
        drop(rooms);
        self.retire(Some(session.clone()));
    }

    /// Cuts one stream.
    pub(crate) fn segmenter(&self) -> Segmenter {
        let target_ms = self.0.settings.target_ms;
        let gop_max_ms = SegmenterConfig::default().gop_max_ms;
        let config = SegmenterConfig {
            target_ms,
            first_target_ms: FIRST_TARGET_MS.min(target_ms),
            gop_max_ms: gop_max_ms.max(target_ms),
        };
        Segmenter::new(config, self.0.buffers.clone())
    }

    pub(crate) fn keep_ended(&self) -> Duration {
        self.0.settings.keep_ended
    }

    /// Whether the session is cut only for viewers, of whom none was seen for too long.
    pub(crate) fn is_idle(&self, session: &HlsSession) -> bool {
        self.0.settings.mode == HlsMode::OnDemand
            && session.is_idle(self.now_ms(), self.0.settings.idle_timeout)
    }

    fn newest(&self, room: &RoomName) -> Option<Arc<HlsSession>> {
        self.rooms().get(room)?.last().cloned()
    }

    /// Two viewers who ask at once get the same session.
    fn begin_on_demand(&self, stream: StreamHandle) -> Arc<HlsSession> {
        let mut rooms = self.rooms_mut();
        let newest = rooms.get(stream.room()).and_then(|sessions| sessions.last());
        if let Some(live) = newest.filter(|session| session.is_live()) {
            return live.clone();
        }
        let (session, retired) = self.begin_in(&mut rooms, stream.room());
        drop(rooms);
        self.retire(retired);
        session.touch(self.now_ms());
        SegmenterActor::start(self.clone(), stream, Some(session.clone()));
        session
    }

    fn begin_in(
        &self,
        rooms: &mut HashMap<RoomName, Vec<Arc<HlsSession>>>,
        room: &RoomName,
    ) -> (Arc<HlsSession>, Option<Arc<HlsSession>>) {
        let sessions = rooms.entry(room.clone()).or_default();
        let reached = sessions.iter().map(|session| session.next_numbers());
        let shape = SessionShape {
            window: self.0.settings.window,
            target_ms: self.0.settings.target_ms,
            follows: self.0.settings.in_cluster || !sessions.is_empty(),
            above: reached.fold(HlsNumbers::default(), HlsNumbers::max),
        };
        let session = Arc::new(HlsSession::new(room.clone(), shape));
        let retired = (sessions.len() > ENDED_SESSIONS_MAX).then(|| sessions.remove(0));
        sessions.push(session.clone());
        (session, retired)
    }

    fn retire(&self, sessions: impl IntoIterator<Item = Arc<HlsSession>>) {
        for session in sessions {
            self.0.storage.delete(&session.retire());
            self.0.storage.vacate(session.room());
        }
    }

    /// Milliseconds since the start, of a clock that does not go back.
    fn now_ms(&self) -> u64 {
        u64::try_from(self.0.since.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn rooms(&self) -> RwLockReadGuard<'_, HashMap<RoomName, Vec<Arc<HlsSession>>>> {
        self.0.rooms.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn rooms_mut(&self) -> RwLockWriteGuard<'_, HashMap<RoomName, Vec<Arc<HlsSession>>>> {
        self.0.rooms.write().unwrap_or_else(PoisonError::into_inner)
    }
}
