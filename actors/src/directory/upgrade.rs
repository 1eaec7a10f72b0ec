//! The directory of a node that is upgraded in place.

use std::net::SocketAddr;

use actix::{AsyncContext, Context, Handler};
use futures::future::join_all;
use synctv_media::{access::AddressKey, stream::gop::ParkedCache};

use super::{
    Entry, Purpose, StreamDirectory, StreamDirectoryActor,
    errors::DirectoryEnded,
    messages::{Notice, RestoreStream},
};
use crate::{
    events::StreamId,
    stream::{StreamHandle, StreamMeters},
    thread::ActorThread,
    upgrade::{
        error::RestoreError,
        lot::{Parked, ParkingLot},
        states::{FeedState, ParkedStreamState},
    },
};

impl StreamDirectory {
    /// Has HTTP connections closed that wait for a request, and others behind their answer. A drain that was announced
    /// stays announced.
    pub fn announce_upgrade(&self) {
        self.change_notice(Notice::None, Notice::Upgrade);
    }

    /// Takes [`announce_upgrade`](Self::announce_upgrade) back.
    pub fn withdraw_upgrade(&self) {
        self.change_notice(Notice::Upgrade, Notice::None);
    }

    fn change_notice(&self, from: Notice, to: Notice) {
        self.notice.send_if_modified(|notice| {
            let changes = *notice == from;
            if changes {
                *notice = to;
            }
            changes
        });
    }

    /// Lets newcomers wait until [`end_restoring`](Self::end_restoring), because the rooms of before an upgrade are not
    /// there yet.
    pub fn begin_restoring(&self) {
        self.is_restoring.send_replace(true);
    }

    /// All rooms are there that will be.
    pub fn end_restoring(&self) {
        self.is_restoring.send_replace(false);
    }

    /// Returns whether newcomers are to wait for the rooms of before an upgrade.
    pub fn is_restoring(&self) -> bool {
        *self.is_restoring.borrow()
    }

    /// Waits for the rooms of before an upgrade.
    pub async fn wait_until_restored(&self) {
        // It fails without a sender, and this is one.
        let _ = self.is_restoring.subscribe().wait_for(|is_restoring| !is_restoring).await;
    }

    /// Stops all streams where they are that viewers may have.
    pub(crate) async fn park(
        &self,
        lot: &ParkingLot,
    ) -> Result<Vec<(StreamId, ParkedStreamState)>, DirectoryEnded> {
        let mut streams = self.all_streams().await?;
        // Those that came first keep their series of metrics, and go by their ids.
        streams.sort_by_key(StreamHandle::id);
        let parked = streams.iter().filter(|stream| stream.is_watchable());
        let parked = parked.map(async |stream| Some((stream.id(), lot.wait(stream.park(lot)).await??)));
        let (mut states, mut caches) = (Vec::new(), Vec::new());
        for (id, (state, cache)) in join_all(parked).await.into_iter().flatten() {
            states.push((id, state));
            caches.push(cache);
        }
        let caches = lot.with_blobs(|blobs| ParkedCache::states(&caches, blobs));
        for ((_, state), gops) in states.iter_mut().zip(caches) {
            state.gops = gops;
        }
        Ok(states)
    }

    /// Resumes a stream from before an upgrade. Its id is above those of earlier calls.
    pub(crate) async fn restore(
        &self,
        stream: ParkedStreamState,
        parked: Parked,
        thread: ActorThread,
    ) -> Result<StreamHandle, RestoreError> {
        let id = StreamId::unique();
        let restored = self.address.send(RestoreStream { id, stream, parked, thread }).await;
        restored.unwrap_or(Err(RestoreError::ThreadEnded))
    }
}

impl Handler<RestoreStream> for StreamDirectoryActor {
    type Result = Result<StreamHandle, RestoreError>;

    fn handle(
        &mut self,
        RestoreStream { id, stream, parked, thread }: RestoreStream,
        ctx: &mut Context<Self>,
    ) -> Self::Result {
        let room = stream.room.clone();
        // While it waits for its next publisher, it is still seen: a second look would have it cut into segments twice.
        let was_published = stream.publishers > 0;
        let (is_published, peer) = match &stream.feed {
            FeedState::Published { peer, .. } => (true, *peer),
            FeedState::Vacant { .. } | FeedState::Pulled(_) => (false, None),
        };
        let restored = StreamHandle::restore(
            id,
            &thread,
            self.settings.clone(),
            self.registry.clone(),
            ctx.address().recipient(),
            StreamMeters::new(self.metrics.clone()),
            (stream, &parked),
        )?;
        let entry = Entry {
            stream: restored.clone(),
            purpose: if is_published { Purpose::Publish } else { Purpose::Pull },
            is_observed: was_published,
            publisher: peer.as_ref().map(SocketAddr::ip).map(AddressKey::from),
        };
        if let Some(observe) = self.on_published.as_ref().filter(|_| is_published) {
            observe(&restored);
        }
        self.streams.insert(room, entry);
        Ok(restored)
    }
}
