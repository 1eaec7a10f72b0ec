//! The rules of the table of claims, as Redis runs them. Each script does what the method of
//! [`ClaimTable`](synctv_media::cluster::claims::ClaimTable) that is named with it does. The scripts of one group begin
//! alike, with the same keys and arguments, so that they can share what is written once.

use std::sync::LazyLock;

use redis::{Cmd, Pipeline, cmd};
use synctv_media::cluster::numbers::{
    DISCONTINUITY_STEP_MS, DISCONTINUITY_WRAP, EPOCH_UNIX_MS, HOLDERS_MAX, KEEP_MS, RESERVE, SEQUENCE_STEP_MS,
};

/// The time in milliseconds. Numbers of this size are written with a format, as Lua's own way has an exponent.
const COMMON: &str = "
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function text(number) return string.format('%.0f', number) end
local function words(value)
    local found = {}
    for word in string.gmatch(value or '', '%S+') do found[#found + 1] = word end
    return found
end
";

/// `next_epoch`, on the counter with KNOWN: the epoch and the time. A key that is no counter is another application's.
const NEXT_EPOCH: &str = "
local last = redis.call('GET', KEYS[1])
if last and not tonumber(last) then return redis.error_reply('WRONGTYPE ' .. KEYS[1] .. ' is no counter') end
local epoch = math.max((tonumber(last) or 0) + 1, now, tonumber(ARGV[1]) + 1)
redis.call('SET', KEYS[1], text(epoch))
return {text(epoch), text(now)}
";

/// The beginning of each script of a room: on the table, the room's entry and its numbers, with NODES (the prefix of
/// the keys of leases) ROOM NODE INCARNATION EPOCH. A claim in the table is `NODE INCARNATION EPOCH SINCE`, a
/// reservation `NODE INCARNATION EPOCH UNTIL PROOF`, a lease `INCARNATION UNTIL RTMP HTTPFLV HLS`. A value of any other
/// form counts as absent.
const ROOM: &str = "
local room, node, incarnation, epoch = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local function lease_of(name)
    local row = words(redis.call('HGET', KEYS[1], 'n:' .. name))
    if #row == 5 and (tonumber(row[2]) or 0) > now then return row[1] end
    local entry = redis.pcall('HGET', ARGV[1] .. name, 'incarnation')
    return type(entry) == 'string' and entry or nil
end
local held = words(redis.call('HGET', KEYS[1], 'r:' .. room))
if #held ~= 4 or not tonumber(held[3]) then held = nil end
local is_own = held and held[1] == node and held[2] == incarnation and held[3] == epoch
local offer = words(redis.call('HGET', KEYS[1], 'o:' .. room))
if #offer ~= 5 or not tonumber(offer[3]) then offer = nil end
local function put(since)
    if offer and not (offer[1] == node and offer[2] == incarnation and offer[3] == epoch) then
        redis.call('HDEL', KEYS[1], 'o:' .. room)
    end
    redis.call('HSET', KEYS[1], 'r:' .. room, table.concat({node, incarnation, epoch, text(since)}, ' '))
end
";

/// The room's entry for people: `show` writes it, `hide` deletes it, neither touches what is another application's. The
/// epoch that an entry has is nothing if there is none, and false if it is not ours.
const ENTRY: &str = "
local function shown_epoch()
    local kind = redis.call('TYPE', KEYS[2]).ok
    if kind == 'none' then return nil end
    return kind == 'hash' and redis.call('HGET', KEYS[2], 'publisher_node') and redis.call('HGET', KEYS[2], 'epoch')
end
local function show(since, ttl)
    if shown_epoch() == false then return 'foreign' end
    redis.call('DEL', KEYS[2])
    redis.call('HSET', KEYS[2], 'publisher_node', node, 'incarnation', incarnation, 'epoch', epoch, 'since', since)
    redis.call('PEXPIRE', KEYS[2], ttl)
    return 'shown'
end
local function hide()
    local shown = shown_epoch()
    if shown and (tonumber(shown) or 0) <= tonumber(epoch) then redis.call('DEL', KEYS[2]) end
end
";

/// The methods of `RoomNumbers`. A holder is `NODE INCARNATION EPOCH FIRST LEFT HLS`, with - for nothing.
const NUMBERS: &str = "
local function clock()
    return math.max(0, math.floor((now - EPOCH_UNIX_MS) / SEQUENCE_STEP_MS)),
        math.floor(now / DISCONTINUITY_STEP_MS) % DISCONTINUITY_WRAP
end
local function own_holder(first)
    return {node, incarnation, epoch, first, '-', words(redis.call('HGET', KEYS[1], 'n:' .. node))[5] or '-'}
end
local function known_numbers()
    local row = redis.call('HMGET', KEYS[3], 'sequence', 'discontinuity', 'reported', 'holders')
    local known = {tonumber(row[1] or ''), tonumber(row[2] or ''), tonumber(row[3] or ''), {}}
    for item in string.gmatch(row[4] or '', '[^,]+') do
        local holder = words(item)
        if #holder == 6 then table.insert(known[4], holder) end
    end
    if known[1] and known[2] and known[3] and #known[4] > 0 then return known end
    return nil
end
local function keep_numbers(known)
    local items = {}
    for i, holder in ipairs(known[4]) do items[i] = table.concat(holder, ' ') end
    redis.call('HSET', KEYS[3], 'sequence', text(known[1]), 'discontinuity', text(known[2]),
        'reported', text(known[3]), 'holders', table.concat(items, ','))
    local overtaken = known[1] * SEQUENCE_STEP_MS + EPOCH_UNIX_MS
    redis.call('PEXPIREAT', KEYS[3], text(math.max(overtaken, now) + KEEP_MS))
end
local function push_holder(known, holder)
    if #known[4] >= HOLDERS_MAX then table.remove(known[4], 1) end
    table.insert(known[4], holder)
end
local function is_last(known)
    local last = known[4][#known[4]]
    return last[1] == node and last[2] == incarnation, last
end
local function grant_numbers()
    local known = known_numbers()
    local sequence, discontinuity = clock()
    if known then
        local continues, last = is_last(known)
        if continues then
            last[3], last[5], last[6] = epoch, '-', own_holder('')[6]
            keep_numbers(known)
            return {text(known[1]), text(known[2]), text(known[1]), text(known[2]), '1'}
        end
        local elapsed = math.max(0, now - known[3])
        sequence = math.max(known[1] + math.floor(elapsed / SEQUENCE_STEP_MS), sequence)
        discontinuity = known[2] + math.floor(elapsed / DISCONTINUITY_STEP_MS)
    else
        known = {0, 0, 0, {}}
    end
    push_holder(known, own_holder(text(sequence)))
    known[1], known[2], known[3] = sequence + RESERVE, discontinuity + RESERVE, now
    keep_numbers(known)
    return {text(sequence), text(discontinuity), text(known[1]), text(known[2]), '0'}
end
local function reserve_numbers(first, sequence, discontinuity)
    local known = known_numbers()
    if known then
        local continues, last = is_last(known)
        if not continues then
            if (tonumber(last[3]) or 0) > tonumber(epoch) then return 0 end
            push_holder(known, own_holder(first))
        end
    else
        known = {0, 0, 0, {own_holder(first)}}
    end
    known[1] = math.max(known[1], tonumber(sequence))
    known[2] = math.max(known[2], tonumber(discontinuity))
    known[3] = now
    keep_numbers(known)
    return 1
end
local function leave_numbers()
    local known = known_numbers()
    if not known then return end
    local continues, last = is_last(known)
    if not continues then return end
    last[5], known[3] = text(now), now
    keep_numbers(known)
end
";

/// `try_claim`, with VALID_UNTIL, the TTL of the room's entry, and the publisher's PROOF. A node whose lease is not in the
/// table must not believe that a room is free: others' claims may be lost as well.
const REQUEST: &str = "
local listed = words(redis.call('HGET', KEYS[1], 'n:' .. node))[1]
if listed ~= incarnation or lease_of(node) ~= incarnation then return {'no_lease'} end
local is_reserved = offer and (tonumber(offer[4]) or 0) > now
local is_expected = is_reserved and offer[5] == ARGV[8]
local is_offered = is_expected and held
    and held[1] == offer[1] and held[2] == offer[2] and held[3] == offer[3]
if held and not is_offered and held[1] ~= node and lease_of(held[1]) == held[2] then
    return {'held', held[1], held[2], held[3]}
end
if held and tonumber(held[3]) > tonumber(epoch) then return {'late'} end
if is_reserved and not is_expected then return {'held', offer[1], offer[2], offer[3]} end
if now > tonumber(ARGV[6]) then return {'late'} end
put(now)
local granted = grant_numbers()
return {'won', show(text(now), ARGV[7]), unpack(granted)}
";

/// `renew`, with VALID_UNTIL, the TTL of the room's entry, and FIRST SEQUENCE DISCONTINUITY of the numbers. Writes that
/// need no memory come first: a Redis that is full lets a script continue once it has written.
const RENEW: &str = "
if is_own then
    local shown = 'shown'
    if shown_epoch() == epoch then
        redis.call('PEXPIRE', KEYS[2], ARGV[7])
    else
        shown = show(held[4], ARGV[7])
    end
    reserve_numbers(ARGV[8], ARGV[9], ARGV[10])
    return {'kept', shown}
end
if held and tonumber(held[3]) >= tonumber(epoch) then return {'lost', ''} end
if offer and (tonumber(offer[4]) or 0) > now and tonumber(offer[3]) > tonumber(epoch) then return {'lost', ''} end
if now > tonumber(ARGV[6]) then return {'late', ''} end
local since = math.min(now, tonumber(epoch))
put(since)
reserve_numbers(ARGV[8], ARGV[9], ARGV[10])
return {'reasserted', show(text(since), ARGV[7])}
";

/// `offer`, with HOLD and PROOF: whether the room is reserved. The table in memory limits how many are; here they are as many
/// as rooms that drain, and go with the next look of any node.
const OFFER: &str = "
if not is_own then return 0 end
local row = {node, incarnation, epoch, text(now + tonumber(ARGV[6])), ARGV[7]}
redis.call('HSET', KEYS[1], 'o:' .. room, table.concat(row, ' '))
return 1
";

/// Forgets a reservation that has lapsed.
const FORGET_OFFER: &str = "
if offer and (tonumber(offer[4]) or 0) <= now then redis.call('HDEL', KEYS[1], 'o:' .. room) end
return 0
";

/// `release`: the time.
const RELEASE: &str = "
if is_own then
    redis.call('HDEL', KEYS[1], 'r:' .. room)
    hide()
    leave_numbers()
end
return text(now)
";

/// `reserve`, with FIRST SEQUENCE DISCONTINUITY.
const RESERVE_NUMBERS: &str = "return reserve_numbers(ARGV[6], ARGV[7], ARGV[8])";

/// The beginning of each script of a lease: on the table and the node's entry, with NODE INCARNATION. What its process says
/// of itself is `INCARNATION STARTED STATE URL`.
const LEASE: &str = "
local field, about, incarnation = 'n:' .. ARGV[1], 's:' .. ARGV[1], ARGV[2]
local row = words(redis.call('HGET', KEYS[1], field))
if #row ~= 5 then row = {} end
local entry = redis.pcall('HMGET', KEYS[2], 'incarnation', 'rtmp', 'httpflv', 'hls')
local is_foreign = entry.err or (not entry[1] and redis.call('EXISTS', KEYS[2]) == 1)
if is_foreign then entry = {} end
";

/// `renew_lease`, with TTL RTMP HTTPFLV HLS, the incarnation to take over, and STARTED STATE URL: also whether Redis is full. The first write
/// finds that out; the entry's, which needs no memory if the lease is kept, lets the second one through.
const RENEW_LEASE: &str = "
local answer, ttl = 'taken', tonumber(ARGV[3])
local listed = (tonumber(row[2]) or 0) > now and row[1]
local holder = listed or entry[1]
if holder == incarnation then
    if row[1] == incarnation then answer = 'kept' end
elseif holder and holder ~= ARGV[7] then
    local said = words(redis.call('HGET', KEYS[1], about))
    if listed then return {'usurped', '', row[1], row[3], row[4], row[5], unpack(said)} end
    return {'usurped', '', entry[1], entry[2] or '', entry[3] or '', entry[4] or '-', unpack(said)}
end
local lease = table.concat({incarnation, text(now + ttl), ARGV[4], ARGV[5], ARGV[6]}, ' ')
local standing = table.concat({incarnation, ARGV[8], ARGV[9], ARGV[10]}, ' ')
local written = redis.pcall('HSET', KEYS[1], field, lease, about, standing)
local refused = type(written) == 'table' and written.err
if refused and not string.find(refused, 'OOM', 1, true) then return written end
if not is_foreign then
    if redis.call('PEXPIRE', KEYS[2], ttl) == 0 or entry[1] ~= incarnation then
        redis.call('DEL', KEYS[2])
        redis.call('HSET', KEYS[2], 'incarnation', incarnation, 'rtmp', ARGV[4], 'httpflv', ARGV[5], 'hls', ARGV[6])
        redis.call('PEXPIRE', KEYS[2], ttl)
    end
    redis.call('HSET', KEYS[2], 'state', ARGV[9])
    if refused then redis.call('HSET', KEYS[1], field, lease, about, standing) end
end
return {answer, refused and 'full' or ''}
";

/// `end_lease`.
const END_LEASE: &str = "
if row[1] == incarnation then redis.call('HDEL', KEYS[1], field, about) end
if entry[1] == incarnation then redis.call('DEL', KEYS[2]) end
return 0
";

/// `forget_dead`, with any incarnation, PATIENCE, and the node's ROOMS.
const FORGET_DEAD: &str = "
local until_ms = tonumber(row[2])
if entry[1] or (until_ms and until_ms + tonumber(ARGV[3]) > now) then return 0 end
redis.call('HDEL', KEYS[1], field, about)
for i = 4, #ARGV do
    if words(redis.call('HGET', KEYS[1], 'r:' .. ARGV[i]))[1] == ARGV[1] then redis.call('HDEL', KEYS[1], 'r:' .. ARGV[i]) end
end
return 1
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
    pub offer: Script,
    pub forget_offer: Script,
    pub release: Script,
    pub reserve: Script,
    pub renew_lease: Script,
    pub end_lease: Script,
    pub forget_dead: Script,
}

pub(super) static SCRIPTS: LazyLock<Scripts> = LazyLock::new(|| {
    let numbers = with_constants(NUMBERS);
    let room = |last: &str| Script::new(&[COMMON, ROOM, ENTRY, &numbers, last]);
    Scripts {
        next_epoch: Script::new(&[COMMON, NEXT_EPOCH]),
        request: room(REQUEST),
        renew: room(RENEW),
        offer: room(OFFER),
        forget_offer: room(FORGET_OFFER),
        release: room(RELEASE),
        reserve: room(RESERVE_NUMBERS),
        renew_lease: Script::new(&[COMMON, LEASE, RENEW_LEASE]),
        end_lease: Script::new(&[COMMON, LEASE, END_LEASE]),
        forget_dead: Script::new(&[COMMON, LEASE, FORGET_DEAD]),
    }
});

/// The code with the numbers that the table in memory uses.
fn with_constants(code: &str) -> String {
    [
        ("EPOCH_UNIX_MS", EPOCH_UNIX_MS),
        ("DISCONTINUITY_STEP_MS", DISCONTINUITY_STEP_MS),
        ("SEQUENCE_STEP_MS", SEQUENCE_STEP_MS),
        ("DISCONTINUITY_WRAP", DISCONTINUITY_WRAP),
        ("RESERVE", RESERVE),
        ("KEEP_MS", KEEP_MS),
        ("HOLDERS_MAX", HOLDERS_MAX as u64),
    ]
    .iter()
    .fold(code.to_owned(), |code, (name, value)| code.replace(name, &value.to_string()))
}

impl Script {
    fn new(parts: &[&str]) -> Self {
        let code = parts.concat();
        let sha1 = redis::Script::new(&code).get_hash().to_owned();
        Self { code, sha1 }
    }

    /// A call on `keys`. Redis has to have the script already.
    pub fn call(&self, keys: &[String]) -> Cmd {
        let mut call = cmd("EVALSHA");
        call.arg(&self.sha1).arg(keys.len()).arg(keys);
        call
    }
}

impl Scripts {
    /// Gives Redis all of them.
    pub fn load(&self) -> Pipeline {
        let Self { next_epoch, request, renew, offer, forget_offer, release, reserve, .. } = self;
        let Self { renew_lease, end_lease, forget_dead, .. } = self;
        let rooms = [next_epoch, request, renew, offer, forget_offer, release, reserve];
        let leases = [renew_lease, end_lease, forget_dead];
        let mut load = Pipeline::new();
        for script in rooms.into_iter().chain(leases) {
            load.cmd("SCRIPT").arg("LOAD").arg(&script.code).ignore();
        }
        load
    }
}
