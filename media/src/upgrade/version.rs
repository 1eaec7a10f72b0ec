//! The version of the format, and its bound.

/// The version of the format. Any change of a part's state needs the next one, as the format names no fields.
pub const VERSION: u32 = 3;

/// The longest state, in bytes. What a node keeps of its media is bounded far below that.
pub const STATE_MAX_BYTES: u64 = 1 << 30;
