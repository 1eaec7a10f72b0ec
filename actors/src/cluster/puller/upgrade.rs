//! A pull over an upgrade in place: the next program connects again, and takes no frame twice.

use std::pin::pin;

use futures::future::{Either, pending, select};
use synctv_media::{
    cluster::claims::NodeAddresses, stream::publication_resume::PublicationResume, upgrade::StateError,
};
use tokio::sync::oneshot;

use super::{Followed, Pull, PullerHandle, park_pull::ParkPull};
use crate::{
    cluster::origin::Origin,
    upgrade::{
        lot::{Parked, ParkingLot},
        states::PullState,
    },
};

impl PullerHandle {
    /// Goes on with a publication that another program pulled.
    pub(crate) fn resume(pull: Pull, followed: Followed) -> Self {
        Self::follow(pull, Some(followed))
    }

    /// Stops the puller and returns how far it is, if it follows a publication. All that it has taken was sent to the stream
    /// by then.
    pub(crate) fn park(
        &mut self,
        lot: &ParkingLot,
    ) -> impl Future<Output = Option<PullState>> + 'static + use<> {
        let (answer, answered) = oneshot::channel();
        let asked = ParkPull { lot: lot.clone(), answer };
        let is_asked = self.parking.take().is_some_and(|parking| parking.send(asked).is_ok());
        async move { if is_asked { answered.await.ok().flatten() } else { None } }
    }
}

impl Pull {
    /// Feeds the stream until it has no use for that any more, or the puller is to stop.
    pub(super) async fn run_until_parked(
        self,
        mut followed: Option<Followed>,
        asked: oneshot::Receiver<ParkPull>,
    ) {
        let asked = {
            let run = pin!(self.run(&mut followed));
            match select(asked, run).await {
                Either::Left((asked, _)) => asked.ok(),
                Either::Right(_) => None,
            }
        };
        if let Some(ParkPull { lot, answer }) = asked {
            // The stream may have ended.
            let _ = answer.send(followed.map(|followed| followed.state(&lot)));
            // Its end would be taken for that of the pull.
            pending::<()>().await;
        }
    }
}

impl Followed {
    fn state(self, lot: &ParkingLot) -> PullState {
        let Origin { node, epoch, addresses: NodeAddresses { rtmp, httpflv, hls } } = self.origin;
        let resume = lot.with_blobs(|blobs| self.resume.state(blobs));
        PullState { node, epoch, rtmp, httpflv, hls, resume }
    }

    /// The publication that another program pulled, and how far it was taken.
    pub(crate) fn restore(state: PullState, parked: &Parked) -> Result<Self, StateError> {
        let PullState { node, epoch, rtmp, httpflv, hls, resume } = state;
        let addresses = NodeAddresses { rtmp, httpflv, hls };
        let resume = PublicationResume::restore(resume, parked.blobs())?;
        Ok(Self { origin: Origin { node, epoch, addresses }, resume })
    }
}
