//! The HLS sessions of this node's rooms, and the memory and files behind them.

mod upgrade;

use std::{
    collections::HashMap,
    io,
    sync::{
        Arc, Mutex, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, atomic::AtomicBool,
    },
    time::Duration,
};

use actix::WeakRecipient;
use bytes::Bytes;
use synctv_media::{
    cluster::numbers::HlsNumbers,
    hls::{
        buffer_pool::BufferPool,
        container::Container,
        segment::{Part, Segment},
        segment_name::SegmentName,
        segmenter::{Segmenter, SegmenterConfig},
    },
    stream::room::RoomName,
};
use tokio::sync::watch;

use super::{
    parked_segmenter::{ParkSegmenter, ParkedSegmenter},
    segment_memory::{FetchedMemory, MemoryLimits, SegmentMemory},
    session::{HlsSession, SessionShape},
    settings::{HlsForm, HlsMode, HlsSettings},
    storage::StorageHandle,
    stored_segment::StoredPiece,
    window::Windows,
};
use crate::{clock::SteadyClock, metrics::HlsMetrics};

/// The first segment ends at the first keyframe at or after this age, in milliseconds, so that the first viewers wait
/// for one GOP and not for the target.
const FIRST_TARGET_MS: u32 = 500;

/// Sessions of one room and form that have ended and are kept. A publisher who comes and goes all the time makes more; the oldest
/// go before their time.
const ENDED_SESSIONS_MAX: usize = 4;

/// A playlist without a request in this time has no viewers.
const WATCHED_FOR: Duration = Duration::from_secs(30);

/// A quarter of the segments' memory is for buffers that wait for new ones, and no more than this.
const BUFFERS_MAX_BYTES: usize = 16 * 1024 * 1024;

/// The sessions of all rooms. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct SessionStore(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    settings: HlsSettings,
    /// The sessions of each room, oldest first. Only the last one of a form may be live.
    rooms: RwLock<HashMap<RoomName, Vec<Arc<HlsSession>>>>,
    /// Reports that a session was begun.
    begun: watch::Sender<()>,
    storage: StorageHandle,
    memory: Arc<SegmentMemory>,
    buffers: BufferPool,
    clock: SteadyClock,
    metrics: HlsMetrics,
    /// The way to windows of other nodes, if there are any.
    windows: OnceLock<Windows>,
    /// All segmenters that run, for an upgrade.
    segmenters: Mutex<Vec<WeakRecipient<ParkSegmenter>>>,
    /// Segmenters of before an upgrade, until their streams are there.
    awaited: Mutex<Vec<ParkedSegmenter>>,
    /// Streams stop, and do not end: they go on in another program.
    is_parking: AtomicBool,
}

impl SessionStore {
    /// Starts a thread for the files.
    pub fn start(settings: HlsSettings) -> Self {
        let buffers_max_bytes = BUFFERS_MAX_BYTES.min(settings.memory_max_bytes / 4);
        let limits = MemoryLimits::new(settings.memory_max_bytes - buffers_max_bytes);
        let memory = Arc::new(SegmentMemory::new(limits));
        let storage = StorageHandle::start(settings.storage.clone(), memory.clone());
        let metrics = HlsMetrics { storage_errors: storage.failures().clone(), ..HlsMetrics::default() };
        Self(Arc::new(Shared {
            storage,
            memory,
            buffers: BufferPool::new(buffers_max_bytes),
            settings,
            rooms: RwLock::default(),
            begun: watch::Sender::new(()),
            clock: SteadyClock::start(),
            metrics,
            windows: OnceLock::new(),
            segmenters: Mutex::default(),
            awaited: Mutex::default(),
            is_parking: AtomicBool::new(false),
        }))
    }

    /// Takes the directory for the files. Fails if it can never be written to.
    pub async fn open_storage(&self) -> io::Result<()> {
        self.0.storage.open().await
    }

