//! Playing: a subscription to a stream, which a pause or another play ends and which begins again behind it.

use std::time::Duration;

use actix::{ActorFutureExt, AsyncContext, Context, Handler, Message, WrapFuture};
use log::info;
use synctv_media::rtmp::session::{Phase, Refusal, StreamRequest};
use tokio::time::Instant;

use super::role::{Playing, Role};
use crate::{
    access::Session as AccessSession,
    events::{EndReason, LeaveWindow},
    metrics::{JoinOutcome, ViewerProtocol},
    rtmp::RtmpConnectionActor,
    stream::StreamHandle,
    viewer_session::LeaveReason,
};

/// Time for a player that was asked to reconnect to play on its new connection.
const RECONNECT_WAIT: Duration = Duration::from_secs(3);

/// Nothing that a stream sent to an ended subscription is on its way any more.
///
/// The stream's answer alone does not say that: it does not pass through the mailbox, in which deliveries may wait. This
/// message is put there behind them.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Unsubscribed;

impl RtmpConnectionActor {
    pub(super) fn ask_to_play(&mut self, request: StreamRequest, ctx: &mut Context<Self>) {
        if let Err(full) = self.admission.require_regular() {
            self.note_refusal(JoinOutcome::Limit);
            return self.refuse_play(&request, &Refusal::Denied { description: full.to_string() }, ctx);
        }
        self.read_flow.pause();
        let asked_at = Instant::now();
        let applicant = self.applicant(request);
        let asked = async move { (applicant.play().await, applicant.request) };
        ctx.spawn(asked.into_actor(self).map(move |(found, request), connection, ctx| match found {
            Ok((stream, access)) => connection.begin_play(stream, access, asked_at, ctx),
            Err(error) => {
                connection.note_refusal(error.outcome());
                connection.refuse_play(&request, &error.to_rtmp(), ctx);
            }
        }));
    }

    fn note_refusal(&self, outcome: JoinOutcome) {
        self.directory.metrics().joins.get((ViewerProtocol::Rtmp, outcome)).inc();
    }

    fn begin_play(
        &mut self,
        stream: StreamHandle,
        access: Option<AccessSession>,
        asked: Instant,
        ctx: &mut Context<Self>,
    ) {
        if let Role::Closing { .. } = self.role {
            return self.read_flow.resume();
        }
        self.session.accept();
        self.send_replies(ctx);
        let mut playing = Playing::new(stream, self.peer, access, asked);
        playing.session.note_head(self.socket.sent_bytes());
        playing.subscribe(ctx.address().recipient());
        self.role = Role::Playing(playing);
        self.go_on(ctx);
    }

    fn refuse_play(&mut self, request: &StreamRequest, refusal: &Refusal, ctx: &mut Context<Self>) {
        let (Refusal::Denied { description }
        | Refusal::StreamNotFound { description }
        | Refusal::BadName { description }) = refusal;
        info!(room = request.room.as_str(), peer:% = self.peer, why = description.as_str(); "play refused");
        self.session.refuse(refusal);
        match self.session.phase() {
            Phase::Closed => self.linger(ctx),
            _ => {
                self.role = Role::Negotiating { since: Instant::now() };
                self.send_replies(ctx);
            }
        }
        self.go_on(ctx);
    }

    /// Ends the play at a moment of the window: the node drains. A player that takes reconnect requests is asked at that
    /// moment, and has a while to go on elsewhere before it leaves.
    pub(super) fn leave_within(&mut self, window: LeaveWindow, ctx: &mut Context<Self>) {
        let wait = window.next_moment().saturating_duration_since(Instant::now());
        ctx.run_later(wait, |connection, ctx| {
            let is_playing = matches!(connection.role, Role::Playing(_));
            if is_playing && connection.request_reconnect(ctx) {
                ctx.run_later(RECONNECT_WAIT, Self::leave_now);
            } else {
                connection.leave_now(ctx);
            }
        });
    }

    fn leave_now(&mut self, ctx: &mut Context<Self>) {
        if let Role::Playing(_) = self.role {
            self.stream_ended(EndReason::NodeDraining, ctx);
        }
    }

    pub(super) fn pause_play(&mut self, ctx: &mut Context<Self>) {
        let Role::Playing(playing) = &mut self.role else { return };
        let unsubscribed = playing.unsubscribe();
        self.socket.keep_alive();
        self.settle(unsubscribed, ctx);
    }

    pub(super) fn resume_play(&mut self, ctx: &mut Context<Self>) {
        if let Role::Playing(playing) = &mut self.role {
            playing.subscribe(ctx.address().recipient());
        }
    }

    pub(super) fn stop_play(&mut self, ctx: &mut Context<Self>) {
        let Role::Playing(playing) = &mut self.role else { return };
        let unsubscribed = playing.unsubscribe();
        self.leave_role(&LeaveReason::Stopped);
        self.socket.forget_counts();
        self.settle(unsubscribed, ctx);
    }

    /// Drops the media that waits, and does nothing else until no more of it can come: what the next subscription gets
    /// begins with a keyframe and its headers.
    fn settle(&mut self, unsubscribed: impl Future<Output = ()> + 'static, ctx: &mut Context<Self>) {
        self.socket.restart();
        self.read_flow.pause();
        ctx.spawn(unsubscribed.into_actor(self).map(|(), _, ctx| ctx.address().do_send(Unsubscribed)));
    }
}

impl Handler<Unsubscribed> for RtmpConnectionActor {
    type Result = ();

    fn handle(&mut self, _: Unsubscribed, ctx: &mut Self::Context) {
        self.go_on(ctx);
    }
}
