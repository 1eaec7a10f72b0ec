//! The calls on the shared table, over one connection.

use std::time::Duration;

use redis::{Cmd, FromRedisValue, Pipeline, RedisError, RedisResult, aio::MultiplexedConnection, cmd};
use synctv_media::{
    access::PublisherProof,
    cluster::{
        claims::{ClaimAnswer, ClaimRequest, Holder, Lease, LeaseAnswer, RenewAnswer},
        numbers::{HlsNumbers, NumberGrant, NumberUse},
        process::Process,
        standing::NodeUrl,
    },
    stream::room::RoomName,
};

use super::{
    keys::KeyPrefix,
    rows::{self, ListedLease, Listing, RoomRow, TracedRow},
    scripts::{SCRIPTS, Script},
};
use crate::clock::whole_ms;

/// Calls that are sent together: enough that the way there and back does not count, few enough that others have their
/// turn in between.
const PIPELINE_MAX: usize = 1000;

/// A new epoch for a claim request, and the time from which the request's validity counts.
pub(super) struct EpochTicket {
    pub epoch: u64,
    /// The table's clock.
    pub now_ms: u64,
}

/// The state of a room's entry for people after a claim was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// There.
    Yes,
    /// Not there: the key is another application's.
    Foreign,
}

/// A lease that was renewed.
pub(super) struct RenewedLease {
    pub answer: LeaseAnswer,
    /// Redis takes nothing new.
    pub is_full: bool,
}

/// The table of the nodes that use one prefix.
#[derive(Debug, Clone)]
pub(super) struct Table {
    keys: KeyPrefix,
    /// Lifetime of a room's entry for people that is not renewed.
    entry_ttl: Duration,
}

impl Table {
    pub fn new(keys: KeyPrefix, entry_ttl: Duration) -> Self {
        Self { keys, entry_ttl }
    }

    /// An epoch above `known`.
    pub async fn next_ticket(
        &self,
        link: &mut MultiplexedConnection,
        known: u64,
    ) -> RedisResult<EpochTicket> {
        let mut call = SCRIPTS.next_epoch.call(&[self.keys.epoch()]);
        let (epoch, now_ms) = call.arg(known).query_async(link).await?;
        Ok(EpochTicket { epoch, now_ms })
    }

