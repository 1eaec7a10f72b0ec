//! The connections of this node that publish over plain RTMP, to be found when the node is upgraded in place.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use actix::{Message, Recipient};
use futures::future::join_all;
use synctv_media::stream::room::RoomName;
use tokio::sync::oneshot;

use crate::upgrade::{lot::ParkingLot, states::PublisherState};

/// The publishers. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct RtmpConnections(Arc<Mutex<HashMap<u64, Publisher>>>);

#[derive(Debug)]
struct Publisher {
    room: RoomName,
    connection: Recipient<UpgradeStep>,
}

/// A publisher's place among the connections, until it is dropped.
#[derive(Debug)]
pub(super) struct ConnectionEntry {
    id: u64,
    connections: RtmpConnections,
}

/// A step of an upgrade in place, for a publisher's connection.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) enum UpgradeStep {
    /// It is closed if it is encrypted.
    CloseEncrypted,
    /// It stops where it is.
    Park(Parking),
}

/// The wish that a publisher's connection stops where it is, once its stream has taken what was read. It answers nothing if
/// it has ended by then, or cannot be handed over.
pub(super) struct Parking {
    pub lot: ParkingLot,
    pub answer: oneshot::Sender<PublisherState>,
}

impl RtmpConnections {
    /// Adds a publisher of `room`.
    pub(super) fn enter(&self, room: RoomName, connection: Recipient<UpgradeStep>) -> ConnectionEntry {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        self.lock().insert(id, Publisher { room, connection });
        ConnectionEntry { id, connections: self.clone() }
    }

    /// The number of publishers.
    pub(crate) fn count(&self) -> usize {
        self.lock().len()
    }

    /// Closes the publishers whose connections are encrypted: those cannot be handed over.
    pub fn close_encrypted(&self) {
        for publisher in self.lock().values() {
            publisher.connection.do_send(UpgradeStep::CloseEncrypted);
        }
    }

    /// Stops all publishers where they are: nothing more is read or answered.
    pub(crate) async fn park(&self, lot: &ParkingLot) -> Vec<(RoomName, PublisherState)> {
        let publishers: Vec<_> = {
            let publishers = self.lock();
            publishers.values().map(|one| (one.room.clone(), one.connection.clone())).collect()
        };
        let parked = publishers.into_iter().map(async |(room, connection)| {
            let (answer, answered) = oneshot::channel();
            connection.do_send(UpgradeStep::Park(Parking { lot: lot.clone(), answer }));
            Some((room, lot.wait(answered).await?.ok()?))
        });
        join_all(parked).await.into_iter().flatten().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Publisher>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ConnectionEntry {
    fn drop(&mut self) {
        self.connections.lock().remove(&self.id);
    }
}
