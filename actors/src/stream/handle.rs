//! The handle through which others talk to a stream.

use std::{sync::Arc, time::Duration};

use actix::{Actor, Addr, Recipient};
use synctv_media::{
    cluster::standing::NodeUrl,
    stream::{gop::ParkedCache, room::RoomName},
};
use tokio::{sync::watch, time::timeout};

use super::{
    actor::StreamActor,
    ingest::ORIGIN_WAIT,
    messages::{
        Attach, EndRestoring, Follow, GetStats, Join, Leave, MovePublisher, MoveViewers, ParkStream,
        Publication, PublishError, Rejoin, ResumePublisher,
    },
    meters::StreamMeters,
    stats::{CountedViewer, StreamStats, ViewerCount},
};
use crate::{
    cluster::{origin::Origin, registry::RegistryHandle},
    events::{
        LeaveWindow, PublisherEvent, PublisherId, PublisherProfile, Source, StreamEnded, StreamEvent,
        StreamId, StreamSettings, StreamState, SubscriberId, SubscriberRole, ViewerId,
    },
    thread::ActorThread,
    upgrade::{
        error::RestoreError,
        lot::{Parked, ParkingLot},
        states::ParkedStreamState,
    },
};

/// Talks to a `StreamActor`.
#[derive(Debug, Clone)]
pub struct StreamHandle {
    id: StreamId,
    room: RoomName,
    thread: ActorThread,
    address: Addr<StreamActor>,
    state: watch::Receiver<StreamState>,
    viewers: ViewerCount,
    meters: StreamMeters,
}

/// The reason a stream that was started did not go live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotLive {
    /// It is over already.
    Ended,
    /// Nothing happened within the time limit.
    TimedOut,
}

impl StreamHandle {
    /// Starts the stream of `room` on `thread`. It waits for media, and notifies `directory` when it is over.
    pub(crate) fn start(
        thread: &ActorThread,
        room: RoomName,
        settings: Arc<StreamSettings>,
        registry: RegistryHandle,
        directory: Recipient<StreamEnded>,
        meters: StreamMeters,
    ) -> Self {
        let id = StreamId::unique();
        let of_actor = meters.clone();
        let of_room = room.clone();
        let (stage_of, state) = watch::channel(StreamState::Starting);
        let address = StreamActor::start_in_arbiter(thread.arbiter(), move |_| {
            StreamActor::new(id, of_room, settings, registry, directory, stage_of, of_actor)
        });
        let thread = thread.clone();
        Self { id, room, thread, address, state, viewers: ViewerCount::default(), meters }
    }

    /// Goes on with a stream that another program parked, on `thread`.
    pub(crate) fn restore(
        id: StreamId,
        thread: &ActorThread,
        settings: Arc<StreamSettings>,
        registry: RegistryHandle,
        directory: Recipient<StreamEnded>,
        meters: StreamMeters,
        parked: (ParkedStreamState, &Parked),
    ) -> Result<Self, RestoreError> {
        let room = parked.0.room.clone();
        let (stage_of, state) = watch::channel(StreamState::Starting);
        let actor =
            StreamActor::restore(id, settings, registry, directory, stage_of, meters.clone(), parked)?;
        let address = StreamActor::start_in_arbiter(thread.arbiter(), move |_| actor);
        let thread = thread.clone();
        Ok(Self { id, room, thread, address, state, viewers: ViewerCount::default(), meters })
    }

    /// Stops the stream for an upgrade, and returns its state and its cached media, which is not in the state. `None`
    /// if it has ended.
    pub(crate) async fn park(&self, lot: &ParkingLot) -> Option<(ParkedStreamState, ParkedCache)> {
        self.address.send(ParkStream(lot.clone())).await.ok().flatten()
    }

    /// Makes the caller the stream's publisher of before an upgrade. `None` if the room was lost.
    pub(crate) async fn resume_publisher(
        &self,
        publisher: PublisherId,
        events: Recipient<PublisherEvent>,
    ) -> Option<Publication> {
        self.address.send(ResumePublisher { publisher, events }).await.ok().flatten()
    }

