//! Events of the world, and requests of its nodes to the table.

use super::*;

impl World {
    pub(super) fn new() -> Self {
        let mut world = Self {
            now_ms: EPOCH_UNIX_MS + 1_000_000_000,
            memory: 1,
            table: ClaimTable::default(),
            saved: ClaimTable::default(),
            nodes: Vec::new(),
            messages: Vec::new(),
            last_incarnation: 0,
            last_session: 0,
            given_epochs: HashSet::new(),
            edges: HashMap::new(),
            used: HashMap::new(),
            promised: HashMap::new(),
            is_lossy: false,
        };
        for index in 0..NODES {
            let node = world.start(index);
            world.nodes.push(node);
        }
        world
    }

    /// A process that has just taken its node's lease, from a predecessor if need be.
    pub(super) fn start(&mut self, index: usize) -> Node {
        self.last_incarnation += 1;
        let process = Process { node: format!("n{index}"), incarnation: self.last_incarnation };
        let over = self.table.lease(&process.node, self.now_ms).map(|lease| lease.incarnation);
        self.table.renew_lease(&process.node, &lease(&process), over, LEASE_TTL_MS, self.now_ms);
        Node {
            process,
            node_lease: NodeLease::new(LEASE_TTL_MS, TableId(self.memory), self.now_ms),
            is_paused: false,
            claims: HashMap::new(),
            sessions: HashMap::new(),
            busy: HashMap::new(),
            given_up: Vec::new(),
            lease_generation: 0,
            is_renewing: false,
            must_return: false,
            has_lapsed: false,
            started_in: self.is_lossy.then_some(TableId(self.memory)),
        }
    }

    pub(super) fn happen(&mut self, event: Event) {
        match event {
            Event::Wait { ms } => self.now_ms += ms,
            Event::RenewLease { node } => self.renew_lease(node),
            Event::RenewClaims { node } => self.renew_claims(node),
            Event::Claim { node, room: index, is_own } => self.claim(node, room(index), is_own),
            Event::Offer { node, room: index } => self.offer(node, room(index)),
            Event::Release { node, room: index } => self.release(node, room(index)),
            Event::Reach(index) => self.reach_one(index),
            Event::Answer(index) => self.answer_one(index),
            Event::Deliver { node } => self.deliver(node),
            Event::Exchange { node } => self.exchange(node),
            Event::Pause { node } => self.nodes[node].is_paused = true,
            Event::Resume { node } => self.nodes[node].is_paused = false,
            Event::Restart { node } => self.nodes[node] = self.start(node),
            Event::Cut { node, room: index, count } => self.cut(node, &room(index), count),
            Event::TakeWindow { node, room: index } => self.take_window(node, &room(index)),
            Event::Audit { node } => self.audit(node),
            Event::EmptyTable => self.replace_table(ClaimTable::default()),
            Event::Save => self.saved = self.table.clone(),
            Event::Restore => self.replace_table(self.saved.clone()),
        }
    }

    pub(super) fn replace_table(&mut self, table: ClaimTable) {
        self.promised.clear();
        self.table = table;
        self.memory += 1;
        self.is_lossy = true;
        // Twice that and the time to settle are more than a lease.
        self.now_ms += REPLACEMENT_MS;
    }

    pub(super) fn send(&mut self, node: usize, request: Request) {
        let from = self.nodes[node].process.clone();
        self.messages.push(Message { from, node, request, answer: None });
    }

    /// One at a time: a later answer that comes first would hide what the earlier one says.
    pub(super) fn renew_lease(&mut self, node: usize) {
        let process = &self.nodes[node].process;
        let is_under_way = self
            .messages
            .iter()
            .any(|message| message.from == *process && matches!(message.request, Request::Lease { .. }));
        if !self.nodes[node].is_paused && !is_under_way {
            self.send(node, Request::Lease { sent_ms: self.now_ms });
        }
    }

    pub(super) fn renew_claims(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        if node.is_paused || node.is_renewing {
            return;
        }
        node.is_renewing = true;
        let bids = node
            .claims
            .iter()
            .map(|(room, own)| (node.try_claim(room, own.epoch, self.now_ms), node.used(room)));
        let (bids, returned) = (bids.collect(), node.must_return.then_some(node.lease_generation));
        self.send(index, Request::Renew { bids, returned });
    }

    pub(super) fn audit(&mut self, node: usize) {
        if !self.nodes[node].is_paused {
            self.send(node, Request::Audit);
        }
    }

