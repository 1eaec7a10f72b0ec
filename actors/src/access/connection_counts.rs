//! The number of connections that run with each limited credential.

use std::{
    collections::{HashMap, hash_map::Entry},
    net::IpAddr,
};

use synctv_media::access::Refusal;

/// The time for which an HLS viewer counts after a request, in milliseconds: longer than players wait between two playlists.
const HLS_VIEWER_LASTS_MS: u64 = 30_000;

/// Limited credentials that are counted at once. With more, viewers over HLS are refused until some have left.
const CREDENTIALS_MAX: usize = 100_000;

/// The connections of limited credentials, by the credentials' names.
#[derive(Debug, Default)]
pub(super) struct ConnectionCounts {
    by_credential: HashMap<String, Connections>,
    swept_ms: u64,
}

#[derive(Debug, Default)]
struct Connections {
    /// Connections that last until they are closed.
    running: u32,
    /// Viewers over HLS, which have no connection that lasts: the addresses they come from, and when each was seen. No more
    /// than the credential's limit.
    hls: HashMap<IpAddr, u64>,
}

impl ConnectionCounts {
    /// Counts a connection, unless there are `max` already. A viewer at the same address that came over HLS before counts
    /// no longer: players change the protocol.
    pub fn open(&mut self, credential: &str, max: u32, address: IpAddr, now_ms: u64) -> Result<(), Refusal> {
        self.sweep(now_ms);
        let connections = self.by_credential.entry(credential.to_owned()).or_default();
        connections.hls.remove(&address);
        let counted = connections.count(max, now_ms);
        if counted.is_ok() {
            connections.running += 1;
        } else if connections.is_empty() {
            self.by_credential.remove(credential);
        }
        counted
    }

    /// Counts a connection that was counted before an upgrade, whatever the limit is now.
    pub fn reopen(&mut self, credential: &str) {
        self.by_credential.entry(credential.to_owned()).or_default().running += 1;
    }

    /// Counts a connection no longer.
    pub fn close(&mut self, credential: &str) {
        if let Entry::Occupied(mut entry) = self.by_credential.entry(credential.to_owned()) {
            entry.get_mut().running = entry.get().running.saturating_sub(1);
            if entry.get().is_empty() {
                entry.remove();
            }
        }
    }

    /// Counts a viewer over HLS for a while, unless there are `max` connections and it is none of them.
    pub fn see(&mut self, credential: &str, max: u32, address: IpAddr, now_ms: u64) -> Result<(), Refusal> {
        self.sweep(now_ms);
        let is_full = self.by_credential.len() >= CREDENTIALS_MAX;
        let connections = match self.by_credential.entry(credential.to_owned()) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(_) if max == 0 => return Err(Refusal::TooManyConnections(0)),
            Entry::Vacant(_) if is_full => return Err(Refusal::Unavailable),
            Entry::Vacant(entry) => entry.insert(Connections::default()),
        };
        if !connections.hls.contains_key(&address) {
            connections.count(max, now_ms)?;
        }
        connections.hls.insert(address, now_ms);
        Ok(())
    }

    /// Forgets HLS viewers that left.
    fn sweep(&mut self, now_ms: u64) {
        if now_ms.saturating_sub(self.swept_ms) < HLS_VIEWER_LASTS_MS {
            return;
        }
        self.swept_ms = now_ms;
        self.by_credential.retain(|_, connections| {
            connections.forget_hls(now_ms);
            !connections.is_empty()
        });
    }
}

impl Connections {
    /// Refuses if there may not be another one.
    fn count(&mut self, max: u32, now_ms: u64) -> Result<(), Refusal> {
        self.forget_hls(now_ms);
        let connections = self.running as usize + self.hls.len();
        if connections < max as usize { Ok(()) } else { Err(Refusal::TooManyConnections(max)) }
    }

    fn forget_hls(&mut self, now_ms: u64) {
        self.hls.retain(|_, seen_ms| now_ms < *seen_ms + HLS_VIEWER_LASTS_MS);
    }

    fn is_empty(&self) -> bool {
        self.running == 0 && self.hls.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn at(last: u8) -> IpAddr {
        Ipv4Addr::new(10, 0, 0, last).into()
    }

    #[test]
    fn viewers_over_hls_count_by_address_until_they_have_left() {
        let mut counts = ConnectionCounts::default();
        let full = Err(Refusal::TooManyConnections(2));
        assert_eq!(counts.see("j", 2, at(1), 0), Ok(()));
        assert_eq!(counts.see("j", 2, at(1), 10_000), Ok(()));
        assert_eq!(counts.open("j", 2, at(2), 10_000), Ok(()));
        assert_eq!(counts.see("j", 2, at(3), 10_000), full);
        assert_eq!(counts.open("j", 2, at(3), 10_000), full);
        assert_eq!(counts.see("j", 2, at(3), 10_000 + HLS_VIEWER_LASTS_MS), Ok(()));
        assert_eq!(counts.see("k", 2, at(3), 0), Ok(()));
        assert_eq!(counts.see("k", 0, at(4), 0), Err(Refusal::TooManyConnections(0)));
    }

    #[test]
    fn a_viewer_that_changes_from_hls_to_a_connection_counts_once() {
        let mut counts = ConnectionCounts::default();
        assert_eq!(counts.see("j", 1, at(1), 0), Ok(()));
        assert_eq!(counts.open("j", 1, at(1), 1), Ok(()));
        assert_eq!(counts.see("j", 1, at(1), 2), Err(Refusal::TooManyConnections(1)));
        counts.close("j");
        assert_eq!(counts.see("j", 1, at(1), 3), Ok(()));
    }

    #[test]
    fn credentials_that_are_not_in_use_are_forgotten() {
        let mut counts = ConnectionCounts::default();
        assert_eq!(counts.open("j", 0, at(1), 0), Err(Refusal::TooManyConnections(0)));
        assert_eq!(counts.open("k", 1, at(1), 0), Ok(()));
        counts.close("k");
        assert!(counts.by_credential.is_empty());
        assert_eq!(counts.see("l", 1, at(1), 0), Ok(()));
        assert_eq!(counts.open("m", 1, at(1), HLS_VIEWER_LASTS_MS), Ok(()));
        assert_eq!(counts.by_credential.len(), 1);
    }
}
