//! The rows of the table as they are written: words with a space between them. A row that does not parse is another
//! application's, or of another version, and is skipped.

use std::collections::HashMap;

use synctv_media::{
    cluster::{
        claims::{Lease, NodeAddresses},
        numbers::NumberHolder,
        process::Process,
        standing::{NodeStanding, NodeUrl},
    },
    stream::room::RoomName,
};

/// Stands for no address and no time.
pub(super) const NOTHING: &str = "-";

/// The state of a node that drains.
const DRAINING: &str = "draining";

/// A claim: `NODE INCARNATION EPOCH SINCE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RoomRow {
    pub process: Process,
    pub epoch: u64,
    pub since_unix_ms: u64,
}

/// A lease: `INCARNATION UNTIL RTMP HTTPFLV HLS`. The standing of its process is in a row of its own, because nodes of
/// earlier versions refuse a lease with more words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ListedLease {
    pub lease: Lease,
    pub until_ms: u64,
}

/// The present and the past holder of a room.
#[derive(Debug)]
pub(super) struct TracedRow {
    pub row: Option<RoomRow>,
    /// The room is kept for its publisher, who reconnects.
    pub is_reserved: bool,
    pub holders: Vec<NumberHolder>,
    pub now_ms: u64,
}

/// The whole table.
#[derive(Debug)]
pub(super) struct Listing {
    pub rooms: Vec<(RoomName, RoomRow)>,
    pub leases: HashMap<String, ListedLease>,
    /// Rooms whose reservations have lapsed.
    pub lapsed_offers: Vec<RoomName>,
    pub now_ms: u64,
}

impl RoomRow {
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let (node, incarnation) = (words.next()?, words.next()?.parse().ok()?);
        let (epoch, since_unix_ms) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let process = Process { node: node.to_owned(), incarnation };
        words.next().is_none().then_some(Self { process, epoch, since_unix_ms })
    }
}

impl ListedLease {
    pub fn parse(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.split(' ').collect();
        let [incarnation, until_ms, rtmp, httpflv, hls] = words[..] else { return None };
        Some(Self { until_ms: until_ms.parse().ok()?, lease: lease_of(incarnation, rtmp, httpflv, hls) })
    }
}

impl Listing {
    pub fn new(fields: Vec<(String, String)>, now_ms: u64) -> Self {
        let (mut rooms, mut leases, mut lapsed_offers) = (Vec::new(), HashMap::new(), Vec::new());
        let mut standings = Vec::new();
        for (field, text) in fields {
            if let Some(node) = field.strip_prefix("s:") {
                standings.push((node.to_owned(), text));
            } else if let Some(node) = field.strip_prefix("n:") {
                leases.extend(ListedLease::parse(&text).map(|lease| (node.to_owned(), lease)));
            } else if let Some(room) = field.strip_prefix("r:").and_then(|room| RoomName::new(room).ok()) {
                rooms.extend(RoomRow::parse(&text).map(|row| (room, row)));
            } else if let Some(room) = field.strip_prefix("o:").and_then(|room| RoomName::new(room).ok()) {
                lapsed_offers.extend(offer_until_ms(&text).filter(|until| *until <= now_ms).map(|_| room));
            }
        }
        for (node, text) in standings {
            let words: Vec<&str> = text.split(' ').collect();
            if let Some(ListedLease { lease, until_ms }) = leases.remove(&node) {
                leases.insert(node, ListedLease { lease: with_standing(lease, &words), until_ms });
            }
        }
        Self { rooms, leases, lapsed_offers, now_ms }
    }

    /// Returns whether the table says that the process is alive.
    pub fn is_alive(&self, process: &Process) -> bool {
        self.leases.get(&process.node).is_some_and(|listed| {
            listed.lease.incarnation == process.incarnation && listed.until_ms > self.now_ms
        })
    }

    /// The highest epoch of all claims.
    pub fn last_epoch(&self) -> u64 {
        self.rooms.iter().map(|(_, row)| row.epoch).max().unwrap_or(0)
    }

    /// Nodes that have claims or a lease and were last alive longer than `patience_ms` ago, with their rooms.
    pub fn long_dead(&self, patience_ms: u64) -> HashMap<&str, Vec<&RoomName>> {
        let is_dead = |node: &str| {
            let until_ms = self.leases.get(node).map_or(0, |listed| listed.until_ms);
            until_ms.saturating_add(patience_ms) <= self.now_ms
        };
        let nodes = self.leases.keys().map(String::as_str).filter(|node| is_dead(node));
        let mut dead: HashMap<&str, Vec<&RoomName>> = nodes.map(|node| (node, Vec::new())).collect();
        for (room, row) in self.rooms.iter().filter(|(_, row)| is_dead(&row.process.node)) {
            dead.entry(&row.process.node).or_default().push(room);
        }
        dead
    }
}

/// The time at which a reservation lapses, `NODE INCARNATION EPOCH UNTIL PROOF`.
pub(super) fn offer_until_ms(text: &str) -> Option<u64> {
    let words: Vec<&str> = text.split(' ').collect();
    let [_, _, _, until_ms, _] = words[..] else { return None };
    until_ms.parse().ok()
}

/// `NODE INCARNATION EPOCH FIRST LEFT HLS`, with a comma between them, oldest first.
pub(super) fn holders(text: &str) -> Vec<NumberHolder> {
    text.split(',').filter_map(holder).collect()
}

