//! Media formats and protocol state machines, pure: bytes and times go in, bytes and events come out.
//!
//! Nothing here opens a socket, reads a clock, touches a file or knows of an actor.

pub mod access;
pub mod cluster;
pub mod codec;
pub mod digits;
pub mod flv;
#[cfg(any(test, feature = "testing"))]
pub mod fuzzing;
pub mod hls;
pub mod rtmp;
#[cfg(any(test, feature = "testing"))]
pub mod samples;
pub mod stream;
pub mod upgrade;
pub mod webrtc;
