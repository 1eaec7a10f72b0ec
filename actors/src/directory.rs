//! The rooms of this node: room -> stream, in memory. Never waits for the registry.

mod drain;
mod errors;
mod messages;
mod upgrade;

use std::{collections::HashMap, sync::Arc, time::Duration};

use actix::{Actor, Addr, AsyncContext, Context, Handler, MessageResult, Recipient};
use log::error;
use synctv_media::{access::AddressKey, stream::room::RoomName};
use tokio::{sync::watch, time::Instant};

use self::messages::{
    AllStreams, AskPhase, Close, Find, FindPublished, ForPull, Notice, OpenForPublisher, Streams,
};
pub use self::{
    errors::{DirectoryEnded, OpenError},
    messages::DirectoryPhase,
};
use crate::{
    access::{Grant, ToPlay, ToPublish, ToPull},
    cluster::{origin::Origin, registry::RegistryHandle},
    events::{
        PublisherEvent, PublisherProfile, Relocation, Source, StreamEnded, StreamSettings, StreamState,
    },
    metrics::StreamMetrics,
    stream::{NotLive, Publication, PublishError, StreamHandle, StreamMeters},
    thread::ActorThread,
};

/// Tries of a publisher that meets a stream in its last moment.
const ENDED_RETRIES_MAX: usize = 3;

/// Time that a viewer who meets a stream in its last moment asks for another.
const OPEN_RETRY_TIME: Duration = Duration::from_secs(2);

/// Of the rooms that a node may have, one in so many may wait for publishers of one address that left. A client that
/// publishes and leaves, over and over, would else fill the node with rooms in their grace.
const LEFT_ROOMS_DIVISOR: usize = 10;

/// So many rooms may wait for publishers of one address however few a node may have.
const LEFT_ROOMS_MIN: usize = 10;

/// Finds streams, and starts them for publishers and for pulls.
pub struct StreamDirectoryActor {
    settings: Arc<StreamSettings>,
    registry: RegistryHandle,
    rooms_max: usize,
    /// Sees each stream that a publisher of this node starts.
    on_published: Option<StreamObserver>,
    streams: HashMap<RoomName, Entry>,
    phase: DirectoryPhase,
    metrics: Arc<StreamMetrics>,
}

/// Talks to the [`StreamDirectoryActor`].
#[derive(Debug, Clone)]
pub struct StreamDirectory {
    address: Addr<StreamDirectoryActor>,
    /// Asked by the caller and not by the directory, which never waits.
    registry: RegistryHandle,
    notice: watch::Sender<Notice>,
    /// Streams of before an upgrade are not all there yet.
    is_restoring: watch::Sender<bool>,
    metrics: Arc<StreamMetrics>,
}

/// Sees streams that a publisher of this node starts. HLS cuts them from their first frame on.
pub type StreamObserver = Arc<dyn Fn(&StreamHandle) + Send + Sync>;

struct Entry {
    stream: StreamHandle,
    /// For whom the stream was asked for last.
    purpose: Purpose,
    /// A publisher of this node came, and the observer saw the stream.
    is_observed: bool,
    /// The address of its last publisher on this node.
    publisher: Option<AddressKey>,
}

/// The purpose of a stream. There is a limit for each, so that viewers of other nodes' rooms keep no publisher out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// A publisher of this node.
    Publish,
    /// Viewers of a room that another node publishes.
    Pull,
}

/// The node has as many rooms as it may.
#[derive(Debug, Clone, Copy)]
struct RoomLimit(usize);

