//! Failed attempts, counted by address.

use std::{collections::HashMap, net::IpAddr};

/// Failures that an address may have at once.
const CAPACITY: u64 = 10;

/// The time after which one more failure is allowed, in milliseconds.
const REFILL_MS: u64 = 6_000;

/// Addresses that are remembered: those that have failed most.
const ADDRESSES_MAX: usize = 10_000;

/// The part of an address that distinguishes clients: a whole IPv4 address, or the network of an IPv6 address, of which
/// one client has 2^64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AddressKey(u64);

impl From<IpAddr> for AddressKey {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(u64::from(address.to_bits())),
            IpAddr::V6(address) => Self((address.to_bits() >> 64) as u64 | 1 << 63),
        }
    }
}

/// A bucket of allowed failures for each address. A full one is not kept.
#[derive(Debug, Default)]
pub struct FailureBuckets {
    /// The time at which each bucket will be full again, in milliseconds of the caller's clock.
    full_at_ms: HashMap<AddressKey, u64>,
}

impl FailureBuckets {
    /// Returns whether `address` has failed so often that it is to be slowed down.
    pub fn is_empty(&self, address: AddressKey, now_ms: u64) -> bool {
        self.full_at_ms.get(&address).is_some_and(|full_at_ms| missing(*full_at_ms, now_ms) >= CAPACITY)
    }

    /// Counts a failure of `address`.
    pub fn fail(&mut self, address: AddressKey, now_ms: u64) {
        if self.full_at_ms.len() >= ADDRESSES_MAX && !self.full_at_ms.contains_key(&address) {
            self.make_room(now_ms);
        }
        let full_at_ms = self.full_at_ms.entry(address).or_default();
        if missing(*full_at_ms, now_ms) < CAPACITY {
            *full_at_ms = (*full_at_ms).max(now_ms).saturating_add(REFILL_MS);
        }
    }
}

impl FailureBuckets {
    /// Removes the buckets that are full again, or else the one that is nearest to it. A client that has any number of
    /// addresses fails once from each; those buckets go before those of addresses that are slowed down.
    fn make_room(&mut self, now_ms: u64) {
        self.full_at_ms.retain(|_, full_at_ms| *full_at_ms > now_ms);
        if self.full_at_ms.len() < ADDRESSES_MAX {
            return;
        }
        let first = self.full_at_ms.iter().min_by_key(|(_, full_at_ms)| **full_at_ms);
        if let Some(address) = first.map(|(address, _)| *address) {
            self.full_at_ms.remove(&address);
        }
    }
}

/// Returns the number of failures that a bucket lacks, rounded up.
fn missing(full_at_ms: u64, now_ms: u64) -> u64 {
    full_at_ms.saturating_sub(now_ms).div_ceil(REFILL_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START_MS: u64 = 1_000_000;

    fn address(text: &str) -> AddressKey {
        AddressKey::from(text.parse::<IpAddr>().unwrap())
    }

    #[test]
    fn ten_failures_empty_a_bucket_and_six_seconds_give_one_back() {
        let (mut buckets, bad) = (FailureBuckets::default(), address("10.0.0.1"));
        for _ in 0..CAPACITY {
            assert!(!buckets.is_empty(bad, START_MS));
            buckets.fail(bad, START_MS);
        }
        assert!(buckets.is_empty(bad, START_MS));
        assert!(!buckets.is_empty(address("10.0.0.2"), START_MS));
        // Failures of an empty bucket do not count, or it would never fill again.
        (0..100).for_each(|_| buckets.fail(bad, START_MS));
        assert!(buckets.is_empty(bad, START_MS + REFILL_MS - 1));
        assert!(!buckets.is_empty(bad, START_MS + REFILL_MS));
        buckets.fail(bad, START_MS + REFILL_MS);
        assert!(buckets.is_empty(bad, START_MS + REFILL_MS));
    }

    #[test]
    fn an_ipv6_network_is_one_client() {
        assert_eq!(address("2001:db8::1"), address("2001:db8::ffff:2"));
        assert_ne!(address("2001:db8::1"), address("2001:db8:0:1::1"));
        assert_eq!(address("::ffff:10.0.0.1"), address("10.0.0.1"));
    }

    #[test]
    fn the_number_of_addresses_is_bounded() {
        let mut buckets = FailureBuckets::default();
        for at in 0..ADDRESSES_MAX as u32 {
            buckets.fail(AddressKey::from(IpAddr::from(at.to_be_bytes())), START_MS);
        }
        let late = address("11.0.0.1");
        (0..CAPACITY).for_each(|_| buckets.fail(late, START_MS));
        assert_eq!(buckets.full_at_ms.len(), ADDRESSES_MAX);
        for at in 0..100_u32 {
            buckets.fail(AddressKey::from(IpAddr::from((0x0C00_0000 + at).to_be_bytes())), START_MS);
        }
        assert!(buckets.is_empty(late, START_MS), "it has failed most");
        assert!(!buckets.is_empty(address("13.0.0.1"), START_MS), "it has not failed");
        assert_eq!(buckets.full_at_ms.len(), ADDRESSES_MAX);
        buckets.fail(address("13.0.0.2"), START_MS + REFILL_MS);
        assert_eq!(buckets.full_at_ms.len(), 2);
    }
}
