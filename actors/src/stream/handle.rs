//! How others talk to a stream.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use actix::{Actor, Addr, Recipient, prelude::SendError};
use synctv_media::stream::{frame::Frame, room::RoomName};
use tokio::{sync::watch, time::timeout};

use super::{
    Attach, CountedViewer, Detach, Evicted, Join, Leave, Media, PublishError, PublisherEvent, PublisherId,
    ReleasePublisher, StreamActor, StreamSettings, StreamState, StreamStats, ViewerCount,
    edge::{Follow, ORIGIN_WAIT},
    ingest::Source,
    stats::GetStats,
};
use crate::{
    cluster::{origin::Origin, registry::RegistryHandle},
    directory::StreamEnded,
    events::{StreamEvent, SubscriberId, SubscriberRole, ViewerId},
    thread::ActorThread,
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
    thread: ActorThread,
    address: Addr<StreamActor>,
    state: watch::Receiver<StreamState>,
    viewers: ViewerCount,
}

/// Why a stream that was started did not go live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotLive {
    /// It is over already.
    Ended,
    /// Nothing happened for as long as one waits.
    TimedOut,
}

impl StreamHandle {
    /// Starts the stream of `room` on `thread`. It waits to be fed, and tells `directory` when it is over.
    pub(crate) fn start(
        thread: &ActorThread,
        room: RoomName,
        settings: Arc<StreamSettings>,
        registry: RegistryHandle,
        directory: Recipient<StreamEnded>,
    ) -> Self {
        let id = StreamId::unique();
        let of_room = room.clone();
        let (stage_of, state) = watch::channel(StreamState::Starting);
        let address = StreamActor::start_in_arbiter(thread.arbiter(), move |_| {
            StreamActor::new(id, of_room, settings, registry, directory, stage_of)
        });
        let thread = thread.clone();
        Self { id, room, thread, address, state, viewers: ViewerCount::default() }
    }

    /// Which stream it is.
    pub fn id(&self) -> StreamId {
        self.id
    }

    /// The stream's room.
    pub fn room(&self) -> &RoomName {
        &self.room
    }

    /// Whether there is something to watch, or was and may be again.
    pub(crate) fn is_watchable(&self) -> bool {
        self.is_alive() && self.state() != StreamState::Starting
    }

    /// The thread that the stream lives on.
    pub(crate) fn thread(&self) -> &ActorThread {
        &self.thread
    }

    /// Whether the stream is there.
    pub fn is_alive(&self) -> bool {
        self.address.connected()
    }

    /// How far the stream is.
    pub fn state(&self) -> StreamState {
        *self.state.borrow()
    }

    /// Whether a publisher of this node feeds the stream.
    pub fn is_published_here(&self) -> bool {
        self.is_alive() && self.state() == StreamState::Live(Source::Local)
    }

    /// Feeds the stream from `origin`, unless something feeds it already.
    pub(crate) fn follow(&self, origin: Origin) {
        self.address.do_send(Follow(origin));
    }

    /// Waits until viewers may have the stream.
    pub(crate) async fn wait_live(&self) -> Result<(), NotLive> {
        let mut state = self.state.clone();
        let live = state.wait_for(|state| *state != StreamState::Starting);
        match timeout(ORIGIN_WAIT, live).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(NotLive::Ended),
            Err(_) => Err(NotLive::TimedOut),
        }
    }

    /// Makes the caller the stream's publisher, if there is none and the registry agrees. `notices` tells it
    /// what it needs to know as such.
    pub async fn publish(&self, events: Recipient<PublisherEvent>) -> Result<Publication, PublishError> {
        self.address.send(Attach { events }).await.unwrap_or(Err(PublishError::Ended))
    }

    /// Ends the publisher, if there is one. When this returns, the room was given back.
    pub(crate) async fn release_publisher(&self) {
        // A stream that is gone has none.
        let _ = self.address.send(ReleasePublisher).await;
    }

    #[cfg(test)]
    pub(super) fn address(&self) -> &Addr<StreamActor> {
        &self.address
    }

    /// Asks for the media that `viewer`, served by `subscriber`, starts with, and subscribes `subscriber` to what
    /// follows if it is not yet.
    pub fn join(&self, subscriber: SubscriberId, viewer: ViewerId, recipient: Recipient<StreamEvent>) {
        self.address.do_send(Join { subscriber, role: SubscriberRole::Viewers, viewer, recipient });
    }

    /// Joins as [`join`](Self::join) does, to cut the media into segments: that alone keeps no pull going.
    pub(crate) fn join_segmenter(
        &self,
        subscriber: SubscriberId,
        viewer: ViewerId,
        recipient: Recipient<StreamEvent>,
    ) {
        self.address.do_send(Join { subscriber, role: SubscriberRole::Segmenter, viewer, recipient });
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
        self.address.send(GetStats).await.ok()
    }

    /// Ends a subscription.
    pub fn leave(&self, subscriber: SubscriberId) {
        self.address.do_send(Leave(subscriber));
    }

    /// Ends a subscription. When this returns, the stream has sent its last delivery to it.
    pub(crate) async fn leave_and_wait(&self, subscriber: SubscriberId) {
        // An ended stream sends nothing.
        let _ = self.address.send(Leave(subscriber)).await;
    }
}

/// Why a stream did not take frames.
#[derive(Debug)]
pub enum Refused {
    /// It has too much to do. The frames are still to be sent, before any other.
    Busy(Vec<Frame>),
    /// It is gone.
    Gone,
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

    /// Feeds the stream, if it follows.
    pub fn try_send(&self, frames: Vec<Frame>) -> Result<(), Refused> {
        self.stream.try_send(Media { publisher: self.publisher, frames }).map_err(|refused| match refused {
            SendError::Full(media) => Refused::Busy(media.frames),
            SendError::Closed(_) => Refused::Gone,
        })
    }

    /// Feeds the stream as soon as it follows. Await the answer before reading more of the publisher, so that TCP slows
    /// it down. An error says that the room is no longer this publisher's, or that the stream is gone.
    pub fn send(&self, frames: Vec<Frame>) -> impl Future<Output = Result<(), Evicted>> + 'static {
        let taken = self.stream.send(Media { publisher: self.publisher, frames });
        async move { taken.await.unwrap_or(Err(Evicted::StreamGone)) }
    }
}

impl Drop for Publication {
    fn drop(&mut self) {
        self.stream.do_send(Detach(self.publisher));
    }
}
