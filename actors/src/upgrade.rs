//! Upgrade in place: the connections and streams of a node stop where they are, and go on in the program that replaces
//! this one in the same process.
//!
//! Each part parks itself: it gives its state as plain data, puts its connections and media into a [`lot::ParkingLot`],
//! and ends without closing anything or notifying anyone. [`UpgradeParts::park`] has the order, and
//! [`UpgradeParts::restore`] is its inverse, in the next program or, if that could not be started, in this one.

pub mod error;
pub mod lot;
pub(crate) mod moment;
mod node_state;
mod parts;
pub mod states;

pub use self::{
    node_state::{NodeState, RoomState},
    parts::{Restored, UpgradeParts, restore_hls},
};
