//! The messages that the registry takes, and those that it sends.

use std::time::Duration;

use actix::{Message, Recipient};
use synctv_media::{access::PublisherProof, stream::room::RoomName};

use super::numbers::NumberReserve;
use crate::{
    cluster::{
        origin::{LiveNode, Origin, PublishedRoom, Trace},
        store::{Claim, ClaimError, StoreError},
    },
    upgrade::states::ClaimsState,
};

/// Time that a claim may take before it counts as refused. Publishers wait for it.
pub const CLAIM_TIMEOUT: Duration = Duration::from_secs(3);

/// Time that a reservation may take. A publisher is not kept longer for a store that does not answer.
pub const OFFER_TIMEOUT: Duration = Duration::from_secs(1);

/// Time that the release of all claims may take when the node stops. Claims that are left then expire.
pub const LEAVE_TIMEOUT: Duration = Duration::from_secs(3);

/// A room that is this node's.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// The claim.
    pub claim: Claim,
    /// The HLS numbers that come with it.
    pub numbers: NumberReserve,
}

/// The notice to the owner of a claim that is no longer its own.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct ClaimLost {
    /// The claim's epoch.
    pub epoch: u64,
}

/// The maximum age of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// A second.
    Known,
    /// As old as a question about the same that is under way: many who ask at once cost one look-up.
    Fresh,
    /// From nothing that was asked or remembered before.
    Anew,
}

/// Returns whether new rooms are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// They are.
    Ready,
    /// They are not, for now.
    NotReady {
        /// The reason, for the log.
        reason: String,
    },
}

#[derive(Message)]
#[rtype(result = "Result<Claimed, ClaimError>")]
pub(super) struct ClaimRoom {
    pub room: RoomName,
    pub proof: Option<PublisherProof>,
    pub owner: Recipient<ClaimLost>,
}

/// The node is upgraded in place: its claims stay, and the streams that hold them end without giving them back.
#[derive(Message)]
#[rtype(result = "ClaimsState")]
pub(super) struct ParkClaims;

/// A stream goes on after an upgrade, with its claim if that was not lost meanwhile.
#[derive(Message)]
#[rtype(result = "Option<Claimed>")]
pub(super) struct AdoptRoom {
    pub claim: Claim,
    pub owner: Recipient<ClaimLost>,
}

/// The upgrade is over: claims that no stream has asked for are given back.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct ReleaseParked;

#[derive(Message)]
#[rtype(result = "Result<bool, StoreError>")]
pub(super) struct OfferRoom {
    pub claim: Claim,
    pub proof: PublisherProof,
    pub hold: Duration,
}

#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct ReleaseRoom(pub Claim);

#[derive(Message)]
#[rtype(result = "Result<Option<Origin>, StoreError>")]
pub(super) struct Locate(pub RoomName);

#[derive(Message)]
#[rtype(result = "Result<Trace, StoreError>")]
pub(super) struct TraceRoom {
    pub room: RoomName,
    pub freshness: Freshness,
}

#[derive(Message)]
#[rtype(result = "Result<Vec<PublishedRoom>, StoreError>")]
pub(super) struct ListRooms;

/// The other nodes that are alive.
#[derive(Message)]
#[rtype(result = "Result<Vec<LiveNode>, StoreError>")]
pub(super) struct ListNodes(pub Freshness);

/// The node drains, and its lease is to say so.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct AnnounceDrain;

#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Ping;

#[derive(Message)]
#[rtype(result = "Readiness")]
pub(super) struct AskReadiness;

#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Leave;