    /// All viewers of before an upgrade are there, and the publisher if it will ever be.
    pub(crate) fn end_restoring(&self) {
        self.address.do_send(EndRestoring);
    }

    /// The stream's id.
    pub fn id(&self) -> StreamId {
        self.id
    }

    /// The stream's room.
    pub fn room(&self) -> &RoomName {
        &self.room
    }

    /// Returns whether there is media to watch, or was and may be again.
    pub(crate) fn is_watchable(&self) -> bool {
        self.is_alive() && self.state() != StreamState::Starting
    }

    /// The thread that the stream lives on.
    pub(crate) fn thread(&self) -> &ActorThread {
        &self.thread
    }

    /// Returns `true` while the stream's actor runs.
    pub fn is_alive(&self) -> bool {
        self.address.connected()
    }

    /// The stream's state.
    pub fn state(&self) -> StreamState {
        *self.state.borrow()
    }

    /// Returns whether something feeds the stream.
    pub fn is_live(&self) -> bool {
        self.is_alive() && matches!(self.state(), StreamState::Live(_))
    }

    /// Returns whether a publisher of this node feeds the stream.
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

    /// Makes the caller the stream's publisher, if there is none and the registry agrees. `events` receives what
    /// concerns it as the publisher.
    pub async fn publish(
        &self,
        profile: PublisherProfile,
        events: Recipient<PublisherEvent>,
    ) -> Result<Publication, PublishError> {
        self.address.send(Attach { profile, events }).await.unwrap_or(Err(PublishError::Ended))
    }

    /// Sends the publisher to another node, if there is one, and reserves the room for it for `handover`. The publisher is kept
    /// for the right moment for at most `wait_max`. When this returns, the room was released.
    pub(crate) async fn move_publisher(
        &self,
        handover: Duration,
        wait_max: Duration,
        next_node: Option<NodeUrl>,
    ) {
        // A stream that has ended has no publisher.
        let _ = self.address.send(MovePublisher { handover, wait_max, next_node }).await;
    }

    /// Sends the viewers to other nodes.
    pub(crate) fn move_viewers(&self, window: LeaveWindow) {
        self.address.do_send(MoveViewers(window));
    }

    #[cfg(test)]
    pub(super) fn address(&self) -> &Addr<StreamActor> {
        &self.address
    }

    /// Asks for the media that `viewer`, served by `subscriber`, starts with, and subscribes `subscriber` to what
    /// follows if it is not yet. A segmenter alone keeps no pull going.
    pub fn join(
        &self,
        subscriber: SubscriberId,
        role: SubscriberRole,
        viewer: ViewerId,
        recipient: Recipient<StreamEvent>,
    ) {
        self.address.do_send(Join { subscriber, role, viewer, recipient });
    }

    /// Subscribes viewers that have been sent media before an upgrade, and go on with what comes next.
    pub(crate) fn rejoin(
        &self,
        subscriber: SubscriberId,
        role: SubscriberRole,
        recipient: Recipient<StreamEvent>,
    ) {
        self.address.do_send(Rejoin { subscriber, role, recipient });
    }

    /// Counts a viewer until the value is dropped.
    pub(crate) fn count_viewer(&self) -> CountedViewer {
        self.viewers.add()
    }

    /// Counts of the stream's viewers on this node.
    pub fn viewers(&self) -> u64 {
        self.viewers.get()
    }

    /// Returns what is counted of the stream.
    pub fn meters(&self) -> &StreamMeters {
        &self.meters
    }

    /// The stream's statistics; `None` if it has ended.
    pub async fn stats(&self) -> Option<StreamStats> {
        self.address.send(GetStats).await.ok()
    }

    /// Ends a subscription.
    pub(crate) fn leave(&self, subscriber: SubscriberId) {
        self.address.do_send(Leave(subscriber));
    }
}
