//! Units of settings.

use std::time::Duration;

/// One kibibyte in bytes.
pub const KIB: usize = 1024;

/// One mebibyte in bytes.
pub const MIB: usize = 1024 * KIB;

/// A setting's seconds.
pub fn seconds(seconds: u32) -> Duration {
    Duration::from_secs(seconds.into())
}
