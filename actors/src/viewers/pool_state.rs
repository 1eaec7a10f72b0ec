//! Counts of each room's viewers by worker thread.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::ThreadId,
};

use actix::Recipient;

use super::messages::{Admit, Park};
use crate::{
    events::StreamId,
    placement::{Load, place},
    stream::{StreamHandle, ViewerCount},
    thread::ActorThread,
};

/// Number of a room's viewers that one thread serves before another one helps, and the margin by which a thread may be
/// busier than the least busy one for the sake of its rooms. One thread costs less than two up to about here; with more
/// viewers the last of them waits longer for each frame, and nothing is saved.
const THREAD_VIEWERS_MAX: u64 = 400;

/// The state that all entries of a pool share.
#[derive(Debug, Clone, Default)]
pub(super) struct SharedPool(Arc<Mutex<PoolState>>);

#[derive(Debug, Default)]
pub(super) struct PoolState {
    pub workers: Vec<Arc<Worker>>,
    pub shares: HashMap<(StreamId, ThreadId), ThreadShare>,
}

/// A thread that serves viewers.
#[derive(Debug)]
pub(super) struct Worker {
    pub thread: ActorThread,
    pub viewers: ViewerCount,
    /// Number of ports that admit viewers there. Changed under the pool's lock.
    entries: AtomicU64,
}

/// A stream's viewers on one thread.
#[derive(Debug)]
pub(super) struct ThreadShare {
    pub id: ShareId,
    pub viewers: ViewerCount,
    pub address: Recipient<Admit>,
    pub parking: Recipient<Park>,
}

/// The identity of a share: successive shares of a stream on one thread have different ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ShareId(u64);

impl ShareId {
    pub fn unique() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// The address of a share's actor. No viewer is sent to it once this is dropped.
#[derive(Debug)]
pub(super) struct PoolKey {
    pub pool: SharedPool,
    pub stream: StreamId,
    pub thread: ThreadId,
    pub id: ShareId,
}

impl SharedPool {
    pub fn lock(&self) -> MutexGuard<'_, PoolState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Worker {
    fn new(thread: ActorThread, entries: u64) -> Arc<Self> {
        Arc::new(Self { thread, viewers: ViewerCount::default(), entries: AtomicU64::new(entries) })
    }
}

impl PoolState {
    /// The worker of `thread`, for one more port.
    pub fn open_worker(&mut self, thread: ActorThread) -> Arc<Worker> {
        if let Some(worker) = self.workers.iter().find(|worker| worker.thread.id() == thread.id()) {
            worker.entries.fetch_add(1, Ordering::Relaxed);
            return worker.clone();
        }
        let worker = Worker::new(thread, 1);
        self.workers.push(worker.clone());
        worker
    }

    /// Gives an entry back. With its last one, the worker is no longer sent viewers.
    pub fn close_worker(&mut self, worker: &Arc<Worker>) {
        if worker.entries.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.workers.retain(|other| !Arc::ptr_eq(other, worker));
        }
    }

    /// Returns the worker for the stream's next viewer: the current thread, `here`, unless another one is known.
    pub fn worker_for(&self, stream: &StreamHandle, here: &ActorThread) -> Arc<Worker> {
        self.worker_with(stream, here, |worker| {
            let share = self.shares.get(&(stream.id(), worker.thread.id()));
            share.map_or(0, |share| share.viewers.get())
        })
    }

    /// The same, with `of_room` viewers of the stream on each thread.
    pub fn worker_with(
        &self,
        stream: &StreamHandle,
        here: &ActorThread,
        of_room: impl Fn(&Worker) -> u64,
    ) -> Arc<Worker> {
        let load = |worker: &Arc<Worker>| Load {
            of_room: of_room(worker),
            total: worker.viewers.get(),
            has_stream: stream.thread().id() == worker.thread.id(),
        };
        let loads: Vec<Load> = self.workers.iter().map(load).collect();
        let chosen = place(&loads, THREAD_VIEWERS_MAX).and_then(|at| self.workers.get(at));
        chosen.cloned().unwrap_or_else(|| Worker::new(here.clone(), 0))
    }
}

impl PoolKey {
    /// Closes the share if no viewer is in it or on the way to it. Counting and closing are under one lock: a viewer that
    /// is counted finds the actor there, and one that comes later gets another actor.
    pub fn close_if_empty(&self) -> bool {
        let mut state = self.pool.lock();
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
    /// An actor that panicked has ended without closing its share.
    fn drop(&mut self) {
        self.close(&mut self.pool.lock());
    }
}
