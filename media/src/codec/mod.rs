//! Parsers for the configuration records and bitstreams of codecs.

pub mod aac;
pub mod adts;
pub mod annex_b;
pub mod avc;
mod bits;
pub mod frame_size;
pub mod hevc;
pub mod nal;
pub mod reordering;
pub(crate) mod slices;
