//! The faults that all peers met, and the numbers of things that they compared.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use crate::hls::faults::Faults;

/// The findings of all peers of a load. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Findings(Rc<RefCell<Found>>);

#[derive(Debug, Default)]
struct Found {
    faults: Faults,
    /// Peers of each kind, and the frames or segments that they compared.
    compared: BTreeMap<&'static str, (u64, u64)>,
}

impl Findings {
    /// Adds a peer of a kind, the number of things that it compared, and its faults.
    pub fn add(&self, kind: &'static str, compared: u64, faults: Faults) {
        let mut found = self.0.borrow_mut();
        let (peers, things) = found.compared.entry(kind).or_default();
        *peers += 1;
        *things += compared;
        found.faults.append(faults.prefixed(kind));
        if compared == 0 {
            found.faults.add(format!("{kind}: got nothing"));
        }
    }

    /// Adds a fault of a peer that keeps running.
    pub fn fault(&self, fault: String) {
        self.0.borrow_mut().faults.add(fault);
    }

    /// The number of all faults.
    pub fn faults(&self) -> u64 {
        self.0.borrow().faults.count()
    }

    /// Prints a line for each kind of peers, and one for each fault.
    pub fn print(&self) {
        let found = self.0.borrow();
        for (kind, (peers, compared)) in &found.compared {
            println!("{kind}: {peers}, which compared {compared}");
        }
        print!("{}", found.faults);
    }
}
