//! Media formats and protocol state machines, pure: bytes and times go in, bytes and events come out.
//!
//! Nothing here opens a socket, reads a clock, touches a file or knows of an actor.

pub mod audio;
pub mod batch;
pub mod batcher;
pub mod bitrate;
mod bits;
pub mod cluster;
pub mod flv;
pub mod flv_reader;
pub mod frame;
pub mod gop;
pub mod headers;
pub mod hls;
pub mod metadata;
pub mod picture_size;
pub mod resume;
pub mod room;
pub mod rtmp;
#[cfg(any(test, feature = "testing"))]
pub mod samples;
pub mod timeline;
pub mod video;
pub mod viewer_queue;
