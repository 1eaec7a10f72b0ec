//! A room's playlist and segments, from the first publisher of a stream to its end and a little beyond.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use log::error;
use synctv_media::{
    cluster::numbers::HlsNumbers,
    hls::{
        blocking_request::BlockingRequest,
        container::Unsupported,
        playlist::Reload,
        segment::{Part, Segment},
        segment_name::{Piece, SegmentName},
    },
    stream::room::RoomName,
};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, timeout},
};

use self::state::{Numbered, Phase, SessionState};
pub(super) use self::{
    state::{Change, SessionShape},
    upgrade::HlsSessionState,
};
use super::{
    listing::Listing,
    settings::HlsForm,
    stored_segment::{StoredPiece, StoredSegment},
};
use crate::cluster::registry::numbers::NumberReserve;

mod state;
mod succession;
mod upgrade;

/// The segments and the playlist of one stream: a segmenter fills it and the HTTP port reads it.
#[derive(Debug)]
pub struct HlsSession {
    room: RoomName,
    form: HlsForm,
    state: Mutex<SessionState>,
    playlist_state: watch::Sender<PlaylistState>,
    last_request_ms: AtomicU64,
    /// The other form is listed at its address.
    is_replaced: AtomicBool,
    /// Notified when the publisher has left and the last segment is listed.
    left: Notify,
}

/// The state of a playlist for a client that asks for it.
#[derive(Debug, Clone)]
pub enum PlaylistState {
    /// There is no segment yet.
    Pending,
    /// The playlist.
    Ready(Arc<Listing>),
    /// The publisher's codec does not fit the container.
    Unsupported(Unsupported),
    /// The session is over.
    Gone,
}

impl HlsSession {
    /// A session without segments.
    pub(super) fn new(room: RoomName, shape: SessionShape) -> Self {
        Self {
            room,
            form: shape.form,
            state: Mutex::new(SessionState::new(shape)),
            playlist_state: watch::Sender::new(PlaylistState::Pending),
            last_request_ms: AtomicU64::new(0),
            is_replaced: AtomicBool::new(false),
            left: Notify::new(),
        }
    }

    /// The room.
    pub fn room(&self) -> &RoomName {
        &self.room
    }

    /// The form of its segments.
    pub(super) fn form(&self) -> HlsForm {
        self.form
    }

    /// The other form takes its place at its address. It keeps that when a codec that fits comes back: the numbers of the two
    /// differ, and players would see them go back.
    pub fn note_replaced(&self) {
        self.is_replaced.store(true, Ordering::Relaxed);
    }

    /// Returns whether the other form is listed at its address.
    pub fn is_replaced(&self) -> bool {
        self.is_replaced.load(Ordering::Relaxed)
    }

    /// Waits until the state is other than [`PlaylistState::Pending`], or for `patience`, and returns it.
    pub async fn playlist_state(&self, patience: Duration) -> PlaylistState {
        let settled = |state: &PlaylistState| !matches!(state, PlaylistState::Pending);
        self.state_when(settled, patience).await.unwrap_or(PlaylistState::Pending)
    }

    /// The same, as soon as the playlist lists what `request` asks for, or never will; `None` after `patience`.
    pub async fn playlist_with(&self, request: BlockingRequest, patience: Duration) -> Option<PlaylistState> {
        let is_there = |state: &PlaylistState| match state {
            PlaylistState::Ready(listing) => {
                // The next request goes to the node that lists what comes.
                listing.is_past() || listing.playlist().reload(request) != Ok(Reload::Hold)
            }
            PlaylistState::Pending => false,
            PlaylistState::Unsupported(_) | PlaylistState::Gone => true,
        };
        self.state_when(is_there, patience).await
    }

    /// A part that is about to be listed, as soon as it is. `None` if it is not, or not within `patience`.
    pub async fn awaited_part(&self, name: SegmentName, patience: Duration) -> Option<StoredPiece> {
        let Piece::Part(index) = name.piece else { return None };
        let is_settled = |state: &PlaylistState| match state {
            PlaylistState::Ready(listing) => {
                // The part comes from the node that has the room.
                listing.is_past() || !listing.playlist().awaits_part(name.sequence, index)
            }
            // The playlist may be about to go on from another node's, which has named the part.
            PlaylistState::Pending => false,
            PlaylistState::Unsupported(_) | PlaylistState::Gone => true,
        };
        self.state_when(is_settled, patience).await?;
        self.piece(name)
    }

    async fn state_when(
        &self,
        is_right: impl FnMut(&PlaylistState) -> bool,
        patience: Duration,
    ) -> Option<PlaylistState> {
        let mut playlist_state = self.playlist_state.subscribe();
        let state = timeout(patience, playlist_state.wait_for(is_right)).await.ok()?.ok()?;
        Some(state.clone())
    }

    /// A segment that has not expired, or what belongs to one.
    pub fn piece(&self, name: SegmentName) -> Option<StoredPiece> {
        (name.format == self.form.format()).then(|| self.state().piece(name))?
    }

