//! How others talk to a stream.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use actix::{Actor, Addr, Recipient};
use actix_rt::ArbiterHandle;
use synctv_media::{frame::Frame, room::RoomName};

use super::{
    Attach, CountedViewer, Detach, Evicted, Join, Leave, Media, PublishError, PublisherId, StreamActor,
    StreamSettings, StreamStats, ViewerCount, stats::TellStats,
};
use crate::{
    delivery::{Delivery, SubscriberId, ViewerId},
    registry::RegistryHandle,
    router::StreamNews,
};

/// Tells streams apart, also successive ones of one room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StreamId(u64);

impl StreamId {
    fn unique() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// Talks to a [`StreamActor`].
#[derive(Debug, Clone)]
pub struct StreamHandle {
    id: StreamId,
    room: RoomName,
    arbiter: ArbiterHandle,
    address: Addr<StreamActor>,
    viewers: ViewerCount,
}

impl StreamHandle {
    /// Starts the stream of `room` on `arbiter`. It waits for a publisher, and tells `router` when it is over.
    pub(crate) fn start(
        arbiter: &ArbiterHandle,
        room: RoomName,
        settings: Arc<StreamSettings>,
        registry: RegistryHandle,
        router: Recipient<StreamNews>,
    ) -> Self {
        let id = StreamId::unique();
        let of_room = room.clone();
        let address = StreamActor::start_in_arbiter(arbiter, move |_| {
            StreamActor::new(id, of_room, settings, registry, router)
        });
        let arbiter = arbiter.clone();
        Self { id, room, arbiter, address, viewers: ViewerCount::default() }
    }

    /// Which stream it is.
    pub fn id(&self) -> StreamId {
        self.id
    }

    /// The stream's room.
    pub fn room(&self) -> &RoomName {
        &self.room
    }

    /// The thread that the stream lives on.
    pub(crate) fn arbiter(&self) -> &ArbiterHandle {
        &self.arbiter
    }

    /// Whether the stream is there.
    pub fn is_alive(&self) -> bool {
        self.address.connected()
    }

    /// Makes the caller the stream's publisher, if there is none and the registry agrees. `evict` is told when it no
    /// longer is.
    pub async fn publish(&self, evict: Recipient<Evicted>) -> Result<Publication, PublishError> {
        self.address.send(Attach { evict }).await.unwrap_or(Err(PublishError::Ended))
    }

    #[cfg(test)]
    pub(super) fn address(&self) -> &Addr<StreamActor> {
        &self.address
    }

    /// Asks for the media that `viewer`, served by `subscriber`, starts with, and subscribes `subscriber` to what
    /// follows if it is not yet.
    pub fn join(&self, subscriber: SubscriberId, viewer: ViewerId, recipient: Recipient<Delivery>) {
        self.address.do_send(Join { subscriber, viewer, recipient });
    }

    /// Counts a viewer for as long as the value lives.
    pub(crate) fn count_viewer(&self) -> CountedViewer {
        self.viewers.add()
    }

    /// How many watch the stream on this node.
    pub fn viewers(&self) -> u64 {
        self.viewers.get()
    }

    /// What the stream says of itself; `None` if it is gone.
    pub async fn stats(&self) -> Option<StreamStats> {
        self.address.send(TellStats).await.ok()
    }

    /// Ends a subscription.
    pub fn leave(&self, subscriber: SubscriberId) {
        self.address.do_send(Leave(subscriber));
    }
}

/// The right to feed a stream. Dropping it lets the next publisher in; an answer with one in it that finds its asker
/// gone does so too.
#[derive(Debug)]
pub struct Publication {
    stream: Addr<StreamActor>,
    publisher: PublisherId,
}

impl Publication {
    pub(super) fn new(stream: Addr<StreamActor>, publisher: PublisherId) -> Self {
        Self { stream, publisher }
    }

    /// Feeds the stream. Await the answer before reading more of the publisher, so that TCP slows it down when the
    /// stream cannot follow. An error says that the room is no longer this publisher's, or that the stream is gone.
    pub fn send(&self, frames: Vec<Frame>) -> impl Future<Output = Result<(), Evicted>> + 'static {
        let taken = self.stream.send(Media { publisher: self.publisher, frames });
        async move { taken.await.unwrap_or(Err(Evicted)) }
    }
}

impl Drop for Publication {
    fn drop(&mut self) {
        self.stream.do_send(Detach(self.publisher));
    }
}
