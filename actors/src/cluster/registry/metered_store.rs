//! A store of claims whose answers are counted.

use std::time::Duration;

use futures::{FutureExt, future::LocalBoxFuture};
use synctv_media::{access::PublisherProof, cluster::claims::TableId, stream::room::RoomName};
use tokio::time::Instant;

use crate::{
    cluster::{
        origin::{LiveNode, Origin, PublishedRoom, Trace},
        store::{Audit, Claim, ClaimError, Granted, LeaseRenewal, Store, StoreError, UsedClaim},
    },
    metrics::{RegistryMetrics, RegistryOperation, RegistryOutcome},
};

/// Counts and times what `S` answers. Each method of [`Store`] is passed on, also those with a default.
pub(super) struct MeteredStore<S> {
    store: S,
    metrics: RegistryMetrics,
}

impl<S> MeteredStore<S> {
    /// Counts what `store` answers in `metrics`.
    pub fn new(store: S, metrics: RegistryMetrics) -> Self {
        Self { store, metrics }
    }

    fn meter<T: 'static, E: 'static>(
        &self,
        operation: RegistryOperation,
        answer: LocalBoxFuture<'static, Result<T, E>>,
        outcome: impl Fn(&Result<T, E>) -> RegistryOutcome + 'static,
    ) -> LocalBoxFuture<'static, Result<T, E>> {
        let (metrics, asked) = (self.metrics.clone(), Instant::now());
        let metered = answer.inspect(move |answer| {
            metrics.request.get(operation).observe(asked.elapsed());
            metrics.requests.get((operation, outcome(answer))).inc();
        });
        metered.boxed_local()
    }

    fn count<T: 'static>(
        &self,
        operation: RegistryOperation,
        answer: LocalBoxFuture<'static, Result<T, StoreError>>,
    ) -> LocalBoxFuture<'static, Result<T, StoreError>> {
        self.meter(operation, answer, |answer| match answer {
            Ok(_) => RegistryOutcome::Ok,
            Err(_) => RegistryOutcome::Error,
        })
    }
}

impl<S: Store> Store for MeteredStore<S> {
    fn node(&self) -> String {
        self.store.node()
    }

    fn claim(
        &self,
        room: &RoomName,
        proof: Option<PublisherProof>,
    ) -> LocalBoxFuture<'static, Result<Granted, ClaimError>> {
        self.meter(RegistryOperation::Claim, self.store.claim(room, proof), |answer| match answer {
            Ok(_) => RegistryOutcome::Ok,
            Err(ClaimError::Taken { .. }) => RegistryOutcome::Refused,
            Err(ClaimError::Unavailable { .. }) => RegistryOutcome::Error,
        })
    }

    fn offer(
        &self,
        claim: Claim,
        proof: PublisherProof,
        hold: Duration,
    ) -> LocalBoxFuture<'static, Result<bool, StoreError>> {
        self.store.offer(claim, proof, hold)
    }

    fn renew(&self, claims: Vec<UsedClaim>) -> LocalBoxFuture<'static, Result<Vec<Claim>, StoreError>> {
        self.count(RegistryOperation::Renew, self.store.renew(claims))
    }

    fn reserve(&self, used: UsedClaim) -> LocalBoxFuture<'static, Result<bool, StoreError>> {
        self.store.reserve(used)
    }

    fn release(&self, claim: Claim) -> LocalBoxFuture<'static, Result<(), StoreError>> {
        self.count(RegistryOperation::Release, self.store.release(claim))
    }

    fn audit(&self, claims: Vec<Claim>) -> LocalBoxFuture<'static, Result<Audit, StoreError>> {
        self.store.audit(claims)
    }

    fn locate(&self, room: &RoomName) -> LocalBoxFuture<'static, Result<Option<Origin>, StoreError>> {
        self.count(RegistryOperation::Locate, self.store.locate(room))
    }

    fn locate_fresh(&self, room: &RoomName) -> LocalBoxFuture<'static, Result<Option<Origin>, StoreError>> {
        self.count(RegistryOperation::Locate, self.store.locate_fresh(room))
    }

    fn trace(&self, room: &RoomName, fresh: bool) -> LocalBoxFuture<'static, Result<Trace, StoreError>> {
        self.count(RegistryOperation::Locate, self.store.trace(room, fresh))
    }

    fn rooms(&self) -> LocalBoxFuture<'static, Result<Vec<PublishedRoom>, StoreError>> {
        self.count(RegistryOperation::List, self.store.rooms())
    }

    fn nodes(&self) -> LocalBoxFuture<'static, Result<Vec<LiveNode>, StoreError>> {
        self.count(RegistryOperation::List, self.store.nodes())
    }

    fn lease_ttl(&self) -> Option<Duration> {
        self.store.lease_ttl()
    }

    fn table_id(&self) -> TableId {
        self.store.table_id()
    }

    fn renew_lease(&self) -> LocalBoxFuture<'static, Result<LeaseRenewal, StoreError>> {
        let (lease, renewed) = (self.metrics.lease.clone(), self.store.renew_lease());
        let renewed = renewed.inspect(move |answer| {
            if answer.is_ok() {
                lease.note();
            }
        });
        self.count(RegistryOperation::Lease, renewed.boxed_local())
    }

    fn announce_drain(&self) {
        self.store.announce_drain();
    }

    fn leave(&self, claims: Vec<Claim>) -> LocalBoxFuture<'static, Result<(), StoreError>> {
        self.store.leave(claims)
    }
}
