//! The calls on the shared table, over one connection.

use std::time::Duration;

use redis::{Cmd, FromRedisValue, Pipeline, RedisError, aio::MultiplexedConnection, cmd};
use synctv_media::{
    cluster::claims::{
        ClaimAnswer, ClaimRequest, Holder, Lease, LeaseAnswer, NodeAddresses, Process, RenewAnswer,
    },
    stream::room::RoomName,
};

use super::scripts::{EPOCH_KEY, SCRIPTS, node_key, room_key};

/// Calls that are sent together: enough that the way there and back does not count, few enough that others have their
/// turn in between.
const PIPELINE_MAX: usize = 1000;

/// How much an error shows of a value that is not understood.
const SHOWN_MAX_CHARS: usize = 40;

/// A new epoch, and what the node has to know before it bids with it.
pub(super) struct EpochTicket {
    pub epoch: u64,
    /// The table's clock.
    pub now_ms: u64,
    /// The incarnation that the node's lease has, if there is a lease.
    pub own_lease: Option<u64>,
}

/// What a key holds. An error says that it is not ours, or was changed by somebody else.
pub(super) type Read<T> = Result<Option<T>, RedisError>;

/// A room as it stands in the table.
pub(super) struct Row {
    pub node: String,
    pub incarnation: u64,
    pub epoch: u64,
    pub since_unix_ms: u64,
}

pub(super) async fn next_ticket(
    link: &mut MultiplexedConnection,
    node: &str,
) -> Result<EpochTicket, RedisError> {
    let mut both = Pipeline::new();
    both.add_command(SCRIPTS.next_epoch.call(EPOCH_KEY)).cmd("HGET").arg(node_key(node)).arg("incarnation");
    let ((epoch, now_ms), own_lease) = both.query_async(link).await?;
    Ok(EpochTicket { epoch, now_ms, own_lease })
}

pub(super) async fn try_claim(
    link: &mut MultiplexedConnection,
    request: &ClaimRequest,
    over: Option<&Holder>,
    ttl: Duration,
) -> Result<ClaimAnswer, RedisError> {
    let mut call = SCRIPTS.request.call_room(&request.room, &request.process, request.epoch);
    call.arg(request.valid_until_ms).arg(millis(ttl));
    match over {
        Some(holder) => call.arg(holder.process.incarnation).arg(holder.epoch).arg(holder.lease_generation),
        None => call.arg("").arg("").arg(""),
    };
    let answer: Vec<String> = call.query_async(link).await?;
    match answer.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["won"] => Ok(ClaimAnswer::Granted),
        ["late"] => Ok(ClaimAnswer::Late),
        ["held", node, incarnation, epoch, lease_generation] => Ok(ClaimAnswer::Held(Holder {
            process: Process { node: node.to_owned(), incarnation: number("incarnation", incarnation)? },
            epoch: number("epoch", epoch)?,
            lease_generation: number("returns", lease_generation)?,
        })),
        _ => Err(unexpected()),
    }
}

/// Renews what `bids` won.
pub(super) async fn renew(
    link: &mut MultiplexedConnection,
    bids: &[ClaimRequest],
    returned: bool,
    ttl: Duration,
) -> Result<Vec<RenewAnswer>, RedisError> {
    let mut calls = bids.iter().map(|request| {
        let mut call = SCRIPTS.renew.call_room(&request.room, &request.process, request.epoch);
        call.arg(request.valid_until_ms).arg(millis(ttl)).arg(u8::from(returned));
        call
    });
    let answers: Vec<String> = all(link, &mut calls).await?;
    answers.iter().map(|answer| renew_answer(answer)).collect()
}

fn renew_answer(text: &str) -> Result<RenewAnswer, RedisError> {
    match text {
        "kept" => Ok(RenewAnswer::Kept),
        "reasserted" => Ok(RenewAnswer::Reasserted),
        "late" => Ok(RenewAnswer::Late),
        "lost" => Ok(RenewAnswer::Lost),
        _ => Err(unexpected()),
    }
}

/// Frees what is still the process's. Gives the table's clock after it, if there was anything to free.
pub(super) async fn release(
    link: &mut MultiplexedConnection,
    process: &Process,
    claims: impl IntoIterator<Item = (&RoomName, u64)>,
) -> Result<Option<u64>, RedisError> {
    let mut calls = claims.into_iter().map(|(room, epoch)| SCRIPTS.release.call_room(room, process, epoch));
    let times: Vec<u64> = all(link, &mut calls).await?;
    Ok(times.last().copied())
}

pub(super) async fn renew_lease(
    link: &mut MultiplexedConnection,
    process: &Process,
    addresses: &NodeAddresses,
    over: Option<u64>,
    ttl: Duration,
) -> Result<LeaseAnswer, RedisError> {
    let mut call = SCRIPTS.renew_lease.call(&node_key(&process.node));
    call.arg(process.incarnation).arg(&addresses.rtmp).arg(&addresses.httpflv);
    call.arg(addresses.hls.as_deref().unwrap_or_default()).arg(millis(ttl));
    call.arg(over.map(|incarnation| incarnation.to_string()).unwrap_or_default());
    let answer: Vec<String> = call.query_async(link).await?;
    match answer.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["kept"] => Ok(LeaseAnswer::Kept),
        ["taken"] => Ok(LeaseAnswer::Taken),
        ["usurped", incarnation, rtmp, httpflv, hls] => {
            Ok(LeaseAnswer::Lost(lease_of(incarnation, rtmp, httpflv, hls)?))
        }
        _ => Err(unexpected()),
    }
}

