//! RTMP connections.

pub mod connection;
