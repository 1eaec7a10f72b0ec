//! The actors that own streams, connections, claims and files.
//!
//! No other crate names the actor framework. The server talks to handles: [`directory::StreamDirectory`],
//! [`stream::StreamHandle`], [`cluster::registry::RegistryHandle`], [`viewers::ViewerPool`],
//! [`hls::HlsSessions`] and [`webrtc::WebRtc`].

pub mod access;
mod bounded_cache;
pub mod clock;
pub mod cluster;
pub mod connection_limit;
pub mod directory;
pub mod events;
pub mod gzip;
pub mod hls;
pub mod metrics;
mod placement;
pub mod rtmp;
mod single_flight;
pub mod stream;
mod subscription;
#[cfg(test)]
mod testing;
mod thread;
pub mod tls;
pub mod upgrade;
mod viewer_session;
pub mod viewer_socket;
pub mod viewers;
pub mod webrtc;
pub mod wire;
