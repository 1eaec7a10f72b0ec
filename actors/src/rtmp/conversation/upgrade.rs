//! The protocol's side of a connection over an upgrade in place.

use std::{sync::Arc, time::Duration};

use synctv_media::rtmp::session::Session;
use tokio::time::Instant;

use super::Conversation;
use crate::{
    connection_limit::ConnectionLimit,
    rtmp::{admission::Admission, round_trip::RoundTrip, settings::RtmpServices},
    upgrade::{
        error::RestoreError,
        lot::{Parked, ParkingLot},
        moment::{age_ms, instant_of_age},
        states::ConversationState,
    },
};

impl Conversation {
    /// The state for the next program.
    pub fn park(self, lot: &ParkingLot) -> ConversationState {
        ConversationState {
            peer: self.peer,
            session: lot.with_blobs(|blobs| self.session.state(blobs)),
            received_bytes: self.received_bytes,
            received_ago_ms: age_ms(self.last_received, Instant::now()),
            round_trip_us: self.round_trip.duration().as_micros().try_into().unwrap_or(0),
        }
    }

    /// Goes on where another program stopped. `permits` counts the connection; over the limit it keeps its place
    /// nevertheless, as a connection over the limit does that reconnects.
    pub fn restore(
        state: ConversationState,
        parked: &Parked,
        permits: &ConnectionLimit,
        services: Arc<RtmpServices>,
    ) -> Result<Self, RestoreError> {
        let config = services.settings.session.clone();
        let session = Session::restore(state.session, config, parked.blobs())?;
        let admission = match permits.take() {
            Some(permit) => Admission::Regular(permit),
            None => {
                let place = ConnectionLimit::new(1).take().ok_or(RestoreError::NoPlace)?;
                Admission::Reserve { place, regular: permits.clone() }
            }
        };
        Ok(Self {
            peer: state.peer,
            services,
            session,
            received_bytes: state.received_bytes,
            last_received: instant_of_age(state.received_ago_ms, Instant::now()),
            round_trip: RoundTrip::Known(Duration::from_micros(state.round_trip_us)),
            admission,
        })
    }
}
