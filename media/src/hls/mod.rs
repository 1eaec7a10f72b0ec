//! HLS (RFC 8216) without I/O: FLV tag bodies go in, MPEG-TS segments and playlist texts come out.
//!
//! [`segmenter`] decides where one segment ends and the next begins, and knows nothing of the bytes in between; those
//! are the business of a [`container`], of which [`ts_container`] is the only one. It writes them when the segment ends,
//! into memory of a [`buffer_pool`]. [`playlist`] lists the segments.

mod audio_clock;
pub mod buffer_pool;
pub mod container;
mod continuity;
pub mod interleaver;
mod lead_in;
pub mod mp3;
mod open_segment;
pub mod playlist;
pub mod segment;
pub mod segment_name;
mod segment_track;
pub mod segmenter;
pub mod ts;
pub mod wall_clock;