impl StreamDirectory {
    /// Starts the directory on the current thread. `on_published` sees each stream before its first publisher of this
    /// node is attached.
    pub fn start(
        settings: StreamSettings,
        registry: RegistryHandle,
        rooms_max: usize,
        on_published: Option<StreamObserver>,
    ) -> Self {
        let (settings, streams) = (Arc::new(settings), HashMap::new());
        let metrics = Arc::new(StreamMetrics::default());
        let directory = StreamDirectoryActor {
            settings,
            registry: registry.clone(),
            rooms_max,
            on_published,
            streams,
            phase: DirectoryPhase::Open,
            metrics: metrics.clone(),
        };
        Self {
            address: directory.start(),
            registry,
            metrics,
            notice: watch::Sender::default(),
            is_restoring: watch::Sender::default(),
        }
    }

    /// Returns the metrics of all streams.
    pub fn metrics(&self) -> &StreamMetrics {
        &self.metrics
    }

    /// The stream that a viewer of the granted room watches. If another node publishes the room and this one does not pull it yet,
    /// the stream is started on the caller's thread; it is there when that node has answered.
    pub async fn open(&self, grant: &Grant<ToPlay>) -> Result<StreamHandle, OpenError> {
        let room = grant.room().clone();
        if let Some(stream) = self.find(room.clone()).await? {
            return Ok(stream);
        }
        if self.phase().await? == DirectoryPhase::Draining {
            return Err(OpenError::Draining);
        }
        let mut origin = self.locate(&room).await?;
        let deadline = Instant::now() + OPEN_RETRY_TIME;
        loop {
            let node = origin.node.clone();
            let stream = self.for_pull(room.clone(), origin).await?;
            match stream.wait_live().await {
                Ok(()) => return Ok(stream),
                Err(NotLive::TimedOut) => return Err(OpenError::OriginSilent { node }),
                // The stream was about to end, or failed to open: the room has ended, or its node cannot be reached.
                Err(NotLive::Ended) => origin = self.locate(&room).await?,
            }
            if Instant::now() >= deadline {
                return Err(OpenError::OriginSilent { node: origin.node });
            }
        }
    }

    /// Returns `true` if [`open`](Self::open) would find the room. Pulls nothing.
    pub async fn look(&self, grant: &Grant<ToPlay>) -> Result<(), OpenError> {
        let room = grant.room().clone();
        match self.find(room.clone()).await? {
            Some(_) => Ok(()),
            None => self.locate(&room).await.map(drop),
        }
    }

    /// The stream of `room` that this node has for viewers, pushed or pulled. Asks no other node.
    pub(crate) async fn find(&self, room: RoomName) -> Result<Option<StreamHandle>, DirectoryEnded> {
        self.address.send(Find(room)).await.map_err(|_| DirectoryEnded)
    }

    /// The stream of the granted room if it is published on this node, now. Only such a stream may be given to other nodes: so no
    /// room goes round in circles. A node that drains gives them away for as long as their publishers stay.
    pub async fn open_local(&self, grant: &Grant<ToPull>) -> Result<Option<StreamHandle>, DirectoryEnded> {
        self.address.send(FindPublished(grant.room().clone())).await.map_err(|_| DirectoryEnded)
    }

    /// All streams that viewers can watch here, in no order.
    pub async fn streams(&self) -> Result<Vec<StreamHandle>, DirectoryEnded> {
        self.address.send(Streams).await.map_err(|_| DirectoryEnded)
    }

    /// Returns whether the node takes new work.
    pub async fn phase(&self) -> Result<DirectoryPhase, DirectoryEnded> {
        self.address.send(AskPhase).await.map_err(|_| DirectoryEnded)
    }

    /// Makes the caller the publisher of the granted room. A stream that it starts lives on the caller's thread. `events`
    /// are what it needs to know as its publisher, `relocation` how it comes to publish elsewhere.
    pub async fn publish(
        &self,
        grant: &Grant<ToPublish>,
        relocation: Relocation,
        events: Recipient<PublisherEvent>,
    ) -> Result<Publication, PublishError> {
        let profile = PublisherProfile { who: grant.who().cloned(), peer: grant.peer(), relocation };
        for _ in 0..ENDED_RETRIES_MAX {
            match self.for_publisher(grant).await?.publish(profile.clone(), events.clone()).await {
                Err(PublishError::Ended) => {}
                answer => return answer,
            }
        }
        Err(PublishError::Ended)
    }

