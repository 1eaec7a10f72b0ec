//! The sessions of all rooms over an upgrade in place.

use std::{
    collections::HashSet,
    io,
    os::fd::OwnedFd,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
};

use actix::WeakRecipient;
use futures::future::join_all;
use log::warn;
use synctv_media::{
    hls::segment_name::SegmentName,
    stream::room::RoomName,
    upgrade::{Blobs, StateError},
};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::SessionStore;
use crate::hls::{
    parked_segmenter::{HlsSegmenterState, ParkSegmenter, ParkedSegmenter},
    session::{HlsSession, HlsSessionState},
    settings::HlsForm,
    storage::Directory,
    stored_segment::StoredSegment,
};

impl SessionStore {
    /// Takes note of a segmenter that runs.
    pub fn note_segmenter(&self, segmenter: WeakRecipient<ParkSegmenter>) {
        let mut segmenters = lock(&self.0.segmenters);
        segmenters.retain(|segmenter| segmenter.upgrade().is_some_and(|segmenter| segmenter.connected()));
        segmenters.push(segmenter);
    }

    /// Streams that stop from now on, or no longer, go on in another program.
    pub fn set_parking(&self, is_parking: bool) {
        self.0.is_parking.store(is_parking, Ordering::Release);
    }

    /// Returns whether a stream that has stopped may go on in another program.
    pub fn is_parking(&self) -> bool {
        self.0.is_parking.load(Ordering::Acquire)
    }

    /// Waits until the files are as they are meant to be.
    pub async fn flush_storage(&self) {
        self.0.storage.flush().await;
    }

    /// Stops all segmenters that answer by a deadline. Returns whether all of them did.
    pub async fn park_segmenters(&self, deadline: Instant) -> (Vec<ParkedSegmenter>, bool) {
        let segmenters = lock(&self.0.segmenters).clone();
        let segmenters = segmenters.iter().filter_map(WeakRecipient::upgrade);
        let parked =
            join_all(segmenters.map(|segmenter| timeout_at(deadline, segmenter.send(ParkSegmenter)))).await;
        let is_complete = parked.iter().all(Result::is_ok);
        // One that has ended meanwhile has nothing to go on with.
        let parked = parked.into_iter().flatten().filter_map(|parked| parked.ok().flatten());
        (parked.collect(), is_complete)
    }

    /// Leaves all files to the program that goes on. Returns the sessions, those of a room oldest first.
    pub fn park_sessions(&self) -> Vec<Arc<HlsSession>> {
        let sessions: Vec<_> = self.rooms().values().flatten().cloned().collect();
        sessions.iter().for_each(|session| session.park());
        sessions
    }

    /// The directory of the files, and its lock once more. `None` if it was never opened.
    pub fn storage(&self) -> Option<(PathBuf, io::Result<OwnedFd>)> {
        let directory = self.0.storage.directory()?;
        Some((directory.path().to_owned(), directory.lock()))
    }

    /// Takes over a directory with the files that are in it.
    pub fn adopt_storage(&self, path: PathBuf, lock: OwnedFd) {
        self.0.storage.adopt(Directory::taken_over(path, lock));
    }

    /// The sessions as plain data. Of segments that are in no file, the newest go along, those of all rooms in turn, up to a limit
    /// of bytes.
    pub fn sessions_state(
        &self,
        sessions: &[Arc<HlsSession>],
        max_bytes: usize,
        blobs: &mut Blobs,
    ) -> Vec<HlsSessionState> {
        let carried = carried(sessions, max_bytes);
        let is_carried = |segment: &Arc<StoredSegment>| carried.contains(&Arc::as_ptr(segment));
        let now_ms = self.0.clock.now_ms();
        sessions.iter().map(|session| session.plain(now_ms, blobs, is_carried)).collect()
    }

    /// Puts sessions in the place of all that there are. Those that are over are removed at their time.
    pub fn restore_sessions(
        &self,
        states: Vec<HlsSessionState>,
        blobs: &Blobs,
    ) -> Result<Vec<Arc<HlsSession>>, StateError> {
        let directory = self.0.storage.directory();
        let path_of = |room: &RoomName, name: SegmentName| Some(directory?.segment_path(room, name));
        let now_ms = self.0.clock.now_ms();
        let restored =
            states.into_iter().map(|state| HlsSession::restore(state, now_ms, path_of, blobs).map(Arc::new));
        let restored: Vec<_> = restored.collect::<Result<_, _>>()?;
        self.0.memory.forget();
        let mut rooms = self.rooms_mut();
        rooms.clear();
        for session in &restored {
            rooms.entry(session.room().clone()).or_default().push(session.clone());
        }
        drop(rooms);
        for session in &restored {
            self.store_again(session);
            if let Some(at) = session.removed_at() {
                self.remove_at(session.clone(), at);
            }
        }
        self.0.begun.send_replace(());
        Ok(restored)
    }

    /// Writes segments to files that are in none.
    fn store_again(&self, session: &Arc<HlsSession>) {
        for segment in session.newest_segments().into_iter().rev() {
            if segment.is_only_in_memory() {
                self.0.memory.add(segment.clone());
                self.0.storage.write(session.room(), segment);
            }
        }
    }

    /// Removes a session that is over, for which no segmenter does.
    fn remove_at(&self, session: Arc<HlsSession>, at: Instant) {
        let store = self.clone();
        actix_rt::spawn(async move {
            sleep_until(at).await;
            store.remove(&session);
        });
    }

