//! A request to play. Once it is granted, the connection goes to the viewers of the room.

use actix::{ActorContext, AsyncContext};
use log::info;
use synctv_media::rtmp::session::{Phase, Refusal, StreamRequest};
use tokio::time::Instant;

use super::{Connection, ConnectionContext, RtmpConnectionActor, role::Role};
use crate::{
    access::Session as AccessSession,
    metrics::{JoinOutcome, ViewerProtocol},
    rtmp::player::RtmpPlayer,
    stream::StreamHandle,
    viewers::NewPlayer,
};

impl Connection {
    pub(super) fn ask_to_play(&mut self, request: StreamRequest, ctx: &mut ConnectionContext) {
        if let Err(full) = self.conversation.admission.require_regular() {
            self.note_refusal(JoinOutcome::Limit);
            return self.refuse_play(&request, &Refusal::Denied { description: full.to_string() }, ctx);
        }
        self.read_flow.pause();
        let asked_at = Instant::now();
        let applicant = self.applicant(request);
        let asked = async move { (applicant.play().await, applicant.request) };
        ctx.spawn(RtmpConnectionActor::after(asked, move |(found, request), actor, ctx| match found {
            Ok((stream, access)) => actor.begin_play(&stream, access, asked_at, ctx),
            Err(error) => actor.with(|connection| {
                connection.note_refusal(error.outcome());
                connection.refuse_play(&request, &error.to_rtmp(), ctx);
            }),
        }));
    }

    fn note_refusal(&self, outcome: JoinOutcome) {
        let metrics = self.conversation.services.directory.metrics();
        metrics.joins.get((ViewerProtocol::Rtmp, outcome)).inc();
    }

    fn refuse_play(&mut self, request: &StreamRequest, refusal: &Refusal, ctx: &mut ConnectionContext) {
        let (Refusal::Denied { description }
        | Refusal::StreamNotFound { description }
        | Refusal::BadName { description }) = refusal;
        let conversation = &mut self.conversation;
        info!(
            room = request.room.as_str(), peer:% = conversation.peer, why = description.as_str();
            "play refused");
        conversation.session.refuse(refusal);
        match conversation.session.phase() {
            Phase::Closed => self.linger(ctx),
            _ => {
                self.role = Role::negotiating();
                self.send_replies(ctx);
            }
        }
        self.go_on(ctx);
    }

    /// Hands the connection to the viewers of the stream.
    fn play(self, stream: &StreamHandle, access: Option<AccessSession>, asked: Instant) {
        let Self { mut conversation, mut socket, .. } = self;
        conversation.session.accept();
        // An error shows at the next write.
        let _ = conversation.send_replies(&mut socket);
        let (pool, peer) = (conversation.services.viewer_pool.clone(), conversation.peer);
        let player = Box::new(RtmpPlayer { conversation });
        pool.admit_player(stream, NewPlayer { socket: socket.for_new_owner(), peer, player, access, asked });
    }
}

impl RtmpConnectionActor {
    fn begin_play(
        &mut self,
        stream: &StreamHandle,
        access: Option<AccessSession>,
        asked: Instant,
        ctx: &mut ConnectionContext,
    ) {
        match self.connection.take_if(|connection| !connection.role.is_closing()) {
            Some(connection) => {
                connection.play(stream, access, asked);
                ctx.stop();
            }
            None => self.with(|connection| connection.read_flow.resume()),
        }
    }
}
