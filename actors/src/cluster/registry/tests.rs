use actix::{Actor, ActorContext, Context, Handler, Message};
use tokio::sync::mpsc;

use super::*;
use crate::{
    cluster::{embedded_store::EmbeddedStore, store::Store},
    testing::{Answers, FakeStore, room},
};

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

#[derive(Message)]
#[rtype(result = "()")]
struct Stop;

impl Handler<Stop> for Owner {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

fn owner() -> (Recipient<ClaimLost>, mpsc::UnboundedReceiver<u64>) {
    let (sender, losses) = mpsc::unbounded_channel();
    (Owner(sender).start().recipient(), losses)
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
    let first = registry.claim(room("r"), None, owner.clone()).await.unwrap().claim;
    let taken = registry.claim(room("r"), None, owner.clone()).await.unwrap_err();
    assert_eq!(taken, ClaimError::Taken { node: "n1".to_owned() });
    registry.release(first.clone());
    let second = registry.claim(room("r"), None, owner.clone()).await.unwrap().claim;
    assert!(second.epoch > first.epoch);
    registry.release(first);
    assert!(registry.claim(room("r"), None, owner).await.is_err(), "a late release frees nothing");
}

#[actix_rt::test]
async fn a_room_whose_owner_died_is_free_for_the_next_one_at_once() {
    let registry = registry(|| EmbeddedStore::new("n1".to_owned()));
    let (sender, _losses) = mpsc::unbounded_channel();
    let dying = Owner(sender).start();
    let first = registry.claim(room("r"), None, dying.clone().recipient()).await.unwrap();
    dying.send(Stop).await.unwrap();
    let (next, _losses) = owner();
    let second = registry.claim(room("r"), None, next.clone()).await.unwrap();
    assert!(second.claim.epoch > first.claim.epoch);
    assert!(matches!(registry.claim(room("r"), None, next).await, Err(ClaimError::Taken { .. })));
}

#[actix_rt::test]
async fn claims_outlive_any_number_of_heartbeats() {
    let registry = registry(|| EmbeddedStore::new("n1".to_owned()));
    let (owner, mut losses) = owner();
    registry.claim(room("r"), None, owner.clone()).await.unwrap();
    tokio::time::sleep(100 * HEARTBEAT).await;
    assert!(losses.try_recv().is_err());
    assert!(registry.claim(room("r"), None, owner).await.is_err());
}

#[actix_rt::test]
async fn the_owner_is_notified_when_a_heartbeat_finds_the_claim_lost() {
    let store = FakeStore::new();
    store.lose_claims();
    let registry = registry_on(&store);
    let (owner, mut losses) = owner();
    registry.claim(room("r"), None, owner).await.unwrap();
    assert_eq!(losses.recv().await, Some(1));
    assert!(registry.is_alive().await);
}

#[actix_rt::test]
async fn a_store_that_does_not_answer_is_a_refusal_in_time() {
    let store = FakeStore::new();
    store.answer(Answers::Never);
    let registry = registry_on(&store);
    let (owner, _losses) = owner();
    let asked = tokio::time::Instant::now();
    let refused = registry.claim(room("r"), None, owner).await.unwrap_err();
    assert!(matches!(refused, ClaimError::Unavailable { .. }));
    assert!(asked.elapsed() < CLAIM_TIMEOUT + Duration::from_millis(100));
}

/// A store that answers when the test lets it.
fn slow_store() -> FakeStore {
    let store = FakeStore::new();
    store.answer(Answers::OnPermit);
    store
}

/// Starts a registry on a store that stays in the test's hands.
fn registry_on(store: &FakeStore) -> RegistryHandle {
    tokio::time::pause();
    let metrics = RegistryMetrics::default();
    let (store, of_actor) = (store.clone(), metrics.clone());
    let start = move |_: &mut _| RegistryActor::new(store.clone(), HEARTBEAT, of_actor.clone());
    RegistryHandle { address: actix::Supervisor::start(start), metrics }
}

#[actix_rt::test]
async fn a_claim_that_is_granted_after_its_time_is_given_back() {
    let store = slow_store();
    let registry = registry_on(&store);
    let (owner, _losses) = owner();
    assert!(registry.claim(room("r"), None, owner).await.is_err());
    assert_eq!(store.calls(), ["claim"]);
    store.let_one_answer();
    while store.calls().len() < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(store.calls(), ["claim", "release"]);
}

#[actix_rt::test]
async fn a_claim_waits_for_the_release_of_its_room_and_a_release_for_the_renewal_of_its_claim() {
    let store = slow_store();
    let registry = registry_on(&store);
    let (owner, _losses) = owner();
    store.let_one_answer();
    let first = registry.claim(room("r"), None, owner.clone()).await.unwrap().claim;
    tokio::time::sleep(HEARTBEAT * 3 / 2).await;
    assert_eq!(store.calls(), ["claim", "renew"]);
    registry.release(first);
    let (second, ()) = futures::join!(registry.claim(room("r"), None, owner), async {
        for calls in 2..5 {
            while store.calls().len() < calls {
                tokio::task::yield_now().await;
            }
            registry.is_alive().await;
            assert_eq!(store.calls().len(), calls, "nothing overtakes");
            store.let_one_answer();
        }
    });
    assert!(second.is_ok());
    assert_eq!(store.calls(), ["claim", "renew", "release", "claim"]);
}

#[actix_rt::test]
async fn many_who_ask_for_a_room_cost_one_look_and_for_a_moment_none() {
    let store = slow_store();
    let registry = registry_on(&store);
    let (answers, ()) =
        futures::join!(futures::future::join_all((0..9).map(|_| registry.locate(room("r")))), async {
            registry.is_alive().await;
            store.let_one_answer();
        });
    assert!(answers.iter().all(|answer| *answer == Ok(None)));
    assert_eq!(registry.locate(room("r")).await, Ok(None));
    assert_eq!(store.calls(), ["locate"]);
    store.let_one_answer();
    assert_eq!(registry.trace(room("r"), Freshness::Anew).await, Ok(Trace::default()));
    assert_eq!(store.calls().len(), 2);
}

#[actix_rt::test]
async fn owners_are_notified_when_the_registry_panics() {
    let store = FakeStore::new();
    store.panic_at_renewal();
    let registry = registry_on(&store);
    let (owner, mut losses) = owner();
    registry.claim(room("r"), None, owner).await.unwrap();
    assert_eq!(losses.recv().await, Some(1));
    assert!(!registry.is_alive().await);
}

#[actix_rt::test]
async fn a_node_that_leaves_takes_nothing_more() {
    let registry = registry(|| EmbeddedStore::new("n1".to_owned()));
    let (owner, mut losses) = owner();
    registry.claim(room("r"), None, owner.clone()).await.unwrap();
    assert_eq!(registry.readiness().await, Readiness::Ready);
    registry.leave().await;
    assert!(matches!(registry.readiness().await, Readiness::NotReady { .. }));
    assert!(matches!(registry.claim(room("s"), None, owner).await, Err(ClaimError::Unavailable { .. })));
    assert_eq!(registry.rooms().await.unwrap(), []);
    assert!(losses.try_recv().is_err(), "owners are not notified");
}
