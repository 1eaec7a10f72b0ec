//! Time limits of a connection that negotiates, publishes or closes.

use std::time::Duration;

use actix::ActorContext;
use synctv_media::rtmp::session::Phase;
use tokio::time::Instant;

use super::{Connection, ConnectionContext, role::Role};
use crate::{rtmp::settings::RtmpSettings, viewer_session::LeaveReason};

/// Time that a refused connection stays open: the peer reads the reason before the reset.
const LINGER: Duration = Duration::from_secs(2);

/// Interval at which time limits are checked, unless one is shorter.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// A publisher that falls silent is looked at this often until it counts as disconnected: to be pinged, and to answer.
const CHECKS_PER_PUBLISHER_TIMEOUT: u32 = 4;

impl RtmpSettings {
    /// Interval at which time limits are checked.
    pub(super) fn check_interval(&self) -> Duration {
        CHECK_INTERVAL.min(self.publisher_timeout / CHECKS_PER_PUBLISHER_TIMEOUT)
    }
}

impl Connection {
    /// Ends what is over a limit.
    pub(super) fn check(&mut self, ctx: &mut ConnectionContext) {
        let now = Instant::now();
        // If none is free now, it is asked again.
        let _ = self.conversation.admission.require_regular();
        match &self.role {
            Role::Closing { since } if now - *since >= LINGER => return ctx.stop(),
            Role::Closing { .. } => return,
            _ => {}
        }
        if let Some(cut) = self.role.cut() {
            return self.cut(&LeaveReason::Cut(cut), ctx);
        }
        match self.overdue(now) {
            Some(reason) => self.close(&reason, ctx),
            None => self.ping_if_silent(now, ctx),
        }
    }

    /// The reason the connection has to go, if it has to.
    fn overdue(&self, now: Instant) -> Option<LeaveReason> {
        let settings = &self.conversation.services.settings;
        let publisher_timeout = settings.publisher_timeout;
        match &self.role {
            Role::Negotiating { since } => {
                too_slow(self.conversation.session.phase(), now - *since, settings)
            }
            Role::Publishing(_) if now - self.conversation.last_received >= publisher_timeout => {
                Some(LeaveReason::Silent(publisher_timeout))
            }
            _ => None,
        }
    }

    fn ping_if_silent(&mut self, now: Instant, ctx: &mut ConnectionContext) {
        let Role::Publishing(publishing) = &mut self.role else {
            return;
        };
        let timeout = self.conversation.services.settings.publisher_timeout;
        if publishing.is_ping_due(now - self.conversation.last_received, timeout) {
            self.conversation.session.ping((now - publishing.since).as_millis() as u32);
            self.send_replies(ctx);
        }
    }
}

fn too_slow(phase: Phase, waited: Duration, settings: &RtmpSettings) -> Option<LeaveReason> {
    match phase {
        Phase::Handshake if waited >= settings.handshake_timeout => Some(LeaveReason::Closed(format!(
            "no handshake within {} s",
            settings.handshake_timeout.as_secs()
        ))),
        // The answer to a pending request is ours to give.
        Phase::PublishPending | Phase::PlayPending => None,
        _ if waited >= settings.idle_timeout => Some(LeaveReason::Closed(format!(
            "neither publish nor play within {} s",
            settings.idle_timeout.as_secs()
        ))),
        _ => None,
    }
}
