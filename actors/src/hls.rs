//! HLS on this node: which rooms have segments, and where those are.
//!
//! A `SegmenterActor` cuts a stream and publishes what it cut to an [`HlsSession`]. The HTTP port reads sessions
//! without asking an actor: a playlist is a text behind an `Arc`, a segment is bytes in memory or a file.

mod held;
mod listing;
mod parked_segmenter;
pub mod proxy;
mod segment_file;
mod segment_memory;
mod segmenter;
mod session;
mod session_store;
mod settings;
mod storage;
mod stored_segment;
mod upgrade;
mod window;

use std::{future::poll_fn, io, pin::pin, sync::Arc, task::Poll, time::Duration};

use synctv_media::{
    hls::{fmp4::container::Fmp4Container, segment_name::SegmentName, ts::container::TsContainer},
    stream::room::RoomName,
};
use tokio::{
    sync::{Semaphore, watch},
    time::{Instant, timeout},
};

pub use self::{
    held::{ConnectionHolds, ConnectionPlace, HeldRequest},
    listing::{Listing, PlaylistAddress, PlaylistText},
    segment_file::SegmentFile,
    segment_memory::FetchedMemory,
    session::{HlsSession, PlaylistState},
    settings::{HlsForm, HlsMode, HlsSettings},
    stored_segment::{SegmentPlace, StoredPiece, StoredSegment},
    upgrade::{HlsState, ParkedHls},
    window::{SessionWindow, Windows},
};
use self::{
    held::{HELD_MAX, Hold},
    segmenter::SegmenterActor,
    session_store::SessionStore,
};
use crate::{
    access::{Grant, ToPlay},
    directory::{DirectoryEnded, StreamDirectory, StreamObserver},
    metrics::HlsMetrics,
    stream::StreamHandle,
};

/// Time that a request waits for a segmenter whose publisher has come, or is about to.
const BEGIN_TIMEOUT: Duration = Duration::from_secs(1);

/// Maximum wait of such a request, in target durations and in any case (draft-pantos-hls-rfc8216bis, section 6.2.5.2).
const HOLD_TARGETS: u32 = 3;
const HOLD_MAX: Duration = Duration::from_secs(30);

/// The same before anything is listed: a little more than another node may take to give its window.
const HOLD_UNLISTED: Duration = Duration::from_secs(3);

/// The HLS sessions of this node's rooms, as the HTTP port sees them. Clones share them.
#[derive(Debug, Clone)]
pub struct HlsSessions {
    store: SessionStore,
    held: Arc<Semaphore>,
    /// Changes when held requests are to be answered.
    hold: watch::Sender<Hold>,
}

impl HlsSessions {
    /// Starts a thread for the files.
    pub fn start(settings: HlsSettings) -> Self {
        Self {
            store: SessionStore::start(settings),
            held: Arc::new(Semaphore::new(HELD_MAX)),
            hold: watch::Sender::default(),
        }
    }

    /// Takes the directory for the files and clears those that a dead process left there. Fails if the directory can
    /// never be written to.
    pub async fn open_storage(&self) -> io::Result<()> {
        self.store.open_storage().await
    }

    /// Returns what viewers of the granted room watch: a live session, or one that has just ended. On demand, this begins
    /// it. A session that has only numbers below `from_sequence` is outdated. There is none of a form that is off.
    pub async fn open(
        &self,
        directory: &StreamDirectory,
        grant: &Grant<ToPlay>,
        form: HlsForm,
        from_sequence: u64,
    ) -> Result<Option<Arc<HlsSession>>, DirectoryEnded> {
        let room = grant.room();
        let session = match self.store.live(room, form, from_sequence) {
            Some(live) => Some(live),
            None => {
                let published = self.open_published(directory, room, form, from_sequence).await?;
                published.or_else(|| {
                    self.store.newest(room, form).filter(|session| session.reaches(from_sequence))
                })
            }
        };
        Ok(session.inspect(|session| self.store.touch(session)))
    }

    /// Returns the session of a stream that is published here and has none yet.
    async fn open_published(
        &self,
        directory: &StreamDirectory,
        room: &RoomName,
        form: HlsForm,
        from_sequence: u64,
    ) -> Result<Option<Arc<HlsSession>>, DirectoryEnded> {
        let Some(mode) = self.store.mode(form) else { return Ok(None) };
        let stream = directory.find(room.clone()).await?.filter(StreamHandle::is_published_here);
        let Some(stream) = stream else { return Ok(None) };
        if mode == HlsMode::OnDemand {
            self.begin_on_demand(stream, form);
        }
        Ok(timeout(BEGIN_TIMEOUT, self.store.begun(room, form, from_sequence)).await.ok())
    }

    /// Returns whether streams are cut into segments of a form.
    pub fn has(&self, form: HlsForm) -> bool {
        self.store.mode(form).is_some()
    }

    /// Returns a segment of the granted room, listed or no longer listed but not expired, or what belongs to one.
    pub fn piece(&self, grant: &Grant<ToPlay>, name: SegmentName) -> Option<StoredPiece> {
        self.store.piece(grant.room(), name)
    }

    /// Returns a part of the granted room's segment that comes next, as soon as it is there. `None` if it does not come.
    pub async fn awaited_part(
        &self,
        grant: &Grant<ToPlay>,
        name: SegmentName,
        of_connection: Option<&ConnectionHolds>,
    ) -> Option<StoredPiece> {
        let session = self.store.live(grant.room(), HlsForm::of_format(name.format), 0)?;
        match self.hold(&session, of_connection).await {
            Some(held) => self.unless_released(session.awaited_part(name, held.patience)).await.flatten(),
            // It may have come while the request waited for a place.
            None => session.piece(name),
        }
    }

