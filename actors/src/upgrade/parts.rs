//! The parts of a node that park and are restored, and the order in which they are.

use std::{collections::HashMap, sync::Arc};

use futures::future::join_all;
use log::{error, warn};
use synctv_media::stream::room::RoomName;
use tokio::sync::oneshot;

use super::{
    error::RestoreError,
    lot::{DescriptorId, Parked, ParkingLot},
    node_state::{NodeState, RoomState},
    states::{ClaimsState, PublisherState, ViewerState},
};
use crate::{
    cluster::registry::RegistryHandle,
    connection_limit::ConnectionLimit,
    events::StreamId,
    hls::{HlsSessions, HlsState},
    metrics::ViewerProtocol,
    rtmp::{PublisherRestorer, RtmpPlayer, RtmpServices},
    thread::ActorThread,
    viewers::ViewersRestorer,
};

/// Rounds through the threads: the second comes behind the tasks of the first, the others are for threads with more
/// connections to take than the runtime does at a time.
const REACH_ROUNDS: usize = 4;

/// The parts of a node that park and are restored.
#[derive(Clone)]
pub struct UpgradeParts {
    /// The rooms, their publishers and viewers, and their access.
    pub rtmp: RtmpServices,
    /// The node's claims.
    pub registry: RegistryHandle,
    /// Counts RTMP connections.
    pub rtmp_permits: ConnectionLimit,
    /// Counts connections of HTTP-FLV viewers.
    pub httpflv_permits: ConnectionLimit,
    /// The HLS sessions, unless HLS is off.
    pub hls: Option<HlsSessions>,
}

/// The numbers of what goes on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Restored {
    /// Streams.
    pub rooms: usize,
    /// Publishers of this node.
    pub publishers: usize,
    /// Viewers over HTTP-FLV and RTMP.
    pub viewers: usize,
}

impl Restored {
    fn plus(self, other: Self) -> Self {
        Self {
            rooms: self.rooms + other.rooms,
            publishers: self.publishers + other.publishers,
            viewers: self.viewers + other.viewers,
        }
    }
}

impl UpgradeParts {
    /// Stops everything where it is, publishers first: what they have sent reaches their streams, and what those have goes to
    /// their viewers. Connections that are in neither role end with the program.
    ///
    /// A part that has not stopped by the lot's deadline is left out, and keeps running.
    pub async fn park(&self, lot: &ParkingLot) -> NodeState {
        let claims = lot.wait(self.registry.park()).await.unwrap_or_else(|| Ok(ClaimsState::default()));
        let claims =
            claims.inspect_err(|error| error!(reason:% = error; "claims are not parked")).unwrap_or_default();
        let publishers = self.rtmp.connections.park(lot).await;
        let streams = self.rtmp.directory.park(lot).await;
        let streams =
            streams.inspect_err(|error| error!(reason:% = error; "rooms are not parked")).unwrap_or_default();
        let hls = self.park_hls(lot).await;
        let mut viewers: HashMap<StreamId, Vec<ViewerState>> = HashMap::new();
        for (stream, share) in self.rtmp.viewer_pool.park(lot).await {
            viewers.entry(stream).or_default().extend(share.viewers);
        }
        let mut publishers: HashMap<RoomName, PublisherState> = publishers.into_iter().collect();
        let rooms = streams.into_iter().map(|(id, stream)| RoomState {
            publisher: publishers.remove(&stream.room),
            viewers: viewers.remove(&id).unwrap_or_default(),
            stream,
        });
        let rooms: Vec<RoomState> = rooms.collect();
        // Behind all who may still report something.
        let events = lot.wait(self.rtmp.gatekeeper.park_events()).await.flatten();
        NodeState {
            secret: self.rtmp.gatekeeper.nodes().secret_text(),
            orders: self.rtmp.gatekeeper.orders(),
            claims: dated(claims, &rooms),
            events,
            rooms,
            hls,
        }
    }

    async fn park_hls(&self, lot: &ParkingLot) -> Option<(HlsState, Option<DescriptorId>)> {
        let parked = self.hls.as_ref()?.park(lot.deadline()).await;
        if !parked.is_complete() {
            lot.note_missing();
        }
        let lock = parked.lock();
        let lock =
            lock.inspect_err(|error| error!(reason:% = error; "the directory of segments is not parked"));
        let lock = lock.ok().flatten().map(|lock| lot.put(lock));
        Some((lot.with_blobs(|blobs| parked.state(blobs)), lock))
    }

    /// Returns whether anyone watches over WebRTC.
    pub fn has_webrtc(&self) -> bool {
        self.rtmp.directory.metrics().viewers.get(ViewerProtocol::WebRtc).get() > 0
    }

    /// The connections that can be handed over: those of publishers, and of viewers over HTTP-FLV and RTMP.
    pub fn connections(&self) -> usize {
        self.rtmp.connections.count() + self.rtmp.viewer_pool.count()
    }

