//! Those who get a stream's media: one for each worker thread with viewers of the room, and each RTMP player.

use std::sync::Arc;

use actix::{Recipient, prelude::SendError};
use log::warn;
use synctv_media::{batch::Batch, gop::JoinPoint, room::RoomName};

use crate::delivery::{Delivery, EndReason, SubscriberId, SubscriberRole, ViewerId};

#[derive(Default)]
pub(super) struct Subscribers(Vec<Subscriber>);

struct Subscriber {
    id: SubscriberId,
    role: SubscriberRole,
    recipient: Recipient<Delivery>,
    state: State,
    lost_batches: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Flowing,
    /// Its mailbox was full: it gets nothing up to the next batch that decoding can start at.
    Skipping,
}

impl Subscribers {
    pub(super) fn join(
        &mut self,
        id: SubscriberId,
        role: SubscriberRole,
        viewer: ViewerId,
        recipient: Recipient<Delivery>,
        point: Option<JoinPoint>,
    ) {
        if let Some(point) = point {
            // Without it the viewer starts at the next keyframe.
            let _ = recipient.try_send(Delivery::Join { viewer, point });
        }
        if !self.0.iter().any(|subscriber| subscriber.id == id) {
            self.0.push(Subscriber { id, role, recipient, state: State::Flowing, lost_batches: 0 });
        }
    }

    pub(super) fn leave(&mut self, id: SubscriberId) {
        self.0.retain(|subscriber| subscriber.id != id);
    }

    /// Whether the media goes to viewers, and not only to segments.
    pub(super) fn are_watching(&self) -> bool {
        self.0.iter().any(|subscriber| subscriber.role == SubscriberRole::Viewers)
    }

    pub(super) fn send(&mut self, batch: &Arc<Batch>, room: &RoomName) {
        self.0.retain_mut(|subscriber| subscriber.send(batch, room));
    }

    /// Tells of a change of publisher. It passes the bound, as it comes once in a publisher's life.
    pub(super) fn tell(&self, change: &Delivery) {
        for subscriber in &self.0 {
            subscriber.recipient.do_send(change.clone());
        }
    }

    pub(super) fn end(&mut self, reason: EndReason) {
        for subscriber in self.0.drain(..) {
            subscriber.recipient.do_send(Delivery::End(reason));
        }
    }
}

impl Subscriber {
    /// Sends the batch, unless the subscriber is behind. Tells whether it is still there.
    fn send(&mut self, batch: &Arc<Batch>, room: &RoomName) -> bool {
        let after_gap = self.state == State::Skipping;
        if after_gap && batch.start.is_none() {
            self.lost_batches += 1;
            return true;
        }
        match self.recipient.try_send(Delivery::Media { batch: batch.clone(), after_gap }) {
            Ok(()) => {
                self.state = State::Flowing;
                true
            }
            Err(SendError::Full(_)) => {
                self.fall_behind(room);
                true
            }
            Err(SendError::Closed(_)) => false,
        }
    }

    fn fall_behind(&mut self, room: &RoomName) {
        self.lost_batches += 1;
        if self.state == State::Flowing {
            warn!(room = room.as_str(), lost_batches = self.lost_batches;
                "a thread of viewers cannot follow the stream; they go on at the next keyframe");
        }
        self.state = State::Skipping;
    }
}
