//! WebRTC playback: a stream's frames as RTP payloads, the part of them that a viewer gets next, and the peer that negotiates
//! and encrypts.
//!
//! No module opens a socket or reads a clock: datagrams and times go in, datagrams and events come out.

pub mod audio;
pub mod av1;
pub mod framing;
pub mod gop;
pub mod h264;
pub mod h265;
pub mod offer;
pub mod order;
pub mod packetizer;
pub mod payload;
pub mod peer;
pub mod playability;
pub mod profile;
pub mod unit;
pub mod video_feed;
mod video_track;
pub mod vp9;