fn holder(text: &str) -> Option<NumberHolder> {
    let words: Vec<&str> = text.split(' ').collect();
    let [node, incarnation, epoch, first_sequence, left_ms, hls] = words[..] else { return None };
    Some(NumberHolder {
        process: Process { node: node.to_owned(), incarnation: incarnation.parse().ok()? },
        epoch: epoch.parse().ok()?,
        first_sequence: first_sequence.parse().ok()?,
        left_ms: left_ms.parse().ok(),
        hls: address(hls),
    })
}

pub(super) fn lease_of(incarnation: &str, rtmp: &str, httpflv: &str, hls: &str) -> Lease {
    let addresses = NodeAddresses { rtmp: rtmp.to_owned(), httpflv: httpflv.to_owned(), hls: address(hls) };
    Lease { incarnation: number(incarnation), addresses, standing: NodeStanding::default() }
}

/// Adds the standing in a row, `INCARNATION STARTED STATE URL`. A row of another process than the lease's is ignored.
pub(super) fn with_standing(lease: Lease, words: &[&str]) -> Lease {
    let [incarnation, started_ms, state, url] = words else { return lease };
    if number(incarnation) != lease.incarnation {
        return lease;
    }
    let standing = NodeStanding {
        started_ms: number(started_ms),
        is_draining: *state == DRAINING,
        rtmp_url: NodeUrl::new(url).ok(),
    };
    Lease { standing, ..lease }
}

/// The state of a node, as it is written.
pub(super) fn state_of(standing: &NodeStanding) -> &'static str {
    if standing.is_draining { DRAINING } else { "serving" }
}

/// A number that a script wrote; 0, which no process in Redis has, for any other text.
pub(super) fn number(text: &str) -> u64 {
    text.parse().unwrap_or(0)
}

fn address(text: &str) -> Option<String> {
    (!text.is_empty() && text != NOTHING).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(fields: &[(&str, &str)]) -> Listing {
        let fields = fields.iter().map(|(field, text)| ((*field).to_owned(), (*text).to_owned()));
        Listing::new(fields.collect(), 1_000)
    }

    #[test]
    fn what_is_not_ours_is_skipped() {
        let listing = listing(&[
            ("r:good", "n1 7 12 900"),
            ("r:short", "n1 7 12"),
            ("r:long", "n1 7 12 900 x"),
            ("r:no_number", "n1 x 12 900"),
            ("r:bad name", "n1 7 12 900"),
            ("n:n1", "7 1001 h:1 h:2 -"),
            ("n:n2", "{\"json\": true}"),
            ("s:n1", "7 800 draining rtmp://n1/live"),
            ("s:n2", "8 800 serving -"),
            ("o:lapsed", "n1 7 12 1000 proof"),
            ("o:live", "n1 7 12 1001 proof"),
            ("o:broken", "n1 7 12 1000"),
            ("other", "x"),
        ]);
        let names: Vec<&str> = listing.rooms.iter().map(|(room, _)| room.as_str()).collect();
        assert_eq!((names, listing.leases.len(), listing.last_epoch()), (vec!["good"], 1, 12));
        assert_eq!(listing.lapsed_offers, [RoomName::new("lapsed").unwrap()]);
        assert!(listing.is_alive(&listing.rooms[0].1.process));
        assert_eq!(listing.leases["n1"].lease.addresses.hls, None);
        let standing = &listing.leases["n1"].lease.standing;
        assert_eq!((standing.started_ms, standing.is_draining), (800, true));
        assert_eq!(standing.rtmp_url.as_ref().map(NodeUrl::as_str), Some("rtmp://n1/live"));
    }

    #[test]
    fn the_standing_of_an_earlier_process_is_not_that_of_the_next() {
        let of = |words: &[&str]| with_standing(lease_of("7", "h:1", "h:2", "-"), words).standing;
        assert!(of(&["7", "800", "draining", "-"]).is_draining);
        assert_eq!(of(&["6", "800", "draining", "rtmp://n1/live"]), NodeStanding::default());
        assert_eq!(of(&["7", "800"]), NodeStanding::default());
        let no_address = of(&["7", "800", "serving", "http://n1/live"]);
        assert_eq!(no_address, NodeStanding { started_ms: 800, ..NodeStanding::default() });
    }

    #[test]
    fn nodes_are_long_dead_when_their_lease_is_or_was_forgotten() {
        let listing = listing(&[
            ("n:old", "7 500 h:1 h:2 h:3"),
            ("n:fresh", "7 999 h:1 h:2 h:3"),
            ("r:a", "old 7 12 900"),
            ("r:b", "fresh 7 13 900"),
            ("r:c", "unknown 7 14 900"),
        ]);
        let dead = listing.long_dead(500);
        let mut nodes: Vec<_> = dead.iter().map(|(node, rooms)| (*node, rooms[0].as_str())).collect();
        nodes.sort_unstable();
        assert_eq!(nodes, [("old", "a"), ("unknown", "c")]);
    }

    #[test]
    fn holders_are_read_with_and_without_an_address() {
        let all = holders("n1 7 12 100 900 [::1]:8081,broken,n2 8 13 200 - -");
        assert_eq!(all.len(), 2);
        assert_eq!((all[0].left_ms, all[0].hls.as_deref()), (Some(900), Some("[::1]:8081")));
        assert_eq!((all[1].first_sequence, all[1].left_ms, all[1].hls.as_deref()), (200, None, None));
    }
}
