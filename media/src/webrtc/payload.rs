//! RTP payloads of all codecs.

use std::sync::Arc;

/// The size of the largest payload. With RTP, SRTP, UDP and IPv6 around it, and room for a tunnel, a packet stays below the
/// 1,280 bytes that every IPv6 link carries.
pub const PAYLOAD_MAX_BYTES: usize = 1160;

/// The payloads of one frame, of which the last one gets the marker. Viewers share them.
pub type Payloads = Vec<Arc<[u8]>>;
