//! The subscribers of a stream's media: one for each worker thread with viewers of the room, WebRTC's, and the
//! segmenters.

use actix::{Recipient, prelude::SendError};
use log::warn;
use synctv_media::stream::{batch::Batches, gop::JoinPoint, room::RoomName};
use tokio::time::Instant;

use crate::events::{EndReason, StreamEvent, SubscriberId, SubscriberRole, ViewerId};

#[derive(Default)]
pub(super) struct Subscribers(Vec<Subscriber>);

struct Subscriber {
    id: SubscriberId,
    role: SubscriberRole,
    recipient: Recipient<StreamEvent>,
    state: State,
    lost_flushes: u64,
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
        recipient: Recipient<StreamEvent>,
        point: Option<JoinPoint>,
    ) {
        if let Some(point) = point {
            // Without it the viewer starts at the next keyframe.
            let _ = recipient.try_send(StreamEvent::Join { viewer, point });
        }
        self.rejoin(id, role, recipient);
    }

    /// Takes in a subscriber whose viewers have been sent all media before.
    pub(super) fn rejoin(
        &mut self,
        id: SubscriberId,
        role: SubscriberRole,
        recipient: Recipient<StreamEvent>,
    ) {
        if !self.0.iter().any(|subscriber| subscriber.id == id) {
            self.0.push(Subscriber { id, role, recipient, state: State::Flowing, lost_flushes: 0 });
        }
    }

    pub(super) fn leave(&mut self, id: SubscriberId) {
        self.0.retain(|subscriber| subscriber.id != id);
    }

    /// Returns whether the media goes to viewers, and not only to segments.
    pub(super) fn are_watching(&self) -> bool {
        self.0.iter().any(|subscriber| subscriber.role == SubscriberRole::Viewers)
    }

    /// Sends the batches, of which the newest media was read at `received`. Returns how many subscribers could not take
    /// them.
    pub(super) fn send(&mut self, batches: &Batches, received: Instant, room: &RoomName) -> u64 {
        let mut lost = 0;
        self.0.retain_mut(|subscriber| {
            let lost_before = subscriber.lost_flushes;
            let stays = subscriber.send(batches, received, room);
            lost += subscriber.lost_flushes - lost_before;
            stays
        });
        lost
    }

    /// Announces a change of publisher. It passes the bound, as it comes once in a publisher's life.
    pub(super) fn announce(&self, change: &StreamEvent) {
        for subscriber in &self.0 {
            subscriber.recipient.do_send(change.clone());
        }
    }

    pub(super) fn end(&mut self, reason: EndReason) {
        for subscriber in self.0.drain(..) {
            subscriber.recipient.do_send(StreamEvent::End(reason));
        }
    }
}

impl Subscriber {
    /// Sends the batches, or if the subscriber is behind, those from where decoding can start. Returns whether the
    /// subscriber is still there.
    fn send(&mut self, batches: &Batches, received: Instant, room: &RoomName) -> bool {
        let after_gap = self.state == State::Skipping;
        let Some(batches) = (if after_gap { from_start(batches) } else { Some(batches.clone()) }) else {
            self.lost_flushes += 1;
            return true;
        };
        match self.recipient.try_send(StreamEvent::Media { batches, after_gap, received }) {
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
        self.lost_flushes += 1;
        if self.state == State::Flowing {
            warn!(room = room.as_str(), lost_flushes = self.lost_flushes;
                "a thread of viewers cannot follow the stream; they go on at the next keyframe");
        }
        self.state = State::Skipping;
    }
}

/// Returns the batches from the first one at which decoding can start.
fn from_start(batches: &Batches) -> Option<Batches> {
    let start = batches.iter().position(|batch| batch.start.is_some())?;
    Some(batches.get(start..)?.into())
}

#[cfg(test)]
mod tests {
    use synctv_media::{
        samples,
        stream::{batcher::Batcher, frame::Frame},
    };

    use super::*;
    use crate::{
        events::MAILBOX_MAX,
        testing::{Got, ProbeHandle, room},
    };

    const V: u8 = 9;

    /// Frames of a stream that has begun.
    fn flush(frames: impl IntoIterator<Item = Frame>) -> Batches {
        let mut batcher = Batcher::default();
        batcher.push(samples::keyframe(0)).unwrap();
        batcher.flush();
        for frame in frames {
            batcher.push(frame).unwrap();
        }
        batcher.flush().into()
    }

    #[actix_rt::test]
    async fn a_subscriber_with_a_full_mailbox_goes_on_where_decoding_can_start_and_learns_of_the_gap() {
        let (mut probe, mut subscribers, room) = (ProbeHandle::start(), Subscribers::default(), room("r"));
        assert!(probe.is_quiet().await, "its mailbox has its bound");
        let recipient = probe.address.clone().recipient();
        subscribers.join(probe.id, SubscriberRole::Viewers, ViewerId(0), recipient, None);
        // The probe does not run before the test waits.
        let sent = 2 * MAILBOX_MAX as u32;
        let (now, mut lost) = (Instant::now(), 0);
        for at_ms in 0..sent {
            lost += subscribers.send(&flush([samples::keyframe(at_ms)]), now, &room);
        }
        let mut received = 0;
        while let Ok(got) = tokio::time::timeout(std::time::Duration::from_millis(50), probe.next()).await {
            assert_eq!(got, Got::Media { after_gap: false, tags: vec![(V, received)] });
            received += 1;
        }
        assert!(received >= MAILBOX_MAX as u32 && received < sent, "{received}");
        assert_eq!(lost, u64::from(sent - received), "each is counted");
        subscribers.send(&flush([samples::inter(2000)]), now, &room);
        subscribers.send(&flush([samples::inter(2033), samples::keyframe(2066)]), now, &room);
        assert_eq!(probe.next().await, Got::Media { after_gap: true, tags: vec![(V, 2066)] });
        subscribers.send(&flush([samples::inter(2100)]), now, &room);
        assert_eq!(probe.next().await, Got::Media { after_gap: false, tags: vec![(V, 2100)] });
    }
}