    /// Keeps segmenters until their streams are there.
    pub fn restore_segmenters(
        &self,
        states: Vec<(String, Option<u32>, HlsSegmenterState)>,
        sessions: &[Arc<HlsSession>],
        blobs: &Blobs,
    ) {
        for (room, session, state) in states {
            let restored = self.restored_segmenter(&room, session, state, sessions, blobs);
            match restored {
                Ok(segmenter) => lock(&self.0.awaited).push(segmenter),
                Err(error) => {
                    warn!(room = room.as_str(), reason:% = error; "HLS: a room's segments do not go on")
                }
            }
        }
        let awaited: HashSet<_> = lock(&self.0.awaited)
            .iter()
            .filter_map(|segmenter| Some(Arc::as_ptr(segmenter.session.as_ref()?)))
            .collect();
        let lost =
            sessions.iter().filter(|session| session.is_live() && !awaited.contains(&Arc::as_ptr(session)));
        lost.for_each(|session| self.end(session));
    }

    fn restored_segmenter(
        &self,
        room: &str,
        session: Option<u32>,
        state: HlsSegmenterState,
        sessions: &[Arc<HlsSession>],
        blobs: &Blobs,
    ) -> Result<ParkedSegmenter, StateError> {
        let invalid = |reason| StateError::Invalid { part: "a segmenter", reason };
        let room = RoomName::new(room).map_err(|_| invalid("its room has no such name"))?;
        let session = match session {
            Some(place) => {
                let session = usize::try_from(place).ok().and_then(|place| sessions.get(place));
                Some(session.cloned().ok_or(invalid("it has no session"))?)
            }
            None => None,
        };
        ParkedSegmenter::restore(state, (room, session), &self.0.buffers, blobs)
    }

    /// A segmenter of before an upgrade that cuts a room into segments of a form, if there is one.
    pub fn take_awaited(&self, room: &RoomName, form: Option<HlsForm>) -> Option<ParkedSegmenter> {
        let mut awaited = lock(&self.0.awaited);
        let is_it =
            |parked: &ParkedSegmenter| parked.room == *room && form.is_none_or(|form| parked.form == form);
        let at = awaited.iter().position(is_it)?;
        Some(awaited.swap_remove(at))
    }

    /// Ends the sessions whose streams did not come back.
    pub fn end_awaited(&self) {
        let awaited = std::mem::take(&mut *lock(&self.0.awaited));
        awaited.into_iter().filter_map(|parked| parked.session).for_each(|session| self.end(&session));
    }

    /// Ends a session that nothing fills any more.
    fn end(&self, session: &Arc<HlsSession>) {
        if session.end() {
            let at = Instant::now() + self.keep_ended();
            session.remove_at(at);
            self.remove_at(session.clone(), at);
        } else {
            self.remove(session);
        }
    }
}

/// The newest segments that are in no file, of all sessions in turn.
fn carried(sessions: &[Arc<HlsSession>], max_bytes: usize) -> HashSet<*const StoredSegment> {
    let of_session =
        |session: &Arc<HlsSession>| session.newest_segments().into_iter().enumerate().collect::<Vec<_>>();
    let mut segments: Vec<_> = sessions.iter().flat_map(of_session).collect();
    segments.retain(|(_, segment)| segment.is_only_in_memory());
    segments.sort_by_key(|(age, _)| *age);
    let mut left_bytes = max_bytes;
    let mut carried = HashSet::new();
    for (_, segment) in segments {
        let Some(left) = left_bytes.checked_sub(segment.size_bytes()) else { break };
        left_bytes = left;
        carried.insert(Arc::as_ptr(&segment));
    }
    carried
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use synctv_media::hls::segment::Segment;

    use super::*;
    use crate::{
        cluster::registry::numbers::NumberReserve,
        hls::HlsMode,
        testing::{hls_settings, room},
    };

    fn segment(size_bytes: usize) -> Segment {
        Segment {
            bytes: Bytes::from(vec![0; size_bytes]),
            duration_ms: 2_000,
            first_ms: 0,
            discontinuity: false,
            forced_cut: false,
            independent: true,
            init: None,
            parts: Vec::new(),
        }
    }

    /// Sessions with segments of so many bytes each, oldest first.
    fn sessions(sizes_bytes: &[&[usize]]) -> Vec<Arc<HlsSession>> {
        let storage = tempfile::tempdir().unwrap();
        let store = SessionStore::start(hls_settings(HlsMode::Always, storage.path()));
        let session = |sizes_bytes: &&[usize]| {
            let session = store.begin(&room("room"), HlsForm::Ts);
            session.begin(NumberReserve::unmanaged(Default::default(), true), None);
            sizes_bytes.iter().for_each(|size_bytes| drop(session.publish(segment(*size_bytes), 0, 0)));
            session
        };
        sizes_bytes.iter().map(session).collect()
    }

    #[actix::test]
    async fn the_newest_segments_of_all_sessions_go_along_up_to_the_limit() {
        let sessions = sessions(&[&[100, 100, 100], &[100]]);
        let carried = carried(&sessions, 350);
        let of_session = |session: &Arc<HlsSession>| {
            let segments = session.newest_segments().into_iter();
            segments.map(|segment| carried.contains(&Arc::as_ptr(&segment))).collect::<Vec<_>>()
        };
        assert_eq!(of_session(&sessions[0]), [true, true, false]);
        assert_eq!(of_session(&sessions[1]), [true]);
    }
}
