//! The rooms of this node: room -> stream, in memory. Never waits for the registry.

mod drain;
mod errors;
mod handle;
mod messages;
mod upgrade;

use std::{collections::HashMap, sync::Arc};

use actix::{Actor, AsyncContext, Context, Handler, MessageResult};
use log::error;
use synctv_media::{access::AddressKey, stream::room::RoomName};

use self::messages::{AllStreams, AskPhase, Close, Find, FindPublished, ForPull, OpenForPublisher, Streams};
pub use self::{
    errors::{DirectoryEnded, OpenError},
    handle::StreamDirectory,
    messages::DirectoryPhase,
};
use crate::{
    cluster::registry::RegistryHandle,
    events::{Source, StreamEnded, StreamSettings, StreamState},
    metrics::StreamMetrics,
    stream::{PublishError, StreamHandle, StreamMeters},
    thread::ActorThread,
};

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
        // An earlier stream of the room may report its end late: the present one stays.
        if self.streams.get(&room).is_some_and(|entry| entry.stream.id() == id) {
            self.streams.remove(&room);
        }
    }
}

#[cfg(test)]
mod tests;
