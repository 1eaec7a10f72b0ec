//! The scripts and the table in memory, given the same requests, give the same answers.

use synctv_media::cluster::{
    claims::{ClaimTable, Lease},
    numbers::{NumberGrant, NumberHolder},
    offers::Offer,
};

use super::*;

/// Later than any test, and exact as a double, which is what scripts count with.
const FAR_MS: u64 = 1 << 52;

/// The time of leases and reservations that last.
const TTL: Duration = Duration::from_secs(600);

/// Both tables, and the requests that are made.
struct Tables {
    store: RedisStore,
    /// Its clock stands still: numbers that count with it are compared by what is above.
    model: ClaimTable,
    processes: [Process; 3],
    proofs: [PublisherProof; 2],
    epochs: Vec<u64>,
    chance: u64,
}

/// A request of a random process for a random room.
struct Step {
    number: u64,
    request: ClaimRequest,
    used: NumberUse,
}

/// The copies of the table are lost now and then, which changes nothing.
#[actix_rt::test]
async fn redis_follows_the_rules_of_the_table() {
    let redis = Redis::start().await;
    let mut tables = Tables::of(redis.node("n9", 9).await);
    for number in 0..4_000 {
        let step = tables.next_step(number);
        match tables.pick(11) {
            0 => tables.number_an_epoch(&step).await,
            1 | 2 => tables.claim(&step).await,
            3 => tables.renew(&step).await,
            4 => tables.reserve_numbers(&step).await,
            5 => tables.release(&step).await,
            6 => tables.renew_lease(&step).await,
            7 => tables.end_lease(&step).await,
            8 => tables.forget_dead(&step).await,
            9 => tables.lose_a_copy().await,
            _ => tables.offer(&step).await,
        }
        tables.check_holders(&step).await;
    }
}

impl Step {
    /// The text of a failed comparison.
    fn shown(&self) -> String {
        format!("step {}: {:?}", self.number, self.request)
    }

    fn process(&self) -> &Process {
        &self.request.process
    }
}

impl Tables {
    fn of(store: RedisStore) -> Self {
        let processes = [("n1", 1), ("n1", 2), ("n2", 3)];
        Self {
            store,
            model: ClaimTable::default(),
            processes: processes.map(|(node, incarnation)| Process { node: node.to_owned(), incarnation }),
            proofs: ["own", "other"].map(PublisherProof::from_text),
            epochs: vec![1],
            chance: 1,
        }
    }

    fn pick(&mut self, max: usize) -> usize {
        let next = self.chance.wrapping_mul(6_364_136_223_846_793_005);
        self.chance = next.wrapping_add(1_442_695_040_888_963_407);
        (self.chance >> 33) as usize % max
    }

    fn next_step(&mut self, number: u64) -> Step {
        let process = self.processes[self.pick(3)].clone();
        let room = room(["a", "b"][self.pick(2)]);
        let back = self.pick(self.epochs.len().min(4));
        let epoch = self.epochs[self.epochs.len() - 1 - back];
        let valid_until_ms = [0, FAR_MS][self.pick(2)];
        let limit = HlsNumbers { sequence: 1 << 40, discontinuity: 1 << 30 }.plus(number);
        let used = NumberUse { first_sequence: (1 << 40) - 1, limit };
        Step { number, request: ClaimRequest { room, process, epoch, valid_until_ms }, used }
    }

    async fn run<T>(&self, call: impl AsyncFn(&mut PooledConnection) -> Result<T, RedisError>) -> T {
        self.store.0.pool.run(call).await.unwrap()
    }

    async fn number_an_epoch(&mut self, step: &Step) {
        let known = [0, step.request.epoch + 100][self.pick(2)];
        let table = &self.store.0.table;
        let ticket = self.run(async |link| table.next_ticket(link, known).await).await;
        assert!(ticket.epoch >= ticket.now_ms && ticket.epoch > known);
        assert!(self.epochs.iter().all(|epoch| *epoch < ticket.epoch));
        self.epochs.push(ticket.epoch);
    }

    async fn claim(&mut self, step: &Step) {
        let proof = [None, Some(0), Some(1)][self.pick(3)].map(|at: usize| self.proofs[at].clone());
        let ours = self.model.try_claim(&step.request, proof.as_ref(), 1);
        let table = &self.store.0.table;
        let (theirs, _) =
            self.run(async |link| table.try_claim(link, &step.request, proof.as_ref()).await).await;
        match (&ours, &theirs) {
            (ClaimAnswer::Granted(ours), ClaimAnswer::Granted(theirs)) => {
                assert_eq!(ours.continues, theirs.continues, "{}", step.shown());
                let reserved = |grant: &NumberGrant| grant.limit.sequence - grant.first.sequence;
                assert_eq!(reserved(ours), reserved(theirs), "{}", step.shown());
            }
            _ => assert_eq!(theirs, ours, "{}", step.shown()),
        }
    }

