//! Which rooms this node has: room -> stream, in memory. Never waits for the registry.

use std::{collections::HashMap, sync::Arc};

use actix::{Actor, Addr, AsyncContext, Context, Handler, Message, Recipient};
use actix_rt::{Arbiter, ArbiterHandle};
use synctv_media::room::RoomName;

use crate::{
    hls::HlsHandle,
    registry::RegistryHandle,
    stream::{Evicted, Publication, PublishError, StreamHandle, StreamId, StreamSettings},
};

/// How often a publisher that meets a stream in its last moment asks for another.
const ENDED_RETRIES_MAX: usize = 3;

/// Finds streams, and starts them for publishers.
pub struct Router {
    settings: Arc<StreamSettings>,
    registry: RegistryHandle,
    rooms_max: usize,
    /// Cuts each stream into segments, if it is to.
    hls: Option<HlsHandle>,
    streams: HashMap<RoomName, Entry>,
}

/// Talks to the [`Router`].
#[derive(Debug, Clone)]
pub struct RouterHandle(Addr<Router>);

struct Entry {
    stream: StreamHandle,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Its first publisher is not allowed yet: no viewer is to wait for it.
    Starting,
    /// It is live, or was and waits out its grace.
    Live,
}

/// What a stream tells the router.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub(crate) struct StreamNews {
    pub(crate) room: RoomName,
    pub(crate) id: StreamId,
    pub(crate) what: News,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum News {
    WentLive,
    Ended,
}

#[derive(Message)]
#[rtype(result = "Result<StreamHandle, PublishError>")]
struct ForPublisher {
    room: RoomName,
    arbiter: ArbiterHandle,
}

#[derive(Message)]
#[rtype(result = "Option<StreamHandle>")]
struct Open(RoomName);

#[derive(Message)]
#[rtype(result = "Vec<StreamHandle>")]
struct Streams;

impl RouterHandle {
    /// Starts the router on the current thread. `hls` is told of each stream that starts.
    pub fn start(
        settings: StreamSettings,
        registry: RegistryHandle,
        rooms_max: usize,
        hls: Option<HlsHandle>,
    ) -> Self {
        let router =
            Router { settings: Arc::new(settings), registry, rooms_max, hls, streams: HashMap::new() };
        Self(router.start())
    }

    /// The stream that a viewer of `room` watches, if there is one.
    pub async fn open(&self, room: RoomName) -> Option<StreamHandle> {
        self.0.send(Open(room)).await.ok().flatten()
    }

    /// All streams that viewers can watch here, in no order.
    pub async fn streams(&self) -> Vec<StreamHandle> {
        self.0.send(Streams).await.unwrap_or_default()
    }

    /// Makes the caller the publisher of `room`. A stream that it starts lives on the caller's thread. `evict` is told
    /// when the room is taken away.
    pub async fn publish(
        &self,
        room: RoomName,
        evict: Recipient<Evicted>,
    ) -> Result<Publication, PublishError> {
        for _ in 0..ENDED_RETRIES_MAX {
            match self.for_publisher(room.clone()).await?.publish(evict.clone()).await {
                Err(PublishError::Ended) => {}
                answer => return answer,
            }
        }
        Err(PublishError::Ended)
    }

    async fn for_publisher(&self, room: RoomName) -> Result<StreamHandle, PublishError> {
        let arbiter = Arbiter::current();
        self.0.send(ForPublisher { room, arbiter }).await.unwrap_or(Err(PublishError::Ended))
    }
}

impl Actor for Router {
    type Context = Context<Self>;
}

impl Handler<ForPublisher> for Router {
    type Result = Result<StreamHandle, PublishError>;

    fn handle(
        &mut self,
        ForPublisher { room, arbiter }: ForPublisher,
        ctx: &mut Context<Self>,
    ) -> Self::Result {
        if let Some(entry) = self.streams.get(&room).filter(|entry| entry.stream.is_alive()) {
            return Ok(entry.stream.clone());
        }
        if self.streams.len() >= self.rooms_max {
            self.streams.retain(|_, entry| entry.stream.is_alive());
        }
        if self.streams.len() >= self.rooms_max {
            return Err(PublishError::RoomLimit { max: self.rooms_max });
        }
        let stream = StreamHandle::start(
            &arbiter,
            room.clone(),
            self.settings.clone(),
            self.registry.clone(),
            ctx.address().recipient(),
        );
        if let Some(hls) = &self.hls {
            hls.stream_started(&stream);
        }
        self.streams.insert(room, Entry { stream: stream.clone(), stage: Stage::Starting });
        Ok(stream)
    }
}

impl Handler<Open> for Router {
    type Result = Option<StreamHandle>;

    fn handle(&mut self, Open(room): Open, _: &mut Context<Self>) -> Self::Result {
        let entry = self.streams.get(&room).filter(|entry| entry.stage == Stage::Live)?;
        entry.stream.is_alive().then(|| entry.stream.clone())
    }
}

impl Handler<Streams> for Router {
    type Result = Vec<StreamHandle>;

    fn handle(&mut self, _: Streams, _: &mut Context<Self>) -> Self::Result {
        let watchable = self.streams.values().filter(|entry| entry.stage == Stage::Live);
        watchable.map(|entry| entry.stream.clone()).collect()
    }
}

impl Handler<StreamNews> for Router {
    type Result = ();

    fn handle(&mut self, StreamNews { room, id, what }: StreamNews, _: &mut Context<Self>) {
        // Late news of an earlier stream of the room is nothing to the one that is there.
        let Some(entry) = self.streams.get_mut(&room).filter(|entry| entry.stream.id() == id) else {
            return;
        };
        match what {
            News::WentLive => entry.stage = Stage::Live,
            News::Ended => drop(self.streams.remove(&room)),
        }
    }
}

#[cfg(test)]
mod tests;