    /// Waits until each thread that serves connections has begun what it had to do by now: it has taken the connections that
    /// were accepted for it. A thread's queues are first come, first served, but it takes turns: one round puts a connection's
    /// task in line, and the next comes behind that task.
    pub async fn reach_threads(&self) {
        for _ in 0..REACH_ROUNDS {
            let reached = self.rtmp.viewer_pool.threads().into_iter().map(async |thread| {
                let (answer, answered) = oneshot::channel();
                let is_there = thread.arbiter().spawn_fn(move || {
                    // The upgrade may have stopped waiting.
                    let _ = answer.send(());
                });
                // A thread that has ended has no connections.
                if is_there {
                    let _ = answered.await;
                }
            });
            join_all(reached).await;
        }
    }

    /// Lets everything go on that was parked, and gives back the rooms that were lost on the way. The claims are with the
    /// registry already.
    pub async fn restore(&self, state: NodeState, parked: Parked) -> Restored {
        self.rtmp.gatekeeper.resume_orders(&state.orders);
        self.rtmp.gatekeeper.resume_events(state.events);
        let threads = self.rtmp.viewer_pool.threads();
        let rooms = state.rooms.into_iter().enumerate().map(async |(place, room)| {
            let name = room.stream.room.clone();
            let thread = threads.get(place % threads.len().max(1));
            let thread = thread.cloned().unwrap_or_else(ActorThread::current);
            let restored = self.restore_room(room, &parked, thread).await;
            restored.inspect_err(|error| {
                warn!(room = name.as_str(), reason:% = error; "room lost in the upgrade");
            })
        });
        let restored = join_all(rooms).await.into_iter().flatten().fold(Restored::default(), Restored::plus);
        if let Some(hls) = &self.hls {
            hls.end_restoring();
        }
        self.registry.release_parked();
        restored
    }

    /// The stream first, then its viewers, and its publisher last: viewers get the first frame that it sends.
    async fn restore_room(
        &self,
        RoomState { stream, publisher, viewers }: RoomState,
        parked: &Parked,
        thread: ActorThread,
    ) -> Result<Restored, RestoreError> {
        let mut restored = Restored { rooms: 1, ..Restored::default() };
        let stream = self.rtmp.directory.restore(stream, parked.clone(), thread).await?;
        if let Some(hls) = &self.hls {
            hls.resume(&stream);
        }
        if !viewers.is_empty() {
            restored.viewers = self.viewers_restorer(parked).restore(&stream, viewers).await;
        }
        if let Some(publisher) = publisher {
            match self.publisher_restorer(parked).restore(&stream, publisher).await {
                Ok(()) => restored.publishers = 1,
                Err(error) => {
                    warn!(room = stream.room().as_str(), reason:% = error; "publisher lost in the upgrade");
                }
            }
        }
        stream.end_restoring();
        Ok(restored)
    }

    fn publisher_restorer(&self, parked: &Parked) -> PublisherRestorer {
        let (services, permits) = (Arc::new(self.rtmp.clone()), self.rtmp_permits.clone());
        PublisherRestorer { services, permits, parked: parked.clone() }
    }

    fn viewers_restorer(&self, parked: &Parked) -> ViewersRestorer {
        let (services, permits) = (Arc::new(self.rtmp.clone()), self.rtmp_permits.clone());
        ViewersRestorer {
            pool: self.rtmp.viewer_pool.clone(),
            gatekeeper: self.rtmp.gatekeeper.clone(),
            permits: self.httpflv_permits.clone(),
            player: Arc::new(move |state, parked| {
                Ok(Box::new(RtmpPlayer::restore(state, parked, &permits, services.clone())?))
            }),
            parked: parked.clone(),
        }
    }
}

/// Puts the HLS sessions back. To be called before anything is served or written, and before
/// [`UpgradeParts::restore`]. `is_next_program`: it was another program that parked them, and had the files.
pub fn restore_hls(hls: &HlsSessions, state: &mut NodeState, parked: &Parked, is_next_program: bool) {
    let Some((sessions, lock)) = state.hls.take() else { return };
    if let Some(lock) = lock.filter(|_| is_next_program).and_then(|lock| parked.take(lock).ok()) {
        hls.adopt_storage(&sessions, lock);
    }
    if let Err(error) = hls.restore(sessions, parked.blobs()) {
        warn!(reason:% = error; "HLS begins anew: its state cannot be restored");
    }
}

/// The claims with the time since which their rooms are live: the registry does not keep it.
fn dated(mut claims: ClaimsState, rooms: &[RoomState]) -> ClaimsState {
    let since = |room: &RoomState| (room.stream.room.clone(), room.stream.stats.since_unix_ms);
    let since: HashMap<RoomName, Option<u64>> = rooms.iter().map(since).collect();
    for claim in &mut claims.held {
        claim.since_unix_ms = since.get(&claim.room).copied().flatten().unwrap_or_default();
    }
    claims
}
