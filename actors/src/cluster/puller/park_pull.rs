//! The request to a puller to stop for an upgrade in place.

use std::pin::pin;

use futures::future::{Either, select};
use tokio::sync::oneshot;

use crate::{
    events::Dismissed,
    upgrade::{lot::ParkingLot, states::PullState},
};

/// The request to a puller to stop and to report its position.
#[derive(Debug)]
pub(super) struct ParkPull {
    pub lot: ParkingLot,
    pub answer: oneshot::Sender<Option<PullState>>,
}

/// Receives the request, once at most.
pub(super) type Asked = oneshot::Receiver<ParkPull>;

/// The reason a puller stops.
#[derive(Debug)]
pub(super) enum Halt {
    /// The stream has no use for it any more.
    Dismissed,
    /// For an upgrade.
    Parked(ParkPull),
}

impl From<Dismissed> for Halt {
    fn from(_: Dismissed) -> Self {
        Self::Dismissed
    }
}

/// Awaits `work` unless the puller is asked to park first; then `asked` must not be awaited again.
pub(super) async fn until_asked<T>(asked: &mut Asked, work: impl Future<Output = T>) -> Result<T, Halt> {
    match select(asked, pin!(work)).await {
        Either::Left((Ok(park), _)) => Err(Halt::Parked(park)),
        // The stream has dropped the handle.
        Either::Left((Err(_), _)) => Err(Halt::Dismissed),
        Either::Right((done, _)) => Ok(done),
    }
}
