//! All viewers of a node over an upgrade in place.

use std::sync::Arc;

use actix::Actor;
use futures::future::join_all;
use log::warn;
use tokio::sync::oneshot;

use super::{
    messages::{Park, ViewerGuard},
    pool_state::{PoolKey, PoolState, ShareId, ThreadShare, Worker},
    room_viewers::{ParkedViewers, PlayerMaker, RoomViewersActor},
    viewer::ViewerRights,
    viewer_pool::ViewerPool,
};
use crate::{
    access::Gatekeeper,
    connection_limit::ConnectionLimit,
    events::StreamId,
    stream::{StreamHandle, ViewerCount},
    thread::ActorThread,
    upgrade::{
        lot::{Parked, ParkingLot},
        states::{InboxState, ShareState, ViewerState},
    },
};

/// Restores viewers, room by room.
pub(crate) struct ViewersRestorer {
    /// Serves them.
    pub pool: ViewerPool,
    /// Goes on with their access.
    pub gatekeeper: Gatekeeper,
    /// Counts the connections of those that have no other owner.
    pub permits: ConnectionLimit,
    /// Makes their players.
    pub player: PlayerMaker,
    /// Has their connections.
    pub parked: Parked,
}

impl ViewerPool {
    /// Stops all viewers where they are, after their streams were: nothing more is sent or read.
    pub(crate) async fn park(&self, lot: &ParkingLot) -> Vec<(StreamId, ShareState)> {
        let shares: Vec<_> = {
            let state = self.lock();
            state.shares.iter().map(|((stream, _), share)| (*stream, share.parking.clone())).collect()
        };
        let parked = shares.into_iter().map(async |(stream, share)| {
            let parked = lot.wait(share.send(Park { lot: lot.clone() })).await?;
            let parked =
                parked.inspect_err(|error| warn!(reason:% = error; "a thread's viewers are not parked"));
            Some((stream, parked.ok()?))
        });
        join_all(parked).await.into_iter().flatten().collect()
    }

    /// The number of all viewers.
    pub(crate) fn count(&self) -> usize {
        let state = self.lock();
        let viewers: u64 = state.workers.iter().map(|worker| worker.viewers.get()).sum();
        usize::try_from(viewers).unwrap_or(usize::MAX)
    }

    /// The threads that serve viewers.
    pub(crate) fn threads(&self) -> Vec<ActorThread> {
        self.lock().workers.iter().map(|worker| worker.thread.clone()).collect()
    }
}

/// The viewers of a stream that one thread gets.
struct Group {
    worker: Arc<Worker>,
    share: ViewerCount,
    viewers: Vec<(ViewerState, ViewerRights)>,
}

impl ViewersRestorer {
    /// Goes on with the viewers of `stream`. Returns how many there are, once they are subscribed.
    pub async fn restore(&self, stream: &StreamHandle, viewers: Vec<ViewerState>) -> usize {
        let started: Vec<_> = {
            let mut state = self.pool.lock();
            let groups = self.group(&state, stream, viewers);
            groups.into_iter().map(|group| self.start(&mut state, stream, group)).collect()
        };
        join_all(started).await.into_iter().map(|count| count.unwrap_or(0)).sum()
    }

    /// Spreads viewers over the threads as newcomers are.
    fn group(&self, state: &PoolState, stream: &StreamHandle, viewers: Vec<ViewerState>) -> Vec<Group> {
        let here = ActorThread::current();
        let mut groups: Vec<Group> = Vec::new();
        for viewer in viewers {
            let of_room = |worker: &Worker| {
                let group = groups.iter().find(|group| group.worker.thread.id() == worker.thread.id());
                group.map_or(0, |group| group.share.get())
            };
            let worker = state.worker_with(stream, &here, of_room);
            let at = groups.iter().position(|group| group.worker.thread.id() == worker.thread.id());
            let at = at.unwrap_or(groups.len());
            if at == groups.len() {
                groups.push(Group { worker, share: ViewerCount::default(), viewers: Vec::new() });
            }
            if let Some(group) = groups.get_mut(at)
                && let Some(viewer) = self.with_rights(viewer, &group.worker, &group.share)
            {
                group.viewers.push(viewer);
            }
        }
        groups
    }

    /// Starts the actor of a thread's viewers.
    fn start(&self, state: &mut PoolState, stream: &StreamHandle, group: Group) -> oneshot::Receiver<usize> {
        let Group { worker, share: viewers, viewers: parked } = group;
        let (done, is_done) = oneshot::channel();
        let id = ShareId::unique();
        let restoring =
            ParkedViewers { viewers: parked, parked: self.parked.clone(), player: self.player.clone(), done };
        let (pool, limits) = (self.pool.shared(), self.pool.limits());
        let (of_actor, thread) = (stream.clone(), worker.thread.id());
        let address = RoomViewersActor::start_in_arbiter(worker.thread.arbiter(), move |ctx| {
            let key = PoolKey { pool, stream: of_actor.id(), thread, id };
            RoomViewersActor::restore(of_actor, key, limits, restoring, ctx)
        });
        let share =
            ThreadShare { id, viewers, address: address.clone().recipient(), parking: address.recipient() };
        state.shares.insert((stream.id(), thread), share);
        is_done
    }

    /// Takes what a viewer needs beside its connection. `None` if there is no place for it.
    fn with_rights(
        &self,
        mut viewer: ViewerState,
        worker: &Worker,
        share: &ViewerCount,
    ) -> Option<(ViewerState, ViewerRights)> {
        let has_own_permit = matches!(viewer.inbox, InboxState::Player(_));
        let permit = if has_own_permit { None } else { self.permits.take() };
        if permit.is_none() && !has_own_permit {
            warn!(peer:% = viewer.peer; "viewer lost in the upgrade: MAX_CONNECTIONS is lower than before");
            return None;
        }
        let access = viewer.access.take().and_then(|access| self.gatekeeper.resume(access));
        let guard = ViewerGuard { _of_worker: worker.viewers.add(), _of_share: share.add() };
        Some((viewer, ViewerRights { access, permit, guard }))
    }
}
