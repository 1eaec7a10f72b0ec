use std::{cell::RefCell, rc::Rc};

use actix::{Actor, Context, Handler};
use futures::future::{LocalBoxFuture, pending, ready};
use tokio::sync::mpsc;

use super::{
    embedded::EmbeddedStore,
    store::{Store, StoreError},
    *,
};
use crate::testing::room;

/// Notes the epochs of the claims it lost.
struct Owner(mpsc::UnboundedSender<u64>);

impl Actor for Owner {
    type Context = Context<Self>;
}

impl Handler<ClaimLost> for Owner {
    type Result = ();

    fn handle(&mut self, lost: ClaimLost, _: &mut Self::Context) {
        let _ = self.0.send(lost.epoch);
    }
}

fn owner() -> (Recipient<ClaimLost>, mpsc::UnboundedReceiver<u64>) {
    let (sender, losses) = mpsc::unbounded_channel();
    (Owner(sender).start().recipient(), losses)
}

/// A store that says what a test tells it to.
#[derive(Clone, Default)]
struct ScriptedStore {
    hangs: bool,
    lost: Rc<RefCell<Vec<Claim>>>,
}

impl Store for ScriptedStore {
    fn claim(&self, room: &RoomName) -> LocalBoxFuture<'static, Result<Claim, ClaimError>> {
        if self.hangs {
            return Box::pin(pending());
        }
        let claim = Claim { room: room.clone(), epoch: 5 };
        self.lost.borrow_mut().push(claim.clone());
        Box::pin(ready(Ok(claim)))
    }

    fn renew(&self, _: Vec<Claim>) -> LocalBoxFuture<'static, Result<Vec<Claim>, StoreError>> {
        Box::pin(ready(Ok(self.lost.take())))
    }

    fn release(&self, _: Claim) -> LocalBoxFuture<'static, Result<(), StoreError>> {
        Box::pin(ready(Ok(())))
    }

    fn locate(&self, _: &RoomName) -> LocalBoxFuture<'static, Result<Option<Origin>, StoreError>> {
        Box::pin(ready(Ok(None)))
    }

    fn rooms(&self) -> LocalBoxFuture<'static, Result<Vec<PublishedRoom>, StoreError>> {
        Box::pin(ready(Ok(Vec::new())))
    }
}

const HEARTBEAT: Duration = Duration::from_secs(60);

fn registry<S: Store>(store: impl FnOnce() -> S + Send + 'static) -> RegistryHandle {
    tokio::time::pause();
    RegistryHandle::start_on(&actix_rt::Arbiter::current(), HEARTBEAT, store)
}

#[actix_rt::test]
async fn a_room_is_claimed_once_and_again_after_its_release_with_a_higher_epoch() {
    let registry = registry(|| EmbeddedStore::new("n1".to_owned()));
    let (owner, _losses) = owner();
    let first = registry.claim(room("r"), owner.clone()).await.unwrap();
    let taken = registry.claim(room("r"), owner.clone()).await.unwrap_err();
    assert_eq!(taken, ClaimError::Taken { node: "n1".to_owned() });
    registry.release(first.clone());
    let second = registry.claim(room("r"), owner.clone()).await.unwrap();
    assert!(second.epoch > first.epoch);
    registry.release(first);
    assert!(registry.claim(room("r"), owner).await.is_err(), "a late release frees nothing");
}

#[actix_rt::test]
async fn claims_outlive_any_number_of_heartbeats() {
    let registry = registry(|| EmbeddedStore::new("n1".to_owned()));
    let (owner, mut losses) = owner();
    registry.claim(room("r"), owner.clone()).await.unwrap();
    tokio::time::sleep(100 * HEARTBEAT).await;
    assert!(losses.try_recv().is_err());
    assert!(registry.claim(room("r"), owner).await.is_err());
}

#[actix_rt::test]
async fn the_owner_is_told_when_a_heartbeat_finds_the_claim_gone() {
    let registry = registry(ScriptedStore::default);
    let (owner, mut losses) = owner();
    registry.claim(room("r"), owner).await.unwrap();
    assert_eq!(losses.recv().await, Some(5));
    assert!(registry.is_alive().await);
}

#[actix_rt::test]
async fn a_store_that_does_not_answer_is_a_refusal_in_time() {
    let registry = registry(|| ScriptedStore { hangs: true, ..ScriptedStore::default() });
    let (owner, _losses) = owner();
    let asked = tokio::time::Instant::now();
    let refused = registry.claim(room("r"), owner).await.unwrap_err();
    assert!(matches!(refused, ClaimError::Unavailable { .. }));
    assert!(asked.elapsed() < CLAIM_TIMEOUT + Duration::from_millis(100));
}
