//! The threads that actors live on.

use std::thread::{self, ThreadId};

use actix_rt::{Arbiter, ArbiterHandle};

/// One of them.
#[derive(Debug, Clone)]
pub(crate) struct ActorThread {
    id: ThreadId,
    arbiter: ArbiterHandle,
}

impl ActorThread {
    /// The current one. Panics on a thread that actors cannot live on.
    pub fn current() -> Self {
        Self { id: thread::current().id(), arbiter: Arbiter::current() }
    }

    /// The thread's number, which an arbiter does not have.
    pub fn id(&self) -> ThreadId {
        self.id
    }

    /// The arbiter that starts actors there.
    pub fn arbiter(&self) -> &ArbiterHandle {
        &self.arbiter
    }
}
