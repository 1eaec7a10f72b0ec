//! A session over an upgrade in place: clients see the same playlist, which goes on.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use serde::{Deserialize, Serialize};
use synctv_media::{
    hls::{
        container::{InitSection, InitSectionState, SegmentFormat, Unsupported},
        playlist::{Playlist, PlaylistSnapshot},
        segment_name::SegmentName,
    },
    stream::room::RoomName,
    upgrade::{Blobs, StateError},
};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use super::{HlsSession, Numbered, Phase, PlaylistState, SessionShape, SessionState};
use crate::{
    clock::whole_ms,
    cluster::registry::numbers::{NumberReserve, ReserveState},
    hls::stored_segment::{StoredSegment, StoredSegmentState},
};

const PART: &str = "an HLS session";

/// A session as plain data.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::hls) struct HlsSessionState {
    room: String,
    shape: SessionShape,
    phase: Phase,
    has_begun: bool,
    idle_ms: u64,
    given_ago_ms: Option<u64>,
    removed_in_ms: Option<u64>,
    numbered: Option<(PlaylistSnapshot, ReserveState)>,
    unsupported: Option<Unsupported>,
    segments: Vec<StoredSegmentState>,
    inits: Vec<StoredSegmentState>,
    init: Option<InitSectionState>,
    open_parts: Vec<StoredSegmentState>,
}

impl HlsSession {
    /// Its segments, newest first.
    pub(in crate::hls) fn newest_segments(&self) -> Vec<Arc<StoredSegment>> {
        self.state().segments.values().rev().cloned().collect()
    }

    /// Leaves the files to the program that goes on with the session. Requests are still answered.
    pub(in crate::hls) fn park(&self) {
        self.state().is_parked = true;
    }

    /// The session as plain data, at `now_ms` of its store's clock. Of segments that are in no file, `is_carried` says which go
    /// along; all else of it does.
    pub(in crate::hls) fn plain(
        &self,
        now_ms: u64,
        blobs: &mut Blobs,
        is_carried: impl Fn(&Arc<StoredSegment>) -> bool,
    ) -> HlsSessionState {
        let state = self.state();
        let now = Instant::now();
        let unsupported = match &*self.playlist_state.borrow() {
            PlaylistState::Unsupported(unsupported) => Some(*unsupported),
            PlaylistState::Pending | PlaylistState::Ready(_) | PlaylistState::Gone => None,
        };
        HlsSessionState {
            room: self.room.as_str().to_owned(),
            shape: state.shape,
            phase: state.phase,
            has_begun: state.has_begun,
            idle_ms: now_ms.saturating_sub(self.last_request_ms.load(Ordering::Relaxed)),
            given_ago_ms: state.given.map(|given| whole_ms(now.saturating_duration_since(given))),
            removed_in_ms: state.removed_at.map(|at| whole_ms(at.saturating_duration_since(now))),
            numbered: state.numbered.as_ref().map(|numbered| numbered.plain(now_ms)),
            unsupported,
            segments: state
                .segments
                .values()
                .map(|segment| segment.plain(blobs, is_carried(segment)))
                .collect(),
            inits: state.inits.values().map(|init| init.plain(blobs, true)).collect(),
            init: state.init.as_ref().map(|init| init.state(blobs)),
            open_parts: state.open_parts.iter().map(|part| part.plain(blobs, true)).collect(),
        }
    }

    /// The session that gave the state. `path_of` is the path of a segment's file, if there are files.
    pub(in crate::hls) fn restore(
        state: HlsSessionState,
        now_ms: u64,
        path_of: impl Fn(&RoomName, SegmentName) -> Option<PathBuf>,
        blobs: &Blobs,
    ) -> Result<Self, StateError> {
        let reason = "its room has no such name";
        let room = RoomName::new(&state.room).map_err(|_| StateError::Invalid { part: PART, reason })?;
        let last_request_ms = now_ms.saturating_sub(state.idle_ms);
        let (form, unsupported) = (state.shape.form, state.unsupported);
        let restored = SessionState::restore(state, &room, now_ms, |name| path_of(&room, name), blobs)?;
        let session = Self {
            room,
            form,
            state: Mutex::new(restored),
            playlist_state: watch::Sender::new(PlaylistState::Pending),
            last_request_ms: AtomicU64::new(last_request_ms),
            is_replaced: AtomicBool::new(false),
            left: Notify::new(),
        };
        match unsupported {
            Some(unsupported) => drop(session.refuse(unsupported)),
            None => session.show(&session.state()),
        }
        Ok(session)
    }

    /// Returns the time of its removal, if it is over.
    pub(in crate::hls) fn removed_at(&self) -> Option<Instant> {
        self.state().removed_at
    }

    /// Goes on with the numbers of the publisher that it had before the upgrade. Returns `false` if they are another publisher's.
    pub(in crate::hls) fn go_on(&self, reserve: &NumberReserve) -> bool {
        let mut state = self.state();
        match &mut state.numbered {
            Some(numbered) if numbered.reserve.epoch() == reserve.epoch() => {
                numbered.reserve = reserve.clone();
                numbered.reserve.note_next(numbered.next());
                true
            }
            _ => false,
        }
    }
}

impl SessionState {
    fn restore(
        state: HlsSessionState,
        room: &RoomName,
        now_ms: u64,
        path_of: impl Fn(SegmentName) -> Option<PathBuf>,
        blobs: &Blobs,
    ) -> Result<Self, StateError> {
        let (format, now) = (state.shape.form.format(), Instant::now());
        let stored = |states: Vec<StoredSegmentState>| {
            let restored = states.into_iter().map(|state| {
                let sequence = state.sequence;
                let segment = StoredSegment::restore(state, format, &path_of, blobs)?;
                Ok((sequence, Arc::new(segment)))
            });
            restored.collect::<Result<Vec<_>, StateError>>()
        };
        let numbered = state.numbered.map(|numbered| Numbered::restore(room, format, numbered, now_ms));
        let ago = |ago_ms: u64| now.checked_sub(Duration::from_millis(ago_ms)).unwrap_or(now);
        Ok(Self {
            shape: state.shape,
            numbered: numbered.transpose()?,
            phase: state.phase,
            has_begun: state.has_begun,
            given: state.given_ago_ms.map(ago),
            removed_at: state.removed_in_ms.and_then(|in_ms| now.checked_add(Duration::from_millis(in_ms))),
            is_parked: false,
            segments: stored(state.segments)?.into_iter().collect(),
            inits: stored(state.inits)?.into_iter().collect(),
            init: state.init.map(|init| InitSection::restore(init, blobs)).transpose()?.map(Arc::new),
            open_parts: stored(state.open_parts)?.into_iter().map(|(_, part)| part).collect(),
        })
    }
}

impl Numbered {
    fn plain(&self, now_ms: u64) -> (PlaylistSnapshot, ReserveState) {
        (self.playlist.snapshot(now_ms), self.reserve.state())
    }

    fn restore(
        room: &RoomName,
        format: &'static SegmentFormat,
        (playlist, reserve): (PlaylistSnapshot, ReserveState),
        now_ms: u64,
    ) -> Result<Self, StateError> {
        let playlist = Playlist::restore(playlist, format, now_ms)?;
        Ok(Self { playlist, reserve: NumberReserve::detached(room.clone(), reserve) })
    }
}
