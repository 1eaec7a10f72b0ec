//! All HTTP-FLV viewers and RTMP players of this node, and which worker thread serves them.

use std::sync::{Arc, MutexGuard};

use actix::Actor;
use synctv_media::stream::viewer_queue::LagLimits;

use super::{
    messages::{Admit, NewPlayer, NewViewer, Newcomer, ViewerGuard},
    pool_state::{PoolKey, PoolState, ShareId, SharedPool, ThreadShare, Worker},
    room_viewers::RoomViewersActor,
};
use crate::{
    stream::{StreamHandle, ViewerCount},
    thread::ActorThread,
};

/// The viewers of all worker threads. While a room has few, one thread serves them all.
#[derive(Debug, Clone)]
pub struct ViewerPool {
    limits: Arc<LagLimits>,
    state: SharedPool,
}

/// Admits the viewers whom one worker thread accepted. While it lives, others may be sent to that thread.
#[derive(Debug)]
pub struct PoolEntry {
    pool: ViewerPool,
    worker: Arc<Worker>,
}

impl ViewerPool {
    /// There are no viewers yet, and there is no thread to serve them.
    pub fn new(limits: Arc<LagLimits>) -> Self {
        Self { limits, state: SharedPool::default() }
    }

    /// Lets the current thread serve viewers: all of them, if several ports of it have an entry. Panics if it is none of the actor system's.
    pub fn open_entry(&self) -> PoolEntry {
        let thread = ActorThread::current();
        let worker = self.state.lock().open_worker(thread);
        PoolEntry { pool: self.clone(), worker }
    }

    /// Serves a player that the current thread accepted from `stream`, on the thread that the room's viewers are on.
    pub(crate) fn admit_player(&self, stream: &StreamHandle, player: NewPlayer) {
        self.admit(stream, player.into());
    }

    fn admit(&self, stream: &StreamHandle, viewer: Newcomer) {
        let here = ActorThread::current();
        let (viewers, admit) = {
            let mut state = self.state.lock();
            let worker = state.worker_for(stream, &here);
            let share = state.shares.entry((stream.id(), worker.thread.id()));
            let share = share.or_insert_with(|| self.start_share(stream, &worker));
            let guard = ViewerGuard { _of_worker: worker.viewers.add(), _of_share: share.viewers.add() };
            let is_from_elsewhere = worker.thread.id() != here.id();
            (share.address.clone(), Admit { viewer, guard, is_from_elsewhere })
        };
        viewers.do_send(admit);
    }

    /// The limits of viewers that are too slow.
    pub(super) fn limits(&self) -> Arc<LagLimits> {
        self.limits.clone()
    }

    /// The state that all entries share.
    pub(super) fn shared(&self) -> SharedPool {
        self.state.clone()
    }

    /// The same, locked.
    pub(super) fn lock(&self) -> MutexGuard<'_, PoolState> {
        self.state.lock()
    }

    /// Starts the actor of a share. It lives until the last viewer leaves.
    fn start_share(&self, stream: &StreamHandle, worker: &Worker) -> ThreadShare {
        let id = ShareId::unique();
        let (pool, stream, thread) = (self.clone(), stream.clone(), worker.thread.id());
        let address = RoomViewersActor::start_in_arbiter(worker.thread.arbiter(), move |_| {
            let limits = pool.limits;
            // Made inside the lock's scope: dropped by a thread that has ended, it would take the lock that is held.
            let key = PoolKey { pool: pool.state, stream: stream.id(), thread, id };
            RoomViewersActor::new(stream, key, limits)
        });
        ThreadShare {
            id,
            viewers: ViewerCount::default(),
            address: address.clone().recipient(),
            parking: address.recipient(),
        }
    }
}

impl PoolEntry {
    /// Serves `viewer` from `stream`, on the thread that the room's viewers are on.
    pub fn admit(&self, stream: &StreamHandle, viewer: NewViewer) {
        self.pool.admit(stream, viewer.into());
    }
}

impl Drop for PoolEntry {
    fn drop(&mut self) {
        self.pool.state.lock().close_worker(&self.worker);
    }
}

#[cfg(test)]
impl ViewerPool {
    /// The viewers of each share.
    pub(super) fn shares(&self) -> Vec<u64> {
        self.state.lock().shares.values().map(|share| share.viewers.get()).collect()
    }

    /// The viewers of each worker.
    pub(super) fn workers(&self) -> Vec<u64> {
        self.state.lock().workers.iter().map(|worker| worker.viewers.get()).collect()
    }

    /// That of the only share.
    pub(super) fn only_key(&self) -> PoolKey {
        let state = self.state.lock();
        assert_eq!(state.shares.len(), 1);
        let (&(stream, thread), share) = state.shares.iter().next().unwrap();
        PoolKey { pool: self.state.clone(), stream, thread, id: share.id }
    }
}
