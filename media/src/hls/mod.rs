//! HLS (RFC 8216) without I/O: FLV tag bodies go in, segments, parts of them and playlist texts come out.
//!
//! [`interleaver`] puts the frames of both tracks into the order of their times, and [`segmenter`] decides where one segment
//! ends and the next begins. It knows nothing of the bytes in between; those are the business of a [`container`]:
//! [`ts::container`] or [`fmp4::container`]. It writes them when the segment ends, or a part of it, into memory of a
//! [`buffer_pool`]. [`playlist`] lists the segments under their [`segment_name`]s, with dates of a [`wall_clock`].

pub mod audio_clock;
pub mod blocking_request;
pub mod buffer_pool;
pub mod container;
mod continuity;
pub mod fmp4;
pub mod interleaver;
mod lead_in;
pub mod mp3;
mod open_segment;
pub mod playlist;
mod repeated_gop;
mod restored_frames;
pub mod segment;
pub mod segment_name;
mod segment_track;
pub mod segmenter;
mod shared_values;
pub mod ts;
pub mod wall_clock;
