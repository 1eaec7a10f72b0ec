//! Parsers for the configuration records and bitstreams of codecs.

pub mod aac;
pub mod ac3;
pub mod adts;
pub mod annex_b;
pub mod av1;
pub mod avc;
mod bits;
pub mod flac;
pub mod frame_size;
pub mod hevc;
pub mod nal;
pub mod opus;
pub mod reordering;
pub(crate) mod slices;
pub mod vp9;
