//! The actors: who owns a stream, who feeds it, who is served from it.
//!
//! The only crate that names the actor framework. The server outside talks to handles: [`router::RouterHandle`],
//! [`stream::StreamHandle`], [`registry::RegistryHandle`], [`viewers::Audience`] and [`hls::HlsHandle`].

pub mod delivery;
pub mod hls;
pub mod outlet;
pub mod permit;
pub mod puller;
pub mod registry;
pub mod relay;
pub mod router;
pub mod rtmp_connection;
pub mod segmenter;
pub mod stream;
#[cfg(test)]
mod testing;
mod thread;
pub mod viewers;
