//! A publisher's connection over an upgrade in place.

use std::sync::Arc;

use actix::{Actor, ActorContext, AsyncContext, Context, Handler};
use log::debug;
use tokio::{sync::oneshot, time::Instant};

use super::{
    Connection, ConnectionContext, ReadCoalescing, ReadFlow, RtmpConnectionActor,
    role::{Publishing, Role},
};
use crate::{
    access::Session as AccessSession,
    connection_limit::ConnectionLimit,
    events::{Evicted, PublisherId},
    rtmp::{
        connections::{Parking, UpgradeStep},
        conversation::Conversation,
        settings::RtmpServices,
    },
    stream::StreamHandle,
    upgrade::{
        error::RestoreError,
        lot::Parked,
        moment::{age_ms, instant_of_age},
        states::PublisherState,
    },
    viewer_socket::ViewerSocket,
};

/// The parts of the next program that publishers go on in.
#[derive(Clone)]
pub(crate) struct PublisherRestorer {
    /// Serves them.
    pub services: Arc<RtmpServices>,
    /// Counts their connections.
    pub permits: ConnectionLimit,
    /// Has their connections.
    pub parked: Parked,
}

impl PublisherRestorer {
    /// Goes on with the publisher of `stream`, on its thread. Returns when the stream has its publisher again, or the reason for
    /// which it has none.
    pub async fn restore(&self, stream: &StreamHandle, state: PublisherState) -> Result<(), RestoreError> {
        let (done, is_done) = oneshot::channel();
        let (failed, failure) = oneshot::channel();
        let (restorer, of_actor) = (self.clone(), stream.clone());
        let started = stream.thread().arbiter().spawn_fn(move || {
            if let Err(error) = restorer.start(of_actor, state, done) {
                // The receiver waits for it, or its thread has ended.
                let _ = failed.send(error);
            }
        });
        if !started {
            return Err(RestoreError::ThreadEnded);
        }
        match is_done.await {
            Ok(()) => Ok(()),
            Err(_) => Err(failure.await.unwrap_or(RestoreError::ThreadEnded)),
        }
    }

    fn start(
        self,
        stream: StreamHandle,
        state: PublisherState,
        done: oneshot::Sender<()>,
    ) -> Result<(), RestoreError> {
        let now = Instant::now();
        let socket = ViewerSocket::restore(state.socket, &self.parked, now.into_std())?;
        let access = state.access.and_then(|access| self.services.gatekeeper.resume(access));
        let conversation =
            Conversation::restore(state.conversation, &self.parked, &self.permits, self.services)?;
        let connection = Connection {
            conversation,
            socket,
            read_flow: ReadFlow::Paused(None),
            read_coalescing: ReadCoalescing::Each,
            next_event: None,
            role: Role::negotiating(),
            parking: None,
        };
        let stay = Stay {
            since: instant_of_age(state.since_ago_ms, now),
            bytes_before: state.bytes_before,
            pinged: state.pinged,
        };
        RtmpConnectionActor::create(move |ctx| {
            let publisher = PublisherId(state.publisher);
            let events = ctx.address().recipient();
            let resumed = async move { (stream.resume_publisher(publisher, events).await, stream) };
            Connection::after(ctx, resumed, move |connection, (publication, stream), ctx| {
                match publication {
                    Some(publication) => {
                        let entry = connection.enter(stream.room(), ctx);
                        connection.role = Role::Publishing(Publishing {
                            room: stream.room().clone(),
                            publication,
                            access,
                            since: stay.since,
                            bytes_before: stay.bytes_before,
                            pinged: stay.pinged,
                            _entry: entry,
                        });
                        connection.go_on(ctx);
                    }
                    None => connection.lose_room(access, ctx),
                }
                // No one may be left to hear it.
                let _ = done.send(());
            });
            RtmpConnectionActor { connection: Some(connection) }
        });
        Ok(())
    }
}

/// A publication, as it was before.
struct Stay {
    since: Instant,
    bytes_before: u64,
    pinged: bool,
}

impl Connection {
    /// The room was taken over while the program was replaced.
    fn lose_room(&mut self, access: Option<AccessSession>, ctx: &mut ConnectionContext) {
        drop(access);
        self.conversation.session.end_publish(&Evicted::TakenOver.to_string());
        self.linger(ctx);
        self.read_flow.resume();
    }

    /// Parks if that was asked for, once nothing that was read waits for the stream.
    pub(super) fn park_if_asked(&self, ctx: &mut ConnectionContext) {
        if self.parking.is_some() && self.read_flow.is_open() {
            ctx.notify(ParkNow);
        }
    }

    /// Returns whether the connection can be handed over now.
    fn can_park(&mut self) -> bool {
        let is_publisher = matches!(self.role, Role::Publishing(_)) && !self.socket.is_tls();
        let is_late = self.parking.as_ref().is_some_and(|parking| parking.lot.is_closed());
        if !is_publisher || is_late {
            self.parking = None;
            return false;
        }
        self.parking.is_some() && self.read_flow.is_open()
    }

    fn park(mut self) {
        let Some(Parking { lot, answer }) = self.parking.take() else { return };
        self.read_coalescing.announce_each(self.socket.wire());
        let Role::Publishing(publishing) = self.role else { return };
        let now = Instant::now();
        let peer = self.conversation.peer;
        let Publishing { publication, access, since, bytes_before, pinged, .. } = publishing;
        let publisher = publication.park();
        let access = access.map(AccessSession::park);
        let socket = match self.socket.park(&lot, now.into_std()) {
            Ok(socket) => socket,
            Err(error) => return debug!(peer:% = peer, reason:% = error; "publisher not parked"),
        };
        let conversation = self.conversation.park(&lot);
        let since_ago_ms = age_ms(since, now);
        // If no one waits for it any more, the connection ends with the state.
        let _ = answer.send(PublisherState {
            socket,
            conversation,
            publisher: publisher.0,
            access,
            since_ago_ms,
            bytes_before,
            pinged,
        });
    }
}

/// All that was read has taken effect.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct ParkNow;

impl Handler<UpgradeStep> for RtmpConnectionActor {
    type Result = ();

    fn handle(&mut self, step: UpgradeStep, ctx: &mut Context<Self>) {
        self.with(|connection| match step {
            UpgradeStep::CloseEncrypted if connection.socket.is_tls() => {
                connection.evicted(Evicted::Draining, ctx);
            }
            UpgradeStep::CloseEncrypted => {}
            UpgradeStep::Park(parking) => {
                connection.parking = Some(parking);
                connection.park_if_asked(ctx);
            }
        });
    }
}

impl Handler<ParkNow> for RtmpConnectionActor {
    type Result = ();

    fn handle(&mut self, _: ParkNow, ctx: &mut Context<Self>) {
        if let Some(connection) = self.connection.take_if(Connection::can_park) {
            connection.park();
            ctx.stop();
        }
    }
}
