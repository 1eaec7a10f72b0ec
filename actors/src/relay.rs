//! HLS of rooms that other nodes publish: playlists and segments, asked for once and handed to all who wait.
//!
//! One actor per node, on a thread of its own, as the HTTP workers' viewers of a room are spread over all of them.
//! Whoever asks first causes a request to the publisher's node; whoever asks meanwhile waits for the same answer. A
//! playlist is remembered for a fraction of a segment's duration, segments as long as there is memory for them.

mod answer;
mod asset;
mod origins;
mod recent;
mod segments;
mod upstream;

use std::{
    collections::{HashMap, hash_map::Entry},
    rc::Rc,
    time::Duration,
};

use actix::{
    Actor, ActorFutureExt, Addr, Arbiter, AsyncContext, Context, Handler, Message, ResponseFuture, WrapFuture,
};
use actix_rt::ArbiterHandle;
use futures::future::ready;
use log::{info, warn};
use tokio::{sync::oneshot, time::Instant};

pub use self::{
    answer::{Answer, Outcome, Refusal, RelayError},
    asset::{Asset, PlaylistAddress},
};
use self::{
    origins::Origins,
    recent::Recent,
    segments::SegmentCache,
    upstream::{Landing, Upstream},
};
use crate::registry::RegistryHandle;

/// How many may wait for answers of other nodes. More are refused.
const WAITERS_MAX: usize = 20_000;

/// How often what is no longer of use is forgotten.
const SWEEP_INTERVAL: Duration = Duration::from_secs(10);

/// What the relay needs to know.
#[derive(Debug, Clone)]
pub struct RelaySettings {
    /// This node's name, told to the nodes that are asked.
    pub node_id: String,
    /// The app of HLS addresses, the same on all nodes.
    pub app: String,
    /// How much memory segments of other nodes may take, in bytes.
    pub cache_max_bytes: usize,
}

/// Talks to the [`RelayActor`].
#[derive(Debug, Clone)]
pub struct RelayHandle(Addr<RelayActor>);

/// Fetches from other nodes, once for all who ask.
pub struct RelayActor {
    upstream: Rc<Upstream>,
    /// Who waits for what is on its way.
    flights: HashMap<Asset, Vec<oneshot::Sender<Outcome>>>,
    waiters: usize,
    recent: Recent,
    segments: SegmentCache,
    origins: Origins,
}

#[derive(Message)]
#[rtype(result = "Outcome")]
struct Fetch(Asset);

#[derive(Message)]
#[rtype(result = "()")]
struct Forget(Asset);

impl RelayHandle {
    /// Starts the relay on a thread of its own.
    pub fn start(registry: RegistryHandle, settings: RelaySettings) -> Self {
        Self::start_on(&Arbiter::new().handle(), registry, settings)
    }

    pub(crate) fn start_on(
        arbiter: &ArbiterHandle,
        registry: RegistryHandle,
        settings: RelaySettings,
    ) -> Self {
        Self(RelayActor::start_in_arbiter(arbiter, move |_| RelayActor {
            segments: SegmentCache::new(settings.cache_max_bytes),
            upstream: Rc::new(Upstream::new(registry, settings)),
            flights: HashMap::new(),
            waiters: 0,
            recent: Recent::default(),
            origins: Origins::default(),
        }))
    }

    /// The asset is here now: what other nodes had of it is past.
    pub fn forget(&self, asset: Asset) {
        self.0.do_send(Forget(asset));
    }

    /// What the node that publishes the room says. Nothing here waits without a limit.
    pub async fn fetch(&self, asset: Asset) -> Outcome {
        self.0.send(Fetch(asset)).await.unwrap_or(Err(RelayError::Stopped))
    }
}

impl Actor for RelayActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(SWEEP_INTERVAL, |relay, _| {
            let now = Instant::now();
            relay.recent.sweep(now);
            relay.origins.sweep(now);
        });
    }
}

impl RelayActor {
    fn remembered(&self, asset: &Asset) -> Option<Outcome> {
        match asset {
            Asset::Segment { room, sequence } => {
                self.segments.get(room, *sequence).map(|segment| Ok(Answer::Segment(segment)))
            }
            Asset::Playlist { .. } => None,
        }
        .or_else(|| self.recent.fresh(asset, Instant::now()))
    }

    fn wait_for(&mut self, asset: Asset, ctx: &mut Context<Self>) -> oneshot::Receiver<Outcome> {
        let (waiter, outcome) = oneshot::channel();
        self.waiters += 1;
        match self.flights.entry(asset) {
            Entry::Occupied(mut flight) => flight.get_mut().push(waiter),
            Entry::Vacant(place) => {
                let asset = place.key().clone();
                place.insert(vec![waiter]);
                self.depart(asset, ctx);
            }
        }
        outcome
    }

    fn depart(&mut self, asset: Asset, ctx: &mut Context<Self>) {
        let now = Instant::now();
        let last_origin = self.origins.last(asset.room(), now);
        let has_substitute = self.recent.has_substitute(&asset, now);
        let flight = self.upstream.clone().fetch(asset.clone(), last_origin, has_substitute);
        ctx.spawn(flight.into_actor(self).map(move |landing, relay, _| relay.land(asset, landing)));
    }

    fn land(&mut self, asset: Asset, Landing { outcome, origin }: Landing) {
        let now = Instant::now();
        if let Some(origin) = origin {
            self.note_reachability(&origin.node, &outcome);
            self.origins.note(&asset, &origin, &outcome, now);
        }
        let outcome = self.remember(&asset, outcome, now);
        let waiters = self.flights.remove(&asset).unwrap_or_default();
        self.waiters -= waiters.len();
        for waiter in waiters {
            // Whoever left needs no answer.
            let _ = waiter.send(outcome.clone());
        }
    }

    fn remember(&mut self, asset: &Asset, outcome: Outcome, now: Instant) -> Outcome {
        match outcome {
            Ok(Answer::Segment(segment)) => {
                self.segments.add(asset.room().clone(), segment.clone());
                Ok(Answer::Segment(segment))
            }
            outcome => self.recent.settle(asset, outcome, now),
        }
    }

    /// One line when a node stops to answer, and one when it does again.
    fn note_reachability(&mut self, node: &str, outcome: &Outcome) {
        match outcome {
            Err(RelayError::Origin { reason, .. }) if self.origins.lost(node) => {
                warn!(node = node, reason = reason.as_str(); "HLS: a node does not answer for its rooms");
            }
            Ok(_) if self.origins.found(node) => info!(node = node; "HLS: a node answers again"),
            _ => {}
        }
    }
}

impl Handler<Fetch> for RelayActor {
    type Result = ResponseFuture<Outcome>;

    fn handle(&mut self, Fetch(asset): Fetch, ctx: &mut Self::Context) -> Self::Result {
        if let Some(outcome) = self.remembered(&asset) {
            return Box::pin(ready(outcome));
        }
        if self.waiters >= WAITERS_MAX {
            return Box::pin(ready(Err(RelayError::Busy)));
        }
        let outcome = self.wait_for(asset, ctx);
        Box::pin(async { outcome.await.unwrap_or(Err(RelayError::Stopped)) })
    }
}

impl Handler<Forget> for RelayActor {
    type Result = ();

    fn handle(&mut self, Forget(asset): Forget, _: &mut Context<Self>) {
        self.origins.forget(asset.room());
        self.recent.forget(&asset);
    }
}

#[cfg(test)]
mod tests;
