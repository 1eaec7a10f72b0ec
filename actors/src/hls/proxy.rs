//! HLS of rooms that other nodes publish: playlists and segments, asked for once and handed to all who wait.
//!
//! One actor per node, on a thread of its own, because the viewers of a room are spread over all HTTP workers. The
//! first request for a resource causes one to the publisher's node; requests that come meanwhile wait for the same
//! answer. A playlist is cached for a fraction of a segment's duration, segments while there is memory for them.

mod answer;
mod origins;
mod resource;
mod response_cache;
mod route;
mod segment_cache;
mod settings;
mod upstream;
mod windows;

use std::{
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use actix::{
    Actor, ActorFutureExt, Addr, Arbiter, AsyncContext, Context, Handler, Message, ResponseFuture, WrapFuture,
};
use actix_rt::ArbiterHandle;
use futures::{FutureExt, future::ready};
use log::{info, warn};
use tokio::{sync::oneshot, time::Instant};

pub use self::{
    answer::{Answer, HlsProxyError, Outcome, Refusal},
    resource::HlsResource,
    settings::HlsProxySettings,
};
use self::{
    origins::Origins,
    response_cache::ResponseCache,
    segment_cache::SegmentCache,
    upstream::{FetchResult, Upstream},
};
pub use super::PlaylistAddress;
use crate::{
    cluster::registry::RegistryHandle,
    hls::FetchedMemory,
    single_flight::{Flight, SingleFlight},
};

/// Maximum number of requests that wait for answers of other nodes. Further ones are refused.
const WAITERS_MAX: usize = 20_000;

/// Interval at which outdated entries are removed.
const SWEEP_INTERVAL: Duration = Duration::from_secs(10);

/// Talks to the [`HlsProxyActor`].
#[derive(Debug, Clone)]
pub struct HlsProxy {
    actor: Addr<HlsProxyActor>,
    known: KnownElsewhere,
}

/// The number of answers and origins that the proxy remembers. Clones share it. A request for one of this node's own
/// playlists has those of its room forgotten, which wakes the proxy's thread only if there are any.
#[derive(Debug, Clone, Default)]
struct KnownElsewhere(Arc<AtomicUsize>);

/// Fetches from other nodes, once for all who ask.
pub struct HlsProxyActor {
    upstream: Rc<Upstream>,
    in_flight: SingleFlight<HlsResource, Outcome>,
    /// Cloned for each request that waits, and thereby their count.
    waiters: Rc<()>,
    response_cache: ResponseCache,
    segments: SegmentCache,
    origins: Origins,
    known: KnownElsewhere,
}

#[derive(Message)]
#[rtype(result = "Outcome")]
struct Fetch(HlsResource);

#[derive(Message)]
#[rtype(result = "()")]
struct RemoveResource(HlsResource);

#[derive(Message)]
#[rtype(result = "()")]
struct Ping;

impl HlsProxy {
    /// Starts the HLS proxy on a thread of its own. Segments are kept in `memory`.
    pub fn start(registry: RegistryHandle, settings: HlsProxySettings, memory: FetchedMemory) -> Self {
        Self::start_on(&Arbiter::new().handle(), registry, settings, memory)
    }

    pub(crate) fn start_on(
        arbiter: &ArbiterHandle,
        registry: RegistryHandle,
        settings: HlsProxySettings,
        memory: FetchedMemory,
    ) -> Self {
        let known = KnownElsewhere::default();
        let of_actor = known.clone();
        let actor = HlsProxyActor::start_in_arbiter(arbiter, move |_| HlsProxyActor {
            segments: SegmentCache::new(memory),
            upstream: Rc::new(Upstream::new(registry, settings)),
            in_flight: SingleFlight::default(),
            waiters: Rc::default(),
            response_cache: ResponseCache::default(),
            origins: Origins::default(),
            known: of_actor,
        });
        Self { actor, known }
    }

    /// The resource is here now: what other nodes had of it is past.
    pub fn forget(&self, resource: HlsResource) {
        if self.known.0.load(Ordering::Relaxed) > 0 {
            self.actor.do_send(RemoveResource(resource));
        }
    }

    /// Returns whether the actor answers.
    pub async fn is_alive(&self) -> bool {
        self.actor.send(Ping).await.is_ok()
    }

    /// Returns the answer of the node that publishes the room. Each wait in it is bounded.
    pub async fn fetch(&self, resource: HlsResource) -> Outcome {
        self.actor.send(Fetch(resource)).await.unwrap_or(Err(HlsProxyError::Stopped))
    }
}

impl Actor for HlsProxyActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(SWEEP_INTERVAL, |proxy, _| {
            let now = Instant::now();
            proxy.response_cache.sweep(now);
            proxy.origins.sweep(now);
            proxy.segments.trim();
            proxy.count_known();
        });
    }
}

