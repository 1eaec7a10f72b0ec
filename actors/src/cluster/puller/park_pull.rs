//! The wish that a puller stops for an upgrade in place.

use tokio::sync::oneshot;

use crate::upgrade::{lot::ParkingLot, states::PullState};

/// The wish that a puller stops, and says how far it is.
#[derive(Debug)]
pub(super) struct ParkPull {
    pub lot: ParkingLot,
    pub answer: oneshot::Sender<Option<PullState>>,
}
