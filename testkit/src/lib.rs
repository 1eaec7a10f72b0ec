//! Helpers of the workspace's tests and examples: servers, peers that publish and watch, readers of their output, and
//! external programs.
//!
//! The blocking parts are for tests. Each wait in them has a limit, [`wait::PATIENCE`], and a failure panics with what
//! was waited for, so that a test reads from top to bottom. The parts that return a `Result` are for the examples too.
//!
//! Sample frames, the RTMP client and the MPEG-TS checker are re-exported from `synctv_media`, whose unit tests need
//! them as well: a crate's own unit tests cannot use a crate that depends on it.

pub mod balancer;
pub mod claims;
pub mod encoder;
pub mod flv;
pub mod frames;
pub mod hls;
pub mod http;
pub mod log_book;
pub mod metrics;
pub mod nodes;
pub mod process;
pub mod publisher_script;
pub mod redis;
pub mod room_history;
pub mod rtmp;
pub mod server;
pub mod service;
pub mod socket;
pub mod stand_in;
pub mod tls;
pub mod tools;
pub mod troubled_rooms;
pub mod wait;
pub mod waiting_viewers;
pub mod whep;

pub use synctv_media::{hls::ts::check as ts, samples};
