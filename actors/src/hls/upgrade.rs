//! HLS over an upgrade in place: playlists go on with the same numbers, segments and parts.
//!
//! Segments that are in files stay in them, and the lock of their directory goes along, so that they are not cleared. Everything
//! else of a session is carried, the open segment among it.

use std::{
    collections::HashMap,
    ffi::OsStr,
    io,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use synctv_media::upgrade::{Blobs, StateError};
use tokio::time::Instant;

use super::{
    HlsSessions,
    parked_segmenter::{HlsSegmenterState, ParkedSegmenter},
    session::{HlsSession, HlsSessionState},
};
use crate::stream::StreamHandle;

/// Media of a state beyond which no more segments are put into it, in bytes: to write and read it is most of the time in which nothing
/// moves.
const MEDIA_MAX_BYTES: usize = 32 * 1024 * 1024;

/// All sessions of a node, as they were when it stopped.
#[derive(Debug)]
pub struct ParkedHls {
    hls: HlsSessions,
    segmenters: Vec<ParkedSegmenter>,
    sessions: Vec<Arc<HlsSession>>,
    is_complete: bool,
}

/// The same as plain data.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct HlsState {
    /// The path of the directory of segments, as the system has it. `None` if there are no files.
    directory: Option<Vec<u8>>,
    sessions: Vec<HlsSessionState>,
    /// Each with its room and the place of its session.
    segmenters: Vec<(String, Option<u32>, HlsSegmenterState)>,
}

impl HlsSessions {
    /// Prepares an upgrade, while media goes on: waits until segments are in their files, so that they need not be carried. Give it
    /// a time limit, as a disk may stand still. From here on, a stream that stops is not taken for one that has ended.
    pub async fn prepare_upgrade(&self) {
        self.store.set_parking(true);
        self.store.flush_storage().await;
    }

    /// Takes [`prepare_upgrade`](Self::prepare_upgrade) back.
    pub fn cancel_upgrade(&self) {
        self.store.set_parking(false);
    }

    /// Stops all segmenters where they are. Call it when all streams have parked, because segmenters take what those sent last.
    /// Playlists and segments are still served.
    pub async fn park(&self, deadline: Instant) -> ParkedHls {
        self.store.set_parking(true);
        let (segmenters, is_complete) = self.store.park_segmenters(deadline).await;
        ParkedHls { hls: self.clone(), segmenters, sessions: self.store.park_sessions(), is_complete }
    }

    /// Takes over the directory of segments of the program that ran in this process before, with the lock that it held. Call it
    /// before [`open_storage`](Self::open_storage), which would clear the directory.
    pub fn adopt_storage(&self, state: &HlsState, lock: OwnedFd) {
        if let Some(path) = &state.directory {
            self.store.adopt_storage(OsStr::from_bytes(path).into(), lock);
        }
    }

    /// Puts the sessions back, in this process or in the program that it was replaced with. Call it before any is served, and
    /// before the rooms' streams are restored. After an error, the sessions are as they were.
    pub fn restore(&self, state: HlsState, blobs: &Blobs) -> Result<(), StateError> {
        self.store.set_parking(false);
        let sessions = self.store.restore_sessions(state.sessions, blobs)?;
        self.store.restore_segmenters(state.segmenters, &sessions, blobs);
        Ok(())
    }

    /// Goes on with the segments of a stream that was restored. Call it before its publisher is there.
    pub fn resume(&self, stream: &StreamHandle) {
        while let Some(parked) = self.store.take_awaited(stream.room(), None) {
            parked.resume(&self.store, stream);
        }
    }

    /// Ends the sessions whose streams were not restored: all are that will be.
    pub fn end_restoring(&self) {
        self.store.end_awaited();
    }
}

impl ParkedHls {
    /// Returns whether all segmenters have stopped.
    pub fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// The sessions as plain data. Segments that are in no file go along as long as there is room for them in the state, the newest
    /// first: they are missing only if the disk fails and there are many.
    pub fn state(&self, blobs: &mut Blobs) -> HlsState {
        let places: HashMap<_, u32> = self.sessions.iter().map(Arc::as_ptr).zip(0..).collect();
        let segmenters = self.segmenters.iter().map(|parked| {
            let session =
                parked.session.as_ref().and_then(|session| places.get(&Arc::as_ptr(session)).copied());
            (parked.room.as_str().to_owned(), session, parked.plain(blobs))
        });
        let segmenters: Vec<_> = segmenters.collect();
        let left_bytes = MEDIA_MAX_BYTES.saturating_sub(blobs.size_bytes());
        let sessions = self.hls.store.sessions_state(&self.sessions, left_bytes, blobs);
        // After the sessions: the storage's thread may open the directory, and write a segment to it, at any time before.
        let directory = self.hls.store.storage().map(|(path, _)| path.as_os_str().as_bytes().to_vec());
        HlsState { directory, sessions, segmenters }
    }

    /// The lock of the directory of segments, which has to stay open until the state is restored. `None` if there are no files.
    pub fn lock(&self) -> io::Result<Option<OwnedFd>> {
        self.hls.store.storage().map(|(_, lock)| lock).transpose()
    }
}
