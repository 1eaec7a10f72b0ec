//! Requests that reach the table, and answers that reach their nodes.

use super::*;

impl World {
    /// Lets all arrive that a node has asked and is answered.
    pub(super) fn exchange(&mut self, node: usize) {
        while let Some(at) = self.messages.iter().position(|message| message.node == node) {
            if self.messages[at].answer.is_none() {
                self.reach(at);
            }
            if self.nodes[node].is_paused {
                return;
            }
            self.answer(at);
        }
    }

    /// Takes the oldest message of a node half of its way.
    pub(super) fn deliver(&mut self, node: usize) {
        let Some(at) = self.messages.iter().position(|message| message.node == node) else { return };
        if self.messages[at].answer.is_none() {
            self.reach(at);
        } else if !self.nodes[node].is_paused {
            self.answer(at);
        }
    }

    pub(super) fn reach_one(&mut self, index: Index) {
        let waiting: Vec<usize> =
            (0..self.messages.len()).filter(|at| self.messages[*at].answer.is_none()).collect();
        if !waiting.is_empty() {
            self.reach(waiting[index.index(waiting.len())]);
        }
    }

    pub(super) fn reach(&mut self, at: usize) {
        let Message { from, request, .. } = self.messages[at].clone();
        let content = self.table_answers(&from, request);
        self.messages[at].answer = Some(Answer { table: self.memory, content });
    }

    pub(super) fn table_answers(&mut self, from: &Process, request: Request) -> Content {
        let (table, now_ms) = (&mut self.table, self.now_ms);
        match request {
            Request::Lease { .. } => {
                Content::Lease(table.renew_lease(&from.node, &lease(from), None, LEASE_TTL_MS, now_ms))
            }
            Request::Renew { bids, .. } => Content::Renewed(
                bids.iter().map(|(request, used)| table.renew(request, used, now_ms)).collect(),
            ),
            Request::Ticket { .. } => {
                let epoch = table.next_epoch(0, now_ms);
                assert!(self.given_epochs.insert(epoch), "epoch {epoch} was given before");
                Content::Ticket { epoch, now_ms }
            }
            Request::Claim { request, is_own } => {
                let answer = table.try_claim(&request, Some(&proof(is_own)), now_ms);
                if matches!(answer, ClaimAnswer::Granted(_)) {
                    let until_ms = self.promised.remove(&request.room).unwrap_or(0);
                    assert!(is_own || now_ms >= until_ms, "a stranger took {} too early", request.room);
                }
                Content::ClaimRequest(answer)
            }
            Request::Offer { room, epoch } => {
                let by = Holder { process: from.clone(), epoch };
                let offer = Offer { by, proof: proof(true), until_ms: now_ms + HANDOVER_MS };
                if table.offer(&room, offer, now_ms) {
                    self.promised.insert(room, now_ms + HANDOVER_MS);
                }
                Content::Offered
            }
            Request::Release { room, epoch } => {
                table.release(&room, from, epoch, now_ms);
                Content::Released
            }
            Request::Reserve { request, used, .. } => {
                Content::Reserved(table.reserve(&request, &used, now_ms))
            }
            Request::Audit => {
                let own = table.rooms().filter(|(_, holder, _)| holder.process == *from);
                Content::Own(own.map(|(room, holder, _)| (room.clone(), holder.epoch)).collect())
            }
        }
    }

    pub(super) fn answer_one(&mut self, index: Index) {
        let answered: Vec<usize> = (0..self.messages.len())
            .filter(|at| {
                self.messages[*at].answer.is_some() && !self.nodes[self.messages[*at].node].is_paused
            })
            .collect();
        if !answered.is_empty() {
            self.answer(answered[index.index(answered.len())]);
        }
    }

    pub(super) fn answer(&mut self, at: usize) {
        let Message { from, node: index, request, answer } = self.messages.swap_remove(at);
        let node = &mut self.nodes[index];
        let Some(Answer { table, content }) = answer.filter(|_| node.process == from) else { return };
        match (request, content) {
            (Request::Lease { sent_ms }, Content::Lease(answer)) => {
                self.lease_renewed(index, &answer, table, sent_ms);
            }
            (Request::Renew { bids, returned }, Content::Renewed(answers)) => {
                node.renewed(&bids, &answers, TableId(table), returned);
                let must_return = node.must_return;
                self.give_back(index);
                if must_return {
                    self.renew_claims(index);
                }
            }
            // Answers of another table are not believed before the lease was renewed there.
            (Request::Ticket { room, is_own }, Content::Ticket { epoch, now_ms }) => {
                if TableId(table) == node.node_lease.table() {
                    let request = node.try_claim(&room, epoch, now_ms);
                    self.send(index, Request::Claim { request, is_own });
                } else {
                    node.busy.remove(&room);
                }
            }
            (Request::Claim { request, .. }, Content::ClaimRequest(ClaimAnswer::Granted(grant))) => {
                self.bid_won(index, request, grant, table);
            }
            (Request::Claim { request, .. }, Content::ClaimRequest(_)) => {
                node.busy.remove(&request.room);
            }
            (Request::Offer { .. }, Content::Offered) => {}
            (Request::Release { room, .. }, Content::Released) => {
                node.busy.remove(&room);
            }
            (Request::Reserve { request, used, sent_ms }, Content::Reserved(may_use)) => {
                node.reserved(&request, &used, may_use, sent_ms);
            }
            (Request::Audit, Content::Own(rooms)) => {
                for (room, epoch) in rooms {
                    let is_known = node.claims.get(&room).is_some_and(|own| own.epoch == epoch);
                    if !is_known && !node.busy.contains_key(&room) {
                        node.given_up.push((room, epoch));
                    }
                }
                self.give_back(index);
            }
            (request, content) => panic!("{content:?} is no answer to {request:?}"),
        }
    }

    pub(super) fn lease_renewed(&mut self, index: usize, answer: &LeaseAnswer, table: u64, sent_ms: u64) {
        let node = &mut self.nodes[index];
        let before = node.node_lease.table();
        let consequence = node.node_lease.renewed(answer, TableId(table), sent_ms, self.now_ms);
        let has_lapsed = std::mem::take(&mut node.has_lapsed);
        if before != TableId(table) {
            node.claims.values_mut().for_each(|own| own.is_doubtful |= has_lapsed || own.table != before);
        }
        match consequence {
            LeaseChange::None => {}
            LeaseChange::Return => {
                node.must_return = true;
                node.lease_generation += 1;
                self.renew_claims(index);
            }
            LeaseChange::Leave => {
                let lost = node.claims.drain().map(|(room, own)| (room, own.epoch));
                node.given_up.extend(lost);
                self.give_back(index);
            }
        }
    }

    pub(super) fn bid_won(&mut self, index: usize, request: ClaimRequest, grant: NumberGrant, table: u64) {
        let node = &mut self.nodes[index];
        // It may have been granted by a table that was replaced since.
        let is_valid = node.busy.get(&request.room) == Some(&node.lease_generation)
            && TableId(table) == node.node_lease.table();
        if !is_valid {
            return self.send(index, Request::Release { room: request.room, epoch: request.epoch });
        }
        node.busy.remove(&request.room);
        let own = Own {
            epoch: request.epoch,
            table: TableId(table),
            is_doubtful: node.started_in == Some(TableId(table)),
            is_offered: false,
        };
        node.claims.insert(request.room.clone(), own);
        self.last_session += 1;
        node.session_begins(&request, grant, self.last_session, self.now_ms);
    }
}
