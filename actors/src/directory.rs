//! Which rooms this node has: room -> stream, in memory. Never waits for the registry.

use std::{collections::HashMap, sync::Arc, time::Duration};

use actix::{Actor, Addr, AsyncContext, Context, Handler, Message, MessageResult, Recipient};
use futures::future::join_all;
use synctv_media::stream::room::RoomName;
use thiserror::Error;
use tokio::time::Instant;

use crate::{
    cluster::{origin::Origin, registry::RegistryHandle, store::StoreError},
    hls::HlsSessions,
    stream::{
        NotLive, Publication, PublishError, PublisherEvent, Source, StreamHandle, StreamId, StreamSettings,
        StreamState,
    },
    thread::ActorThread,
};

/// How often a publisher that meets a stream in its last moment asks for another.
const ENDED_RETRIES_MAX: usize = 3;

/// How long a viewer who meets a stream in its last moment asks for another.
const OPEN_RETRY_TIME: Duration = Duration::from_secs(2);

/// Finds streams, and starts them for publishers and for pulls.
pub struct StreamDirectoryActor {
    settings: Arc<StreamSettings>,
    registry: RegistryHandle,
    rooms_max: usize,
    /// Cuts each stream into segments, if it is to.
    hls: Option<HlsSessions>,
    streams: HashMap<RoomName, Entry>,
    phase: DirectoryPhase,
}

/// Whether the node takes new work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DirectoryPhase {
    /// It does.
    Open,
    /// It stops: those who are there stay for a while, nobody else comes.
    Draining,
}

/// Talks to the [`StreamDirectoryActor`].
#[derive(Debug, Clone)]
pub struct StreamDirectory {
    address: Addr<StreamDirectoryActor>,
    /// Asked by the caller and not by the directory, which never waits.
    registry: RegistryHandle,
}

struct Entry {
    stream: StreamHandle,
    /// For whom the stream was asked for last.
    purpose: Purpose,
    /// A publisher of this node came, with whom its segmenter did.
    is_cut: bool,
}

/// What a stream is for. There is a limit for each, so that viewers of other nodes' rooms keep no publisher out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// A publisher of this node.
    Publish,
    /// Viewers of a room that another node publishes.
    Pull,
}

/// Why there is no stream for a viewer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OpenError {
    /// Nobody publishes the room, on no node.
    #[error("nobody publishes {0}")]
    NotLive(RoomName),
    /// The room is not on this node, and the registry cannot say where it is. Its reason is for the log: it may name
    /// addresses.
    #[error("the registry does not answer")]
    Registry(#[source] StoreError),
    /// The node that publishes the room cannot be reached.
    #[error("the room is published through node {node}, which does not answer")]
    OriginSilent {
        /// The node.
        node: String,
    },
    /// The room would be one more than this node may have.
    #[error("this node has its limit of {max} rooms")]
    RoomLimit {
        /// The limit.
        max: usize,
    },
    /// The node takes nobody any more.
    #[error("this node stops: ask again")]
    Draining,
}

/// The node has as many rooms as it may.
#[derive(Debug, Clone, Copy)]
struct RoomLimit(usize);

/// A stream tells the directory that it is over.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub(crate) struct StreamEnded {
    pub(crate) room: RoomName,
    pub(crate) id: StreamId,
}

#[derive(Message)]
#[rtype(result = "Result<StreamHandle, PublishError>")]
struct OpenForPublisher {
    room: RoomName,
    thread: ActorThread,
}

#[derive(Message)]
#[rtype(result = "Result<StreamHandle, OpenError>")]
struct ForPull {
    room: RoomName,
    thread: ActorThread,
    origin: Origin,
}

#[derive(Message)]
#[rtype(result = "Option<StreamHandle>")]
struct Find(RoomName);

#[derive(Message)]
#[rtype(result = "Vec<StreamHandle>")]
struct Streams;

#[derive(Message)]
#[rtype(result = "DirectoryPhase")]
struct AskPhase;

#[derive(Message)]
#[rtype(result = "Vec<StreamHandle>")]
struct Drain;

impl StreamDirectory {
    /// Starts the directory on the current thread. `hls` is told of each stream that starts.
    pub fn start(
        settings: StreamSettings,
        registry: RegistryHandle,
        rooms_max: usize,
        hls: Option<HlsSessions>,
    ) -> Self {
        let (settings, streams) = (Arc::new(settings), HashMap::new());
        let directory = StreamDirectoryActor {
            settings,
            registry: registry.clone(),
            rooms_max,
            hls,
            streams,
            phase: DirectoryPhase::Open,
        };
        Self { address: directory.start(), registry }
    }

