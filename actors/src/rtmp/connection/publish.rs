//! Publishing: from the request to the end of the publication.

use std::time::Duration;

use actix::AsyncContext;
use log::{info, warn};
use synctv_media::{
    rtmp::session::{ReconnectHabit, StreamRequest},
    stream::{frame::Frame, room::RoomName},
};
use tokio::time::Instant;

use super::{
    Connection, ConnectionContext,
    applicant::NotAdmitted,
    role::{Publishing, Role},
};
use crate::{
    access::Session as AccessSession,
    events::{Evicted, Relocation},
    rtmp::connections::ConnectionEntry,
    stream::{Publication, PublishError, Refused},
    viewer_session::LeaveReason,
};

/// Round trips from the close of a publisher's connection to its next publish: TCP, the handshake, connect, createStream,
/// publish, and half a one at each end.
const ROUND_TRIPS_TO_PUBLISH: u32 = 6;

/// A longer round trip is a peer that paused in its handshake.
const ROUND_TRIP_MAX: Duration = Duration::from_millis(500);

impl Connection {
    pub(super) fn ask_to_publish(&mut self, request: StreamRequest, ctx: &mut ConnectionContext) {
        self.read_flow.pause();
        let (applicant, events) = (self.applicant(request), ctx.address().recipient());
        let relocation = self.relocation();
        let asked = async move { (applicant.publish(relocation, events).await, applicant.request) };
        Self::after(ctx, asked, |connection, (answer, request), ctx| match answer {
            Ok((publication, access)) => connection.begin_publish(request, publication, access, ctx),
            Err(error) => connection.refuse_publish(&request, &error, ctx),
        });
    }

    /// Returns the way in which this publisher moves to another node.
    fn relocation(&self) -> Relocation {
        let habit = self.conversation.session.reconnect_habit();
        if habit == ReconnectHabit::OnRequest {
            return Relocation::OnRequest;
        }
        let round_trip = self.conversation.round_trip.duration().min(ROUND_TRIP_MAX);
        let pause = Duration::from_millis(habit.pause_ms());
        if habit == ReconnectHabit::AtTenthMessage {
            // Media that it sends meanwhile is late by half a round trip, as the close is.
            return Relocation::AtLook { looks_each: ReconnectHabit::LOOKS_EACH, lead: pause + round_trip };
        }
        Relocation::AfterClose(pause + round_trip * ROUND_TRIPS_TO_PUBLISH)
    }

    fn begin_publish(
        &mut self,
        request: StreamRequest,
        publication: Publication,
        access: Option<AccessSession>,
        ctx: &mut ConnectionContext,
    ) {
        if self.role.is_closing() {
            return self.read_flow.resume();
        }
        info!(room = request.room.as_str(), peer:% = self.conversation.peer; "publisher connected");
        let entry = self.enter(&request.room, ctx);
        let (since, bytes_before) = (Instant::now(), self.conversation.received_bytes);
        self.role = Role::Publishing(Publishing {
            room: request.room,
            publication,
            access,
            since,
            bytes_before,
            pinged: false,
            _entry: entry,
        });
        self.conversation.last_received = since;
        self.confirm(ctx);
        self.conversation.session.accept();
        self.send_replies(ctx);
        self.go_on(ctx);
    }

    /// Takes a place among the node's publishers.
    pub(super) fn enter(&self, room: &RoomName, ctx: &ConnectionContext) -> ConnectionEntry {
        self.conversation.services.connections.enter(room.clone(), ctx.address().recipient())
    }

    /// Asks whether the room is still this connection's: the notice of its loss may have come before that of its gain.
    fn confirm(&self, ctx: &mut ConnectionContext) {
        let Role::Publishing(publishing) = &self.role else { return };
        Self::after(ctx, publishing.publication.send(Vec::new()), |connection, confirmed, ctx| {
            if let Err(evicted) = confirmed {
                connection.evicted(evicted, ctx);
            }
        });
    }

    fn refuse_publish(
        &mut self,
        request: &StreamRequest,
        error: &NotAdmitted<PublishError>,
        ctx: &mut ConnectionContext,
    ) {
        if let NotAdmitted::Room(error) = error {
            let peer = self.conversation.peer;
            warn!(room = request.room.as_str(), peer:% = peer, why:% = error; "publish refused");
        }
        self.conversation.session.refuse(&error.to_rtmp());
        self.linger(ctx);
        self.read_flow.resume();
    }

    /// Hands frames to the stream. While it cannot follow, nothing more is read.
    pub(super) fn deliver(&mut self, frames: Vec<Frame>, ctx: &mut ConnectionContext) {
        let Role::Publishing(publishing) = &self.role else {
            return;
        };
        match publishing.publication.try_send(frames, self.conversation.last_received) {
            Ok(()) => {}
            Err(Refused::Gone) => self.evicted(Evicted::StreamGone, ctx),
            Err(Refused::Busy(frames)) => {
                self.read_flow.pause();
                self.conversation.services.directory.metrics().ingest_pauses.inc();
                let taken = publishing.publication.send_received(frames, self.conversation.last_received);
                Self::after(ctx, taken, |connection, taken, ctx| {
                    if let Err(evicted) = taken {
                        connection.evicted(evicted, ctx);
                    }
                    connection.go_on(ctx);
                });
            }
        }
    }

    pub(super) fn evicted(&mut self, evicted: Evicted, ctx: &mut ConnectionContext) {
        if let Role::Publishing(_) = self.role {
            self.cut(&LeaveReason::Evicted(evicted), ctx);
        }
    }
}
