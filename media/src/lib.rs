//! Media formats and protocol state machines, pure: bytes and times go in, bytes and events come out.
//!
//! Nothing here opens a socket, reads a clock, touches a file or knows of an actor.

pub mod frame;
pub mod room;
pub mod rtmp;
