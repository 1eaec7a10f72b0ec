//! A session that goes on on another node, on both sides.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use log::warn;
use synctv_media::{
    cluster::numbers::HlsNumbers,
    hls::{
        playlist::{Playlist, PlaylistConfig},
        segment_name::{Piece, SegmentName},
    },
};
use tokio::time::{Instant, timeout};

use super::{HlsSession, Numbered, Phase, PlaylistState, SessionState};
use crate::{
    cluster::registry::numbers::NumberReserve,
    hls::{stored_segment::StoredSegment, window::SessionWindow},
};

/// Time that a request for a window waits for the publisher to leave: its last segment belongs to the window.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(1);

/// Time that a session whose window was given is kept, because its segments are fetched.
const GIVEN_FOR: Duration = Duration::from_secs(1);

impl HlsSession {
    /// Gives the session to the node with the claim of `epoch`, and lists nothing more. `None` if it has nothing to go on from,
    /// is of a later claim, or still has its publisher after a while.
    pub(in crate::hls) async fn give(&self, epoch: u64) -> Option<SessionWindow> {
        if !self.state().is_of_earlier_claim(epoch) {
            return None;
        }
        timeout(LEAVE_TIMEOUT, self.publisher_left()).await.ok()?;
        let mut state = self.state();
        let window = state.give(epoch)?;
        self.show_past(&state);
        Some(window)
    }

    /// Wakes requests that wait for what comes next, as another node lists that.
    pub(super) fn show_past(&self, state: &SessionState) {
        if matches!(*self.playlist_state.borrow(), PlaylistState::Ready(_)) {
            self.show(state);
        }
    }

    async fn publisher_left(&self) {
        loop {
            let mut left = std::pin::pin!(self.left.notified());
            left.as_mut().enable();
            if !self.is_published() {
                return;
            }
            left.await;
        }
    }

    /// Returns whether another node may still want its window or its segments.
    pub(in crate::hls) fn is_to_be_given(&self) -> bool {
        let state = self.state();
        let is_left = matches!(state.phase, Phase::Vacant | Phase::Past) && !state.segments.is_empty();
        is_left && state.given.is_none_or(|given| given.elapsed() < GIVEN_FOR)
    }

    /// Returns whether it has no numbers yet.
    pub(in crate::hls) fn is_new(&self) -> bool {
        self.state().numbered.is_none()
    }

    /// The publisher is here. Its numbers are yet to come.
    pub(in crate::hls) fn come_back(&self) {
        let mut state = self.state();
        if state.phase == Phase::Vacant {
            state.phase = Phase::Live;
        }
    }

    /// Takes the first numbers of a session: behind another node's window, if there is one. Returns whether it goes on there.
    pub(in crate::hls) fn begin(&self, reserve: NumberReserve, window: Option<SessionWindow>) -> bool {
        let mut state = self.state();
        let goes_on = state.numbered.is_none() && window.is_some_and(|window| state.go_on(&reserve, window));
        if !goes_on {
            state.take_numbers(reserve);
        }
        self.show(&state);
        goes_on
    }

    /// Takes segments of the window, and sections that they need. Returns those that are kept.
    pub(in crate::hls) fn adopt(&self, pieces: Vec<(SegmentName, Bytes)>) -> Vec<Arc<StoredSegment>> {
        let mut state = self.state();
        pieces.into_iter().filter_map(|(name, bytes)| state.adopt(name, bytes)).collect()
    }
}

impl SessionState {
    fn is_of_earlier_claim(&self, epoch: u64) -> bool {
        self.numbered.as_ref().is_some_and(|numbered| numbered.reserve.epoch() < epoch)
    }

    fn give(&mut self, epoch: u64) -> Option<SessionWindow> {
        if !matches!(self.phase, Phase::Vacant | Phase::Past) || !self.is_of_earlier_claim(epoch) {
            return None;
        }
        let window = self.numbered.as_ref()?.playlist.window()?;
        self.phase = Phase::Past;
        self.given = Some(Instant::now());
        Some(SessionWindow { window, init: self.init.as_deref().cloned() })
    }

    /// Continues the playlist of a window, unless it is not behind all that this process has used.
    fn go_on(&mut self, reserve: &NumberReserve, SessionWindow { window, init }: SessionWindow) -> bool {
        let first = HlsNumbers { sequence: window.next_sequence, ..reserve.next() };
        if first.sequence < self.shape.above.sequence || first.sequence > reserve.next().sequence {
            return false;
        }
        match Playlist::continuing(self.playlist_config(first), window) {
            Ok(playlist) => {
                self.numbered = Some(Numbered { playlist, reserve: reserve.clone() });
                self.init = init.map(Arc::new);
                true
            }
            Err(error) => {
                warn!(reason:% = error; "HLS: another node's window cannot be continued");
                false
            }
        }
    }

    pub(super) fn playlist_config(&self, first: HlsNumbers) -> PlaylistConfig {
        PlaylistConfig {
            format: self.shape.form.format(),
            window: self.shape.window,
            target_ms: self.shape.target_ms,
            first_sequence: first.sequence,
            first_discontinuity_sequence: first.discontinuity,
            parts: self.shape.parts,
        }
    }

    /// Keeps a segment whose time is not over, or a section. Sections are no files.
    fn adopt(&mut self, name: SegmentName, bytes: Bytes) -> Option<Arc<StoredSegment>> {
        let playlist = &self.numbered.as_ref().filter(|_| self.phase != Phase::Gone)?.playlist;
        let stored = StoredSegment::new(name, bytes).with_parts(playlist.parts_of(name.sequence));
        let stored = Arc::new(stored);
        match name.piece {
            Piece::Whole if playlist.keeps(name.sequence) => {
                self.segments.insert(name.sequence, stored.clone());
                Some(stored)
            }
            Piece::Init => {
                self.inits.insert(name.sequence, stored);
                None
            }
            Piece::Whole | Piece::Part(_) => None,
        }
    }
}
