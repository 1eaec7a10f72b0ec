//! The place of a connection among those that the node may hold.

use thiserror::Error;

use crate::connection_limit::{ConnectionLimit, ConnectionPermit};

/// A place among the connections of the node.
///
/// A few connections over the limit are let in: a publisher whose connection broke can reconnect, and a player gets the
/// reason of its refusal.
#[derive(Debug)]
pub enum Admission {
    /// Within the limit.
    Regular(ConnectionPermit),
    /// Over it.
    Reserve {
        /// A place in the reserve.
        place: ConnectionPermit,
        /// The regular ones, of which the connection takes one as soon as one is free.
        regular: ConnectionLimit,
    },
}

/// There is no regular place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("connection limit reached ({max})")]
pub(super) struct LimitReached {
    max: usize,
}

impl Admission {
    /// Gives up a place in the reserve for a regular one, if one is free.
    pub(super) fn require_regular(&mut self) -> Result<(), LimitReached> {
        let Self::Reserve { regular, .. } = self else { return Ok(()) };
        let permit = regular.take().ok_or(LimitReached { max: regular.max() })?;
        *self = Self::Regular(permit);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_the_reserve_is_given_up_for_a_regular_one() {
        let (regular, reserve) = (ConnectionLimit::new(1), ConnectionLimit::new(1));
        let first = regular.take();
        let place = reserve.take().unwrap();
        let mut admission = Admission::Reserve { place, regular: regular.clone() };
        let full = admission.require_regular().unwrap_err();
        assert_eq!(full.to_string(), "connection limit reached (1)");
        assert_eq!(reserve.held(), 1);
        drop(first);
        assert_eq!(admission.require_regular(), Ok(()));
        assert_eq!((regular.held(), reserve.held()), (1, 0));
        drop(admission);
        assert_eq!(regular.held(), 0);
    }
}
