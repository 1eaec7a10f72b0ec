//! The state of a process that is replaced by another binary in the same process: its format, and the table of media that its
//! parts share.
//!
//! A part of the server gives its state as plain data, and puts its media into [`Blobs`], where each region of memory is once,
//! however many parts refer to it. [`StateFile`] is both as bytes, and [`decode`] reads them again. Each part then restores
//! itself, and refuses a state that it could not have given.
//!
//! The state is only ever read by a process of the same host that takes the sockets with it. It is validated nevertheless: it may
//! be that of another version, and what it says is trusted by code on a frame's path.

mod blobs;
mod error;
mod file;
#[cfg(any(test, feature = "testing"))]
pub mod format;
mod moment;
#[cfg(any(test, feature = "testing"))]
pub(crate) mod testing;
mod version;

pub use blobs::{BlobId, Blobs};
pub use error::StateError;
pub use file::{StateFile, decode};
pub use moment::{age_ms, check_media_time, instant_of_age};
pub use version::{STATE_MAX_BYTES, VERSION};
