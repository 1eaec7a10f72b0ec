//! The actors that serve viewers, and which of them serves a room's next one.

use std::{collections::HashMap, thread::ThreadId};

use actix::Addr;

use super::viewers::WebRtcViewersActor;
use crate::{
    events::StreamId,
    placement::{Load, place},
    stream::StreamHandle,
    thread::ActorThread,
};

/// Number of a room's viewers that one thread serves before another one helps. Each frame takes 2 to 3 ms for so many, which the
/// last of them waits; a thread more packetizes the stream again, and transcodes its audio.
pub(super) const THREAD_VIEWERS_MAX: u64 = 200;

/// An actor: a stream, and a thread that serves viewers of it.
pub(super) type RoomKey = (StreamId, ThreadId);

/// The actors of all rooms.
#[derive(Debug, Default)]
pub(super) struct Rooms {
    actors: HashMap<RoomKey, RoomActor>,
    /// Threads from which viewers came; they serve viewers of large rooms.
    threads: Vec<ActorThread>,
}

#[derive(Debug)]
struct RoomActor {
    address: Addr<WebRtcViewersActor>,
    viewers: u64,
}

impl Rooms {
    /// Notes a thread that may serve viewers.
    pub fn add_thread(&mut self, thread: ActorThread) {
        if !self.threads.iter().any(|known| known.id() == thread.id()) {
            self.threads.push(thread);
        }
    }

    /// Returns the actor on a stream's own thread; `start` makes one on a thread.
    pub fn home(
        &mut self,
        stream: &StreamHandle,
        start: impl FnOnce(&ActorThread) -> Addr<WebRtcViewersActor>,
    ) -> Addr<WebRtcViewersActor> {
        self.actor((stream.id(), stream.thread().id()), || start(stream.thread())).address.clone()
    }

    /// Counts a stream's next viewer in, and returns the actor that serves it; `start` makes one on a thread.
    pub fn admit(
        &mut self,
        stream: &StreamHandle,
        start: impl FnOnce(&ActorThread) -> Addr<WebRtcViewersActor>,
    ) -> (RoomKey, Addr<WebRtcViewersActor>) {
        self.add_thread(stream.thread().clone());
        let loads: Vec<Load> = self.threads.iter().map(|thread| self.load(thread, stream)).collect();
        let chosen = place(&loads, THREAD_VIEWERS_MAX).and_then(|at| self.threads.get(at));
        let thread = chosen.unwrap_or(stream.thread()).clone();
        let key = (stream.id(), thread.id());
        let actor = self.actor(key, || start(&thread));
        actor.viewers += 1;
        let address = actor.address.clone();
        if !address.connected() {
            // The thread has ended.
            self.threads.retain(|known| known.id() != thread.id());
        }
        (key, address)
    }

    /// Counts a viewer out.
    pub fn leave(&mut self, key: RoomKey) {
        if let Some(actor) = self.actors.get_mut(&key) {
            actor.viewers = actor.viewers.saturating_sub(1);
        }
    }

    /// Removes an actor that has no viewers, and none on their way. Returns whether it did.
    pub fn remove_idle(&mut self, key: RoomKey) -> bool {
        let is_idle =
            self.actors.get(&key).is_none_or(|actor| actor.viewers == 0 || !actor.address.connected());
        if is_idle {
            self.actors.remove(&key);
        }
        is_idle
    }

    fn actor(&mut self, key: RoomKey, start: impl FnOnce() -> Addr<WebRtcViewersActor>) -> &mut RoomActor {
        self.actors.retain(|_, actor| actor.address.connected());
        self.actors.entry(key).or_insert_with(|| RoomActor { address: start(), viewers: 0 })
    }

    fn load(&self, thread: &ActorThread, stream: &StreamHandle) -> Load {
        let of_thread = self.actors.iter().filter(|((_, id), _)| *id == thread.id());
        Load {
            of_room: self.actors.get(&(stream.id(), thread.id())).map_or(0, |actor| actor.viewers),
            total: of_thread.map(|(_, actor)| actor.viewers).sum(),
            has_stream: stream.thread().id() == thread.id(),
        }
    }
}
