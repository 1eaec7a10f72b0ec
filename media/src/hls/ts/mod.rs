//! The MPEG-TS container (ISO/IEC 13818-1).

mod audio_config;
mod audio_pack;
#[cfg(any(test, feature = "testing"))]
pub mod check;
pub mod container;
pub mod psi;
mod state;
pub mod writer;

pub use self::state::TsState;