    pub(super) fn claim(&mut self, index: usize, room: RoomName, is_own: bool) {
        let node = &mut self.nodes[index];
        let may = !node.is_paused && node.node_lease.may_claim(self.now_ms).is_ok();
        if may && !node.claims.contains_key(&room) && !node.busy.contains_key(&room) {
            node.busy.insert(room.clone(), node.lease_generation);
            self.send(index, Request::Ticket { room, is_own });
        }
    }

    pub(super) fn offer(&mut self, index: usize, room: RoomName) {
        let node = &mut self.nodes[index];
        let own = node.claims.get_mut(&room).filter(|_| !node.is_paused);
        if let Some(own) = own {
            own.is_offered = true;
            let epoch = own.epoch;
            self.send(index, Request::Offer { room, epoch });
        }
    }

    /// Not while a renewal is under way, which could put the claim back.
    pub(super) fn release(&mut self, index: usize, room: RoomName) {
        let node = &mut self.nodes[index];
        if node.is_paused || node.is_renewing || node.busy.contains_key(&room) {
            return;
        }
        if let Some(own) = node.claims.remove(&room) {
            node.busy.insert(room.clone(), node.lease_generation);
            self.send(index, Request::Release { room, epoch: own.epoch });
        }
    }

    pub(super) fn give_back(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        if node.is_renewing {
            return;
        }
        for (room, epoch) in std::mem::take(&mut node.given_up) {
            let lease_generation = self.nodes[index].lease_generation;
            self.nodes[index].busy.insert(room.clone(), lease_generation);
            self.send(index, Request::Release { room, epoch });
        }
    }

    /// A playlist without segments goes on where that of the last other holder ended, if its publisher has left. That one gets
    /// no more segments.
    pub(super) fn take_window(&mut self, index: usize, room: &RoomName) {
        let node = &self.nodes[index];
        let epoch = node.claims.get(room).map(|own| own.epoch);
        let begun = node.sessions.get(room).filter(|session| epoch == Some(session.epoch));
        let Some(first) = begun.filter(|session| session.next == session.first).map(|session| session.first)
        else {
            return;
        };
        let holders = self.table.numbers_of(room, self.now_ms).map_or(&[][..], |row| row.holders());
        let last = holders.iter().rev().find(|holder| holder.process != node.process);
        let giver = last.and_then(|last| {
            let of_holder =
                |node: &&mut Node| node.process == last.process && !node.claims.contains_key(room);
            self.nodes.iter_mut().find(of_holder)
        });
        let given = giver.and_then(|giver| {
            let is_earlier = giver.sessions.get(room).is_some_and(|given| Some(given.epoch) < epoch);
            is_earlier.then(|| giver.sessions.remove(room))?
        });
        let taken = given.filter(|given| given.next <= first);
        if let Some((given, session)) = taken.zip(self.nodes[index].sessions.get_mut(room)) {
            session.next = given.next;
        }
    }

    /// Cuts what is reserved as fast as it comes. Beyond that, a node that cannot report goes on in real time, and only
    /// while it has the room.
    pub(super) fn cut(&mut self, index: usize, room: &RoomName, count: u64) {
        let (now_ms, is_held) = (self.now_ms, self.nodes[index].claims.contains_key(room));
        let is_sure = self.is_sure_of(&self.nodes[index], room);
        let node = &mut self.nodes[index];
        let Some(session) = node.sessions.get_mut(room).filter(|_| !node.is_paused) else { return };
        let unreported = if is_held { (now_ms - session.limit_since_ms) / SEGMENT_MS } else { 0 };
        let end = (session.next + count).min(session.limit + unreported).max(session.next);
        let cut = session.next..end;
        session.next = end;
        if is_sure && !cut.is_empty() && !self.is_lossy {
            let (last, of) = self.used.get(room).copied().unwrap_or_default();
            assert!(cut.start > last, "{room}: {cut:?} after {last} of {of}, by {session:?}");
            self.used.insert(room.clone(), (cut.end - 1, session.id));
        }
        let wants_more = session.next + RESERVE / 2 > session.limit && !session.is_asking;
        if wants_more {
            session.is_asking = true;
            let epoch = session.epoch;
            let (request, used) = (node.try_claim(room, epoch, now_ms), node.used(room));
            self.send(index, Request::Reserve { request, used, sent_ms: now_ms });
        }
    }
}