    async fn for_publisher(&self, grant: &Grant<ToPublish>) -> Result<StreamHandle, PublishError> {
        let (room, address, thread) = (grant.room().clone(), grant.address(), ActorThread::current());
        self.address
            .send(OpenForPublisher { room, address, thread })
            .await
            .unwrap_or(Err(PublishError::DirectoryEnded))
    }

    async fn locate(&self, room: &RoomName) -> Result<Origin, OpenError> {
        let located = self.registry.locate(room.clone()).await.map_err(OpenError::Registry)?;
        located.ok_or_else(|| OpenError::NotLive(room.clone()))
    }

    async fn for_pull(&self, room: RoomName, origin: Origin) -> Result<StreamHandle, OpenError> {
        let thread = ActorThread::current();
        self.address.send(ForPull { room, thread, origin }).await.map_err(|_| DirectoryEnded)?
    }
}

impl StreamDirectoryActor {
    /// The room's stream, started on `thread` if there is none.
    fn entry(
        &mut self,
        room: &RoomName,
        thread: &ActorThread,
        purpose: Purpose,
        ctx: &mut Context<Self>,
    ) -> Result<&mut Entry, RoomLimit> {
        let entry = self.streams.get(room).filter(|entry| entry.stream.is_alive());
        let is_counted = entry.is_some_and(|entry| purpose == Purpose::Pull || entry.purpose() == purpose);
        if entry.is_none() {
            self.streams.remove(room);
        }
        if !is_counted && self.count(purpose) >= self.rooms_max {
            return Err(RoomLimit(self.rooms_max));
        }
        let (settings, registry) = (&self.settings, &self.registry);
        let meters = || StreamMeters::new(self.metrics.clone());
        Ok(self.streams.entry(room.clone()).or_insert_with(|| Entry {
            purpose,
            stream: StreamHandle::start(
                thread,
                room.clone(),
                settings.clone(),
                registry.clone(),
                ctx.address().recipient(),
                meters(),
            ),
            is_observed: false,
            publisher: None,
        }))
    }

    /// The number of streams for this purpose.
    fn count(&self, purpose: Purpose) -> usize {
        let streams = self.streams.values().filter(|entry| entry.stream.is_alive());
        streams.filter(|entry| entry.purpose() == purpose).count()
    }
}

impl Entry {
    /// The source of the stream's media decides; without one, the purpose that the stream was last opened for.
    fn purpose(&self) -> Purpose {
        match self.stream.state() {
            StreamState::Live(Source::Local) => Purpose::Publish,
            StreamState::Live(Source::Remote) => Purpose::Pull,
            StreamState::Starting | StreamState::Waiting => self.purpose,
        }
    }
}

impl StreamDirectoryActor {
    /// Refuses another room to an address that left too many. Coming back to one of them is no other room.
    fn check_left_rooms(&self, room: &RoomName, address: Option<AddressKey>) -> Result<(), PublishError> {
        if address.is_none() || self.streams.contains_key(room) {
            return Ok(());
        }
        let max = (self.rooms_max / LEFT_ROOMS_DIVISOR).max(LEFT_ROOMS_MIN);
        let left = self.streams.values().filter(|entry| {
            entry.publisher == address
                && entry.stream.is_alive()
                && entry.stream.state() == StreamState::Waiting
        });
        match left.count() {
            count if count >= max => Err(PublishError::LeftRooms { max }),
            _ => Ok(()),
        }
    }
}

impl Actor for StreamDirectoryActor {
    type Context = Context<Self>;
}

impl Drop for StreamDirectoryActor {
    fn drop(&mut self) {
        if std::thread::panicking() {
            error!(streams = self.streams.len(); "the directory of streams has ended: this process must be restarted");
        }
    }
}

