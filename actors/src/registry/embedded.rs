//! The store of a node that is alone: claims in memory.

use std::{cell::RefCell, collections::HashMap, rc::Rc};

use futures::{
    FutureExt,
    future::{LocalBoxFuture, ready},
};
use synctv_media::room::RoomName;

use super::{
    ClaimError,
    origin::{Origin, PublishedRoom},
    store::{Claim, Store, StoreError},
};
use crate::hls::unix_ms;

/// Claims of one process, gone with it. Cloning gives another handle to the same claims.
#[derive(Debug, Clone)]
pub struct EmbeddedStore {
    node_id: String,
    state: Rc<RefCell<State>>,
}

#[derive(Debug, Default)]
struct State {
    last_epoch: u64,
    rooms: HashMap<RoomName, Taken>,
}

#[derive(Debug, Clone, Copy)]
struct Taken {
    epoch: u64,
    since_unix_ms: u64,
}

impl EmbeddedStore {
    /// An empty store of the node `node_id`.
    pub fn new(node_id: String) -> Self {
        Self { node_id, state: Rc::default() }
    }

    fn take(&self, room: &RoomName) -> Result<Claim, ClaimError> {
        let mut state = self.state.borrow_mut();
        if state.rooms.contains_key(room) {
            return Err(ClaimError::Taken { node: self.node_id.clone() });
        }
        state.last_epoch += 1;
        let epoch = state.last_epoch;
        state.rooms.insert(room.clone(), Taken { epoch, since_unix_ms: unix_ms() });
        Ok(Claim { room: room.clone(), epoch })
    }

    fn is_held(&self, claim: &Claim) -> bool {
        self.state.borrow().rooms.get(&claim.room).is_some_and(|taken| taken.epoch == claim.epoch)
    }
}

impl Store for EmbeddedStore {
    fn claim(&self, room: &RoomName) -> LocalBoxFuture<'static, Result<Claim, ClaimError>> {
        ready(self.take(room)).boxed_local()
    }

    fn renew(&self, mut claims: Vec<Claim>) -> LocalBoxFuture<'static, Result<Vec<Claim>, StoreError>> {
        claims.retain(|claim| !self.is_held(claim));
        ready(Ok(claims)).boxed_local()
    }

    fn release(&self, claim: Claim) -> LocalBoxFuture<'static, Result<(), StoreError>> {
        if self.is_held(&claim) {
            self.state.borrow_mut().rooms.remove(&claim.room);
        }
        ready(Ok(())).boxed_local()
    }

    fn locate(&self, _: &RoomName) -> LocalBoxFuture<'static, Result<Option<Origin>, StoreError>> {
        ready(Ok(None)).boxed_local()
    }

    fn rooms(&self) -> LocalBoxFuture<'static, Result<Vec<PublishedRoom>, StoreError>> {
        let published = |(room, taken): (&RoomName, &Taken)| PublishedRoom {
            room: room.clone(),
            node: self.node_id.clone(),
            since_unix_ms: taken.since_unix_ms,
        };
        ready(Ok(self.state.borrow().rooms.iter().map(published).collect())).boxed_local()
    }
}
