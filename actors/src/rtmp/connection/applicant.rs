//! The way from a request to publish or play to its answer: access first, then the room.

use std::net::SocketAddr;

use actix::Recipient;
use synctv_media::rtmp::session::{Refusal, StreamRequest};
use thiserror::Error;

use crate::{
    access::{AccessRequest, Gatekeeper, Session},
    directory::{OpenError, StreamDirectory},
    events::{PublisherEvent, Relocation},
    metrics::{JoinOutcome, PublishOutcome},
    stream::{Publication, PublishError, StreamHandle},
};

/// A reason for which a publish or play is refused.
#[derive(Debug, Error)]
pub(super) enum NotAdmitted<E> {
    /// The client may not. The gatekeeper has logged it.
    #[error(transparent)]
    Access(synctv_media::access::Refusal),
    /// It may, but cannot.
    #[error(transparent)]
    Room(E),
}

/// A client that asks to publish or play, and its request.
pub(super) struct Applicant {
    pub gatekeeper: Gatekeeper,
    pub directory: StreamDirectory,
    pub peer: SocketAddr,
    pub request: StreamRequest,
}

impl Applicant {
    /// Makes the applicant the publisher of the room, if it may be. `relocation` is how it comes to
    /// publish elsewhere.
    pub async fn publish(
        &self,
        relocation: Relocation,
        events: Recipient<PublisherEvent>,
    ) -> Result<(Publication, Option<Session>), NotAdmitted<PublishError>> {
        let published = self.try_publish(relocation, events).await;
        let outcome = match &published {
            Ok(_) => PublishOutcome::Accepted,
            Err(NotAdmitted::Access(_)) => PublishOutcome::Denied,
            Err(NotAdmitted::Room(error)) => error.outcome(),
        };
        self.directory.metrics().publishes.get(outcome).inc();
        published
    }

    async fn try_publish(
        &self,
        relocation: Relocation,
        events: Recipient<PublisherEvent>,
    ) -> Result<(Publication, Option<Session>), NotAdmitted<PublishError>> {
        let granted = self.gatekeeper.admit_publisher(&self.access_request()).await;
        let grant = granted.map_err(NotAdmitted::Access)?;
        let publication = self.directory.publish(&grant, relocation, events).await;
        let publication = publication.map_err(NotAdmitted::Room)?;
        Ok((publication, grant.begin()))
    }

    /// Opens the room's stream for the applicant, if it may watch.
    pub async fn play(&self) -> Result<(StreamHandle, Option<Session>), NotAdmitted<OpenError>> {
        let granted = self.gatekeeper.admit_viewer(&self.access_request()).await;
        let grant = granted.map_err(NotAdmitted::Access)?;
        let stream = self.directory.open(&grant).await.map_err(NotAdmitted::Room)?;
        Ok((stream, grant.begin()))
    }

    fn access_request(&self) -> AccessRequest<'_> {
        let StreamRequest { room, query, may_be_cut } = &self.request;
        AccessRequest::rtmp(self.peer, room, query.expose(), *may_be_cut)
    }
}

impl NotAdmitted<PublishError> {
    /// The refusal in RTMP's terms.
    pub fn to_rtmp(&self) -> Refusal {
        let description = self.to_string();
        match self {
            Self::Room(PublishError::Busy) => Refusal::BadName { description },
            _ => Refusal::Denied { description },
        }
    }
}

impl NotAdmitted<OpenError> {
    /// The refusal as it is counted.
    pub fn outcome(&self) -> JoinOutcome {
        match self {
            Self::Access(_) => JoinOutcome::Denied,
            Self::Room(error) => error.outcome(),
        }
    }

    /// The refusal in RTMP's terms.
    pub fn to_rtmp(&self) -> Refusal {
        let description = self.to_string();
        match self {
            Self::Access(_) => Refusal::Denied { description },
            Self::Room(_) => Refusal::StreamNotFound { description },
        }
    }
}