impl Handler<OpenForPublisher> for StreamDirectoryActor {
    type Result = Result<StreamHandle, PublishError>;

    fn handle(
        &mut self,
        OpenForPublisher { room, address, thread }: OpenForPublisher,
        ctx: &mut Context<Self>,
    ) -> Self::Result {
        if self.phase == DirectoryPhase::Draining {
            return Err(PublishError::Draining);
        }
        self.check_left_rooms(&room, address)?;
        let on_published = self.on_published.clone();
        let entry = self
            .entry(&room, &thread, Purpose::Publish, ctx)
            .map_err(|RoomLimit(max)| PublishError::RoomLimit { max })?;
        entry.purpose = Purpose::Publish;
        entry.publisher = address;
        if let Some(observe) = on_published.filter(|_| !entry.is_observed) {
            entry.is_observed = true;
            observe(&entry.stream);
        }
        Ok(entry.stream.clone())
    }
}

impl Handler<ForPull> for StreamDirectoryActor {
    type Result = Result<StreamHandle, OpenError>;

    fn handle(&mut self, ForPull { room, thread, origin }: ForPull, ctx: &mut Context<Self>) -> Self::Result {
        if self.phase == DirectoryPhase::Draining {
            return Err(OpenError::Draining);
        }
        let entry = self
            .entry(&room, &thread, Purpose::Pull, ctx)
            .map_err(|RoomLimit(max)| OpenError::RoomLimit { max })?;
        entry.stream.follow(origin);
        Ok(entry.stream.clone())
    }
}

impl Handler<Find> for StreamDirectoryActor {
    type Result = Option<StreamHandle>;

    fn handle(&mut self, Find(room): Find, _: &mut Context<Self>) -> Self::Result {
        let stream = &self.streams.get(&room)?.stream;
        (self.phase == DirectoryPhase::Open && stream.is_watchable()).then(|| stream.clone())
    }
}

impl Handler<Streams> for StreamDirectoryActor {
    type Result = Vec<StreamHandle>;

    fn handle(&mut self, _: Streams, _: &mut Context<Self>) -> Self::Result {
        let streams = self.streams.values().map(|entry| &entry.stream);
        streams.filter(|stream| stream.is_watchable()).cloned().collect()
    }
}

impl Handler<AskPhase> for StreamDirectoryActor {
    type Result = MessageResult<AskPhase>;

    fn handle(&mut self, _: AskPhase, _: &mut Context<Self>) -> Self::Result {
        MessageResult(self.phase)
    }
}

impl Handler<Close> for StreamDirectoryActor {
    type Result = ();

    fn handle(&mut self, _: Close, _: &mut Context<Self>) {
        self.phase = DirectoryPhase::Draining;
    }
}

impl Handler<FindPublished> for StreamDirectoryActor {
    type Result = Option<StreamHandle>;

    fn handle(&mut self, FindPublished(room): FindPublished, _: &mut Context<Self>) -> Self::Result {
        let stream = &self.streams.get(&room)?.stream;
        stream.is_published_here().then(|| stream.clone())
    }
}

impl Handler<AllStreams> for StreamDirectoryActor {
    type Result = Vec<StreamHandle>;

    fn handle(&mut self, _: AllStreams, _: &mut Context<Self>) -> Self::Result {
        self.streams.values().map(|entry| entry.stream.clone()).collect()
    }
}

impl Handler<StreamEnded> for StreamDirectoryActor {
    type Result = ();

    fn handle(&mut self, StreamEnded { room, id }: StreamEnded, _: &mut Context<Self>) {
        // The late end of an earlier stream of the room is nothing to the one that is there.
        if self.streams.get(&room).is_some_and(|entry| entry.stream.id() == id) {
            self.streams.remove(&room);
        }
    }
}

#[cfg(test)]
mod tests;
