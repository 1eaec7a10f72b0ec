//! One viewer over an upgrade in place.

use std::time::Instant;

use super::{LeavePhase, Viewer, ViewerDetails};
use crate::{
    access::Session as AccessSession,
    connection_limit::ConnectionPermit,
    events::{EndReason, ViewerId},
    metrics::ViewerProtocol,
    stream::StreamHandle,
    upgrade::{
        error::RestoreError,
        lot::{Parked, ParkingLot},
        states::{ConversationState, InboxState, ViewerState},
    },
    viewer_session::{LeaveReason, ParkedStay, ViewerSession},
    viewer_socket::ViewerSocket,
    viewers::{inbox::Inbox, kind::ViewerKind, messages::ViewerGuard, player::Player},
};

/// The rights of a viewer in the next program.
#[derive(Debug)]
pub(in crate::viewers) struct ViewerRights {
    pub access: Option<AccessSession>,
    /// Players keep their own.
    pub permit: Option<ConnectionPermit>,
    pub guard: ViewerGuard,
}

impl Viewer {
    /// Stops where the viewer is. `None` if it is about to leave, or cannot be handed over: then its connection ends, and its stay
    /// is counted, logged and reported as over.
    pub fn park(self, lot: &ParkingLot, now: Instant) -> Option<ViewerState> {
        let delivered = self.socket.delivered();
        let ViewerDetails { mut session, inbox, wants_notice, leave_phase, .. } = *self.details;
        if leave_phase == LeavePhase::Leaves {
            session.end(&LeaveReason::Ended(EndReason::NodeDraining), delivered);
            return None;
        }
        let socket = match self.socket.park(lot, now) {
            Ok(socket) => socket,
            Err(error) => {
                session.end(&LeaveReason::Disconnected(error), delivered);
                return None;
            }
        };
        let stay = session.park(delivered, now.into());
        Some(ViewerState {
            socket,
            peer: stay.peer,
            inbox: inbox.park(lot, now),
            wants_notice,
            is_asked_to_leave: leave_phase == LeavePhase::Asked,
            access: stay.access,
            since_ago_ms: stay.since_ago_ms,
            awaits_media: stay.awaits_media,
        })
    }

    /// Goes on with a viewer of `stream` on the current thread.
    pub fn restore(
        id: ViewerId,
        stream: &StreamHandle,
        state: ViewerState,
        rights: ViewerRights,
        parked: &Parked,
        now: Instant,
        player: impl FnOnce(ConversationState) -> Result<Box<dyn Player>, RestoreError>,
    ) -> Result<Self, RestoreError> {
        let ViewerRights { access, permit, guard } = rights;
        let socket = ViewerSocket::restore(state.socket, parked, now)?;
        let protocol = match &state.inbox {
            InboxState::Player(_) => ViewerProtocol::Rtmp,
            InboxState::Node => ViewerKind::Node.protocol(socket.format()),
            InboxState::Http { .. } | InboxState::WebSocket(_) => {
                ViewerKind::Viewer.protocol(socket.format())
            }
        };
        let inbox = Inbox::restore(state.inbox, parked, now, player)?;
        let (peer, since_ago_ms, awaits_media) = (state.peer, state.since_ago_ms, state.awaits_media);
        let stay = ParkedStay { peer, access: None, since_ago_ms, awaits_media };
        let session = ViewerSession::resume(stream, protocol, stay, access, socket.delivered(), now.into());
        let leave_phase = if state.is_asked_to_leave { LeavePhase::Asked } else { LeavePhase::Stays };
        let details = ViewerDetails {
            session,
            inbox,
            wants_notice: state.wants_notice,
            leave_phase,
            _permit: permit,
            _guard: guard,
        };
        Ok(Self { id, socket, details: Box::new(details) })
    }

    /// Returns whether the viewer waits for its first frame, at the beginning or behind a pause.
    pub fn is_joining(&self) -> bool {
        self.socket.is_joining()
    }
}