    pub async fn try_claim(
        &self,
        link: &mut MultiplexedConnection,
        request: &ClaimRequest,
        proof: Option<&PublisherProof>,
    ) -> RedisResult<(ClaimAnswer, Shown)> {
        let mut call = self.call_room(&SCRIPTS.request, &request.room, &request.process, request.epoch);
        call.arg(request.valid_until_ms).arg(whole_ms(self.entry_ttl));
        call.arg(proof.map(PublisherProof::as_str).unwrap_or_default());
        let answer: Vec<String> = call.query_async(link).await?;
        match answer.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["won", shown, ref numbers @ ..] => Ok((ClaimAnswer::Granted(grant(numbers)?), shown_of(shown))),
            ["late"] => Ok((ClaimAnswer::Late, Shown::Yes)),
            ["no_lease"] => Ok((ClaimAnswer::NoLease, Shown::Yes)),
            ["held", node, incarnation, epoch] => {
                let process = Process { node: node.to_owned(), incarnation: rows::number(incarnation) };
                Ok((ClaimAnswer::Held(Holder { process, epoch: rows::number(epoch) }), Shown::Yes))
            }
            _ => Err(unexpected()),
        }
    }

    /// Renews the claims that the requests won, with the numbers that are used.
    pub async fn renew(
        &self,
        link: &mut MultiplexedConnection,
        won: &[(ClaimRequest, NumberUse)],
    ) -> RedisResult<Vec<(RenewAnswer, Shown)>> {
        let mut calls = won.iter().map(|(request, used)| {
            let mut call = self.call_room(&SCRIPTS.renew, &request.room, &request.process, request.epoch);
            call.arg(request.valid_until_ms).arg(whole_ms(self.entry_ttl));
            put_use(&mut call, used);
            call
        });
        let answers: Vec<(String, String)> = all(link, &mut calls).await?;
        answers.iter().map(|(answer, shown)| Ok((renew_answer(answer)?, shown_of(shown)))).collect()
    }

    /// Reserves the room of a claim for `hold`. Returns whether it is reserved.
    pub async fn offer(
        &self,
        link: &mut MultiplexedConnection,
        room: &RoomName,
        by: &Holder,
        proof: &PublisherProof,
        hold: Duration,
    ) -> RedisResult<bool> {
        let mut call = self.call_room(&SCRIPTS.offer, room, &by.process, by.epoch);
        call.arg(whole_ms(hold)).arg(proof.as_str()).query_async(link).await
    }

    /// Forgets the reservations of `rooms` that have lapsed.
    pub async fn forget_offers(
        &self,
        link: &mut MultiplexedConnection,
        process: &Process,
        rooms: &[RoomName],
    ) -> RedisResult<()> {
        let mut calls = rooms.iter().map(|room| self.call_room(&SCRIPTS.forget_offer, room, process, 0));
        all::<u64>(link, &mut calls).await.map(drop)
    }

    /// Frees what is still the process's. Gives the table's clock after it.
    pub async fn release(
        &self,
        link: &mut MultiplexedConnection,
        process: &Process,
        claims: impl IntoIterator<Item = (&RoomName, u64)>,
    ) -> RedisResult<u64> {
        let mut calls =
            claims.into_iter().map(|(room, epoch)| self.call_room(&SCRIPTS.release, room, process, epoch));
        let times: Vec<u64> = all(link, &mut calls).await?;
        Ok(times.last().copied().unwrap_or_default())
    }

    /// Reserves numbers of a room. Returns whether they may be used.
    pub async fn reserve(
        &self,
        link: &mut MultiplexedConnection,
        room: &RoomName,
        process: &Process,
        epoch: u64,
        used: &NumberUse,
    ) -> RedisResult<bool> {
        let mut call = self.call_room(&SCRIPTS.reserve, room, process, epoch);
        put_use(&mut call, used);
        call.query_async(link).await
    }

    pub async fn renew_lease(
        &self,
        link: &mut MultiplexedConnection,
        node: &str,
        Lease { incarnation, addresses, standing }: &Lease,
        over: Option<u64>,
        ttl: Duration,
    ) -> RedisResult<RenewedLease> {
        let mut call = self.call_lease(&SCRIPTS.renew_lease, node, *incarnation);
        call.arg(whole_ms(ttl)).arg(&addresses.rtmp).arg(&addresses.httpflv);
        call.arg(addresses.hls.as_deref().unwrap_or(rows::NOTHING));
        call.arg(over.map(|incarnation| incarnation.to_string()).unwrap_or_default());
        call.arg(standing.started_ms).arg(rows::state_of(standing));
        call.arg(standing.rtmp_url.as_ref().map_or(rows::NOTHING, NodeUrl::as_str));
        let answer: Vec<String> = call.query_async(link).await?;
        let (answer, full) = match answer.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["kept", full] => (LeaseAnswer::Kept, full),
            ["taken", full] => (LeaseAnswer::Taken, full),
            ["usurped", full, incarnation, rtmp, httpflv, hls, ref standing @ ..] => {
                let lease = rows::lease_of(incarnation, rtmp, httpflv, hls);
                (LeaseAnswer::Lost(rows::with_standing(lease, standing)), full)
            }
            _ => return Err(unexpected()),
        };
        Ok(RenewedLease { answer, is_full: !full.is_empty() })
    }

    pub async fn end_lease(&self, link: &mut MultiplexedConnection, process: &Process) -> RedisResult<()> {
        self.call_lease(&SCRIPTS.end_lease, &process.node, process.incarnation).exec_async(link).await
    }

    /// Forgets `node` and its claims on `rooms`, if its lease lapsed longer than `patience` ago.
    pub async fn forget_dead(
        &self,
        link: &mut MultiplexedConnection,
        node: &str,
        rooms: &[&RoomName],
        patience: Duration,
    ) -> RedisResult<()> {
        let mut call = self.call_lease(&SCRIPTS.forget_dead, node, 0);
        call.arg(whole_ms(patience));
        rooms.iter().for_each(|room| {
            call.arg(room.as_str());
        });
        call.exec_async(link).await
    }

    /// A node's lease, unless it has lapsed.
    pub async fn lease(
        &self,
        link: &mut MultiplexedConnection,
        node: &str,
    ) -> RedisResult<Option<ListedLease>> {
        let mut both = Pipeline::new();
        both.cmd("HMGET").arg(self.keys.claims()).arg(format!("n:{node}")).arg(format!("s:{node}"));
        type Words = Option<String>;
        let ((row, standing), (seconds, micros)): ((Words, Words), (u64, u64)) =
            both.cmd("TIME").query_async(link).await?;
        let now_ms = seconds * 1000 + micros / 1000;
        let listed = row.and_then(|row| ListedLease::parse(&row)).filter(|lease| lease.until_ms > now_ms);
        let found = match listed {
            Some(lease) => Some(lease),
            None => self.shown_lease(link, node, now_ms).await?,
        };
        let standing = standing.unwrap_or_default();
        Ok(found.map(|ListedLease { lease, until_ms }| {
            let words: Vec<&str> = standing.split(' ').collect();
            ListedLease { lease: rows::with_standing(lease, &words), until_ms }
        }))
    }

    /// The lease as the node's entry has it, which goes on when the table is full.
    async fn shown_lease(
        &self,
        link: &mut MultiplexedConnection,
        node: &str,
        now_ms: u64,
    ) -> RedisResult<Option<ListedLease>> {
        type Fields = (Option<String>, Option<String>, Option<String>, Option<String>);
        let key = self.keys.node(node);
        let mut both = Pipeline::new();
        both.cmd("HMGET").arg(&key).arg(&["incarnation", "rtmp", "httpflv", "hls"]).cmd("PTTL").arg(&key);
        let (fields, left_ms): (Fields, i64) = match both.query_async(link).await {
            // The key is another application's.
            Err(error) if !error.is_io_error() => return Ok(None),
            answer => answer?,
        };
        let (Some(incarnation), Some(rtmp), Some(httpflv), hls) = fields else { return Ok(None) };
        let hls = hls.unwrap_or_default();
        let until_ms = now_ms + u64::try_from(left_ms).unwrap_or(0);
        Ok(Some(ListedLease { lease: rows::lease_of(&incarnation, &rtmp, &httpflv, &hls), until_ms }))
    }

    /// Returns the present and the past holder of a room.
    pub async fn trace(&self, link: &mut MultiplexedConnection, room: &RoomName) -> RedisResult<TracedRow> {
        let mut all = Pipeline::new();
        all.cmd("HMGET").arg(self.keys.claims()).arg(format!("r:{room}")).arg(format!("o:{room}"));
        all.cmd("HGET").arg(self.keys.numbers(room)).arg("holders").cmd("TIME");
        type Words = Option<String>;
        let ((row, offer), holders, (seconds, micros)): ((Words, Words), Words, (u64, u64)) =
            all.query_async(link).await?;
        let now_ms = seconds * 1000 + micros / 1000;
        Ok(TracedRow {
            row: row.as_deref().and_then(RoomRow::parse),
            is_reserved: offer.as_deref().and_then(rows::offer_until_ms).is_some_and(|until| until > now_ms),
            holders: rows::holders(&holders.unwrap_or_default()),
            now_ms,
        })
    }

    /// Everything in the table.
    pub async fn listing(&self, link: &mut MultiplexedConnection) -> RedisResult<Listing> {
        let mut both = Pipeline::new();
        both.cmd("HGETALL").arg(self.keys.claims()).cmd("TIME");
        let (fields, (seconds, micros)): (Vec<(String, String)>, (u64, u64)) = both.query_async(link).await?;
        Ok(Listing::new(fields, seconds * 1000 + micros / 1000))
    }

    /// The epochs of the entries for people that `rooms` have, in their order; an error for a key of another application.
    pub async fn shown_epochs(
        &self,
        link: &mut MultiplexedConnection,
        rooms: &[&RoomName],
    ) -> RedisResult<Vec<RedisResult<Option<u64>>>> {
        let mut answers = Vec::with_capacity(rooms.len());
        for some in rooms.chunks(PIPELINE_MAX) {
            let mut calls = Pipeline::new();
            for room in some {
                calls.cmd("HGET").arg(self.keys.room(room)).arg("epoch");
            }
            answers.append(&mut calls.ignore_errors().query_async(link).await?);
        }
        Ok(answers)
    }

    /// The table's clock, in milliseconds since 1970.
    pub async fn now_ms(&self, link: &mut MultiplexedConnection) -> RedisResult<u64> {
        let (seconds, micros): (u64, u64) = cmd("TIME").query_async(link).await?;
        Ok(seconds * 1000 + micros / 1000)
    }

    fn call_room(&self, script: &Script, room: &RoomName, process: &Process, epoch: u64) -> Cmd {
        let mut call = script.call(&[self.keys.claims(), self.keys.room(room), self.keys.numbers(room)]);
        call.arg(self.keys.nodes()).arg(room.as_str());
        call.arg(&process.node).arg(process.incarnation).arg(epoch);
        call
    }

    fn call_lease(&self, script: &Script, node: &str, incarnation: u64) -> Cmd {
        let mut call = script.call(&[self.keys.claims(), self.keys.node(node)]);
        call.arg(node).arg(incarnation);
        call
    }
}