    /// A segment of `room`, listed or no longer listed but not expired, or what belongs to one.
    pub fn piece(&self, room: &RoomName, name: SegmentName) -> Option<StoredPiece> {
        let rooms = self.rooms();
        let sessions = rooms.get(room)?;
        sessions.iter().rev().find_map(|session| session.piece(name))
    }

    /// Deletes all files. Called when the server stops: nothing can be published after it.
    pub async fn clear(&self) {
        self.0.storage.clear().await;
    }

    /// The memory for segments of other nodes.
    pub fn fetched_memory(&self) -> FetchedMemory {
        FetchedMemory::of(self.0.memory.clone())
    }

    /// Returns the metrics of all sessions.
    pub fn metrics(&self) -> &HlsMetrics {
        &self.0.metrics
    }

    /// Returns how much memory segments take, those of other nodes among them.
    pub fn memory_bytes(&self) -> usize {
        self.0.memory.used_bytes()
    }

    /// The streams that are cut into segments of a form, if any.
    pub fn mode(&self, form: HlsForm) -> Option<HlsMode> {
        self.0.settings.mode_of(form)
    }

    /// The room's live session, unless it has only numbers below this one.
    pub fn live(&self, room: &RoomName, form: HlsForm, from_sequence: u64) -> Option<Arc<HlsSession>> {
        self.newest(room, form).filter(|session| session.is_live() && session.reaches(from_sequence))
    }

    /// Waits for [`Self::live`].
    pub async fn begun(&self, room: &RoomName, form: HlsForm, from_sequence: u64) -> Arc<HlsSession> {
        let mut begun = self.0.begun.subscribe();
        loop {
            if let Some(live) = self.live(room, form, from_sequence) {
                return live;
            }
            // The sender lives as long as this store.
            let _ = begun.changed().await;
        }
    }

    /// The room's newest session of a form.
    pub fn newest(&self, room: &RoomName, form: HlsForm) -> Option<Arc<HlsSession>> {
        self.rooms().get(room)?.iter().rfind(|session| session.form() == form).cloned()
    }

    /// Notes that a viewer asked for the session.
    pub fn touch(&self, session: &HlsSession) {
        session.touch(self.0.clock.now_ms());
    }

    /// Begins a session of `room`, which has a publisher.
    pub fn begin(&self, room: &RoomName, form: HlsForm) -> Arc<HlsSession> {
        let (session, retired) = self.begin_in(&mut self.rooms_mut(), room, form);
        self.retire(retired);
        session
    }

    /// Sets the way to windows of other nodes, once.
    pub fn set_windows(&self, windows: Windows) {
        // It is never set twice.
        let _ = self.0.windows.set(windows);
    }

    /// The way to windows of other nodes.
    pub fn windows(&self) -> Option<Windows> {
        self.0.windows.get().cloned()
    }

    /// Returns whether a session was watched a moment ago whose window another node may still ask for.
    pub fn has_windows_to_give(&self) -> bool {
        let now_ms = self.0.clock.now_ms();
        let is_wanted =
            |session: &Arc<HlsSession>| session.is_to_be_given() && !session.is_idle(now_ms, WATCHED_FOR);
        self.rooms().values().flatten().any(is_wanted)
    }

    /// Takes segments of another node that the session goes on from.
    pub fn adopt(&self, session: &HlsSession, pieces: Vec<(SegmentName, Bytes)>) {
        for segment in session.adopt(pieces) {
            self.0.memory.add(segment.clone());
            self.0.storage.write(session.room(), segment);
        }
    }

    /// Lists a segment, and takes care of its bytes and of those of segments that expired.
    pub fn publish(&self, session: &Arc<HlsSession>, segment: Segment, program_date_time_ms: u64) {
        let (duration_ms, size_bytes) = (segment.duration_ms, segment.bytes.len());
        let Some(change) = session.publish(segment, program_date_time_ms, self.0.clock.now_ms()) else {
            return;
        };
        self.0.metrics.note_segment(Duration::from_millis(duration_ms), size_bytes);
        if !self.0.settings.in_cluster {
            self.0.storage.note_numbers(change.published.name().sequence.saturating_add(1));
        }
        self.0.memory.add(change.published.clone());
        let room = session.room();
        self.0.storage.write(room, change.published);
        self.0.storage.delete(&change.expired);
    }