    /// Lets go of all requests that are held, and of those to come: the process stops, and would wait for them.
    pub fn release_held(&self) {
        self.hold.send_modify(|hold| hold.is_over = true);
    }

    /// Lets go of the requests that are held now: the process is upgraded, and would wait for them.
    pub fn answer_held(&self) {
        self.hold.send_modify(|hold| hold.round += 1);
    }

    /// The answer to a request that is held; `None` if it was [let go](Self::release_held) before there was one.
    pub async fn unless_released<T>(&self, answer: impl Future<Output = T>) -> Option<T> {
        let mut hold = self.hold.subscribe();
        let round = hold.borrow().round;
        let mut is_released = pin!(hold.wait_for(|hold| hold.is_over || hold.round != round));
        let mut answer = pin!(answer);
        poll_fn(|context| match answer.as_mut().poll(context) {
            Poll::Ready(answer) => Poll::Ready(Some(answer)),
            Poll::Pending => is_released.as_mut().poll(context).map(|_| None),
        })
        .await
    }

    /// Takes the right to wait for what the session does not list yet. Where the client's connection has a limit, the request
    /// waits for a place of it, for no longer than it may be held. `None` if too many wait.
    pub async fn hold<'c>(
        &self,
        session: &HlsSession,
        of_connection: Option<&'c ConnectionHolds>,
    ) -> Option<HeldRequest<'c>> {
        let patience = match session.playlist_state(Duration::ZERO).await {
            PlaylistState::Ready(listing) => {
                let target = Duration::from_secs(listing.playlist().target_s());
                target.saturating_mul(HOLD_TARGETS).min(HOLD_MAX)
            }
            _ => HOLD_UNLISTED,
        };
        let asked = Instant::now();
        let _place = self.connection_place(of_connection, patience).await?;
        let _permit = self.held.clone().try_acquire_owned().ok()?;
        let patience = patience.saturating_sub(asked.elapsed());
        Some(HeldRequest { patience, _place, _permit, _mark: self.metrics().hold() })
    }

    /// Takes a place of the client's connection within the longest time that a request is held. `None` if there was none.
    pub async fn place_elsewhere<'c>(
        &self,
        of_connection: Option<&'c ConnectionHolds>,
    ) -> Option<ConnectionPlace<'c>> {
        self.connection_place(of_connection, HOLD_MAX).await
    }

    async fn connection_place<'c>(
        &self,
        of_connection: Option<&'c ConnectionHolds>,
        patience: Duration,
    ) -> Option<ConnectionPlace<'c>> {
        let Some(holds) = of_connection else { return Some(ConnectionPlace { _permit: None }) };
        let place = self.unless_released(holds.take(patience)).await??;
        Some(ConnectionPlace { _permit: Some(place) })
    }

    /// Sets the way to windows of other nodes, from which playlists go on here.
    pub fn set_windows(&self, windows: Windows) {
        self.store.set_windows(windows);
    }

    /// Gives the granted room's window to the node with the claim of `epoch`, after which nothing is listed here. `None` if there is
    /// nothing to go on from. A publisher who is about to leave is waited for.
    pub async fn give_window(
        &self,
        grant: &Grant<ToPlay>,
        form: HlsForm,
        epoch: u64,
    ) -> Option<SessionWindow> {
        self.store.newest(grant.room(), form)?.give(epoch).await
    }

    /// Returns whether viewers follow a room to a node that has not fetched its window yet.
    pub fn has_windows_to_give(&self) -> bool {
        self.store.has_windows_to_give()
    }

    /// Returns the metrics of all sessions.
    pub fn metrics(&self) -> &HlsMetrics {
        self.store.metrics()
    }

    /// Returns how much memory segments take, those of other nodes among them, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.store.memory_bytes()
    }

    /// The memory for segments of other nodes.
    pub fn fetched_memory(&self) -> FetchedMemory {
        self.store.fetched_memory()
    }

    /// Deletes all files. Called when the server stops: nothing can be published after it.
    pub async fn clear(&self) {
        self.store.clear().await;
    }

    /// Returns what starts segmenters for each stream that is published on this node, if all streams are cut.
    pub fn observer(&self) -> Option<StreamObserver> {
        let store = self.store.clone();
        let is_always = |form: &HlsForm| store.mode(*form) == Some(HlsMode::Always);
        let forms: Vec<_> = [HlsForm::Ts, HlsForm::Fmp4].into_iter().filter(is_always).collect();
        (!forms.is_empty()).then(|| -> StreamObserver {
            Arc::new(move |stream| {
                forms.iter().for_each(|form| start_segmenter(&store, stream.clone(), *form, None));
            })
        })
    }

    fn begin_on_demand(&self, stream: StreamHandle, form: HlsForm) {
        if let Some(session) = self.store.begin_unless_live(stream.room(), form) {
            start_segmenter(&self.store, stream, form, Some(session));
        }
    }
}

/// Starts to cut a stream into segments of a form. `session` is there already if a viewer asked for it.
fn start_segmenter(
    store: &SessionStore,
    stream: StreamHandle,
    form: HlsForm,
    session: Option<Arc<HlsSession>>,
) {
    if let Some(parked) = store.take_awaited(stream.room(), Some(form)) {
        parked.resume(store, &stream);
        return;
    }
    match form {
        HlsForm::Ts => drop(SegmenterActor::<TsContainer>::start(store.clone(), stream, form, session)),
        HlsForm::Fmp4 => drop(SegmenterActor::<Fmp4Container>::start(store.clone(), stream, form, session)),
    }
}
