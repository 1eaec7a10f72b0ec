//! The faults that probers and viewers met.

use std::{collections::BTreeMap, fmt};

/// Faults, each with its number.
#[derive(Debug, Default)]
pub struct Faults(BTreeMap<String, u64>);

impl Faults {
    pub fn add(&mut self, fault: String) {
        *self.0.entry(fault).or_default() += 1;
    }

    pub fn append(&mut self, other: Self) {
        for (fault, count) in other.0 {
            *self.0.entry(fault).or_default() += count;
        }
    }

    /// The same, with the kind of viewer that met them.
    pub fn prefixed(self, kind: &str) -> Self {
        Self(self.0.into_iter().map(|(fault, count)| (format!("{kind}: {fault}"), count)).collect())
    }

    pub fn count(&self) -> u64 {
        self.0.values().sum()
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(fault, count)| writeln!(f, "{count:>16} {fault}"))
    }
}