    /// Returns whether its publisher is here.
    pub fn is_published(&self) -> bool {
        self.state().phase == Phase::Live
    }

    /// Numbers above all that were used.
    pub(crate) fn next_numbers(&self) -> HlsNumbers {
        self.state().numbered.as_ref().map(Numbered::next).unwrap_or_default()
    }

    /// Returns whether it has, or will have, this number or a higher one. One that has no number yet has no lower one.
    pub(super) fn reaches(&self, sequence: u64) -> bool {
        let state = self.state();
        // A window of another node lies below the numbers that came with the claim.
        let reached = |numbered: &Numbered| numbered.next().max(numbered.reserve.next()).sequence;
        state.numbered.as_ref().is_none_or(|numbered| reached(numbered) >= sequence)
    }

    /// Returns whether more segments may come.
    pub(super) fn is_live(&self) -> bool {
        matches!(self.state().phase, Phase::Live | Phase::Vacant)
    }

    /// Someone asked for the playlist.
    pub(super) fn touch(&self, now_ms: u64) {
        self.last_request_ms.store(now_ms, Ordering::Relaxed);
    }

    pub(super) fn is_idle(&self, now_ms: u64, timeout: Duration) -> bool {
        let idle_ms = now_ms.saturating_sub(self.last_request_ms.load(Ordering::Relaxed));
        Duration::from_millis(idle_ms) >= timeout
    }

    /// Lists a segment. `None` if the session is over.
    pub(super) fn publish(&self, segment: Segment, program_date_time_ms: u64, now_ms: u64) -> Option<Change> {
        let mut state = self.state();
        let change = state.add(segment, program_date_time_ms, now_ms);
        self.show(&state);
        drop(state);
        change
            .inspect_err(|reason| error!(room = self.room.as_str(), reason = reason.as_str(); "a segment could not be listed"))
            .ok()
    }

    /// Lists a part of the segment that comes next.
    pub(super) fn publish_part(&self, part: Part, program_date_time_ms: u64) {
        let mut state = self.state();
        state.add_part(part, program_date_time_ms);
        self.show(&state);
    }

    /// The publisher's codec does not fit. Returns whether that is news.
    pub(crate) fn refuse(&self, unsupported: Unsupported) -> bool {
        let before = self.playlist_state.send_replace(PlaylistState::Unsupported(unsupported));
        !matches!(before, PlaylistState::Unsupported(_))
    }

    /// The publisher left.
    pub(crate) fn vacate(&self) {
        let mut state = self.state();
        if state.phase == Phase::Live {
            state.phase = Phase::Vacant;
            self.left.notify_waiters();
        }
    }

    /// A publisher came, whose codecs may fit. Returns whether the session goes on: not if another process has used numbers of
    /// the room since.
    pub(crate) fn resume(&self, reserve: NumberReserve) -> bool {
        let mut state = self.state();
        if !state.take_numbers(reserve) {
            return false;
        }
        if state.phase == Phase::Vacant {
            state.phase = Phase::Live;
        }
        self.show(&state);
        true
    }

    /// The room is, or was, on another node. Returns whether there is anything to keep.
    pub(crate) fn leave_behind(&self) -> bool {
        let mut state = self.state();
        if matches!(state.phase, Phase::Live | Phase::Vacant) {
            state.phase = Phase::Past;
            self.left.notify_waiters();
            self.show_past(&state);
        }
        !state.segments.is_empty()
    }

    /// No more segments will come. Returns whether there is anything to keep.
    pub(crate) fn end(&self) -> bool {
        let mut state = self.state();
        if matches!(state.phase, Phase::Live | Phase::Vacant) {
            state.phase = Phase::Ended;
            if let Some(numbered) = &mut state.numbered {
                numbered.playlist.end();
            }
            // Segments of a stream whose codec did not fit are no playlist of it.
            if !matches!(*self.playlist_state.borrow(), PlaylistState::Unsupported(_)) {
                self.show(&state);
            }
        }
        !state.segments.is_empty()
    }

    /// Notes when the session will be removed.
    pub(super) fn remove_at(&self, at: Instant) {
        self.state().removed_at = Some(at);
    }

    /// Wakes all that wait, as it is over. Returns the segments; none of a session that goes on in another program.
    pub(super) fn retire(&self) -> Vec<Arc<StoredSegment>> {
        let mut state = self.state();
        if state.is_parked {
            return Vec::new();
        }
        state.phase = Phase::Gone;
        self.playlist_state.send_replace(PlaylistState::Gone);
        state.open_parts.clear();
        std::mem::take(&mut state.segments).into_values().collect()
    }

    fn show(&self, state: &SessionState) {
        let shown = match state.phase {
            Phase::Gone => PlaylistState::Gone,
            Phase::Live | Phase::Vacant | Phase::Past | Phase::Ended => match state.listing(&self.room) {
                Some(listing) => PlaylistState::Ready(Arc::new(listing)),
                None => PlaylistState::Pending,
            },
        };
        self.playlist_state.send_replace(shown);
    }

    fn state(&self) -> MutexGuard<'_, SessionState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
