//! A store of claims whose answers a test decides.

use std::{
    future::{pending, ready},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{FutureExt, future::LocalBoxFuture};
use synctv_media::{access::PublisherProof, stream::room::RoomName};
use tokio::sync::Notify;

use crate::cluster::{
    origin::{Origin, PublishedRoom},
    store::{Claim, ClaimError, Granted, Store, StoreError, UsedClaim},
};

/// A store that grants every claim under epoch 1, loses none and knows of no other node, unless it is set up otherwise.
/// Clones share their settings and their record of requests.
#[derive(Clone)]
pub(crate) struct FakeStore {
    script: Arc<Mutex<Script>>,
    permits: Arc<Notify>,
}

/// The timing of answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answers {
    AtOnce,
    After(Duration),
    /// One for each [`FakeStore::let_one_answer`].
    OnPermit,
    Never,
}

struct Script {
    answers: Answers,
    claimed: Result<u64, ClaimError>,
    claimed_next: Option<Result<u64, ClaimError>>,
    located: Result<Option<Origin>, StoreError>,
    loses_claims: bool,
    panics: bool,
    calls: Vec<&'static str>,
}

impl FakeStore {
    pub fn new() -> Self {
        let script = Script {
            answers: Answers::AtOnce,
            claimed: Ok(1),
            claimed_next: None,
            located: Ok(None),
            loses_claims: false,
            panics: false,
            calls: Vec::new(),
        };
        Self { script: Arc::new(Mutex::new(script)), permits: Arc::default() }
    }

    pub fn answer(&self, answers: Answers) {
        self.script().answers = answers;
    }

    /// Lets one call be answered, now or when it comes.
    pub fn let_one_answer(&self) {
        self.permits.notify_one();
    }

    /// Sets the epoch of claims, or why they are refused.
    pub fn claim_as(&self, claimed: Result<u64, ClaimError>) {
        self.script().claimed = claimed;
    }

    /// Takes one more claim, and refuses all others.
    pub fn claim_once(&self) {
        self.script().claimed_next = Some(Err(ClaimError::Taken { node: "n2".to_owned() }));
    }

    /// Sets where rooms are.
    pub fn locate_at(&self, located: Result<Option<Origin>, StoreError>) {
        self.script().located = located;
    }

    /// Finds at each renewal that all claims are lost.
    pub fn lose_claims(&self) {
        self.script().loses_claims = true;
    }

    /// Panics at each renewal.
    pub fn panic_at_renewal(&self) {
        self.script().panics = true;
    }

    /// Returns the names of all calls so far.
    pub fn calls(&self) -> Vec<&'static str> {
        self.script().calls.clone()
    }

    /// Returns how often a room was looked up.
    pub fn lookups(&self) -> usize {
        self.script().calls.iter().filter(|call| **call == "locate").count()
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reply<T: 'static>(&self, call: &'static str, answer: T) -> LocalBoxFuture<'static, T> {
        let mut script = self.script();
        script.calls.push(call);
        let permits = self.permits.clone();
        match script.answers {
            Answers::AtOnce => ready(answer).boxed_local(),
            Answers::After(delay) => tokio::time::sleep(delay).map(|()| answer).boxed_local(),
            Answers::OnPermit => async move {
                permits.notified().await;
                answer
            }
            .boxed_local(),
            Answers::Never => pending().boxed_local(),
        }
    }
}

impl Store for FakeStore {
    fn claim(
        &self,
        room: &RoomName,
        _: Option<PublisherProof>,
    ) -> LocalBoxFuture<'static, Result<Granted, ClaimError>> {
        let claimed = {
            let mut script = self.script();
            let next = script.claimed_next.take();
            let claimed = script.claimed.clone();
            next.into_iter().for_each(|next| script.claimed = next);
            claimed
        };
        self.reply("claim", claimed.map(|epoch| Claim { room: room.clone(), epoch }.into()))
    }

    fn renew(&self, claims: Vec<UsedClaim>) -> LocalBoxFuture<'static, Result<Vec<Claim>, StoreError>> {
        let (loses_claims, panics) = {
            let script = self.script();
            (script.loses_claims, script.panics)
        };
        assert!(!panics, "as a test wants it");
        let lost = claims.into_iter().filter(|_| loses_claims).map(|used| used.claim);
        self.reply("renew", Ok(lost.collect()))
    }

    fn offer(
        &self,
        _: Claim,
        _: PublisherProof,
        _: Duration,
    ) -> LocalBoxFuture<'static, Result<bool, StoreError>> {
        self.reply("offer", Ok(true))
    }

    fn release(&self, _: Claim) -> LocalBoxFuture<'static, Result<(), StoreError>> {
        self.reply("release", Ok(()))
    }

    fn locate(&self, _: &RoomName) -> LocalBoxFuture<'static, Result<Option<Origin>, StoreError>> {
        let located = self.script().located.clone();
        self.reply("locate", located)
    }

    fn rooms(&self) -> LocalBoxFuture<'static, Result<Vec<PublishedRoom>, StoreError>> {
        self.reply("rooms", Ok(Vec::new()))
    }
}