    async fn renew(&mut self, step: &Step) {
        let ours = self.model.renew(&step.request, &step.used, 1);
        let table = &self.store.0.table;
        let theirs = self.run(async |link| table.renew(link, &[(step.request.clone(), step.used)]).await);
        assert_eq!(theirs.await[0].0, ours, "{}", step.shown());
    }

    async fn reserve_numbers(&mut self, step: &Step) {
        let ours = self.model.reserve(&step.request, &step.used, 1);
        let (table, ClaimRequest { room, process, epoch, .. }) = (&self.store.0.table, &step.request);
        let theirs = self.run(async |link| table.reserve(link, room, process, *epoch, &step.used).await);
        assert_eq!(theirs.await, ours, "{}", step.shown());
    }

    async fn release(&mut self, step: &Step) {
        let ClaimRequest { room, process, epoch, .. } = &step.request;
        self.model.release(room, process, *epoch, 1);
        let table = &self.store.0.table;
        self.run(async |link| table.release(link, process, [(room, *epoch)]).await).await;
    }

    async fn offer(&mut self, step: &Step) {
        let ClaimRequest { room: name, process, epoch, .. } = &step.request;
        let (proof, hold) = (self.proofs[self.pick(2)].clone(), [Duration::ZERO, TTL][self.pick(2)]);
        let by = Holder { process: process.clone(), epoch: *epoch };
        let table = &self.store.0.table;
        let theirs = self.run(async |link| table.offer(link, name, &by, &proof, hold).await).await;
        let until_ms = if hold.is_zero() { 1 } else { u64::MAX };
        let rooms = [room("a"), room("b")];
        self.run(async |link| table.forget_offers(link, process, &rooms).await).await;
        let ours = self.model.offer(name, Offer { by, proof, until_ms }, 1);
        assert_eq!(theirs, ours, "{}", step.shown());
    }

    async fn renew_lease(&mut self, step: &Step) {
        let over = [None, Some(1), Some(2)][self.pick(3)];
        let Process { node, incarnation } = step.process();
        let is_draining = self.pick(2) == 0;
        let own = Lease { incarnation: *incarnation, ..self.store.0.membership.lease(is_draining) };
        let ours = self.model.renew_lease(node, &own, over, 600_000, 1);
        let table = &self.store.0.table;
        let theirs = self.run(async |link| table.renew_lease(link, node, &own, over, TTL).await);
        assert_eq!(theirs.await.answer, ours, "{} over {over:?}", step.shown());
    }

    async fn end_lease(&mut self, step: &Step) {
        self.model.end_lease(step.process());
        let (table, node) = (&self.store.0.table, &step.process().node);
        self.run(async |link| table.end_lease(link, step.process()).await).await;
        let theirs = self.run(async |link| table.lease(link, node).await).await;
        let theirs = theirs.map(|listed| listed.lease);
        assert_eq!(theirs.as_ref(), self.model.lease(node, 1), "{}", step.shown());
    }

    async fn forget_dead(&mut self, step: &Step) {
        let node = &step.process().node;
        self.model.forget_dead(node, 0, 1);
        let rooms = ["a", "b"].map(room);
        let rooms: Vec<&RoomName> = rooms.iter().collect();
        let table = &self.store.0.table;
        self.run(async |link| table.forget_dead(link, node, &rooms, Duration::ZERO).await).await;
    }

    async fn lose_a_copy(&mut self) {
        let copies = ["stream:a", "stream:b", "node:n1", "node:n2"];
        let copy = copies[self.pick(4)];
        query::<i64>(&self.store, &format!("DEL {copy}")).await;
    }

    /// Claims, and the holders of numbers, are the same in both.
    async fn check_holders(&self, step: &Step) {
        let (table, name) = (&self.store.0.table, &step.request.room);
        let traced = self.run(async |link| table.trace(link, name).await).await;
        let theirs = traced.row.map(|row| Holder { process: row.process, epoch: row.epoch });
        assert_eq!(theirs.as_ref(), self.model.holder(name), "{}", step.shown());
        let seen = |holder: &NumberHolder| {
            (holder.process.clone(), holder.epoch, holder.left_ms.is_some(), holder.hls.clone())
        };
        let ours = self.model.numbers_of(name, 1).map_or(&[][..], |numbers| numbers.holders());
        let (theirs, ours): (Vec<_>, Vec<_>) =
            (traced.holders.iter().map(seen).collect(), ours.iter().map(seen).collect());
        assert_eq!(theirs, ours, "{}", step.shown());
    }
}
