//! Fragmented MP4 (ISO/IEC 14496-12): the payloads of RTMP are its samples, so that no NAL unit is read.
//!
//! [`container`] turns frames into fragments, one `moof` and `mdat` each with all tracks. [`video`] and [`audio`] make the
//! sample entries of [`init`] sections out of RTMP's sequence headers, and the names of codecs that playlists use.

mod audio;
mod boxes;
pub mod container;
mod fragment;
mod frame;
mod init;
mod state;
#[cfg(test)]
mod tests;
mod tracks;
mod video;
mod video_track;

pub use self::state::Fmp4State;
