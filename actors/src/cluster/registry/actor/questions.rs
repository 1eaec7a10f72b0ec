//! Questions about rooms, asked once for all who want to know.

use actix::{ActorFutureExt, Handler, ResponseActFuture, WrapFuture, fut};
use synctv_media::stream::room::RoomName;
use tokio::time::Instant;

use super::RegistryActor;
use crate::cluster::{
    origin::{LiveNode, Origin, PublishedRoom, Trace},
    registry::messages::{Freshness, ListNodes, ListRooms, Locate, TraceRoom},
    store::StoreError,
};

impl RegistryActor {
    /// The present and the past holder of a room.
    fn trace(
        &mut self,
        room: RoomName,
        freshness: Freshness,
    ) -> ResponseActFuture<Self, Result<Trace, StoreError>> {
        let known = self.traces.known(&room, Instant::now());
        if let Some(known) = known.filter(|_| freshness == Freshness::Known) {
            return Box::pin(fut::ready(Ok(known)));
        }
        if let Some(pending) = self.traces.pending(&room).filter(|_| freshness != Freshness::Anew) {
            return Box::pin(pending.into_actor(self));
        }
        let asked = self.store.trace(&room, freshness != Freshness::Known);
        let (id, pending) = self.traces.ask(room.clone(), asked);
        Box::pin(pending.into_actor(self).map(move |answer, registry, _| {
            registry.traces.answered(room, id, &answer, Instant::now());
            answer
        }))
    }
}

impl Handler<Locate> for RegistryActor {
    type Result = ResponseActFuture<Self, Result<Option<Origin>, StoreError>>;

    fn handle(&mut self, Locate(room): Locate, _: &mut Self::Context) -> Self::Result {
        if self.claims.contains_key(&room) {
            return Box::pin(fut::ready(Ok(None)));
        }
        Box::pin(self.trace(room, Freshness::Known).map(|trace, _, _| trace.map(|trace| trace.current)))
    }
}

impl Handler<TraceRoom> for RegistryActor {
    type Result = ResponseActFuture<Self, Result<Trace, StoreError>>;

    fn handle(&mut self, TraceRoom { room, freshness }: TraceRoom, _: &mut Self::Context) -> Self::Result {
        self.trace(room, freshness)
    }
}

impl Handler<ListRooms> for RegistryActor {
    type Result = ResponseActFuture<Self, Result<Vec<PublishedRoom>, StoreError>>;

    fn handle(&mut self, _: ListRooms, _: &mut Self::Context) -> Self::Result {
        if let Some(known) = self.rooms.known(&(), Instant::now()) {
            return Box::pin(fut::ready(Ok(known)));
        }
        if let Some(pending) = self.rooms.pending(&()) {
            return Box::pin(pending.into_actor(self));
        }
        let (id, pending) = self.rooms.ask((), self.store.rooms());
        Box::pin(pending.into_actor(self).map(move |answer, registry, _| {
            registry.rooms.answered((), id, &answer, Instant::now());
            answer
        }))
    }
}

impl Handler<ListNodes> for RegistryActor {
    type Result = ResponseActFuture<Self, Result<Vec<LiveNode>, StoreError>>;

    fn handle(&mut self, ListNodes(freshness): ListNodes, _: &mut Self::Context) -> Self::Result {
        let known = self.nodes.known(&(), Instant::now());
        if let Some(known) = known.filter(|_| freshness == Freshness::Known) {
            return Box::pin(fut::ready(Ok(known)));
        }
        if let Some(pending) = self.nodes.pending(&()).filter(|_| freshness != Freshness::Anew) {
            return Box::pin(pending.into_actor(self));
        }
        let (id, pending) = self.nodes.ask((), self.store.nodes());
        Box::pin(pending.into_actor(self).map(move |answer, registry, _| {
            registry.nodes.answered((), id, &answer, Instant::now());
            answer
        }))
    }
}
