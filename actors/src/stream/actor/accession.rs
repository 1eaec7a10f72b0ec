//! A change of publisher without a gap: the new one publishes here while the old publication is still pulled.
//!
//! Encoders that take reconnect requests publish on the new connection before they leave the old one, and change over at a
//! keyframe. Viewers see the old publication up to then, so that no frame is lost between the two. Other nodes get the room
//! from here only after the change: what they would be given before it, they have seen.

use std::time::Duration;

use actix::{AsyncContext, Context};
use synctv_media::stream::frame::Frame;
use tokio::time::Instant;

use super::StreamActor;
use crate::{
    events::Update,
    stream::{ingest::Ingest, succession::Succession},
};

/// Time that the new publisher's first keyframe waits for the last frames of the old publication, which come over two
/// nodes.
const LAST_FRAMES_WAIT: Duration = Duration::from_millis(100);

impl StreamActor {
    /// Takes frames of the publisher, or holds them back until the old publication has ended.
    pub(super) fn take_published(&mut self, frames: Vec<Frame>, received: Instant, ctx: &mut Context<Self>) {
        let has_video = self.batcher.tracks().video;
        let Some(Succession { held, due, .. }) = self.succession_mut() else {
            return self.take(frames, received, ctx);
        };
        frames.into_iter().for_each(|frame| held.push(frame, has_video));
        if held.is_full() {
            return self.accede(ctx);
        }
        if held.has_begun() && due.is_none() {
            *due = Some(ctx.run_later(LAST_FRAMES_WAIT, Self::accede));
        }
    }

    /// Takes what the puller of the old publication says. Returns it if there is none.
    pub(super) fn take_from_predecessor(
        &mut self,
        update: Update,
        ctx: &mut Context<Self>,
    ) -> Option<Update> {
        if self.succession_mut().is_none() {
            return Some(update);
        }
        match update {
            Update::Media { frames, after_hole } => {
                if after_hole {
                    self.end_publication(ctx);
                }
                self.take(frames, Instant::now(), ctx);
            }
            Update::Broken | Update::Over => self.accede(ctx),
            Update::Connected { .. } | Update::Resumed => {}
        }
        None
    }

    /// The new publisher feeds the stream from here on.
    pub(super) fn accede(&mut self, ctx: &mut Context<Self>) {
        let Ingest::Published { succession, numbers, .. } = &mut self.ingest else { return };
        let Some(Succession { held, due, .. }) = succession.take().map(|succession| *succession) else {
            return;
        };
        let numbers = numbers.clone();
        if let Some(timer) = due {
            ctx.cancel_future(timer);
        }
        self.end_publication(ctx);
        self.announce_publisher(numbers);
        self.take(held.into_frames(), Instant::now(), ctx);
    }

    fn succession_mut(&mut self) -> Option<&mut Succession> {
        match &mut self.ingest {
            Ingest::Published { succession, .. } => succession.as_deref_mut(),
            Ingest::Vacant { .. } | Ingest::Pulled(_) => None,
        }
    }
}
