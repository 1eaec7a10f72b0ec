//! The contract between the actors: the ids, events and settings that they exchange.
//!
//! Everything here is data and depends on `media` only. Actors name each other by what is here, so that none of them
//! needs the module of another one to get its messages.

mod ids;
mod leave_window;
mod publisher_event;
mod publisher_profile;
mod pull_event;
mod settings;
mod stream_event;

pub(crate) use self::{
    ids::{PublisherId, PullerId},
    pull_event::{Dismissed, FromOrigin, Update},
    stream_event::StreamEnded,
};
pub use self::{
    ids::{StreamId, SubscriberId, ViewerId},
    leave_window::LeaveWindow,
    publisher_event::{Evicted, PublisherEvent},
    publisher_profile::{MOVE_WAIT_MAX, PublisherProfile, Relocation},
    settings::{Flush, PullSettings, StreamSettings},
    stream_event::{Arrival, EndReason, MAILBOX_MAX, Source, StreamEvent, StreamState, SubscriberRole},
};
