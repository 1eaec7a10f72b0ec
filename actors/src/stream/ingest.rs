//! The source of a stream's media: a publisher, a puller, or none.

use std::{net::SocketAddr, time::Duration};

use actix::Recipient;
use tokio::time::Instant;

use crate::{
    cluster::{puller::PullerHandle, registry::numbers::NumberReserve, store::Claim},
    events::{PublisherEvent, PublisherId, PublisherProfile, PullerId},
    stream::succession::Succession,
};

pub(super) enum Ingest {
    /// None, since then. The stream ends when that has lasted for `patience`.
    Vacant {
        since: Instant,
        patience: Duration,
        /// Looks for a node that publishes the room.
        seeker: Option<PullerHandle>,
    },
    /// Another node.
    Pulled(PullerHandle),
    /// A publisher of this node.
    Published {
        publisher: PublisherId,
        claim: Claim,
        numbers: NumberReserve,
        profile: PublisherProfile,
        events: Recipient<PublisherEvent>,
        /// The publisher was asked to publish elsewhere. It keeps its place until it leaves, even without the room.
        is_asked_to_move: bool,
        /// Its frames wait for the end of a publication on another node.
        succession: Option<Box<Succession>>,
    },
}

/// The admission of a publisher. Until it is decided, the stream's source stays the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    Idle,
    /// The registry was asked for the room.
    Asked {
        /// It took back the claim of this epoch. That may be heard before the claim's own answer.
        lost_epoch: Option<u64>,
    },
}

/// Time that a stream that was started for a pull waits for the origin's first answer.
pub(crate) const ORIGIN_WAIT: Duration = Duration::from_secs(5);

impl Admission {
    pub fn has_lost(self, claim: &Claim) -> bool {
        matches!(self, Self::Asked { lost_epoch: Some(epoch) } if epoch == claim.epoch)
    }
}

impl Ingest {
    pub fn vacant(patience: Duration) -> Self {
        Self::Vacant { since: Instant::now(), patience, seeker: None }
    }

    pub fn seeking(patience: Duration, puller: PullerHandle) -> Self {
        Self::Vacant { since: Instant::now(), patience, seeker: Some(puller) }
    }

    pub fn is_publisher(&self, id: PublisherId) -> bool {
        matches!(self, Self::Published { publisher, .. } if *publisher == id)
    }

    /// Returns the address of a publisher of this node.
    pub fn publisher_address(&self) -> Option<SocketAddr> {
        match self {
            Self::Published { profile, .. } => profile.peer,
            Self::Vacant { .. } | Self::Pulled(_) => None,
        }
    }

    /// Returns whether the publisher was asked to publish elsewhere.
    pub fn is_asked_to_move(&self) -> bool {
        matches!(self, Self::Published { is_asked_to_move: true, .. })
    }

    pub fn is_puller(&self, id: PullerId) -> bool {
        match self {
            Self::Vacant { seeker: Some(puller), .. } | Self::Pulled(puller) => puller.id() == id,
            Self::Published { succession: Some(succession), .. } => succession.predecessor.id() == id,
            Self::Vacant { seeker: None, .. } | Self::Published { succession: None, .. } => false,
        }
    }
}
