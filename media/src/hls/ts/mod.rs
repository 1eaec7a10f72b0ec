//! The MPEG-TS container (ISO/IEC 13818-1).

mod audio_pack;
#[cfg(any(test, feature = "testing"))]
pub mod check;
pub mod container;
pub mod psi;
pub mod writer;
