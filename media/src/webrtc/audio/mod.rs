//! The audio of a stream as Opus: passed on as it is, or decoded from AAC and encoded, once for all viewers that one thread
//! serves.

mod aac;
pub mod no_audio;
mod opus;
pub mod rate;
mod resampler;
pub mod track;
mod transcoder;
mod trial;
pub mod unit;
