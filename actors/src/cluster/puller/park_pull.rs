//! The request to a puller to stop for an upgrade in place.

use tokio::sync::oneshot;

use crate::upgrade::{lot::ParkingLot, states::PullState};

/// The request to a puller to stop and to report its position.
#[derive(Debug)]
pub(super) struct ParkPull {
    pub lot: ParkingLot,
    pub answer: oneshot::Sender<Option<PullState>>,
}