    /// The stream that a viewer of `room` watches. If another node publishes the room and this one does not pull it yet,
    /// the stream is started on the caller's thread; it is there when that node has answered.
    pub async fn open(&self, room: RoomName) -> Result<StreamHandle, OpenError> {
        if let Some(stream) = self.find(room.clone()).await {
            return Ok(stream);
        }
        if self.phase().await == Some(DirectoryPhase::Draining) {
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
                // The stream was in its last moment, or gave up: the room is gone, or its node is not to be reached.
                Err(NotLive::Ended) => origin = self.locate(&room).await?,
            }
            if Instant::now() >= deadline {
                return Err(OpenError::OriginSilent { node: origin.node });
            }
        }
    }

    /// Whether [`open`](Self::open) would find the room. Pulls nothing.
    pub async fn look(&self, room: RoomName) -> Result<(), OpenError> {
        match self.find(room.clone()).await {
            Some(_) => Ok(()),
            None => self.locate(&room).await.map(drop),
        }
    }

    /// The stream of `room` that this node has for viewers, whoever publishes it. Asks no other node.
    pub async fn find(&self, room: RoomName) -> Option<StreamHandle> {
        self.address.send(Find(room)).await.ok().flatten()
    }

    /// The stream of `room` if it is published on this node, now. Only such a stream may be given to other nodes: so no
    /// room goes round in circles.
    pub async fn open_local(&self, room: RoomName) -> Option<StreamHandle> {
        self.find(room).await.filter(StreamHandle::is_published_here)
    }

    /// All streams that viewers can watch here, in no order.
    pub async fn streams(&self) -> Vec<StreamHandle> {
        self.address.send(Streams).await.unwrap_or_default()
    }

    /// Whether the node takes new work; `None` if the directory does not answer.
    pub async fn phase(&self) -> Option<DirectoryPhase> {
        self.address.send(AskPhase).await.ok()
    }

    /// Lets nobody in any more, and ends the publishers. When this returns, all rooms were given back; viewers stay, and
    /// follow the rooms to other nodes.
    pub async fn drain(&self) {
        let streams = self.address.send(Drain).await.unwrap_or_default();
        join_all(streams.iter().map(StreamHandle::release_publisher)).await;
    }

    /// Makes the caller the publisher of `room`. A stream that it starts lives on the caller's thread. `notices`
    /// tells it what it needs to know as its publisher.
    pub async fn publish(
        &self,
        room: RoomName,
        events: Recipient<PublisherEvent>,
    ) -> Result<Publication, PublishError> {
        for _ in 0..ENDED_RETRIES_MAX {
            match self.for_publisher(room.clone()).await?.publish(events.clone()).await {
                Err(PublishError::Ended) => {}
                answer => return answer,
            }
        }
        Err(PublishError::Ended)
    }

    async fn for_publisher(&self, room: RoomName) -> Result<StreamHandle, PublishError> {
        let thread = ActorThread::current();
        self.address.send(OpenForPublisher { room, thread }).await.unwrap_or(Err(PublishError::Ended))
    }

    async fn locate(&self, room: &RoomName) -> Result<Origin, OpenError> {
        let located = self.registry.locate(room.clone()).await.map_err(OpenError::Registry)?;
        located.ok_or_else(|| OpenError::NotLive(room.clone()))
    }

    async fn for_pull(&self, room: RoomName, origin: Origin) -> Result<StreamHandle, OpenError> {
        let thread = ActorThread::current();
        let started = self.address.send(ForPull { room: room.clone(), thread, origin }).await;
        started.unwrap_or(Err(OpenError::NotLive(room)))
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
        Ok(self.streams.entry(room.clone()).or_insert_with(|| Entry {
            purpose,
            stream: StreamHandle::start(
                thread,
                room.clone(),
                settings.clone(),
                registry.clone(),
                ctx.address().recipient(),
            ),
            is_cut: false,
        }))
    }

    /// How many streams there are for this purpose.
    fn count(&self, purpose: Purpose) -> usize {
        let streams = self.streams.values().filter(|entry| entry.stream.is_alive());
        streams.filter(|entry| entry.purpose() == purpose).count()
    }
}

impl Entry {
    /// What feeds the stream tells; while nothing does, it is kept for those that it was asked for last.
    fn purpose(&self) -> Purpose {
        match self.stream.state() {
            StreamState::Live(Source::Local) => Purpose::Publish,
            StreamState::Live(Source::Remote) => Purpose::Pull,
            StreamState::Starting | StreamState::Waiting => self.purpose,
        }
    }
}

impl Actor for StreamDirectoryActor {
    type Context = Context<Self>;
}

impl Handler<OpenForPublisher> for StreamDirectoryActor {
    type Result = Result<StreamHandle, PublishError>;

    fn handle(
        &mut self,
        OpenForPublisher { room, thread }: OpenForPublisher,
        ctx: &mut Context<Self>,
    ) -> Self::Result {
        if self.phase == DirectoryPhase::Draining {
            return Err(PublishError::Draining);
        }
        let hls = self.hls.clone();
        let entry = self
            .entry(&room, &thread, Purpose::Publish, ctx)
            .map_err(|RoomLimit(max)| PublishError::RoomLimit { max })?;
        entry.purpose = Purpose::Publish;
        if let Some(hls) = hls.filter(|_| !entry.is_cut) {
            entry.is_cut = true;
            hls.stream_started(&entry.stream);
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

impl Handler<Drain> for StreamDirectoryActor {
    type Result = Vec<StreamHandle>;

    fn handle(&mut self, _: Drain, _: &mut Context<Self>) -> Self::Result {
        self.phase = DirectoryPhase::Draining;
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
