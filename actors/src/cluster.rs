//! Rooms shared by several nodes: claims, their stores, and pulls between nodes.

pub mod embedded_store;
pub mod origin;
pub mod puller;
pub mod redis_store;
pub mod registry;
pub mod store;
