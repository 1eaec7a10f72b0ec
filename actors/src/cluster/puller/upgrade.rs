//! A pull over an upgrade in place: its connection goes on.

use futures::future::pending;
use synctv_media::{
    cluster::claims::NodeAddresses, stream::publication_resume::PublicationResume, upgrade::StateError,
};
use tokio::sync::oneshot;

use super::{
    Followed, Pull, PullerHandle,
    connection::RestingConnection,
    log_anew,
    park_pull::{Asked, Halt, ParkPull},
};
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
    pub(super) async fn run_until_parked(self, mut followed: Option<Followed>, mut asked: Asked) {
        let halted = self.run(&mut followed, &mut asked).await;
        if let Err(Halt::Parked(ParkPull { lot, answer })) = halted {
            // The stream may have ended.
            let _ = answer.send(followed.map(|followed| followed.park(&lot)));
            // Its end would be taken for that of the pull.
            pending::<()>().await;
        }
    }
}

impl Followed {
    fn park(self, lot: &ParkingLot) -> PullState {
        let Origin { node, epoch, addresses: NodeAddresses { rtmp, httpflv, hls } } = self.origin;
        let connection = self.connection.map(|connection| connection.park(lot));
        let resume = lot.with_blobs(|blobs| self.resume.state(blobs));
        PullState { node, epoch, rtmp, httpflv, hls, resume, connection }
    }

    /// The publication that another program pulled, and the last frame of it. A connection that cannot go on is made anew.
    pub(crate) fn restore(
        state: PullState,
        frame_limit_bytes: usize,
        parked: &Parked,
    ) -> Result<Self, StateError> {
        let PullState { node, epoch, rtmp, httpflv, hls, resume, connection } = state;
        let connection = connection.map(|state| RestingConnection::restore(state, frame_limit_bytes, parked));
        let connection = connection.and_then(|restored| restored.inspect_err(log_anew).ok());
        let addresses = NodeAddresses { rtmp, httpflv, hls };
        let resume = PublicationResume::restore(resume, parked.blobs())?;
        let origin = Origin { node, epoch, addresses };
        Ok(Self { origin, resume, connection })
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use synctv_media::{flv::file_header, samples};
    use tokio::{io::AsyncWriteExt, time::Instant};

    use super::*;

    const LIMIT_BYTES: usize = 1 << 20;

    /// A connection to an origin, and the origin's end of it.
    fn connection() -> (RestingConnection, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (RestingConnection::of(socket, LIMIT_BYTES), listener.accept().unwrap().0)
    }

    fn parked(connection: Option<RestingConnection>) -> (PullState, Parked) {
        let addresses = NodeAddresses { rtmp: String::new(), httpflv: "n1:8080".to_owned(), hls: None };
        let origin = Origin { node: "n1".to_owned(), epoch: 7, addresses };
        let lot = ParkingLot::new(Instant::now());
        let followed = Followed { origin, resume: PublicationResume::default(), connection };
        let state = followed.park(&lot);
        let (blobs, descriptors) = lot.take();
        (state, Parked::new(blobs, descriptors))
    }

    #[actix_rt::test]
    async fn the_connection_goes_on_in_the_middle_of_a_frame() {
        let (resting, origin) = connection();
        origin.set_nonblocking(true).unwrap();
        let mut origin = tokio::net::TcpStream::from_std(origin).unwrap();
        let mut flv = file_header(false, true).to_vec();
        let frame = samples::keyframe(40);
        synctv_media::flv::put_tag(&mut flv, frame.track, 40, &frame.payload);
        let (first, second) = flv.split_at(30);
        let mut open = resting.resume().unwrap();
        origin.write_all(first).await.unwrap();
        assert_eq!(open.read().await.unwrap(), []);
        let (state, parked) = parked(Some(open.rest().unwrap()));
        let restored = Followed::restore(state, LIMIT_BYTES, &parked).unwrap();
        origin.write_all(second).await.unwrap();
        let mut open = restored.connection.unwrap().resume().unwrap();
        assert_eq!(open.read().await.unwrap(), [frame]);
    }

    #[test]
    fn a_connection_that_cannot_go_on_is_made_anew() {
        let (state, lot) = parked(Some(connection().0));
        assert!(Followed::restore(state.clone(), LIMIT_BYTES, &lot).unwrap().connection.is_some());
        let again = Followed::restore(state, LIMIT_BYTES, &lot).unwrap();
        assert!(again.connection.is_none(), "its descriptor was taken");
        assert_eq!(again.origin.node, "n1");
    }
}
