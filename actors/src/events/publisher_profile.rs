//! The facts that a stream knows of its publisher: for operators, and for a move to another node.

use std::{net::SocketAddr, time::Duration};

use synctv_media::access::Confidential;

/// Time that a publisher that is to move is kept for the right moment. Encoders with a default configuration send a
/// keyframe each 8 to 10 s.
pub const MOVE_WAIT_MAX: Duration = Duration::from_secs(10);

/// A publisher, as far as its stream needs to know it.
#[derive(Debug, Clone, Default)]
pub struct PublisherProfile {
    /// The publisher, recognisable when it comes back, also on another node. It may be a credential. Without it, the room
    /// is not reserved for anyone.
    pub who: Option<Confidential>,
    /// The address that it connects from.
    pub peer: Option<SocketAddr>,
    /// The way in which it comes to publish elsewhere.
    pub relocation: Relocation,
}

/// The way in which a publisher moves to another node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relocation {
    /// It publishes on a new connection when it is asked to, while the old one lasts.
    OnRequest,
    /// It connects again when its connection was closed, and publishes so long after that.
    AfterClose(Duration),
    /// It looks for the close after each `looks_each` of its messages only, and sends again from there on. The close needs
    /// `lead` to reach it.
    AtLook {
        /// Messages from one look to the next.
        looks_each: u32,
        /// The time from the close until it can be seen.
        lead: Duration,
    },
}

impl Relocation {
    /// Connects again at once when its connection was closed.
    pub const AT_ONCE: Self = Self::AfterClose(Duration::ZERO);
}

impl Default for Relocation {
    fn default() -> Self {
        Self::AT_ONCE
    }
}
