//! Claims that nodes in one process share, in memory.

use std::{
    collections::HashMap,
    future::ready,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::{FutureExt, future::LocalBoxFuture};
use synctv_actors::cluster::{
    origin::{LiveNode, NodeAddresses, Origin, PublishedRoom},
    store::{Claim, ClaimError, Granted, Store, StoreError, UsedClaim},
};
use synctv_media::{access::PublisherProof, cluster::standing::NodeStanding, stream::room::RoomName};

/// The claims of all nodes, and their addresses. A node that is in it counts as alive.
#[derive(Debug, Clone, Default)]
pub struct SharedClaims(Arc<Mutex<Table>>);

#[derive(Debug, Default)]
struct Table {
    last_epoch: u64,
    rooms: HashMap<RoomName, (String, u64)>,
    nodes: HashMap<String, NodeAddresses>,
}

impl SharedClaims {
    /// Adds a node, or changes its addresses.
    pub fn join(&self, node: &str, addresses: NodeAddresses) {
        self.table().nodes.insert(node.to_owned(), addresses);
    }

    /// Removes a node, as if its lease had lapsed.
    pub fn leave(&self, node: &str) {
        self.table().nodes.remove(node);
    }

    /// Claims a room for a node, as if it were published there.
    pub fn claim(&self, node: &str, room: &str) {
        self.store(node).take(&RoomName::new(room).expect("a name")).expect("the room is free");
    }

    /// Returns a node's view of the claims.
    pub fn store(&self, node: &str) -> SharedStore {
        SharedStore { node: node.to_owned(), claims: self.clone() }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A node's view of [`SharedClaims`].
#[derive(Debug)]
pub struct SharedStore {
    node: String,
    claims: SharedClaims,
}

impl SharedStore {
    fn take(&self, room: &RoomName) -> Result<Claim, ClaimError> {
        let mut table = self.claims.table();
        if let Some((node, _)) = table.rooms.get(room).filter(|(node, _)| table.nodes.contains_key(node)) {
            return Err(ClaimError::Taken { node: node.clone() });
        }
        table.last_epoch += 1;
        let epoch = table.last_epoch;
        table.rooms.insert(room.clone(), (self.node.clone(), epoch));
        Ok(Claim { room: room.clone(), epoch })
    }

    fn find(&self, room: &RoomName) -> Option<Origin> {
        let table = self.claims.table();
        let (node, epoch) = table.rooms.get(room).filter(|(node, _)| *node != self.node)?;
        let addresses = table.nodes.get(node)?.clone();
        Some(Origin { node: node.clone(), epoch: *epoch, addresses })
    }

    fn free(&self, claim: &Claim) {
        let mut table = self.claims.table();
        if table.rooms.get(&claim.room).is_some_and(|(_, epoch)| *epoch == claim.epoch) {
            table.rooms.remove(&claim.room);
        }
    }
}

impl Store for SharedStore {
    fn claim(
        &self,
        room: &RoomName,
        _: Option<PublisherProof>,
    ) -> LocalBoxFuture<'static, Result<Granted, ClaimError>> {
        ready(self.take(room).map(Granted::from)).boxed_local()
    }

    fn renew(&self, _: Vec<UsedClaim>) -> LocalBoxFuture<'static, Result<Vec<Claim>, StoreError>> {
        ready(Ok(Vec::new())).boxed_local()
    }

    fn release(&self, claim: Claim) -> LocalBoxFuture<'static, Result<(), StoreError>> {
        self.free(&claim);
        ready(Ok(())).boxed_local()
    }

    fn locate(&self, room: &RoomName) -> LocalBoxFuture<'static, Result<Option<Origin>, StoreError>> {
        ready(Ok(self.find(room))).boxed_local()
    }

    fn nodes(&self) -> LocalBoxFuture<'static, Result<Vec<LiveNode>, StoreError>> {
        let nodes = self.claims.table().nodes.clone();
        let others = nodes.into_iter().filter(|(name, _)| *name != self.node);
        let live = |(name, addresses)| LiveNode { name, addresses, standing: NodeStanding::default() };
        ready(Ok(others.map(live).collect())).boxed_local()
    }

    fn rooms(&self) -> LocalBoxFuture<'static, Result<Vec<PublishedRoom>, StoreError>> {
        ready(Ok(Vec::new())).boxed_local()
    }
}
