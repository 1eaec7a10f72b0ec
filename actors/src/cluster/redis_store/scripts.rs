//! The rules of the table of claims, as Redis runs them. Each script touches one key and does what the method of
//! [`ClaimTable`](synctv_media::cluster::claims::ClaimTable) that is named with it does.

use std::sync::LazyLock;

use redis::{Cmd, Pipeline, cmd};
use synctv_media::{cluster::claims::Process, stream::room::RoomName};

/// The counter that epochs come from.
pub(super) const EPOCH_KEY: &str = "claim_epoch";

/// The time in milliseconds, for scripts that need it. Numbers of this size are written with a format, as Lua's own way
/// has an exponent.
const NOW: &str = "
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
";

/// `next_epoch`: the epoch and the time.
const NEXT_EPOCH: &str = "
local epoch = math.max((tonumber(redis.call('GET', KEYS[1])) or 0) + 1, now)
redis.call('SET', KEYS[1], string.format('%.0f', epoch))
return {string.format('%.0f', epoch), string.format('%.0f', now)}
";

/// What `bid` and `renew` put into a free room.
const PUT: &str = "
local function put(since)
    redis.call('DEL', KEYS[1])
    redis.call('HSET', KEYS[1], 'publisher_node', ARGV[1], 'incarnation', ARGV[2], 'epoch', ARGV[3],
        'since', string.format('%.0f', since), 'returns', '0')
    redis.call('PEXPIRE', KEYS[1], ARGV[5])
end
local held = redis.call('HMGET', KEYS[1], 'publisher_node', 'incarnation', 'epoch', 'returns')
for i = 1, 4 do held[i] = held[i] or '' end
local is_held = held[1] ~= ''
";

/// `bid`, with NODE INCARNATION EPOCH VALID_UNTIL TTL, and INCARNATION EPOCH RETURNS of the holder to take over.
const BID: &str = "
local is_seen = held[2] == ARGV[6] and held[3] == ARGV[7] and held[4] == ARGV[8]
if is_held and not is_seen then return {'held', held[1], held[2], held[3], held[4]} end
if now > tonumber(ARGV[4]) then return {'late'} end
put(now)
return {'won'}
";

/// `renew`, with NODE INCARNATION EPOCH VALID_UNTIL TTL RETURNED.
const RENEW: &str = "
if is_held then
    if held[1] ~= ARGV[1] or held[2] ~= ARGV[2] or held[3] ~= ARGV[3] then return 'lost' end
    if ARGV[6] == '1' then redis.call('HINCRBY', KEYS[1], 'returns', 1) end
    redis.call('PEXPIRE', KEYS[1], ARGV[5])
    return 'kept'
end
if now > tonumber(ARGV[4]) then return 'late' end
put(math.min(now, tonumber(ARGV[3])))
return 'reasserted'
";

/// `release`, with NODE INCARNATION EPOCH: the time.
const RELEASE: &str = "
local held = redis.call('HMGET', KEYS[1], 'publisher_node', 'incarnation', 'epoch')
if held[1] == ARGV[1] and held[2] == ARGV[2] and held[3] == ARGV[3] then redis.call('DEL', KEYS[1]) end
return string.format('%.0f', now)
";

/// `renew_lease`, with INCARNATION RTMP HTTPFLV HLS TTL, and the incarnation to take over.
const RENEW_LEASE: &str = "
local held = redis.call('HMGET', KEYS[1], 'incarnation', 'rtmp', 'httpflv', 'hls')
if held[1] == ARGV[1] then
    redis.call('PEXPIRE', KEYS[1], ARGV[5])
    return {'kept'}
end
if held[1] and held[1] ~= ARGV[6] then
    return {'usurped', held[1], held[2] or '', held[3] or '', held[4] or ''}
end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'incarnation', ARGV[1], 'rtmp', ARGV[2], 'httpflv', ARGV[3], 'hls', ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return {'taken'}
";

/// `end_lease`, with INCARNATION.
const END_LEASE: &str = "
if redis.call('HGET', KEYS[1], 'incarnation') == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
";

/// A script and the name that Redis knows it by.
pub(super) struct Script {
    code: String,
    sha1: String,
}

/// All of them. They are loaded with each connection, as a Redis that was restarted has forgotten them.
pub(super) struct Scripts {
    pub next_epoch: Script,
    pub request: Script,
    pub renew: Script,
    pub release: Script,
    pub renew_lease: Script,
    pub end_lease: Script,
}

pub(super) static SCRIPTS: LazyLock<Scripts> = LazyLock::new(|| Scripts {
    next_epoch: Script::new(&[NOW, NEXT_EPOCH]),
    request: Script::new(&[NOW, PUT, BID]),
    renew: Script::new(&[NOW, PUT, RENEW]),
    release: Script::new(&[NOW, RELEASE]),
    renew_lease: Script::new(&[RENEW_LEASE]),
    end_lease: Script::new(&[END_LEASE]),
});

impl Script {
    fn new(parts: &[&str]) -> Self {
        let code = parts.concat();
        let sha1 = redis::Script::new(&code).get_hash().to_owned();
        Self { code, sha1 }
    }

    /// A call on `key`. Redis has to have the script already.
    pub fn call(&self, key: &str) -> Cmd {
        let mut call = cmd("EVALSHA");
        call.arg(&self.sha1).arg(1).arg(key);
        call
    }

    /// A call on a room, with what all of them begin with.
    pub fn call_room(&self, room: &RoomName, process: &Process, epoch: u64) -> Cmd {
        let mut call = self.call(&room_key(room));
        call.arg(&process.node).arg(process.incarnation).arg(epoch);
        call
    }
}

impl Scripts {
    /// Gives Redis all of them.
    pub fn load(&self) -> Pipeline {
        let Self { next_epoch, request, renew, release, renew_lease, end_lease } = self;
        let mut load = Pipeline::new();
        for script in [next_epoch, request, renew, release, renew_lease, end_lease] {
            load.cmd("SCRIPT").arg("LOAD").arg(&script.code).ignore();
        }
        load
    }
}

pub(super) fn room_key(room: &RoomName) -> String {
    format!("stream:{room}")
}

pub(super) fn node_key(node: &str) -> String {
    format!("node:{node}")
}
