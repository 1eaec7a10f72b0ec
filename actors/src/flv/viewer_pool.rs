//! All HTTP-FLV viewers of this node, and which worker thread serves them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::ThreadId,
};

use actix::{Actor, Addr};
use synctv_media::stream::viewer_queue::LagLimits;

use super::{
    placement::{Load, place},
    viewers::{Admit, FlvViewersActor, NewViewer},
};
use crate::{
    events::SubscriberId,
    stream::{CountedViewer, StreamHandle, StreamId, ViewerCount},
    thread::ActorThread,
};

/// The viewers of all worker threads. While a room has few, one thread serves them all.
#[derive(Debug, Clone)]
pub struct ViewerPool {
    limits: Arc<LagLimits>,
    state: Arc<Mutex<PoolState>>,
}

/// Admits the viewers whom one worker thread accepted. While it lives, others may be sent to that thread.
#[derive(Debug)]
pub struct PoolEntry {
    pool: ViewerPool,
    worker: Arc<Worker>,
}

#[derive(Debug, Default)]
struct PoolState {
    workers: Vec<Arc<Worker>>,
    shares: HashMap<(StreamId, ThreadId), ThreadShare>,
}

/// A thread that serves viewers.
#[derive(Debug)]
struct Worker {
    thread: ActorThread,
    viewers: ViewerCount,
}

/// A stream's viewers on one thread.
#[derive(Debug)]
struct ThreadShare {
    id: SubscriberId,
    viewers: ViewerCount,
    address: Addr<FlvViewersActor>,
}

/// Counts a viewer, from before it is sent to its thread until it left.
#[derive(Debug)]
pub(super) struct ViewerGuard {
    _of_worker: CountedViewer,
    _of_share: CountedViewer,
}

/// By which a share's actor is known. Nobody is sent to it once this is dropped.
#[derive(Debug)]
pub(super) struct PoolKey {
    pool: ViewerPool,
    stream: StreamId,
    thread: ThreadId,
    id: SubscriberId,
}

impl ViewerPool {
    /// Nobody watches yet, and there is no thread to serve them.
    pub fn new(limits: Arc<LagLimits>) -> Self {
        Self { limits, state: Arc::default() }
    }

    /// Lets the current thread serve viewers. Panics if it is none of the actor system's.
    pub fn open_entry(&self) -> PoolEntry {
        let worker = Arc::new(Worker { thread: ActorThread::current(), viewers: ViewerCount::default() });
        self.state().workers.push(worker.clone());
        PoolEntry { pool: self.clone(), worker }
    }

    /// Starts the actor of a share. It lives until nobody is left.
    fn start_share(&self, stream: &StreamHandle, worker: &Worker) -> ThreadShare {
        let id = SubscriberId::unique();
        let (pool, stream, thread) = (self.clone(), stream.clone(), worker.thread.id());
        let address = FlvViewersActor::start_in_arbiter(worker.thread.arbiter(), move |_| {
            let limits = pool.limits.clone();
            // Not made outside: dropped by a thread that is gone, it would lock what is locked.
            let key = PoolKey { pool, stream: stream.id(), thread, id };
            FlvViewersActor::new(stream, key, limits)
        });
        ThreadShare { id, viewers: ViewerCount::default(), address }
    }

    fn state(&self) -> MutexGuard<'_, PoolState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PoolEntry {
    /// Serves `viewer` from `stream`, on the thread that the room's viewers are on.
    pub fn admit(&self, stream: &StreamHandle, viewer: NewViewer) {
        let (viewers, admit) = {
            let mut state = self.pool.state();
            let worker = state.worker_for(stream, &self.worker);
            let share = state.shares.entry((stream.id(), worker.thread.id()));
            let share = share.or_insert_with(|| self.pool.start_share(stream, &worker));
            let guard = ViewerGuard { _of_worker: worker.viewers.add(), _of_share: share.viewers.add() };
            let is_from_elsewhere = worker.thread.id() != self.worker.thread.id();
            (share.address.clone(), Admit { viewer, guard, is_from_elsewhere })
        };
        viewers.do_send(admit);
    }
}

impl Drop for PoolEntry {
    fn drop(&mut self) {
        self.pool.state().workers.retain(|worker| !Arc::ptr_eq(worker, &self.worker));
    }
}

impl PoolState {
    /// Who is to serve the stream's next viewer: `accepting` if it is not known of anyone else.
    fn worker_for(&self, stream: &StreamHandle, accepting: &Arc<Worker>) -> Arc<Worker> {
        let loads: Vec<Load> = self.workers.iter().map(|worker| self.load(worker, stream)).collect();
        let chosen = place(&loads).and_then(|at| self.workers.get(at));
        chosen.unwrap_or(accepting).clone()
    }

    fn load(&self, worker: &Worker, stream: &StreamHandle) -> Load {
        let thread = worker.thread.id();
        let share = self.shares.get(&(stream.id(), thread));
        Load {
            of_room: share.map_or(0, |share| share.viewers.get()),
            total: worker.viewers.get(),
            has_stream: stream.thread().id() == thread,
        }
    }
}

impl PoolKey {
    pub(super) fn id(&self) -> SubscriberId {
        self.id
    }

    /// Closes the share if nobody is in it or on the way to it. Counting and closing are under one lock: whoever is
    /// counted finds the actor there, and whoever comes later gets another one.
    pub(super) fn close_if_empty(&self) -> bool {
        let mut state = self.pool.state();
        let is_empty = self.share(&state).is_none_or(|share| share.viewers.get() == 0);
        if is_empty {
            self.close(&mut state);
        }
        is_empty
    }

    fn share<'s>(&self, state: &'s PoolState) -> Option<&'s ThreadShare> {
        state.shares.get(&(self.stream, self.thread)).filter(|share| share.id == self.id)
    }

    fn close(&self, state: &mut PoolState) {
        if self.share(state).is_some() {
            state.shares.remove(&(self.stream, self.thread));
        }
    }
}

impl Drop for PoolKey {
    /// After a panic, the actor is gone without having closed its share.
    fn drop(&mut self) {
        self.close(&mut self.pool.state());
    }
}

#[cfg(test)]
impl ViewerPool {
    /// How many viewers each share has.
    pub(super) fn shares(&self) -> Vec<u64> {
        self.state().shares.values().map(|share| share.viewers.get()).collect()
    }

    /// How many viewers each worker serves.
    pub(super) fn workers(&self) -> Vec<u64> {
        self.state().workers.iter().map(|worker| worker.viewers.get()).collect()
    }

    /// That of the only share.
    pub(super) fn only_key(&self) -> PoolKey {
        let state = self.state();
        assert_eq!(state.shares.len(), 1);
        let (&(stream, thread), share) = state.shares.iter().next().unwrap();
        PoolKey { pool: self.clone(), stream, thread, id: share.id }
    }
}