    /// Lists a part of the segment that comes next.
    pub fn publish_part(&self, session: &HlsSession, part: Part, program_date_time_ms: u64) {
        session.publish_part(part, program_date_time_ms);
    }

    /// The session is over: its playlist, its segments and their files go.
    pub fn remove(&self, session: &Arc<HlsSession>) {
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
    pub fn segmenter<C: Container>(&self, container: C) -> Segmenter<C> {
        let target_ms = self.0.settings.target_ms;
        let gop_max_ms = SegmenterConfig::default().gop_max_ms;
        let config = SegmenterConfig {
            target_ms,
            first_target_ms: FIRST_TARGET_MS.min(target_ms),
            gop_max_ms: gop_max_ms.max(target_ms),
            part_ms: self.0.settings.parts.map(|parts| parts.target_ms),
        };
        Segmenter::with_container(config, container, self.0.buffers.clone())
    }

    pub fn keep_ended(&self) -> Duration {
        self.0.settings.keep_ended
    }

    /// Returns whether the session is cut only for viewers, of whom none was seen for too long.
    pub fn is_idle(&self, session: &HlsSession) -> bool {
        self.mode(session.form()) != Some(HlsMode::Always)
            && session.is_idle(self.0.clock.now_ms(), self.0.settings.idle_timeout)
    }

    /// Begins a session of `room` and returns it, unless one is live: two viewers who ask at once get the same session.
    pub fn begin_unless_live(&self, room: &RoomName, form: HlsForm) -> Option<Arc<HlsSession>> {
        let mut rooms = self.rooms_mut();
        let of_form = |session: &&Arc<HlsSession>| session.form() == form;
        let newest = rooms.get(room).and_then(|sessions| sessions.iter().rfind(of_form));
        if newest.is_some_and(|session| session.is_live()) {
            return None;
        }
        let (session, retired) = self.begin_in(&mut rooms, room, form);
        drop(rooms);
        self.retire(retired);
        session.touch(self.0.clock.now_ms());
        Some(session)
    }

    fn begin_in(
        &self,
        rooms: &mut HashMap<RoomName, Vec<Arc<HlsSession>>>,
        room: &RoomName,
        form: HlsForm,
    ) -> (Arc<HlsSession>, Option<Arc<HlsSession>>) {
        let sessions = rooms.entry(room.clone()).or_default();
        let reached = sessions.iter().map(|session| session.next_numbers());
        let shape = SessionShape {
            form,
            parts: self.0.settings.parts.filter(|_| form == HlsForm::Fmp4),
            window: self.0.settings.window,
            target_ms: self.0.settings.target_ms,
            follows: self.0.settings.in_cluster || !sessions.is_empty(),
            above: reached.fold(HlsNumbers::default(), HlsNumbers::max),
        };
        let session = Arc::new(HlsSession::new(room.clone(), shape));
        let of_form = |session: &Arc<HlsSession>| session.form() == form;
        let is_over = sessions.iter().filter(|session| of_form(session)).count() > ENDED_SESSIONS_MAX;
        let oldest = sessions.iter().position(of_form).filter(|_| is_over);
        let retired = oldest.map(|oldest| sessions.remove(oldest));
        sessions.push(session.clone());
        self.0.begun.send_replace(());
        (session, retired)
    }

    fn retire(&self, sessions: impl IntoIterator<Item = Arc<HlsSession>>) {
        for session in sessions {
            self.0.storage.delete(&session.retire());
            self.0.storage.vacate(session.room());
        }
    }

    fn rooms(&self) -> RwLockReadGuard<'_, HashMap<RoomName, Vec<Arc<HlsSession>>>> {
        self.0.rooms.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn rooms_mut(&self) -> RwLockWriteGuard<'_, HashMap<RoomName, Vec<Arc<HlsSession>>>> {
        self.0.rooms.write().unwrap_or_else(PoisonError::into_inner)
    }
}