fn put_use(call: &mut Cmd, used: &NumberUse) {
    call.arg(used.first_sequence).arg(used.limit.sequence).arg(used.limit.discontinuity);
}

fn grant(words: &[&str]) -> RedisResult<NumberGrant> {
    let [sequence, discontinuity, sequence_limit, discontinuity_limit, continues] = words else {
        return Err(unexpected());
    };
    let numbers = |sequence, discontinuity| HlsNumbers {
        sequence: rows::number(sequence),
        discontinuity: rows::number(discontinuity),
    };
    Ok(NumberGrant {
        first: numbers(sequence, discontinuity),
        limit: numbers(sequence_limit, discontinuity_limit),
        continues: *continues == "1",
    })
}

fn renew_answer(text: &str) -> RedisResult<RenewAnswer> {
    match text {
        "kept" => Ok(RenewAnswer::Kept),
        "reasserted" => Ok(RenewAnswer::Reasserted),
        "late" => Ok(RenewAnswer::Late),
        "lost" => Ok(RenewAnswer::Lost),
        _ => Err(unexpected()),
    }
}

fn shown_of(text: &str) -> Shown {
    if text == "foreign" { Shown::Foreign } else { Shown::Yes }
}

async fn all<T: FromRedisValue>(
    link: &mut MultiplexedConnection,
    calls: &mut impl Iterator<Item = Cmd>,
) -> Result<Vec<T>, RedisError> {
    let mut answers = Vec::new();
    loop {
        let mut some = Pipeline::new();
        for call in calls.by_ref().take(PIPELINE_MAX) {
            some.add_command(call);
        }
        if some.is_empty() {
            return Ok(answers);
        }
        answers.append(&mut some.query_async::<Vec<T>>(link).await?);
    }
}

fn unexpected() -> RedisError {
    (redis::ErrorKind::UnexpectedReturnType, "Redis answered with something else").into()
}
