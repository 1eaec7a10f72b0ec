//! A node's side of the answers.

use super::*;

impl Node {
    pub(super) fn try_claim(&self, room: &RoomName, epoch: u64, now_ms: u64) -> ClaimRequest {
        let (room, process) = (room.clone(), self.process.clone());
        ClaimRequest { room, process, epoch, valid_until_ms: now_ms + BID_VALID_MS }
    }

    /// The numbers that it uses, and as many again as it may use before it reports once more.
    pub(super) fn used(&self, room: &RoomName) -> NumberUse {
        let session = &self.sessions[room];
        let limit = HlsNumbers { sequence: session.next + RESERVE, discontinuity: 0 };
        NumberUse { first_sequence: session.first, limit }
    }

    pub(super) fn session_begins(
        &mut self,
        request: &ClaimRequest,
        grant: NumberGrant,
        id: u64,
        now_ms: u64,
    ) {
        let (first, limit) = (grant.first.sequence, grant.limit.sequence);
        let begun = Session {
            id,
            epoch: request.epoch,
            first,
            next: first,
            limit,
            limit_since_ms: now_ms,
            is_asking: false,
        };
        match self.sessions.get_mut(&request.room).filter(|_| grant.continues) {
            Some(session) => session.epoch = request.epoch,
            None => {
                self.sessions.insert(request.room.clone(), begun);
            }
        }
    }

    pub(super) fn reserved(&mut self, request: &ClaimRequest, used: &NumberUse, may_use: bool, sent_ms: u64) {
        let session =
            self.sessions.get_mut(&request.room).filter(|session| session.first == used.first_sequence);
        let Some(session) = session else { return };
        session.is_asking = false;
        if may_use && used.limit.sequence > session.limit {
            (session.limit, session.limit_since_ms) = (used.limit.sequence, sent_ms);
        }
    }

    pub(super) fn renewed(
        &mut self,
        bids: &[(ClaimRequest, NumberUse)],
        answers: &[RenewAnswer],
        table: TableId,
        returned: Option<u32>,
    ) {
        self.is_renewing = false;
        for ((request, _), answer) in bids.iter().zip(answers) {
            let Some(own) = self.claims.get_mut(&request.room).filter(|own| own.epoch == request.epoch)
            else {
                continue;
            };
            match answer {
                RenewAnswer::Kept | RenewAnswer::Reasserted => own.table = table,
                RenewAnswer::Late => {}
                RenewAnswer::Lost => {
                    self.claims.remove(&request.room);
                }
            }
        }
        if returned == Some(self.lease_generation) && !answers.contains(&RenewAnswer::Late) {
            self.must_return = false;
        }
    }
}
