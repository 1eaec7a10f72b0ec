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
    streams: HashMap<RoomName, StreamHandle>,
}

/// Talks to the [`Router`].
#[derive(Debug, Clone)]
pub struct RouterHandle(Addr<Router>);

/// A stream is over.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub(crate) struct Ended {
    pub(crate) room: RoomName,
    pub(crate) id: StreamId,
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
        if let Some(stream) = self.streams.get(&room).filter(|stream| stream.is_alive()) {
            return Ok(stream.clone());
        }
        if self.streams.len() >= self.rooms_max {
            self.streams.retain(|_, stream| stream.is_alive());
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
        self.streams.insert(room, stream.clone());
        Ok(stream)
    }
}

impl Handler<Open> for Router {
    type Result = Option<StreamHandle>;

    fn handle(&mut self, Open(room): Open, _: &mut Context<Self>) -> Self::Result {
        self.streams.get(&room).filter(|stream| stream.is_alive()).cloned()
    }
}

impl Handler<Ended> for Router {
    type Result = ();

    /// A newer stream of the room stays.
    fn handle(&mut self, Ended { room, id }: Ended, _: &mut Context<Self>) {
        if self.streams.get(&room).is_some_and(|stream| stream.id() == id) {
            self.streams.remove(&room);
        }
    }
}

#[cfg(test)]
mod tests;
