//! A subscription to a stream: the seam that every kind of viewer and the segmenter share.

use actix::{Actor, Context, Handler, Recipient};

use crate::{
    events::{MAILBOX_MAX, StreamEvent, SubscriberId, SubscriberRole, ViewerId},
    stream::StreamHandle,
};

/// An actor's subscription to one stream, from its first [`join`](Self::join) until it is dropped.
///
/// Events arrive in order. The actor's mailbox is bounded by [`prepare`](Self::prepare): a subscriber that falls behind
/// loses media up to the next keyframe, and the event after the gap says so.
#[derive(Debug)]
pub(crate) struct Subscription {
    stream: StreamHandle,
    id: SubscriberId,
    role: SubscriberRole,
}

impl Subscription {
    /// Makes a subscription that has not joined yet.
    pub fn new(stream: StreamHandle, role: SubscriberRole) -> Self {
        Self { stream, id: SubscriberId::unique(), role }
    }

    /// Bounds the mailbox of a subscriber. To be called when the actor starts.
    pub fn prepare<A>(ctx: &mut Context<A>)
    where
        A: Actor<Context = Context<A>> + Handler<StreamEvent>,
    {
        ctx.set_mailbox_capacity(MAILBOX_MAX);
    }

    /// Returns the name under which the stream knows the subscriber.
    pub fn id(&self) -> SubscriberId {
        self.id
    }

    /// Asks for the media that `viewer` starts with, and for everything after it, to be sent to `recipient`.
    pub fn join(&self, viewer: ViewerId, recipient: Recipient<StreamEvent>) {
        self.stream.join(self.id, self.role, viewer, recipient);
    }

    /// Asks for everything from now on to be sent to `recipient`, whose viewers have been sent all before it.
    pub fn rejoin(&self, recipient: Recipient<StreamEvent>) {
        self.stream.rejoin(self.id, self.role, recipient);
    }

    /// The stream.
    pub fn stream(&self) -> &StreamHandle {
        &self.stream
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.stream.leave(self.id);
    }
}