pub(super) async fn end_lease(link: &mut MultiplexedConnection, process: &Process) -> Result<(), RedisError> {
    let mut call = SCRIPTS.end_lease.call(&node_key(&process.node));
    call.arg(process.incarnation).exec_async(link).await
}

/// A node's lease, unless it has lapsed.
pub(super) async fn lease(link: &mut MultiplexedConnection, node: &str) -> Result<Option<Lease>, RedisError> {
    Ok(leases(link, &[node]).await?.pop().transpose()?.flatten())
}

/// The leases of `nodes`, in their order.
pub(super) async fn leases(
    link: &mut MultiplexedConnection,
    nodes: &[&str],
) -> Result<Vec<Read<Lease>>, RedisError> {
    type Fields = (Option<String>, Option<String>, Option<String>, Option<String>);
    let mut calls = nodes.iter().map(|node| {
        let mut call = cmd("HMGET");
        call.arg(node_key(node)).arg(&["incarnation", "rtmp", "httpflv", "hls"]);
        call
    });
    let rows: Vec<Fields> = all(link, &mut calls).await?;
    let lease = |fields: Fields| match fields {
        (Some(incarnation), Some(rtmp), Some(httpflv), hls) => {
            lease_of(&incarnation, &rtmp, &httpflv, &hls.unwrap_or_default()).map(Some)
        }
        _ => Ok(None),
    };
    Ok(rows.into_iter().map(lease).collect())
}

/// How long a lease has left, in milliseconds; 0 if there is none.
pub(super) async fn lease_left_ms(link: &mut MultiplexedConnection, node: &str) -> Result<u64, RedisError> {
    let left_ms: i64 = cmd("PTTL").arg(node_key(node)).query_async(link).await?;
    match u64::try_from(left_ms) {
        Ok(left_ms) => Ok(left_ms),
        // Leases have an expiry: whoever waits for this one to lapse would wait for ever.
        Err(_) if left_ms == -1 => Err(not_ours(format!("{} has no expiry", node_key(node)))),
        Err(_) => Ok(0),
    }
}

/// The rooms' rows, in their order.
pub(super) async fn rows(
    link: &mut MultiplexedConnection,
    rooms: &[&RoomName],
) -> Result<Vec<Read<Row>>, RedisError> {
    type Fields = (Option<String>, Option<String>, Option<String>, Option<String>);
    let mut calls = rooms.iter().map(|room| {
        let mut call = cmd("HMGET");
        call.arg(room_key(room)).arg(&["publisher_node", "incarnation", "epoch", "since"]);
        call
    });
    let rows: Vec<Fields> = all(link, &mut calls).await?;
    let row = |fields: Fields| match fields {
        (Some(node), Some(incarnation), Some(epoch), Some(since)) => Ok(Some(Row {
            node,
            incarnation: number("incarnation", &incarnation)?,
            epoch: number("epoch", &epoch)?,
            since_unix_ms: number("since", &since)?,
        })),
        _ => Ok(None),
    };
    Ok(rows.into_iter().map(row).collect())
}

/// The names of all rooms that have a row.
pub(super) async fn room_names(link: &mut MultiplexedConnection) -> Result<Vec<RoomName>, RedisError> {
    let (mut cursor, mut names) = (0_u64, Vec::new());
    loop {
        let mut scan = cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg("stream:*").arg("COUNT").arg(PIPELINE_MAX);
        let (next, keys): (u64, Vec<String>) = scan.query_async(link).await?;
        names.extend(keys.iter().filter_map(|key| RoomName::new(key.strip_prefix("stream:")?).ok()));
        if next == 0 {
            // A scan may name a key twice.
            names.sort_unstable();
            names.dedup();
            return Ok(names);
        }
        cursor = next;
    }
}

/// The table's clock, in milliseconds since 1970.
pub(super) async fn now_ms(link: &mut MultiplexedConnection) -> Result<u64, RedisError> {
    let (seconds, micros): (u64, u64) = cmd("TIME").query_async(link).await?;
    Ok(seconds * 1000 + micros / 1000)
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

fn lease_of(incarnation: &str, rtmp: &str, httpflv: &str, hls: &str) -> Result<Lease, RedisError> {
    let hls = (!hls.is_empty()).then(|| hls.to_owned());
    let addresses = NodeAddresses { rtmp: rtmp.to_owned(), httpflv: httpflv.to_owned(), hls };
    Ok(Lease { incarnation: number("incarnation", incarnation)?, addresses })
}

/// A number that a script wrote. Somebody else's text is none, and must not pass for one.
fn number(field: &str, text: &str) -> Result<u64, RedisError> {
    text.parse().map_err(|_| {
        let shown: String = text.chars().take(SHOWN_MAX_CHARS).collect();
        not_ours(format!("{field} is {shown:?}, which is no number"))
    })
}

fn not_ours(detail: String) -> RedisError {
    (redis::ErrorKind::UnexpectedReturnType, "a key has what this server did not write", detail).into()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn unexpected() -> RedisError {
    (redis::ErrorKind::UnexpectedReturnType, "Redis answered with something else").into()
}
