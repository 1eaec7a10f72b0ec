//! Media formats and protocol state machines, pure: bytes and times go in, bytes and events come out.
//!
//! Nothing here opens a socket, reads a clock, touches a file or knows of an actor.

pub mod cluster;
pub mod codec;
mod decode_order;
pub mod flv;
mod frame_class;
pub mod header_key;
pub mod hls;
mod opening;
pub mod rtmp;
#[cfg(any(test, feature = "testing"))]
pub mod samples;
mod slices;
pub mod stream;
mod track_watch;
pub mod tracks;
pub mod video_entry;
mod video_frame;