impl HlsProxyActor {
    fn count_known(&self) {
        let known = self.origins.count() + self.response_cache.count();
        self.known.0.store(known, Ordering::Relaxed);
    }

    fn remembered(&self, resource: &HlsResource) -> Option<Outcome> {
        match resource {
            HlsResource::Segment { room, name } => {
                self.segments.get(room, *name).map(|segment| Ok(Answer::Segment(segment)))
            }
            HlsResource::Playlist { .. } => None,
        }
        .or_else(|| self.response_cache.fresh(resource, Instant::now()))
    }

    fn wait_for(&mut self, resource: HlsResource, ctx: &mut Context<Self>) -> Flight<Outcome> {
        match self.in_flight.join(&resource) {
            Some(flight) => flight,
            None => self.start_fetch(resource, ctx),
        }
    }

    fn start_fetch(&mut self, resource: HlsResource, ctx: &mut Context<Self>) -> Flight<Outcome> {
        let now = Instant::now();
        let last_origin = self.origins.last(resource.room(), now);
        let has_stale = self.response_cache.has_stale(&resource, now);
        let fetched = self.upstream.clone().fetch(resource.clone(), last_origin, has_stale);
        let (settled, outcome) = oneshot::channel();
        let outcome = outcome.map(|outcome| outcome.unwrap_or(Err(HlsProxyError::Stopped)));
        let (id, flight) = self.in_flight.start(resource.clone(), outcome.boxed_local());
        ctx.spawn(fetched.into_actor(self).map(move |fetched, proxy, _| {
            proxy.in_flight.finish(&resource, id);
            // It has no receiver if all callers have left.
            let _ = settled.send(proxy.settle(&resource, fetched));
        }));
        flight
    }

    fn settle(
        &mut self,
        resource: &HlsResource,
        FetchResult { outcome, origin, .. }: FetchResult,
    ) -> Outcome {
        let now = Instant::now();
        if let Some(origin) = origin {
            self.note_reachability(&origin.node, &outcome);
            self.origins.note(resource, &origin, &outcome, now);
        }
        let outcome = self.remember(resource, outcome, now);
        self.count_known();
        outcome
    }

    fn remember(&mut self, resource: &HlsResource, outcome: Outcome, now: Instant) -> Outcome {
        match outcome {
            Ok(Answer::Segment(segment)) => {
                self.segments.add(resource.room().clone(), segment.clone());
                Ok(Answer::Segment(segment))
            }
            outcome => self.response_cache.settle(resource, outcome, now),
        }
    }

    /// One line when a node stops to answer, and one when it does again.
    fn note_reachability(&mut self, node: &str, outcome: &Outcome) {
        match outcome {
            Err(HlsProxyError::Origin { reason, .. }) if self.origins.lost(node) => {
                warn!(node = node, reason = reason.as_str(); "HLS: a node does not answer for its rooms");
            }
            Ok(_) if self.origins.found(node) => info!(node = node; "HLS: a node answers again"),
            _ => {}
        }
    }
}

impl Handler<Fetch> for HlsProxyActor {
    type Result = ResponseFuture<Outcome>;

    fn handle(&mut self, Fetch(resource): Fetch, ctx: &mut Self::Context) -> Self::Result {
        if let Some(outcome) = self.remembered(&resource) {
            return Box::pin(ready(outcome));
        }
        if Rc::strong_count(&self.waiters) > WAITERS_MAX {
            return Box::pin(ready(Err(HlsProxyError::Busy)));
        }
        let (outcome, waiter) = (self.wait_for(resource, ctx), self.waiters.clone());
        Box::pin(async move {
            let _waiter = waiter;
            outcome.await
        })
    }
}

impl Handler<RemoveResource> for HlsProxyActor {
    type Result = ();

    fn handle(&mut self, RemoveResource(resource): RemoveResource, _: &mut Context<Self>) {
        self.origins.forget(resource.room());
        self.response_cache.forget(&resource);
        self.count_known();
    }
}

impl Handler<Ping> for HlsProxyActor {
    type Result = ();

    fn handle(&mut self, _: Ping, _: &mut Context<Self>) {}
}

#[cfg(test)]
mod tests;
