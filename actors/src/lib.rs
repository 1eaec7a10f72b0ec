//! The actors: who owns a stream, who feeds it, who is served from it.
//!
//! The only crate that names the actor framework. The server outside talks to handles: [`directory::StreamDirectory`],
//! [`stream::StreamHandle`], [`registry::RegistryHandle`], [`viewers::ViewerPool`] and [`hls::HlsSessions`].

pub mod access;
mod clock;
pub mod cluster;
pub mod connection_limit;
pub mod directory;
pub mod events;
pub mod flv;
pub mod hls;
pub mod rtmp;
pub mod stream;
mod subscription;
#[cfg(test)]
mod testing;
mod thread;
mod viewer_session;
pub mod viewer_socket;
pub mod wire;
