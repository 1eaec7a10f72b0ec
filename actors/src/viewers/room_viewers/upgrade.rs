//! The viewers of one room on one thread over an upgrade in place.

use std::sync::Arc;

use actix::{ActorContext, AsyncContext, Context, Handler, MessageResult};
use log::warn;
use synctv_media::stream::viewer_queue::LagLimits;
use tokio::sync::oneshot;

use super::{RoomViewersActor, now};
use crate::{
    events::ViewerId,
    stream::StreamHandle,
    upgrade::{
        error::RestoreError,
        lot::Parked,
        states::{ConversationState, ShareState, ViewerState},
    },
    viewers::{
        messages::Park,
        player::Player,
        pool_state::PoolKey,
        viewer::{Viewer, ViewerRights},
    },
};

/// Restores the protocol's side of an RTMP player.
pub(in crate::viewers) type PlayerMaker =
    Arc<dyn Fn(ConversationState, &Parked) -> Result<Box<dyn Player>, RestoreError> + Send + Sync>;

/// Viewers on their way to the thread that serves them from now on.
pub(in crate::viewers) struct ParkedViewers {
    pub viewers: Vec<(ViewerState, ViewerRights)>,
    pub parked: Parked,
    pub player: PlayerMaker,
    /// Hears how many were restored, once they get the stream.
    pub done: oneshot::Sender<usize>,
}

impl RoomViewersActor {
    /// Goes on with viewers. To be called in the context of the actor on its thread.
    pub(in crate::viewers) fn restore(
        stream: StreamHandle,
        key: PoolKey,
        limits: Arc<LagLimits>,
        restoring: ParkedViewers,
        ctx: &mut Context<Self>,
    ) -> Self {
        let mut actor = Self::new(stream, key, limits);
        let ParkedViewers { viewers, parked, player, done } = restoring;
        let now = now();
        for (state, rights) in viewers {
            let (id, peer) = (ViewerId(actor.next_viewer), state.peer);
            actor.next_viewer += 1;
            let player = |conversation| player(conversation, &parked);
            match Viewer::restore(id, actor.stream(), state, rights, &parked, now, player) {
                Ok(viewer) => actor.viewers.push(viewer),
                Err(error) => warn!(peer:% = peer, reason:% = error; "viewer lost in the upgrade"),
            }
        }
        actor.awaits_media = true;
        actor.subscription.rejoin(ctx.address().recipient());
        // No one may be left to hear it.
        let _ = done.send(actor.viewers.len());
        actor
    }

    /// Lets restored viewers go on: what waits for them is sent, and those that wait for media ask for it again.
    pub(super) fn resume_restored(&mut self, ctx: &mut Context<Self>) {
        let ids: Vec<ViewerId> = self.viewers.iter().map(|viewer| viewer.id).collect();
        for id in ids {
            let mut is_joining = false;
            self.update(id, ctx, |viewer, now| {
                is_joining = viewer.is_joining();
                Ok(viewer.socket.resume(now)?)
            });
            if is_joining {
                self.subscription.join(id, ctx.address().recipient());
            }
            self.follow_requests(id, ctx);
        }
    }
}

impl Handler<Park> for RoomViewersActor {
    type Result = MessageResult<Park>;

    fn handle(&mut self, Park { lot }: Park, ctx: &mut Context<Self>) -> Self::Result {
        if lot.is_closed() {
            return MessageResult(ShareState::default());
        }
        let now = now();
        let viewers = std::mem::take(&mut self.viewers).into_iter();
        let viewers = viewers.filter_map(|viewer| viewer.park(&lot, now)).collect();
        ctx.stop();
        MessageResult(ShareState { viewers })
    }
}
